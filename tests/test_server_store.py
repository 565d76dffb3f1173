"""A store behind every way that the server drives its peers."""

from __future__ import annotations

import asyncio
from urllib.request import Request, urlopen

import pytest
from loops import LOOPS

from gearcore import Client, Server, Worker
from gearcore.errors import StoreError
from gearcore.server.listeners import TcpListener
from gearcore.store import MemoryStore

PATIENCE = 20


@LOOPS
def test_in_an_event_loop_that_is_there(factory):
    store = MemoryStore()

    def talk(port: int) -> list[bytes]:
        done: list[bytes] = []
        with Client(f"127.0.0.1:{port}", timeout=PATIENCE) as client:
            for number in range(5):
                client.submit("f", b"%d" % number, background=True)
        worker = Worker(f"127.0.0.1:{port}", timeout=PATIENCE)
        worker.register("f", lambda job: done.append(job.workload))
        worker.run(max_jobs=3)
        return done

    async def scene() -> None:
        async with Server(port=0, store=store) as server:
            done = await asyncio.to_thread(talk, server.port)
            assert done == [b"0", b"1", b"2"]
        async with Server(port=0, store=store) as server:
            assert len(server.broker) == 2

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scene())


def test_by_http():
    store = MemoryStore()
    listener = TcpListener("127.0.0.1", 0, http=True)
    with Server(host=(), listeners=[listener], store=store) as server:
        request = Request(f"http://127.0.0.1:{server.port}/f", b"work", {"X-Gearman-Background": "true"})
        with urlopen(request, timeout=PATIENCE) as answer:
            handle = answer.headers["X-Gearman-Job-Handle"]
    with Server(port=0, store=store) as server:
        assert [job.handle.decode() for job in server.broker.jobs] == [handle]


def test_a_server_can_be_started_again():
    server = Server(port=0, store=MemoryStore())
    for count in (1, 2, 3):
        with server, Client(f"127.0.0.1:{server.port}", timeout=PATIENCE) as client:
            client.submit("f", background=True)
            assert len(server.broker) == count


def test_a_store_that_is_taken_keeps_a_server_from_starting():
    store = MemoryStore()
    with Server(port=0, store=store), pytest.raises(StoreError, match="open already"):
        Server(port=0, store=store).__enter__()
