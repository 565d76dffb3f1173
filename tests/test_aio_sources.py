"""Asynchronous iterators as the source of jobs: what is done while the next item is awaited."""

import asyncio

import pytest
from both import scene
from fake_server import Peer

from gearcore.aio import Client
from gearcore.protocol import PacketType as P

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.fixture
def hand(server):
    """A worker that the test moves packet by packet, for function ``f``."""
    with Peer.connect(server.address) as hand:
        hand.send(P.CAN_DO, b"f")
        yield hand


async def grab(hand):
    """The handle and the workload of the next job that is there or comes."""
    while True:
        hand.send(P.GRAB_JOB)
        args = await asyncio.to_thread(hand.receive, P.JOB_ASSIGN, P.NO_JOB, P.NOOP)
        if args:
            return args[0], args[2]
        hand.send(P.PRE_SLEEP)
        await asyncio.to_thread(hand.receive, P.NOOP)


class TestSubmitMany:
    @scene
    async def test_jobs_are_submitted_while_the_next_are_awaited(self, server, hand):
        acknowledged = asyncio.Event()

        async def source():
            yield "f", b"1"
            yield "f", b"2"
            await acknowledged.wait()
            yield "f", b"3"

        async with Client(str(server)) as client:
            jobs = client.submit_many(source(), background=True)
            assert len({(await anext(jobs)).handle for _ in range(2)}) == 2
            acknowledged.set()
            assert (await anext(jobs)).function == "f"
            with pytest.raises(StopAsyncIteration):
                await anext(jobs)
        assert [(await grab(hand))[1] for _ in range(3)] == [b"1", b"2", b"3"]

    @scene
    async def test_what_the_source_raises_comes_behind_the_jobs_before_it(self, server):
        async def source():
            yield "f", b"1"
            yield "a\0b", b""
            yield "f", b"2"
            raise LookupError("no more")

        async with Client(str(server)) as client:
            jobs, found = client.submit_many(source(), background=True), []
            while len(found) < 4:
                try:
                    found.append((await anext(jobs)).function)
                except Exception as error:
                    found.append(type(error))
            assert found == ["f", ValueError, "f", LookupError]
            with pytest.raises(StopAsyncIteration):
                await anext(jobs)


class TestMap:
    @scene
    async def test_a_result_may_lead_to_the_next_workload(self, server, worker, running):
        results = asyncio.Queue()

        async def source():
            workload = b"a"
            while len(workload) < 4:
                yield workload
                workload = await results.get() + b"b"

        with running(worker):
            async with Client(str(server)) as client:
                found = []
                async for result in client.map("reverse", source()):
                    found.append(result)
                    results.put_nowait(result)
        assert found == [b"a", b"ba", b"bab"]

    @scene
    async def test_an_item_is_submitted_while_results_are_awaited(self, server, hand):
        more = asyncio.Event()

        async def source():
            yield b"1"
            await more.wait()
            yield b"2"

        async with Client(str(server)) as client:
            results = client.map("f", source(), ordered=False)
            first = asyncio.ensure_future(anext(results))
            slow, _ = await grab(hand)
            more.set()
            quick, workload = await grab(hand)
            assert workload == b"2"
            hand.send(P.WORK_COMPLETE, quick, b"quick")
            assert await first == b"quick"
            hand.send(P.WORK_COMPLETE, slow, b"slow")
            assert [result async for result in results] == [b"slow"]

    @scene
    async def test_no_more_workloads_are_taken_than_may_be_in_flight(self, server, worker, running):
        taken = 0

        async def source():
            nonlocal taken
            for taken in range(1, 31):
                yield b"%d" % taken

        with running(worker):
            async with Client(str(server)) as client:
                given = 0
                async for _ in client.map("reverse", source(), in_flight=5):
                    given += 1
                    assert taken - given <= 5
                assert given == 30

    @scene
    async def test_what_the_source_raises_comes_behind_the_results_before_it(self, server, worker, running):
        async def source():
            yield b"ab"
            yield 5
            raise LookupError("no more")

        with running(worker):
            async with Client(str(server)) as client:
                results, found = client.map("reverse", source()), []
                while len(found) < 3:
                    try:
                        found.append(await anext(results))
                    except Exception as error:
                        found.append(type(error))
                assert found == [b"ba", TypeError, LookupError]
                with pytest.raises(StopAsyncIteration):
                    await anext(results)
