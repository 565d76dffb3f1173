"""A store behind every way that the server drives its peers."""

from __future__ import annotations

import asyncio
from urllib.request import Request, urlopen

import pytest
from caller import Caller
from faulty_store import FaultyStore
from loops import LOOPS
from records import record

from gearcore import Client, Server, Worker
from gearcore.errors import StoreError, StoreFailed
from gearcore.server.listeners import TcpListener
from gearcore.store import Batch, DeadLetter, MemoryStore

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


def letter(number: int, function: bytes) -> DeadLetter:
    work = record(number, b"work", function=function)
    return DeadLetter(number, b"H:t:%d" % number, function, b"u 1", 2, b"it broke", 1e9, work)


def with_dead_letters(store: MemoryStore) -> MemoryStore:
    store.open("H:t")
    store.commit(Batch(1, died=[letter(1, b"f"), letter(2, b"g h")], last_number=2))
    store.close()
    return store


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"dead list", b"H:t:1\tf\t2\t1000000000\tit%20broke\nH:t:2\tg%20h\t2\t1000000000\tit%20broke\n.\n"),
        (b"dead list f", b"H:t:1\tf\t2\t1000000000\tit%20broke\n.\n"),
        (b"dead list h", b".\n"),
        (b"dead show H:t:1", b"H:t:1\tf\t2\t1000000000\tit%20broke\nunique\tu%201\nworkload\td29yaw==\n.\n"),
        (b"dead show H:t:3", b"ERR UNKNOWN_JOB\r\n"),
        (b"dead show H:other:1", b"ERR UNKNOWN_JOB\r\n"),
        (b"dead drop H:t:3", b"ERR UNKNOWN_JOB\r\n"),
        (b"dead drop H:t:2", b"OK 1\r\n"),
        (b"dead drop all", b"OK 2\r\n"),
        (b"dead retry H:t:1", b"OK 1\r\n"),
        (b"dead retry all f", b"OK 1\r\n"),
        (b"dead retry all f g", b"ERR INVALID_ARGUMENTS "),
        (b"dead", b"ERR INVALID_ARGUMENTS "),
        (b"dead show", b"ERR INVALID_ARGUMENTS "),
    ],
)
def test_what_the_admin_command_says_of_dead_letters(command, answer):
    store = with_dead_letters(MemoryStore())
    with Server(port=0, store=store) as server, Caller(server) as caller:
        caller.socket.sendall(command + b"\r\n")
        said = b""
        while len(said) < len(answer):
            said += caller.socket.recv(65536)
        assert said.startswith(answer)
        if b"retry" in command and answer.startswith(b"OK"):
            assert [job.handle for job in server.broker.jobs] == [b"H:t:1"]


def test_a_dead_letter_stays_one_when_the_store_fails():
    store = with_dead_letters(FaultyStore())
    with Server(port=0, store=store) as server, Caller(server) as caller:
        store.faults = [StoreFailed("the disk is full")]
        assert caller.line(b"dead retry H:t:1\r\n") == b"ERR QUEUE_ERROR the+disk+is+full\r\n"
        assert [job.handle for job in server.broker.jobs] == []
    store.open("H:t")
    assert [letter.number for letter in store.dead()] == [1, 2]
