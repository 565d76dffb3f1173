"""Both clients with several servers, and with servers that misbehave."""

import asyncio
import os
import threading
import time

import pytest
from both import CLIENTS, scene
from conftest import SERVERS
from fake_server import FakeServer, Peer, free_port

from gearcore import Client, ConnectionLost, ProtocolError, Server, ServerError, ServerUnavailable, TimedOut
from gearcore.protocol import PacketType as P
from gearcore.session.routing import Ring


@pytest.fixture(params=CLIENTS)
def connect(request):
    """A context manager for a client of some servers."""
    return CLIENTS[request.param]


@pytest.fixture(params=SERVERS)
def trio(request, tmp_path):
    """Three servers."""
    servers = []
    try:
        for number in range(3):
            directory = tmp_path / str(number)
            directory.mkdir()
            servers.append(SERVERS[request.param](directory))
            servers[-1].start()
        yield servers
    finally:
        for server in servers:
            server.stop()


def unique_for(names, server, count=1):
    """Unique ids that go to a server."""
    ring = Ring(names)
    found = [f"u{i}" for i in range(100) if ring.order(f"u{i}".encode())[0] == server]
    return found[0] if count == 1 else found[:count]


def silent(peer):
    peer.wait_until_closed()


def hangs_up(peer):
    peer.receive(P.OPTION_REQ)


def breaks_off(peer):
    peer.accept_options()
    peer.receive(P.SUBMIT_JOB, P.SUBMIT_JOB_BG)
    peer.send_bytes(b"\0RES\0\0\0\x08\0\0\0\x40H:")


def talks_nonsense(peer):
    peer.receive(P.OPTION_REQ)
    peer.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    peer.wait_until_closed()


def answers_out_of_turn(peer):
    peer.accept_options()
    peer.receive(P.SUBMIT_JOB, P.SUBMIT_JOB_BG)
    peer.send(P.ECHO_RES, b"")
    peer.wait_until_closed()


def knows_others(peer):
    peer.accept_options()
    peer.receive(P.SUBMIT_JOB, P.SUBMIT_JOB_BG)
    peer.send(P.WORK_COMPLETE, b"H:77", b"stray")
    peer.send(P.JOB_CREATED, b"H:1")
    peer.send(P.WORK_COMPLETE, b"H:78", b"stray")
    peer.send(P.WORK_COMPLETE, b"H:1", b"right")
    peer.wait_until_closed()


def is_full(peer):
    peer.accept_options()
    peer.receive(P.SUBMIT_JOB, P.SUBMIT_JOB_BG)
    peer.send(P.ERROR, b"QUEUE_ERROR", b"Job queue is full")
    peer.wait_until_closed()


BAD = [
    (silent, TimedOut, 0.3),
    (hangs_up, ConnectionLost, 5.0),
    (breaks_off, ConnectionLost, 5.0),
    (talks_nonsense, ProtocolError, 5.0),
    (answers_out_of_turn, ProtocolError, 5.0),
    (is_full, ServerError, 5.0),
]


@pytest.mark.parametrize(("script", "error", "timeout"), BAD)
@scene
async def test_a_bad_server_alone_is_a_named_exception(connect, script, error, timeout):
    with FakeServer(script) as bad:
        async with connect(str(bad), timeout=timeout) as client:
            begun = time.monotonic()
            with pytest.raises(error, match=str(bad)):
                await client.submit("f")
            assert time.monotonic() - begun < timeout + 1


@pytest.mark.parametrize(("script", "error", "timeout"), BAD)
@scene
async def test_a_bad_server_beside_a_good_one(connect, script, error, timeout):
    with Server(port=0) as good, FakeServer(script) as bad:
        names = [str(bad), f"127.0.0.1:{good.port}"]
        async with connect(names, timeout=timeout) as client:
            unique = unique_for(names, 0)
            if error in (TimedOut, ServerError):
                with pytest.raises(error, match=str(bad)):
                    await client.submit("f", unique=unique, background=True)
            else:
                job = await client.submit("f", unique=unique, background=True)
                assert job.server == names[1]
            if error is not ServerError:
                for _ in range(20):
                    assert (await client.submit("f", unique=unique, background=True)).server == names[1]
                    assert (await client.submit("f", background=True)).server == names[1]
            jobs = [job async for job in client.submit_many([("f", b"", unique_for(names, 1))] * 50)]
            assert {job.server for job in jobs} == {names[1]}


@scene
async def test_results_for_unknown_handles_are_ignored(connect):
    with FakeServer(knows_others) as bad:
        async with connect(str(bad)) as client:
            assert await (await client.submit("f")).result(5) == b"right"


@scene
async def test_nobody_there(connect):
    names = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    async with connect(names) as client:
        for ask in (client.submit, client.echo, client.status):
            with pytest.raises(ServerUnavailable, match=r"no connection to .*Connection refused"):
                await ask(b"x")
        jobs = aiter(client.submit_many([("f", b""), ("f", b"")]))
        for _ in range(2):
            with pytest.raises(ServerUnavailable):
                await anext(jobs)
        with pytest.raises(StopAsyncIteration):
            await anext(jobs)


@scene
async def test_equal_jobs_meet(connect, trio):
    names = [str(server) for server in trio]
    async with connect(names) as client, connect(names[::-1]) as other:
        for number in range(10):
            first = await client.submit("f", unique=f"u{number}")
            second = await other.submit("f", unique=f"u{number}")
            assert (first.server, first.handle) == (second.server, second.handle)
            assert (await client.status_of_unique(f"u{number}")).clients == 2
            assert (await client.status(first.handle)).known
        servers = {(await client.submit("f", background=True)).server for _ in range(60)}
        assert servers == set(names)


@scene
async def test_a_dead_server_costs_nobody_an_error_and_comes_back(connect, trio):
    names = [str(server) for server in trio]
    async with connect(names) as client:
        uniques = [unique_for(names, number) for number in range(3)]
        for unique in uniques:
            await client.submit("f", unique=unique, background=True)
        await asyncio.to_thread(trio[0].stop)
        for _ in range(30):
            assert (await client.submit("f", unique=uniques[0], background=True)).server != names[0]
            await client.submit("f", background=True)
        await asyncio.to_thread(trio[0].start)
        give_up = time.monotonic() + 10
        while (await client.submit("f", unique=uniques[0], background=True)).server != names[0]:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.01)


@scene
async def test_what_was_not_acknowledged_is_submitted_elsewhere(connect):
    received = threading.Event()

    def takes_and_dies(peer):
        peer.accept_options()
        peer.receive(P.SUBMIT_JOB_BG)
        peer.receive(P.SUBMIT_JOB_BG)
        received.set()

    with Server(port=0) as good, FakeServer(takes_and_dies) as bad:
        names = [str(bad), f"127.0.0.1:{good.port}"]
        unique = unique_for(names, 0, 2)
        async with connect(names) as client:
            jobs = client.submit_many([("f", b"", name) for name in unique], background=True, window=8)
            assert [job.server async for job in jobs] == [names[1]] * 2
            assert received.is_set()


@pytest.mark.parametrize("on_loss", ["report", "resubmit"])
@scene
async def test_an_acknowledged_job_that_is_lost(connect, on_loss, running):
    lost = threading.Event()

    def acknowledges_and_dies(peer):
        peer.accept_options()
        peer.receive(P.SUBMIT_JOB)
        peer.send(P.JOB_CREATED, b"H:1")
        lost.wait(5)

    with Server(port=0) as good, FakeServer(acknowledges_and_dies) as bad:
        names = [str(bad), f"127.0.0.1:{good.port}"]
        async with connect(names, on_loss=on_loss) as client:
            job = await client.submit("f", b"x", unique=unique_for(names, 0))
            assert job.handle == "H:1"
            with Peer.connect(("127.0.0.1", good.port)) as hand:
                hand.send(P.CAN_DO, b"f")
                hand.send(P.PRE_SLEEP)
                waiting = asyncio.create_task(job.exception())
                lost.set()
                if on_loss == "report":
                    error = await waiting
                    assert isinstance(error, ConnectionLost)
                    assert "the result of job H:1" in str(error)
                    return
                await asyncio.to_thread(hand.receive, P.NOOP)
                hand.send(P.GRAB_JOB)
                handle, _, workload = await asyncio.to_thread(hand.receive, P.JOB_ASSIGN)
                hand.send(P.WORK_COMPLETE, handle, b"done with " + workload)
                assert await waiting is None
                assert await job == b"done with x"
                assert (job.handle, job.server) == (handle.decode(), names[1])


@scene
async def test_a_lost_job_waits_for_its_only_server(connect, server, worker, running):
    async with connect(str(server), on_loss="resubmit") as client:
        job = await client.submit("reverse", b"ab")
        waiting = asyncio.create_task(job.result())
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(server.start)
        with running(worker):
            assert await waiting == b"ba"


@scene
async def test_a_lost_job_does_not_wait_for_ever(connect, server):
    async with connect(str(server), on_loss="resubmit", timeout=0.3) as client:
        job = await client.submit("f")
        await asyncio.to_thread(server.stop)
        error = await job.exception(5)
        assert isinstance(error, ConnectionLost)


@scene
async def test_servers_that_come_and_go_under_load(connect, trio, running):
    """One of three servers is killed over and over; nobody sees an error."""
    names = [str(server) for server in trio]
    over = threading.Event()

    def kill():
        number = 0
        while not over.wait(0.2):
            trio[number % 3].stop()
            over.wait(0.1)
            trio[number % 3].start()
            number += 1

    killer = threading.Thread(target=kill)
    async with connect(names) as client:
        killer.start()
        try:
            end = time.monotonic() + 2.5
            count = 0

            async def submit(name):
                nonlocal count
                while time.monotonic() < end:
                    await client.submit("f", b"x", unique=f"{name}-{count}", background=True)
                    async for job in client.submit_many([("f", b"x")] * 100, background=True):
                        assert job.handle
                    await client.ping()
                    count += 1

            await asyncio.gather(*(submit(name) for name in range(4)))
        finally:
            over.set()
            await asyncio.to_thread(killer.join)
        assert count > 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_a_fork_the_child_has_connections_of_its_own(server):
    with Client(server.address, timeout=5) as client:
        job = client.submit("f")
        child = os.fork()
        if child == 0:
            failure = 1
            try:
                assert isinstance(job.exception(1), ConnectionLost)
                for number in range(50):
                    assert client.echo(b"child %d" % number) == b"child %d" % number
                client.submit("f", background=True)
                failure = 0
            finally:
                os._exit(failure)
        for number in range(200):
            assert client.echo(b"parent %d" % number) == b"parent %d" % number
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not job.done()


def test_a_hundred_threads_with_three_servers(trio):
    names = [str(server) for server in trio]
    mistakes = []

    def ask(client, number):
        try:
            for turn in range(10):
                text = b"%d-%d" % (number, turn)
                assert client.echo(text) == text
                assert client.submit("f", text, background=True).handle
        except BaseException as error:
            mistakes.append(error)

    with Client(names, timeout=10) as client:
        threads = [threading.Thread(target=ask, args=(client, number)) for number in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert mistakes == []
