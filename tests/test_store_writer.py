"""Group commit between a broker and a store that fails and delays on command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from faulty_store import PATIENCE, FaultyStore
from kept import KeptWorld
from records import read
from world import PREFIX, Peer, handle

from gearcore.errors import BatchRefused, StoreFailed
from gearcore.protocol import PacketType as P
from gearcore.store.writer import StoreWriter

CREATED = P.JOB_CREATED


class Scene:
    def __init__(self, when_down: str = "refuse") -> None:
        self.world = KeptWorld()
        self.store = FaultyStore()
        self.short = 0
        """How often there will be no memory to take a batch back."""
        self._news: asyncio.Queue[list[tuple[P, bytes]]] = asyncio.Queue()
        self.writer = StoreWriter(self.store, self, self._tell, when_down)
        self.client = self.world.peer()

    def _tell(self) -> None:
        self._news.put_nowait([packet[:2] for packet in self.client.received()])

    def __getattr__(self, name: str) -> object:
        return getattr(self.world.keeper, name)

    def batch_refused(self, reason: str) -> None:
        if self.short:
            self.short -= 1
            raise MemoryError
        self.world.keeper.batch_refused(reason)

    def submit(self, count: int = 1, peer: Peer | None = None) -> None:
        for _ in range(count):
            (peer or self.client).send(P.SUBMIT_JOB_BG, b"f", b"", b"w")
        self.writer.advance()

    async def begun(self) -> tuple[int, list[int]]:
        """Wait for the store to be given a batch: its number, and those of its jobs."""
        batch = await asyncio.to_thread(self.store.begun.get, True, PATIENCE)
        return batch.number, [number for number, _ in read(batch.added)]

    async def landed(self) -> list[tuple[P, bytes]]:
        """Wait for the next news of a batch: what the client got, packets by type and first argument."""
        return await asyncio.wait_for(self._news.get(), PATIENCE)


@asynccontextmanager
async def writing(when_down: str = "refuse") -> AsyncIterator[Scene]:
    scene = Scene(when_down)
    await scene.writer.start(PREFIX)
    yield scene
    await scene.writer.stop()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr("gearcore.store.writer.FIRST_PAUSE", 0.001)


def test_what_gathers_during_a_commit_goes_into_the_next():
    async def play() -> None:
        async with writing() as scene:
            scene.store.pause()
            scene.submit()
            assert await scene.begun() == (1, [1])
            for _ in range(3):
                scene.submit()
            other = scene.world.peer()
            assert other.ask(P.ECHO_REQ, b"x") == (P.ECHO_RES, b"x")
            assert scene.client.received() == []
            scene.store.go_on()
            assert await scene.landed() == [(CREATED, handle(1))]
            assert await scene.begun() == (2, [2, 3, 4])
            assert await scene.landed() == [(CREATED, handle(number)) for number in (2, 3, 4)]

    asyncio.run(play())


def test_jobs_wait_for_a_store_that_failed(caplog):
    async def play() -> None:
        async with writing("wait") as scene:
            scene.store.faults += [StoreFailed("the disk is full")] * 3
            scene.store.pause()  # or a commit may have ended before a job is submitted
            scene.submit()
            for _ in range(3):
                assert await scene.begun() == (1, [1])
                scene.store.let_one_pass()
                assert await scene.landed() == []
                scene.submit()
            assert await scene.begun() == (1, [1])
            scene.store.let_one_pass()
            assert await scene.landed() == [(CREATED, handle(1))]
            assert await scene.begun() == (2, [2, 3, 4])
            scene.store.let_one_pass()
            assert len(await scene.landed()) == 3

    asyncio.run(play())
    said = [(record.levelname, record.message) for record in caplog.records]
    assert [level for level, _ in said] == ["ERROR", "WARNING"]
    assert said[0][1] == "background jobs wait: the disk is full"


def test_jobs_are_refused_until_a_store_works_again():
    async def play() -> None:
        async with writing() as scene:
            scene.store.faults += [StoreFailed("the disk is full")] * 2
            scene.submit()
            assert await scene.begun() == (1, [1])
            assert await scene.landed() == [(P.ERROR, b"QUEUE_ERROR")]
            scene.submit()
            assert [packet[:2] for packet in scene.client.received()] == [(P.ERROR, b"QUEUE_ERROR")]
            assert await scene.begun() == (2, [])  # to see whether it works
            assert await scene.landed() == []
            assert await scene.begun() == (3, [])
            assert await scene.landed() == []
            scene.submit()
            assert await scene.begun() == (4, [2])
            assert await scene.landed() == [(CREATED, handle(2))]

    asyncio.run(play())


def test_a_batch_that_is_refused_for_good_stops_no_other():
    async def play() -> None:
        async with writing("wait") as scene:
            scene.store.pause()
            scene.store.faults.append(BatchRefused("too large"))
            scene.submit()
            await scene.begun()
            scene.submit(peer=(other := scene.world.peer()))
            scene.store.go_on()
            assert await scene.landed() == [(P.ERROR, b"QUEUE_ERROR")]
            assert await scene.begun() == (2, [2])
            await scene.landed()
            assert other.received() == [(CREATED, handle(2))]

    asyncio.run(play())


@pytest.mark.parametrize("fault", [StoreFailed("the disk is full"), BatchRefused("too large")])
def test_a_batch_that_cannot_be_taken_back_is_tried_again(fault):
    async def play() -> None:
        async with writing() as scene:
            scene.short = 1
            scene.store.faults.append(fault)
            scene.submit()
            assert await scene.begun() == (1, [1])
            assert await scene.landed() == []
            assert await scene.begun() == (1, [1])
            assert await scene.landed() == [(CREATED, handle(1))]

    asyncio.run(play())


def test_what_gathered_is_stored_before_the_end():
    async def play() -> FaultyStore:
        async with writing() as scene:
            scene.store.pause()
            scene.submit()
            await scene.begun()
            scene.submit(2)
            scene.store.go_on()
        return scene.store

    store = asyncio.run(play())
    assert read(b"".join(store.claim())) == [(1, 0), (2, 0), (3, 0)]


def test_the_end_comes_while_the_store_fails():
    async def play() -> None:
        async with writing("wait") as scene:
            scene.store.faults += [StoreFailed("the disk is full")] * 100
            scene.submit()
            await scene.begun()
            assert await scene.landed() == []
        answers = []
        while not answers:
            answers = await scene.landed()
        assert answers == [(P.ERROR, b"QUEUE_ERROR")]

    asyncio.run(asyncio.wait_for(play(), PATIENCE))
