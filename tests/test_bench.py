"""The benchmarks: that they run, notice what is wrong, and leave nothing behind."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from fake_server import FakeServer, Peer
from peers import missing_peer

from gearcore import Server
from gearcore.protocol import PacketType

ROOT = Path(__file__).parents[1]
PATIENCE = 120
PAGE = "Before.\n<!-- results -->\nold\n<!-- results end -->\nAfter.\n"


def run_harness(*arguments: str, **options) -> subprocess.CompletedProcess:
    """Compare the servers, with as little load as will do."""
    command = [sys.executable, "-m", "benchmarks.server", "--quick", "--operations", "300", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, **options)


@pytest.fixture(scope="module")
def loadgen() -> Path:
    """The load generator, compiled."""
    program = "from benchmarks.server.build import build; print(build().loadgen)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    if "CannotBuild: there is no C compiler" in done.stderr:
        missing_peer("there is no C compiler: it is in Debian's package gcc")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def put_load(loadgen: Path, port: int, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [loadgen, "127.0.0.1", str(port), "0", *words], capture_output=True, text=True, timeout=PATIENCE
    )


def test_the_harness_compares_the_servers(loadgen, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    done = run_harness("--shapes", "drain,fg_4x16", "--output", str(tmp_path), "--write", str(page))
    assert done.returncode == 0, done.stderr

    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()]
    speeds = {row[0]: row[1:5] for row in rows if row[0] in ("submit", "drain", "fg_4x16")}
    assert list(speeds) == ["submit", "drain", "fg_4x16"]
    for gearmand_1, gearmand_4, *own in speeds.values():
        assert all(re.fullmatch("[0-9,]+", speed) for speed in own)
        if "gearmand is not installed" not in done.stderr:
            assert re.fullmatch("[0-9,]+", gearmand_1)
            assert re.fullmatch("[0-9,]+", gearmand_4)

    results = json.loads((tmp_path / "server.json").read_text())
    assert list(results["shapes"]) == ["submit", "drain", "fg_4x16"]
    assert results["shapes"]["drain"]["rounds"]["gearcore"][0]["ops"] == 300
    assert ElementTree.parse(tmp_path / "server.svg").getroot().tag.endswith("svg")
    assert page.read_text().startswith("Before.\n<!-- results -->\nMedians of 1 rounds")
    assert page.read_text().endswith("|\n<!-- results end -->\nAfter.\n")


def test_the_harness_says_what_is_missing(tmp_path):
    done = run_harness("--shapes", "echo", env={**os.environ, "CC": "no-such-compiler", "PATH": ""})
    assert done.returncode == 0, done.stderr
    assert "there is no C compiler: no-such-compiler was not found" in done.stderr
    assert "Traceback" not in done.stderr
    assert "foreground" in done.stdout


def test_the_harness_names_what_it_does_not_know():
    done = run_harness("--shapes", "sphere")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("there is no shape 'sphere'; docs/performance.md lists them")


def test_what_falls_short_is_marked(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.server.measure import Results
    from benchmarks.server.shapes import choose
    from benchmarks.server.verdict import judge

    def short(gearcore: float, floor: float, cpu: float) -> tuple[str, ...]:
        """The verdict on a shape of round trips; gearmand does 100 operations a second, in 10 µs each."""
        results = Results()
        (shape,) = choose(["fg_4x16"])
        for server, speed, used in (
            ("gearmand -t 1", 100, 10),
            ("gearmand -t 4", 50, 20),
            ("gearcore", gearcore, cpu),
            ("floor", floor, 1),
        ):
            for factor in (0.5, 1, 3):
                figures = {"ops_per_s": speed * factor, "server_cpu_us_per_op": used}
                results.samples[shape.name][server].append(figures)
        return judge(results, shape).short

    assert short(gearcore=151, floor=200, cpu=6) == ()
    assert short(gearcore=140, floor=160, cpu=6) == ("speed 1.40 < 1.5",)
    assert short(gearcore=119, floor=148, cpu=6) == ()  # 1.5 times gearmand is beyond the floor
    assert short(gearcore=115, floor=148, cpu=6) == ("floor 78% < 80%",)
    assert short(gearcore=200, floor=400, cpu=7) == ("floor 50% < 75%", "CPU 70% > 60%")


def test_the_page_lists_every_shape(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.server.shapes import SHAPES

    page = (ROOT / "docs" / "performance.md").read_text()
    rows = [f"| `{shape.name}` | {shape.kind.value} | {shape.about}: `{shape.load}` |\n" for shape in SHAPES]
    assert "".join(rows) in page


@pytest.mark.parametrize(
    "words",
    [
        "echo n=500 c=2",
        "submit n=500 uniq=1 size=1024",
        "submit n=500 funcs=100 prio=1 slices=5",
        "foreground n=500 c=2 w=2 d=8 grabs=4 idle=20",
        "foreground n=8 c=2 w=2 size=1000000",
        "foreground n=30 w=40 d=1",
        "stream n=500 c=2 w=2",
        "steady n=500 c=2 w=2 queued=100",
        "coalesce n=500 c=50",
        "flood n=50 c=2 d=10",
        "register w=2 funcs=2500",
        "connect n=50",
    ],
)
def test_every_load_comes_to_its_end(loadgen, words):
    with Server(port=0) as server:
        done = put_load(loadgen, server.port, *words.split())
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    wanted = re.search(r"\bn=(\d+)", words)
    assert figures["ops"] >= (int(wanted[1]) if wanted else 5000)
    if "coalesce" in words:
        assert figures["clients_per_job"] == 50
    if "slices" in words:
        assert len(figures["slices"]) == 5


def test_a_load_drains_what_another_left(loadgen):
    with Server(port=0) as server:
        put_load(loadgen, server.port, "submit", "n=300", "funcs=3")
        done = put_load(loadgen, server.port, "drain", "w=2", "funcs=3")
        assert json.loads(done.stdout)["ops"] == 300
        assert not len(server.broker)


def test_a_load_drains_no_more_than_it_is_told(loadgen):
    with Server(port=0) as server:
        put_load(loadgen, server.port, "submit", "n=300")
        done = put_load(loadgen, server.port, "drain", "n=100")
        assert json.loads(done.stdout)["ops"] == 100
        assert 190 < len(server.broker) <= 200


def test_loadgen_gives_up_on_a_server_that_stalls(loadgen):
    def stall(peer: Peer) -> None:
        peer.send(PacketType.ECHO_RES, *peer.receive(PacketType.ECHO_REQ))
        peer.send(PacketType.JOB_CREATED, b"H:fake:1")
        peer.wait_until_closed()

    with FakeServer(stall) as server:
        done = put_load(loadgen, server.address[1], "submit", "n=10", "d=1", "stall=1")
    assert done.returncode == 3
    assert done.stderr == "loadgen: stalled, at 1 of 10 operations\n"


def test_loadgen_says_what_a_server_refuses(loadgen):
    def refuse(peer: Peer) -> None:
        peer.send(PacketType.ECHO_RES, *peer.receive(PacketType.ECHO_REQ))
        peer.receive(PacketType.SUBMIT_JOB_BG)
        peer.send(PacketType.ERROR, b"QUEUE_ERROR", b"Job queue is full")
        peer.wait_until_closed()

    with FakeServer(refuse) as server:
        done = put_load(loadgen, server.address[1], "submit", "n=10", "d=1")
    assert done.returncode == 2
    assert done.stderr == "loadgen: the server answers QUEUE_ERROR: Job queue is full\n"


def test_loadgen_says_that_a_server_hangs_up(loadgen):
    with FakeServer(lambda peer: peer.receive(PacketType.ECHO_REQ)) as server:
        done = put_load(loadgen, server.address[1], "echo", "n=10")
    assert done.returncode == 4
    assert done.stderr == "loadgen: the server closed a connection, at 0 of 10 operations\n"
