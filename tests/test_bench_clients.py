"""The benchmark of clients and workers: that adapters do what they count, and what is made of it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from caller import Caller
from peers import missing_peer

from gearcore import Client, Server

ROOT = Path(__file__).parents[1]
ADAPTERS = ROOT / "benchmarks" / "clients" / "adapters"
PATIENCE = 120
OURS = ("gearcore_blocking.py", "gearcore_asyncio.py")
COMPAT = ("gearman_family.py", "gear_threads.py")
"""They find gearcore.compat.gearman and gearcore.compat.gear here, where the other libraries are not."""
MOST, WARM_UP, DEPTH = 30, 5, 7

PREPARE = """
from benchmarks.clients.libraries import CannotHave, choose, prepare
from benchmarks.server.build import CannotBuild, build
try:
    print(build().loadgen)
    print(prepare(choose(["libgearman"])[0], build())[0])
except (CannotBuild, CannotHave) as error:
    print(error)
"""


@pytest.fixture(scope="module")
def programs() -> tuple[str, str]:
    """Loadgen and the adapter of libgearman, compiled."""
    done = subprocess.run([sys.executable, "-c", PREPARE], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loadgen, *others = done.stdout.splitlines()
    if "there is no C compiler" in done.stdout:
        missing_peer("there is no C compiler: it is in Debian's package gcc")
    if "gearman.h" in done.stdout:
        missing_peer("libgearman is not installed: it is in Debian's package libgearman-dev")
    return loadgen, others[0]


@pytest.fixture(params=["libgearman", *OURS, *COMPAT])
def adapter(request, programs) -> list[str]:
    """The command of an adapter."""
    if request.param == "libgearman":
        return [programs[1]]
    return [sys.executable, str(ADAPTERS / request.param)]


def load(program: str, server: Server, *words: str) -> list[str]:
    return [program, "127.0.0.1", str(server.port), "0", *words]


def run_adapter(adapter: list[str], mode: str, server: Server) -> dict[str, float]:
    """Have an adapter do as many operations as it may, however long that takes."""
    words = [mode, "127.0.0.1", str(server.port), "bench0", "100"]
    limits = [str(MOST), "3600", str(WARM_UP), str(DEPTH)]
    done = subprocess.run([*adapter, *words, *limits], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["seconds"] > 0
    assert figures["cpu_seconds"] > 0
    return figures


@pytest.mark.parametrize(
    ("adapter", "mode"),
    [
        *((name, "submit") for name in ("libgearman", *OURS, *COMPAT)),
        *((name, "submit_many") for name in ("libgearman", *OURS, "gearman_family.py")),
    ],
    indirect=["adapter"],
)
def test_a_client_submits_what_it_counts(adapter, mode):
    with Server(port=0) as server:
        assert run_adapter(adapter, mode, server)["ops"] == MOST
        with Caller(server) as admin:
            assert admin.line(b"status\n") == b"bench0\t%d\t0\t0\n" % (MOST + WARM_UP)


def test_a_client_has_a_result_for_each_job(adapter, programs):
    with Server(port=0) as server:
        worker = subprocess.Popen(load(programs[0], server, "serve", "w=2"))
        try:
            assert run_adapter(adapter, "foreground", server)["ops"] == MOST
        finally:
            worker.kill()
            worker.wait()
        assert not len(server.broker)


@pytest.mark.parametrize(
    ("adapter", "mode"),
    [("libgearman", "prefetch"), ("gear_threads.py", "submit_many")],
    indirect=["adapter"],
)
def test_a_library_says_what_it_cannot_do(adapter, mode):
    words = [mode, "127.0.0.1", "1", "bench0", "100", "1", "1", "0", "1"]
    done = subprocess.run([*adapter, *words], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (3, f"there is no {mode} here\n")


@pytest.mark.parametrize(
    ("adapter", "mode"),
    [
        ("libgearman", "work"),
        *((name, "work") for name in COMPAT),
        *((name, mode) for name in OURS for mode in ("work", "prefetch")),
    ],
    indirect=["adapter"],
)
def test_a_worker_does_the_jobs_that_it_counts(adapter, programs, mode):
    with Server(port=0) as server:
        subprocess.run(
            load(programs[0], server, "submit", "n=100", "size=100"), check=True, capture_output=True
        )
        assert run_adapter(adapter, mode, server)["ops"] == MOST
        with Caller(server) as admin:
            left = int(admin.line(b"status\n").split(b"\t")[1])
        # What a worker has in hand when it is told to stop it still does, and what it asked for before.
        in_hand = 2 * (DEPTH + 1) if mode == "prefetch" else 0
        assert 0 <= 100 - MOST - WARM_UP - left <= in_hand


def test_an_adapter_ends_with_its_time(adapter):
    words = ["submit", "127.0.0.1", "PORT", "bench0", "10", "1000000000", "0.05", "5", "5"]
    with Server(port=0) as server:
        words[2] = str(server.port)
        done = subprocess.run([*adapter, *words], capture_output=True, text=True, timeout=PATIENCE)
    assert 0.05 <= json.loads(done.stdout)["seconds"] < 5


def test_loadgen_serves_until_it_is_ended(programs):
    with Server(port=0) as server, Client(f"127.0.0.1:{server.port}") as client:
        worker = subprocess.Popen(
            load(programs[0], server, "serve", "w=2", "stall=1"), stdout=subprocess.PIPE
        )
        try:
            assert client.submit("bench0", b"first").result() == b"first"
            with pytest.raises(subprocess.TimeoutExpired):
                worker.wait(2)  # longer than it would go on without progress in another mode
            assert client.submit("bench0", b"later").result() == b"later"
        finally:
            worker.kill()
            worker.communicate()


def run_harness(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks.clients", "--quick", "--seconds", "0.02", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


def test_the_harness_compares_the_libraries(programs, tmp_path):
    done = run_harness(
        "--libraries",
        "libgearman,gearcore,limit",
        "--lines",
        "submit_32,foreground_1k,work_1m",
        "--output",
        str(tmp_path),
    )
    assert done.returncode == 0, done.stderr

    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()]
    header, _, *lines = rows
    cells = {row[0]: dict(zip(header, row, strict=True)) for row in lines}
    assert list(cells) == ["submit_32", "foreground_1k", "work_1m"]
    for row in cells.values():
        for library in ("libgearman", "gearcore", "limit"):
            assert re.fullmatch(r"[0-9,]+ \([0-9.,]+\)", row[library])
        assert row["gear"] == "-"
        assert re.fullmatch(r"[0-9.]+ / -", row["to libgearman"])
        assert row["to best Python"] == "- / -"

    line = json.loads((tmp_path / "clients.json").read_text())["lines"]["work_1m"]
    assert line["size"] == 1 << 20
    assert line["rounds"]["gearcore"][0]["ops"] > 0


@pytest.mark.parametrize("option", ["--lines", "--libraries"])
def test_the_harness_names_what_it_does_not_know(option):
    done = run_harness(option, "sphere")
    assert done.returncode == 2
    assert "there is no 'sphere'" in done.stderr


def test_what_cannot_be_installed_is_left_out(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.clients import libraries
    from benchmarks.clients.__main__ import have
    from benchmarks.server.build import Programs

    monkeypatch.setattr(libraries, "BUILD", tmp_path)
    lost = libraries.Library("lost", "gearman_family.py", str(tmp_path / "nothing"))
    (own,) = libraries.choose(["gearcore"])
    commands, missing = have([lost, own], Programs(tmp_path, tmp_path))
    assert list(commands) == [own]
    assert len(missing) == 1
    assert missing[0].startswith(f"lost is left out: {tmp_path / 'nothing'} cannot be installed: ERROR: ")


def test_what_falls_short_is_marked(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.clients.lines import choose
    from benchmarks.clients.measure import Results
    from benchmarks.clients.table import render
    from benchmarks.clients.verdict import judge

    def short(line: str, **speeds: float) -> tuple[str, ...]:
        """The verdict on a line, with these operations in a second; without prefetch others do 100."""
        results = Results()
        chosen = choose([line])
        for each in chosen:
            for library, speed in {"libgearman": 100, "pygearman": 20, "gear": 10, **speeds}.items():
                if each.name != line and library in ("libgearman", "pygearman"):
                    speed = 100
                elif each.kind.value == "prefetch" and library in ("libgearman", "pygearman", "gear"):
                    continue
                for factor in (0.5, 1, 3):
                    figures = {"ops": speed * factor, "seconds": 1, "cpu_seconds": 1}
                    results.samples[each.name][library].append(figures)
        assert render(results, [judge(results, each) for each in chosen]).count("\n") == len(chosen) + 2
        return judge(results, chosen[-1]).short

    assert short("submit_32", gearcore=100) == ()
    assert short("submit_32", gearcore=98) == (
        "gearcore to libgearman 0.98 < 1",
        "gearcore to Python 4.90 < 5",
    )
    assert short("submit_32", gearcore=99, limit=80) == (
        "gearcore to libgearman 0.99 < 1 (limit 0.80)",
        "gearcore to Python 4.95 < 5 (limit 4.00)",
    )
    assert short("submit_many_32", gearcore=500) == ()
    assert short("submit_many_32", gearcore=490) == ("gearcore to libgearman 4.90 < 5",)
    assert short("prefetch_1k", gearcore=500) == ()
    assert short("prefetch_1k", **{"gearcore": 500, "gearcore.aio": 480}) == (
        "gearcore.aio to libgearman 4.80 < 5",
        "gearcore.aio to Python 4.80 < 5",
    )


def test_the_page_lists_every_line(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.clients.libraries import LIBRARIES
    from benchmarks.clients.lines import LINES

    page = (ROOT / "docs" / "performance.md").read_text()
    rows = [f"| `{line.name}` | {line.size:,} | {line.at_once:,} | {line.kind.about} |\n" for line in LINES]
    assert "".join(rows) in page
    assert all(f"**{library.name}**" in page for library in LIBRARIES)
