"""What the server does by itself when time passes, and how it stops."""

import asyncio
import gc
import signal
import socket
import subprocess
import sys
import time
import weakref

import pytest
from caller import Caller

from gearcore._codec import pack_request
from gearcore.protocol import PacketType as P
from gearcore.server import Server


@pytest.fixture
def server():
    with Server(port=0, allow_shutdown=True) as server:
        yield server


def sleeper(server: Server, *offer: object) -> Caller:
    worker = Caller(server)
    worker.send(*(offer or (P.CAN_DO, b"f")))
    worker.send(P.PRE_SLEEP)
    worker.ask(P.ECHO_REQ, b"")
    return worker


def test_a_delayed_job_wakes_a_worker_when_its_time_comes(server):
    with sleeper(server) as worker, Caller(server) as client:
        due = int(time.time()) + 1
        client.ask(P.SUBMIT_JOB_EPOCH, b"f", b"", b"%d" % (due + 60), b"later")
        client.ask(P.SUBMIT_JOB_EPOCH, b"f", b"", b"%d" % due, b"now")
        assert worker.receive() == (P.NOOP,)
        assert due <= time.time() < due + 0.5
        assert worker.ask(P.GRAB_JOB)[-1] == b"now"
        assert worker.ask(P.GRAB_JOB) == (P.NO_JOB,)


def test_a_job_that_takes_too_long_goes_to_another_worker(server):
    with Caller(server) as slow, Caller(server) as client:
        _, handle = client.ask(P.SUBMIT_JOB, b"f", b"", b"")
        slow.send(P.CAN_DO_TIMEOUT, b"f", b"1000")
        slow.ask(P.GRAB_JOB)
        start = time.monotonic()
        with sleeper(server) as other:
            assert other.receive() == (P.NOOP,)
            assert 0.5 < time.monotonic() - start < 2
            assert other.ask(P.GRAB_JOB)[1] == handle
        assert slow.ask(P.WORK_COMPLETE, handle, b"")[:2] == (P.ERROR, b"JOB_NOT_FOUND")


def test_a_step_of_the_clock_is_noticed_before_there_is_a_delayed_job(monkeypatch):
    real = time.time
    monkeypatch.setattr("gearcore.server.server.LONGEST_WAIT", 0.05)
    with Server(port=0) as server, Caller(server) as caller:
        monkeypatch.setattr("gearcore.server.server.time.time", lambda: real() + 3600)
        time.sleep(0.2)
        monkeypatch.setattr("gearcore.server.server.LONGEST_WAIT", 60)
        caller.send(P.CAN_DO, b"f")
        caller.ask(P.SUBMIT_JOB_EPOCH, b"f", b"", b"%d" % (real() + 1800), b"")
        assert caller.ask(P.GRAB_JOB)[0] is P.JOB_ASSIGN


def test_nothing_is_left_of_a_server_that_stopped():
    async def scene():
        async with Server(port=0) as server:
            reader, writer = await asyncio.open_connection(*server.addresses[0])
            writer.write(pack_request(P.SUBMIT_JOB_EPOCH, b"f", b"", b"%d" % (time.time() + 1000), b""))
            await reader.readexactly(12)
        writer.close()
        await writer.wait_closed()
        stopped = weakref.ref(server)
        del server
        await asyncio.sleep(0.05)
        gc.collect()
        assert stopped() is None

    asyncio.run(scene())


def test_shutdown_stops_at_once(server):
    with Caller(server) as caller:
        caller.send(P.SUBMIT_JOB_BG, b"f", b"", b"")
        caller.receive()
        assert caller.line(b"shutdown\n") == b"OK\r\n"
        assert caller.socket.recv(1) == b""


def test_a_graceful_shutdown_waits_for_the_last_job(server):
    port = server.port
    with Caller(server) as caller:
        caller.send(P.CAN_DO, b"f")
        caller.ask(P.SUBMIT_JOB_BG, b"f", b"", b"")
        assert caller.line(b"shutdown graceful\n") == b"OK\r\n"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        _, handle, *_ = caller.ask(P.GRAB_JOB)
        caller.send(P.WORK_COMPLETE, handle, b"")
        assert caller.socket.recv(1) == b""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGUSR1")
def test_sigusr1_stops_an_idle_server():
    program = (
        "from gearcore.server import Server\nServer(port=0).run(lambda server: print('ready', flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.wait(timeout=10) == 0
