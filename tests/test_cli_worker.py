"""``gearcore worker``: a worker out of a module, its log, its end, and a new start when a file changes."""

import json
import os
import signal
import subprocess
import sys
from datetime import datetime

import pytest
from commands import PATIENCE, assert_one_line, run, running
from fake_server import free_port

from gearcore import Client, Server
from gearcore.cli.reload import files_below, run_again_on_change

MODULE = """
import asyncio
import os
import threading

import gearcore.aio
from gearcore import Worker

worker = Worker("{address}")
tasks = gearcore.aio.Worker("{address}", concurrency=2)

@tasks.function
async def pair(job):
    # Returns only when both run at the same time.
    await together.wait()
    return b"together"

together = asyncio.Barrier(2)

@worker.function
def greet(job):
    return b"{greeting} " + job.workload

@worker.function("raise")
def fails(job):
    raise LookupError("no such thing")

@worker.function
def meet(job):
    # Returns only when all four run at the same time.
    barrier.wait(20)
    return b"%d" % threading.get_ident()

barrier = threading.Barrier(4)

@worker.function
def who(job):
    return b"%d" % os.getpid()

def make():
    return worker

class Tasks:
    inside = worker

nothing = 7
"""


@pytest.fixture
def server():
    with Server(port=0) as server:
        yield server


@pytest.fixture
def address(server):
    return f"127.0.0.1:{server.port}"


@pytest.fixture
def client(address):
    with Client(address) as client:
        yield client


@pytest.fixture
def write(address, tmp_path, monkeypatch):
    """Write the module ``tasks`` into the directory that commands are run in."""
    monkeypatch.chdir(tmp_path)

    def write(greeting):
        path = tmp_path / "tasks.py"
        times = path.stat().st_mtime_ns + 10**9 if path.exists() else None
        path.write_text(MODULE.format(address=address, greeting=greeting))
        if times:
            os.utime(path, ns=(times, times))  # whatever the file system's clock can tell apart

    write("hello")
    return write


@pytest.mark.parametrize("place", ["tasks:worker", "tasks:make", "tasks:Tasks.inside"])
def test_it_works(client, write, place):
    with running("gearcore", "worker", place) as process:
        assert client.submit("greet", b"you").result(PATIENCE) == b"hello you"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_threads(client, write):
    with running("gearcore", "worker", "tasks:worker", "--threads", "4") as process:
        jobs = [client.submit("meet") for _ in range(4)]
        assert len({job.result(PATIENCE) for job in jobs}) == 4
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_processes(client, write):
    with running("gearcore", "worker", "tasks:worker", "--processes", "2") as process:
        assert client.submit("who").result(PATIENCE) != b"%d" % process.pid
        assert client.submit("greet", b"you").result(PATIENCE) == b"hello you"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_asyncio(client, write):
    with running("gearcore", "worker", "tasks:tasks", "--max-jobs", "2") as process:
        jobs = [client.submit("pair") for _ in range(2)]
        assert [job.result(PATIENCE) for job in jobs] == [b"together"] * 2
        assert process.wait() == 0
    with running("gearcore", "worker", "tasks:tasks") as process:
        for job in [client.submit("pair") for _ in range(2)]:
            job.result(PATIENCE)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_the_log_of_processes_is_json_too(client, write):
    with running("gearcore", "worker", "tasks:worker", "--processes", "2", "--log-format", "json") as process:
        assert client.submit("raise").exception(PATIENCE)
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.communicate()[1].splitlines()]
    assert any("LookupError: no such thing" in line.get("exception", "") for line in lines)


def test_max_jobs(client, write):
    with running("gearcore", "worker", "tasks:worker", "--max-jobs", "2") as process:
        for _ in range(2):
            client.submit("greet", b"you").result(PATIENCE)
        assert process.wait() == 0


def test_sigint_ends_it_well(client, write):
    with running("gearcore", "worker", "tasks:worker") as process:
        client.submit("greet").result(PATIENCE)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert "Traceback" not in process.stderr.read()


def test_the_log_is_text(client, write):
    with running("gearcore", "worker", "tasks:worker") as process:
        assert client.submit("raise").exception(PATIENCE)
        process.send_signal(signal.SIGTERM)
        lines = process.communicate()[1].splitlines()
    assert " INFO " in lines[0]
    assert "connected" in lines[0]
    assert "LookupError: no such thing" in lines


def test_the_log_is_json(client, write, address):
    with running("gearcore", "worker", "tasks:worker", "--log-format", "json") as process:
        assert client.submit("raise").exception(PATIENCE)
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.communicate()[1].splitlines()]
    assert {"time", "level", "logger", "message"} == set(lines[0])
    assert (lines[0]["level"], lines[0]["logger"]) == ("info", "gearcore.worker")
    assert address in lines[0]["message"]
    assert datetime.fromisoformat(lines[0]["time"]).tzinfo
    (error,) = (line for line in lines if line["level"] == "error")
    assert error["exception"].endswith("LookupError: no such thing")


def test_the_log_says_as_much_as_it_is_told(client, write):
    with running("gearcore", "worker", "tasks:worker", "--log-level", "error") as process:
        client.submit("greet").result(PATIENCE)
        process.send_signal(signal.SIGTERM)
        assert process.communicate()[1] == ""


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("tasks", "'tasks' does not look like module:object"),
        ("tasks:", "'tasks:' does not look like module:object"),
        ("none:worker", "there is no module 'none'"),
        ("tasks.none:worker", "there is no module 'tasks.none'.*"),
        ("tasks:none", "module 'tasks' has no 'none'"),
        ("tasks:nothing", "'tasks:nothing' is no gearcore.Worker, but of type int"),
        ("tasks:worker --log-format=xml", ".*'xml'.*"),
        ("tasks:worker --threads=0", ".*--threads.*"),
        ("tasks:worker --threads=2 --processes=2", "a worker has threads or processes: not both .*"),
        ("tasks:worker --max-jobs=0", ".*--max-jobs.*"),
        (
            "tasks:tasks --threads=2",
            "'tasks:tasks' is a worker of asyncio, which has no threads or processes",
        ),
    ],
)
def test_a_mistake_is_one_line(write, place, complaint):
    assert_one_line(run("gearcore", "worker", *place.split()), 2, rf"gearcore worker: {complaint} \(see .*")


def test_a_server_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nothing = f"127.0.0.1:{free_port()}"
    (tmp_path / "tasks.py").write_text(MODULE.format(address=nothing, greeting=""))
    result = run("gearcore", "worker", "tasks:worker")
    assert_one_line(result, 1, rf"gearcore: no connection to {nothing}: Connection refused")


def test_a_fault_in_the_module_keeps_its_traceback(write, tmp_path):
    (tmp_path / "bad.py").write_text("import no_such_module_at_all\n")
    result = run("gearcore", "worker", "bad:worker")
    assert result.returncode == 1
    assert 'bad.py", line 1, in <module>' in result.stderr
    assert "No module named 'no_such_module_at_all'" in result.stderr


class TestReload:
    def greeting(self, client):
        return client.submit("greet", b"you").result(PATIENCE)

    def test_a_change_is_seen(self, client, write):
        with running("gearcore", "worker", "tasks:worker", "--reload") as process:
            assert self.greeting(client) == b"hello you"
            write("good day")
            for line in process.stderr:
                if "starting again" in line:
                    break
            assert "tasks.py has changed" in line
            # The worker before is gone by the time the next one connects.
            for line in process.stderr:
                if "connected, offering" in line:
                    break
            assert self.greeting(client) == b"good day you"
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 0

    def test_a_fault_is_waited_out(self, client, write, tmp_path):
        write("hello")
        (tmp_path / "tasks.py").write_text("not python\n")
        with running("gearcore", "worker", "tasks:worker", "--reload") as process:
            for line in process.stderr:
                if "the next change" in line:
                    break
            write("mended")
            assert self.greeting(client) == b"mended you"
            process.send_signal(signal.SIGINT)
            assert process.wait() == 0

    def test_the_end_of_the_worker_is_the_end(self, client, write):
        with running("gearcore", "worker", "tasks:worker", "--reload", "--max-jobs", "1") as process:
            assert self.greeting(client) == b"hello you"
            assert process.wait() == 0

    def test_on_windows_the_terminal_gives_ctrl_c_to_the_command_itself(self, monkeypatch, tmp_path):
        class Popen(subprocess.Popen):
            def send_signal(self, number):
                raise ValueError(f"Unsupported signal: {number}")

        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setattr(subprocess, "Popen", Popen)
        program = "import os, signal, sys; os.kill(os.getppid(), signal.SIGINT); sys.exit(3)"
        assert run_again_on_change([sys.executable, "-c", program], tmp_path) == 3

    def test_what_is_watched(self, tmp_path):
        for name in ("a.py", "sub/b.py", "sub/c.txt", ".git/d.py", "venv/e.py", "__pycache__/f.py"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "venv" / "pyvenv.cfg").touch()
        assert {os.path.relpath(path, tmp_path) for path, _ in files_below(tmp_path)} == {"a.py", "sub/b.py"}
