"""Workers as programs: processes that are forked, killed and replaced, and signals."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_server import PATIENCE

from gearcore import JobFailed

pytestmark = [
    pytest.mark.usefixtures("no_hang"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
]

PROGRAM = Path(__file__).parent / "workers_under_test.py"
PATIENT = 3 * PATIENCE
"""Seconds for what starts programs, or runs hundreds of jobs."""


@contextmanager
def program(kind, server, grace=0.5):
    """A worker in a process of its own, killed at the end unless it has ended."""
    command = [sys.executable, str(PROGRAM), kind, str(server)]
    environment = os.environ | {"GRACE": str(grace)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def settle(check):
    """Wait for what has no event."""
    give_up = time.monotonic() + PATIENT
    while not check():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def test_functions_run_in_processes(client, server):
    with program("processes", server) as process:
        assert client.submit("echo", b"a\0b").result(PATIENT) == b"a\0b"
        pids = {client.submit("pid").result(PATIENCE) for _ in range(8)}
        assert str(process.pid).encode() not in pids
        job = client.submit("chatter", b"one two")
        assert job.result(PATIENCE) == b""
        assert job.data == [b"one", b"two"]
        assert job.warnings == [b"careful"]
        assert (job.progress.numerator, job.progress.denominator) == (1, 2)
        assert len(client.submit("echo", bytes(3_000_000)).result(PATIENCE)) == 3_000_000
        assert isinstance(client.submit("fail").exception(PATIENCE), JobFailed)
        assert client.submit("leave_by_exit").exception(PATIENCE).data == b"SystemExit: 4"


def test_a_function_that_ends_its_process_fails_its_job(client, server):
    with program("processes", server):
        for _ in range(3):
            error = client.submit("leave").exception(PATIENT)
            assert error.data.endswith(b"exited with status 3 while it ran")
            error = client.submit("kill").exception(PATIENCE)
            assert error.data.endswith(b"was ended by SIGKILL while it ran")
        assert client.submit("echo", b"alive").result(PATIENCE) == b"alive"


def test_a_function_that_never_returns_is_killed(client, server):
    with program("processes", server):
        jobs = [client.submit("limited") for _ in range(6)]
        for job in jobs:
            assert job.exception(PATIENT).data == b"TimedOut: its function took longer than 0.2 s"
        assert client.submit("echo", b"alive").result(PATIENCE) == b"alive"


def test_a_process_is_replaced_after_some_jobs(client, server):
    with program("recycled", server):
        pids = Counter(job for job in client.map("pid", [b""] * 30, in_flight=2))
        assert len(pids) >= 10
        assert max(pids.values()) == 3


def test_a_process_is_replaced_when_it_has_grown(client, server):
    with program("lean", server):
        first = client.submit("pid").result(PATIENT)
        assert client.submit("pid").result(PATIENCE) == first
        assert client.submit("grow").result(PATIENCE) == first
        assert client.submit("pid").result(PATIENCE) != first


def test_processes_end_with_their_parent(client, server):
    with program("processes", server) as process:
        pids = {int(client.submit("pid").result(PATIENT)) for _ in range(20)}
        process.kill()
        process.wait()
        settle(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
        settle(lambda: b" echo" not in server.admin("workers"))


@pytest.mark.parametrize("kind", ["one", "prefetch", "threads", "processes", "asyncio"])
def test_sigterm_under_load_loses_nothing_and_runs_nothing_twice(kind, client, server, tmp_path):
    path = tmp_path / "marks"
    count = 600
    for number in range(count):
        client.submit("mark", f"{path} {number}".encode(), background=True)
    for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        with program(kind, server) as process:
            lines = path.read_text().count("\n") if path.exists() else 0
            settle(lambda before=lines: path.exists() and path.read_text().count("\n") > before + 50)
            process.send_signal(stop)
            assert process.wait(PATIENT) == 0
    with program(kind, server):
        settle(lambda: path.read_text().count("\n") >= count)
        settle(lambda: b"mark\t0\t0" in server.admin("status"))
    assert sorted(map(int, path.read_text().split())) == list(range(count))


@pytest.mark.parametrize("kind", ["one", "threads", "processes", "asyncio"])
def test_what_does_not_end_in_time_is_given_back(kind, client, server):
    with program(kind, server) as process:
        job = client.submit("sleep", b"60")
        settle(lambda: job.status().running)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENT) == 0
        assert time.monotonic() - start > 0.4
        assert job.status().known
        assert not job.status().running


@pytest.mark.parametrize("kind", ["one", "threads", "processes", "asyncio"])
def test_a_second_signal_ends_the_grace(kind, client, server):
    with program(kind, server, grace=10 * PATIENT) as process:
        job = client.submit("sleep", b"60")
        settle(lambda: job.status().running)
        process.send_signal(signal.SIGTERM)
        settle(lambda: not has_pending_signals(process))
        time.sleep(0.25)  # The interpreter looks at it a little later than the system.
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENT) == 0
        assert job.status().known
        assert not job.status().running


def has_pending_signals(process):
    """Whether there is a signal that the system has not told the process of."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    pending = [line.split()[1] for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    return any(int(mask, 16) for mask in pending)
