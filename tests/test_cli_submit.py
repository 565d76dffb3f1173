"""``gearcore submit``: what Debian's ``gearman`` does, and in many jobs at a time."""

import io
import os
import pty
import socket
import subprocess
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from commands import PATIENCE, SCRIPTS, assert_one_line, on_a_terminal, run
from fake_server import Peer, free_port
from peers import needs

from gearcore import AdminClient, Client
from gearcore.cli.sending import read_lines
from gearcore.protocol import PacketType as P


@pytest.fixture
def address(server, worker, running):
    """A server with a worker of the functions of ``conftest``, and ``up``."""

    @worker.function
    def up(job):
        job.send_status(1, 4)
        if job.workload == b"fail":
            job.fail()
        return job.workload.upper()

    with running(worker), Client(server.address) as client:
        client.submit("up").result(PATIENCE)
        yield str(server)


@pytest.fixture
def quiet(server):
    """A server without a worker."""
    return str(server)


@pytest.fixture
def submit(address):
    def submit(*arguments, **options):
        return run("gearcore", "submit", "--server", address, *arguments, **options)

    return submit


class TestWorkloads:
    def test_an_argument(self, submit):
        result = submit("up", "x")
        assert (result.returncode, result.stdout, result.stderr) == (0, "X", "25% complete\n")

    def test_several_arguments_are_jobs_of_their_own(self, submit):
        assert submit("reverse", "ab", "cd", "ef").stdout == "badcfe"

    def test_the_standard_input(self, submit):
        assert submit("up", input="a\nb\n").stdout == "A\nB\n"

    def test_no_input(self, submit):
        assert submit("-s", "reverse", input="not read").stdout == ""

    def test_a_file(self, submit, tmp_path):
        (tmp_path / "file").write_text("a\nb")
        assert submit("up", "--file", str(tmp_path / "file")).stdout == "A\nB"

    def test_lines(self, submit):
        assert submit("reverse", "-n", input="ab\ncd\nef").stdout == "\nba\ndcfe"

    def test_stripped_lines(self, submit):
        assert submit("reverse", "-N", input="ab\n\nef").stdout == "bafe"

    def test_lines_of_a_file(self, submit, tmp_path):
        (tmp_path / "file").write_text("".join(f"line {number}\n" for number in range(500)))
        assert submit("up", "-n", "-F", str(tmp_path / "file")).stdout == "".join(
            f"LINE {number}\n" for number in range(500)
        )

    def test_a_line_is_answered_before_the_next_comes(self, address):
        process = subprocess.Popen(
            [SCRIPTS / "gearcore", "submit", "--server", address, "up", "-n"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        with process:
            for line in (b"one\n", b"two\n"):
                process.stdin.write(line)
                process.stdin.flush()
                assert process.stdout.readline() == line.upper()
        watchdog.cancel()
        assert process.returncode == 0


class TestFunctions:
    def test_by_option(self, submit):
        assert submit("-f", "reverse", "ab").stdout == "ba"

    def test_several(self, submit):
        assert submit("-f", "reverse", "-f", "up", "ab", "cd").stdout == "baABdcCD"

    def test_several_of_each_line(self, submit):
        assert submit("-f", "reverse", "-f", "up", "-N", input="ab\ncd\n").stdout == "baABdcCD"

    def test_prefix(self, submit):
        result = submit("-P", "-f", "reverse", "-f", "chatter", "a b")
        assert result.stdout == "reverse: b achatter: achatter: bchatter: end"
        assert result.stderr == "chatter: careful\0chatter: 50% complete\n"


class TestOptions:
    def test_handles_are_shown(self, submit):
        assert submit("-v", "reverse", "x").stderr.startswith("Task created: H:")

    def test_a_failure_does_not_keep_the_others(self, submit):
        result = submit("up", "a", "fail", "b")
        assert (result.returncode, result.stdout) == (1, "AB")
        assert "gearcore: job H:" in result.stderr

    def test_an_exception_is_shown(self, submit):
        result = submit("raise", "x")
        assert_one_line(result, 1, "gearcore: job .*LookupError: no such thing: x.*")

    @pytest.mark.parametrize(
        ("options", "queue"),
        [
            ((), "normal"),
            (("-I",), "high"),
            (("-L",), "low"),
            (("--priority", "high"), "high"),
            (("--priority", "low"), "low"),
        ],
    )
    def test_priority(self, quiet, server, options, queue):
        assert run("gearcore", "submit", "--server", quiet, "-b", *options, "f", "x").returncode == 0
        with AdminClient(server.address) as admin:
            (row,) = admin.priority_status()
        assert {name for name in ("high", "normal", "low") if getattr(row, name)} == {queue}

    def test_unique(self, quiet, server):
        results = [
            run("gearcore", "submit", "--server", quiet, "-b", "-u", "same", "f", "x").stdout
            for _ in range(2)
        ]
        assert results[0] == results[1]
        with AdminClient(server.address) as admin:
            assert admin.unique_jobs() == ["same"]

    def test_background_lines(self, quiet, server):
        lines = "".join(f"{number}\n" for number in range(1000))
        result = run("gearcore", "submit", "--server", quiet, "-b", "-N", "f", input=lines)
        assert result.returncode == 0
        with AdminClient(server.address) as admin:
            assert sorted(result.stdout.splitlines()) == sorted(job.handle for job in admin.jobs())
        with Peer.connect(server.address) as worker:
            worker.send(P.CAN_DO, b"f")
            worker.send(P.GRAB_JOB)
            handle, _, workload = worker.receive(P.JOB_ASSIGN)
        assert (handle.decode(), workload) == (result.stdout.splitlines()[0], b"0")

    @pytest.mark.parametrize(
        "when",
        [
            ("--delay", "1000"),
            ("--at", str(time.time() + 1000)),
            ("--at", datetime.fromtimestamp(time.time() + 1000).isoformat()),
            ("--at", datetime.fromtimestamp(time.time() + 1000, UTC).isoformat()),
        ],
        ids=["delay", "seconds", "local time", "UTC"],
    )
    def test_a_job_for_later(self, quiet, server, when):
        result = run("gearcore", "submit", "--server", quiet, *when, "f", "x", "y")
        assert (result.returncode, result.stderr) == (0, "")
        with AdminClient(server.address) as admin, Peer.connect(server.address) as worker:
            assert sorted(job.handle for job in admin.jobs()) == sorted(result.stdout.split())
            worker.send(P.CAN_DO, b"f")
            worker.send(P.GRAB_JOB)
            worker.receive(P.NO_JOB)

    def test_a_job_for_soon(self, address):
        result = run("gearcore", "submit", "--server", address, "--delay", "0", "up", "x")
        assert result.returncode == 0
        assert result.stdout.startswith("H:")

    def test_a_job_that_takes_too_long(self, quiet):
        result = run("gearcore", "submit", "--server", quiet, "--wait", "--timeout", "0.1", "none", "x", "y")
        assert_one_line(result, 1, r"gearcore: waited 0\.1 s for .*'none'.*")

    def test_the_server_is_found_as_gearman_finds_it(self, address):
        host, _, port = address.partition(":")
        assert run("gearcore", "submit", "-h", host, "-p", port, "-f", "up", "x").stdout == "X"
        environment = os.environ | {"GEARCORE_SERVER": address}
        assert run("gearcore", "submit", "up", "x", env=environment).stdout == "X"

    @pytest.mark.parametrize(
        "arguments",
        [
            (),
            ("-n", "f", "x"),
            ("-s", "-n", "f"),
            ("-s", "f", "x"),
            ("--priority", "top", "f"),
            ("-I", "-x", "f"),
            ("--at", "5", "--delay", "5", "f", "x"),
            ("--delay", "5", "--priority", "high", "f", "x"),
            ("--at", "tomorrow", "f", "x"),
            ("--at", "-1", "f", "x"),
        ],
    )
    def test_a_mistake_in_the_usage(self, arguments):
        assert_one_line(run("gearcore", "submit", *arguments), 2, r"gearcore submit: .*--help'\)")

    def test_a_file_that_is_not_there(self, address):
        result = run("gearcore", "submit", "--server", address, "up", "-F", "/none")
        assert_one_line(result, 2, r"gearcore submit: .*/none.*--help'\)")

    def test_a_server_that_is_not_there(self):
        nothing = f"127.0.0.1:{free_port()}"
        for options in ((), ("-b",)):
            result = run("gearcore", "submit", "--server", nothing, *options, "f", "x")
            assert_one_line(result, 1, rf"gearcore: no connection to {nothing}: Connection refused")

    def test_a_server_that_goes_away(self, server, quiet):
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = f"127.0.0.1:{other.getsockname()[1]}"
            process = subprocess.Popen(
                [SCRIPTS / "gearcore", "submit", "--server", address, "--wait", "f", "x"],
                stderr=subprocess.PIPE,
                text=True,
            )
            with Peer(other.accept()[0], lambda *_: b"") as peer:
                peer._socket.recv(100)
            assert process.communicate(timeout=PATIENCE)[1].startswith("gearcore: ")
            assert process.returncode == 1


class TestAsGearman:
    """The same arguments, the same output: gearman's, but that it prints progress on stdout."""

    @pytest.mark.parametrize(
        "arguments",
        [
            ("-f", "reverse", "ab", "cd"),
            ("-f", "reverse"),
            ("-f", "reverse", "-n"),
            ("-f", "reverse", "-N"),
            ("-f", "reverse", "-s"),
            ("-f", "reverse", "-P", "ab", "cd"),
            ("-f", "reverse", "-I", "ab"),
            ("-f", "reverse", "-L", "-u", "unique", "ab"),
            ("-f", "fail", "ab"),
        ],
        ids=" ".join,
    )
    def test_output(self, server, address, arguments):
        needs("gearman", "gearman-tools")
        host, port = server.address
        where = ("-h", host, "-p", str(port))
        lines = b"" if arguments[-1] in ("ab", "cd", "-s") else b"one\ntwo\n"
        theirs, ours = (
            subprocess.run([*program, *where, *arguments], input=lines, capture_output=True, timeout=PATIENCE)
            for program in (["gearman"], [SCRIPTS / "gearcore", "submit"])
        )
        assert (ours.stdout, ours.returncode) == (theirs.stdout, theirs.returncode)

    def test_background(self, quiet, server):
        needs("gearman", "gearman-tools")
        host, port = server.address
        for program in (["gearman"], [SCRIPTS / "gearcore", "submit"]):
            subprocess.run(
                [*program, "-h", host, "-p", str(port), "-b", "-f", "f", "ab", "cd"],
                check=True,
                stdout=subprocess.DEVNULL,
                timeout=PATIENCE,
            )
        with AdminClient(server.address) as admin:
            assert [row.jobs for row in admin.status()] == [4]


class TestTerminal:
    def test_a_result_ends_with_a_newline(self, address):
        assert on_a_terminal("gearcore", "submit", "--server", address, "reverse", "ab") == "ba\n"

    @pytest.mark.parametrize("as_file", [True, False])
    def test_a_progress_bar(self, address, tmp_path, as_file):
        lines = "".join(f"line {number}\n" for number in range(200))
        (tmp_path / "lines").write_text(lines)
        ours, theirs = pty.openpty()
        with open(tmp_path / "lines", "rb") as file, open(tmp_path / "out", "wb") as output:
            process = subprocess.Popen(
                [SCRIPTS / "gearcore", "submit", "--server", address, "up", "-n"],
                stdin=file if as_file else subprocess.PIPE,
                stdout=output,
                stderr=theirs,
            )
            if not as_file:
                process.communicate(lines.encode(), timeout=PATIENCE)
            assert process.wait(PATIENCE) == 0
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # how Linux tells that the other end has closed
            while part := os.read(ours, 1 << 16):
                shown += part
        os.close(ours)
        assert (tmp_path / "out").read_text() == lines.upper()
        assert b"Submitting" in shown
        assert b"complete" not in shown
        if as_file:
            assert b"100%" in shown


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"\n", [b"\n"]),
        (b"ab", [b"ab"]),
        (b"ab\ncd\n", [b"ab\n", b"cd\n"]),
        (b"ab\n\ncd", [b"ab\n", b"\n", b"cd"]),
    ],
)
def test_lines_come_in_pieces_of_any_size(monkeypatch, text, lines, size):
    monkeypatch.setattr("gearcore.cli.sending.CHUNK", size)

    def read(strip):
        return [line for batch in read_lines(io.BytesIO(text), strip) for line in batch]

    assert read(strip=False) == lines
    assert read(strip=True) == [line.removesuffix(b"\n") for line in lines]
