"""Workers among servers that die, come back, hang, or talk nonsense."""

import asyncio
import random
import threading
import time

import pytest
from conftest import SERVERS
from fake_server import PATIENCE, FakeServer

import gearcore.aio
import gearcore.session.pauses
from gearcore import Client, ConnectionLost, Server, ServerUnavailable, TimedOut, Worker
from gearcore._codec import pack_response
from gearcore.protocol import PacketType as P

pytestmark = pytest.mark.usefixtures("no_hang")

MAKERS = {
    "one at a time": lambda servers, **options: Worker(servers, **options),
    "prefetch": lambda servers, **options: Worker(servers, prefetch=8, **options),
    "threads": lambda servers, **options: Worker(servers, threads=2, **options),
    "asyncio": lambda servers, **options: gearcore.aio.Worker(servers, concurrency=2, **options),
}


@pytest.fixture(params=MAKERS)
def make(request):
    """Makes a worker."""
    return MAKERS[request.param]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(gearcore.session.pauses, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(gearcore.session.pauses, "LONGEST_PAUSE", 0.05)


def never_answers(peer):
    peer.wait_until_closed()


def closes_in_mid_packet(peer):
    peer.send_bytes(b"\0RES\0\0\0\x0b\0\0\1\0H:1\0f")


def talks_nonsense(peer):
    peer.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    peer.wait_until_closed()


def gives_a_job_that_nobody_asked_for(peer):
    peer.send_bytes(
        pack_response(P.JOB_ASSIGN, b"H:1", b"f", b"") * 3
    )  # at once: the first ends the connection
    peer.wait_until_closed()


def refuses(peer):
    peer.receive(P.CAN_DO)
    peer.receive(P.GRAB_JOB_ALL)
    peer.send(P.ERROR, b"no", b"not for you")
    peer.wait_until_closed()


@pytest.mark.parametrize(
    "script",
    [never_answers, closes_in_mid_packet, talks_nonsense, gives_a_job_that_nobody_asked_for, refuses],
)
def test_a_server_that_misbehaves_harms_no_other(make, running, script, caplog):
    with Server(port=0) as good, FakeServer(script, script) as bad:
        worker = make([str(bad), f"127.0.0.1:{good.port}"], timeout=0.1)
        worker.register("f", lambda job: job.workload)
        with running(worker), Client(f"127.0.0.1:{good.port}", timeout=PATIENCE) as client:
            give_up = time.monotonic() + PATIENCE
            while caplog.text.count(f"{bad}") < 4:  # it was connected to twice, and failed twice
                assert client.submit("f", b"x").result(PATIENCE) == b"x"
                assert time.monotonic() < give_up
    assert "next attempt in" in caplog.text


@pytest.mark.parametrize("cls", [Worker, gearcore.aio.Worker], ids=["blocking", "asyncio"])
def test_what_a_lost_server_had_to_answer_is_asked_of_another(cls, running):
    connected = threading.Event()

    def dies_of_a_grab(peer):
        connected.set()
        peer.receive(P.CAN_DO)
        peer.receive(P.GRAB_JOB_ALL, P.RESET_ABILITIES)  # the latter if the other was faster with both jobs

    with Server(port=0) as good, Client(f"127.0.0.1:{good.port}", timeout=PATIENCE) as client:
        jobs = [client.submit("f"), client.submit("f")]
        with FakeServer(dies_of_a_grab) as bad:
            worker = cls([f"127.0.0.1:{good.port}", str(bad)])

            # The only slot is this job's until the other server is there, which is asked for the next one.
            @worker.function
            def f(job):
                assert connected.wait(PATIENCE)

            with running(worker):
                assert [job.result(PATIENCE) for job in jobs] == [b"", b""]


def send_much(worker):
    """Have a worker's function send more than a connection holds; returns a list for what it meets."""
    part, errors = bytes(1_000_000), []

    def send(job):
        try:
            for _ in range(20):
                job.send_data(part)
        except Exception as error:
            errors.append(error)
            raise

    async def send_async(job):
        try:
            for _ in range(20):
                await job.send_data(part)
        except Exception as error:
            errors.append(error)
            raise

    worker.register("f", send_async if isinstance(worker, gearcore.aio.Worker) else send)
    return errors


def test_a_job_learns_that_its_server_reads_nothing(make, running):
    heard = threading.Event()

    def script(peer):
        peer.receive(P.CAN_DO)
        peer.receive(P.CAN_DO)
        peer.receive(P.GRAB_JOB_ALL)
        peer.send(P.JOB_ASSIGN, b"H:1", b"f", b"")
        assert heard.wait(PATIENCE)

    with Server(port=0) as good, FakeServer(script) as bad:
        worker = make([str(bad), f"127.0.0.1:{good.port}"], timeout=0.2)
        errors = send_much(worker)
        worker.register("other", lambda job: b"served" if errors else b"")
        with running(worker), Client(f"127.0.0.1:{good.port}", timeout=PATIENCE) as client:
            give_up = time.monotonic() + PATIENCE
            while client.submit("other", b"").result(PATIENCE) != b"served":
                assert time.monotonic() < give_up
            heard.set()
    (error,) = errors
    assert isinstance(error, TimedOut)
    assert str(error) == f"waited 0.2 s for {bad} to take data"


def test_a_bad_server_alone_is_named(make):
    def run(worker):
        worker.register("f", len)
        running = worker.run()
        if running is not None:
            asyncio.run(running)

    for script, error in ((closes_in_mid_packet, ConnectionLost), (talks_nonsense, gearcore.ProtocolError)):
        with FakeServer(script) as bad, pytest.raises(error, match=str(bad)):
            run(make(str(bad)))
    with FakeServer(never_answers) as bad, pytest.raises(TimeoutError, match=rf"waited 0\.05 s for {bad}"):
        run(make(str(bad), timeout=0.05))
    with pytest.raises(ServerUnavailable, match="not-there"):
        run(make("unix:/not-there"))


@pytest.mark.parametrize("kind", SERVERS)
def test_one_of_three_servers_dies_time_and_again_under_load(kind, make, running, tmp_path):
    """Each job that is acknowledged is answered or reported, and the worker serves whoever lives."""
    servers = [SERVERS[kind](tmp_path) for _ in range(3)]
    done = threading.Event()
    answers, losses, errors = [], [], []

    def submit(server):
        while not done.is_set():
            try:
                with Client(server.address, timeout=PATIENCE) as client:
                    while not done.is_set():
                        answers.append(client.submit("f", b"abc").result(PATIENCE))
            except (ConnectionLost, ServerUnavailable) as error:
                losses.append(error)
                done.wait(0.01)
            except Exception as error:
                errors.append(error)
                return

    try:
        for server in servers:
            server.start()
        worker = make([server.address for server in servers], timeout=PATIENCE)
        worker.register("f", lambda job: job.workload[::-1])
        threads = [threading.Thread(target=submit, args=[server]) for server in servers]
        with running(worker):
            for thread in threads:
                thread.start()
            for _ in range(4):
                victim = random.choice(servers)
                before = len(answers)
                victim.stop()
                time.sleep(0.1)
                victim.start()
                while len(answers) < before + 30 and not errors:
                    time.sleep(0.005)
            for server in servers:  # all of them are served in the end
                with Client(server.address, timeout=PATIENCE) as client:
                    assert client.submit("f", b"end").result(PATIENCE) == b"dne"
            done.set()
            for thread in threads:
                thread.join()
    finally:
        done.set()
        for server in servers:
            server.stop()
    assert errors == []
    assert losses
    assert set(answers) == {b"cba"}
