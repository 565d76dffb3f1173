"""``gearcore run``: a program for each job."""

import re
import signal
import sys
import time
from pathlib import Path

import pytest
from commands import PATIENCE, assert_one_line, run, running
from fake_server import free_port

from gearcore import Client, JobFailed, Server


@pytest.fixture
def address():
    with Server(port=0) as server:
        yield f"127.0.0.1:{server.port}"


@pytest.fixture
def client(address):
    with Client(address, timeout=PATIENCE) as client:
        yield client


def working(address, *words):
    return running("gearcore", "run", "--server", address, *words)


def python(program):
    return sys.executable, "-c", program


def test_its_output_is_the_result(address, client):
    large = b"x" * (1 << 20)  # more than a pipe holds
    with working(address, "f", "cat") as process:
        assert list(client.map("f", [b"abc", b"", large])) == [b"abc", b"", large]
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_several_functions_several_at_a_time(address, client):
    meet = "import sys; print(sys.stdin.read()); sys.stdout.close(); sys.stderr.close()"
    with working(address, "-f", "f", "-f", "g", "--threads", "2", "-c", "4", *python(meet)) as process:
        jobs = [client.submit(function, b"to") for function in "fgfg"]
        assert [job.result(PATIENCE) for job in jobs] == [b"to\n"] * 4
        assert process.wait() == 0


@pytest.mark.parametrize(("option", "end"), [("-n", b"\n"), ("-N", b"")])
def test_lines_are_sent_as_they_come(address, client, option, end):
    with working(address, option, "f", "cat"):
        job = client.submit("f", b"one\n\ntwo")
        assert job.result(PATIENCE) == b""
        assert job.data == [b"one" + end, end, b"two"]


@pytest.mark.parametrize("option", [(), ("-n",)], ids=["whole", "lines"])
def test_a_status_that_is_not_0_fails_the_job(address, client, option):
    with working(address, *option, "f", *python("print('so far'); raise SystemExit(7)")) as process:
        job = client.submit("f", b"x" * (1 << 20))  # and it reads none of it
        with pytest.raises(JobFailed):
            job.result(PATIENCE)
        assert job.data == [b"so far\n"]
        process.send_signal(signal.SIGTERM)
        assert "ended with status 7" in process.stderr.read()


def test_without_a_program_the_workload_is_printed(address, client):
    with working(address, "-c", "1", "f") as process:
        assert client.submit("f", b"abc\n").result(PATIENCE) == b""
        assert process.stdout.read() == "abc\n"
        assert process.wait() == 0


def test_what_runs_ends_before_the_worker(address, client, tmp_path):
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    program = f"""if True:
        import os, time
        open({str(begun)!r}, "w")
        while not os.path.exists({str(go_on)!r}):
            time.sleep(0.01)
        print("done")
    """
    with working(address, "f", *python(program)) as process:
        job = client.submit("f")
        while not begun.exists():
            assert not job.wait(0.01)
        process.send_signal(signal.SIGINT)
        go_on.touch()
        assert job.result(PATIENCE) == b"done\n"
        assert process.wait() == 0


@pytest.mark.parametrize("threads", [(), ("--threads", "2")], ids=["one at a time", "threads"])
def test_a_second_signal_ends_what_runs(address, client, threads):
    with working(address, *threads, "-n", "f", "sh", "-c", "sleep 60 & echo $!; wait") as process:
        job = client.submit("f")
        sleeper = int(next(iter(job)))
        process.send_signal(signal.SIGINT)
        while is_pending(process.pid):  # the next one could go to a thread that Python does not ask
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        give_up = time.monotonic() + PATIENCE
        while is_running(sleeper):
            assert time.monotonic() < give_up
            time.sleep(0.01)


def is_pending(number):
    status = Path(f"/proc/{number}/status").read_text()
    return int(re.search(r"ShdPnd:\s*(\w+)", status)[1], 16) != 0


def is_running(number):
    try:
        with open(f"/proc/{number}/stat") as stat:
            return stat.read().split()[2] != "Z"  # whoever inherits it may leave it as a zombie
    except FileNotFoundError:
        return False


def test_mistakes(address):
    nothing = f"127.0.0.1:{free_port()}"
    assert_one_line(run("gearcore", "run"), 2, r"gearcore run: Missing argument 'FUNCTION'\..*")
    result = run("gearcore", "run", "f", "no-such-program", "-x")
    assert_one_line(result, 2, "gearcore run: there is no program 'no-such-program'.*")
    result = run("gearcore", "run", "--server", nothing, "f", "cat")
    assert_one_line(result, 1, rf"gearcore: no connection to {nothing}: Connection refused")
