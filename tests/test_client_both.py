"""What the blocking and the asyncio client do alike, against job servers."""

import asyncio
import datetime
import math
import re
import time

import pytest
from both import CLIENTS, scene
from fake_server import PATIENCE, FakeServer, Peer

from gearcore import (
    ConnectionLost,
    EncodingError,
    JobData,
    JobError,
    JobException,
    JobFailed,
    JobProgress,
    JobWarning,
    Priority,
    ProtocolError,
    ServerError,
    Submission,
    TimedOut,
)
from gearcore.protocol import PacketType as P
from gearcore.server import Server, UnixListener
from gearcore.tls import ClientTls


@pytest.fixture(params=CLIENTS)
def connect(request):
    """A context manager for a client of some servers."""
    return CLIENTS[request.param]


@pytest.fixture
def hand(server):
    """A worker that the test moves packet by packet, for functions ``f`` and ``ns.f``."""
    with Peer.connect(server.address) as hand:
        hand.send(P.CAN_DO, b"f")
        hand.send(P.CAN_DO, b"ns.f")
        yield hand


def grab(hand, packet=P.GRAB_JOB_UNIQ):
    while True:
        hand.send(packet)
        args = hand.receive(P.JOB_ASSIGN_UNIQ, P.JOB_ASSIGN_ALL, P.NO_JOB, P.NOOP)
        if args:
            return args
        hand.send(P.PRE_SLEEP)
        hand.receive(P.NOOP)


def has_job(hand):
    hand.send(P.GRAB_JOB_UNIQ)
    while True:
        hand.send(P.ECHO_REQ, b"")
        args = hand.receive(P.JOB_ASSIGN_UNIQ, P.NO_JOB, P.NOOP)
        hand.receive(P.ECHO_RES)
        return bool(args)


@scene
async def test_a_job(connect, server, worker, running):
    with running(worker):
        async with connect(str(server)) as client:
            job = await client.submit("reverse", b"hello", unique="id")
            assert await job == b"olleh"
            assert job.done()
            assert await job.exception() is None
            assert (job.function, job.unique, job.background, job.server) == (
                "reverse",
                "id",
                False,
                str(server),
            )
            assert repr(job) == f"<Job {job.handle} 'reverse' complete>"
            assert repr(client).endswith(f"<Client {server}>")


@scene
async def test_priorities_and_the_background(connect, server, hand):
    async with connect(str(server)) as client:
        for priority in reversed(Priority):
            await client.submit("f", priority.name.encode(), priority=priority)
            job = await client.submit(
                "f", b"BG " + priority.name.encode(), priority=priority, background=True
            )
            assert job.done()
            with pytest.raises(JobError, match="is a background job"):
                await job
        grabbed = [grab(hand)[3] for _ in range(6)]
        assert grabbed == [b"HIGH", b"BG HIGH", b"NORMAL", b"BG NORMAL", b"LOW", b"BG LOW"]


@scene
async def test_events_come_as_they_are_sent(connect, server, hand):
    async with connect(str(server)) as client:
        job = await client.submit("f")
        handle = grab(hand)[0]
        events = aiter(job.events(PATIENCE))
        hand.send(P.WORK_DATA, handle, b"a\0")
        assert await anext(events) == JobData(b"a\0")
        hand.send(P.WORK_WARNING, handle, b"w")
        assert await anext(events) == JobWarning(b"w")
        assert job.progress is None
        hand.send(P.WORK_STATUS, handle, b"1", b"4")
        assert await anext(events) == JobProgress(1, 4)
        assert not job.done()
        hand.send(P.WORK_STATUS, handle, b"2", b"4")
        hand.send(P.WORK_COMPLETE, handle, b"end")
        assert [event async for event in events] == [JobProgress(2, 4)]
        assert (job.data, job.warnings, job.progress) == ([b"a\0"], [b"w"], JobProgress(2, 4))
        assert [part async for part in job] == [b"a\0"]


@scene
async def test_failures(connect, server, worker, running):
    with running(worker):
        async with connect(str(server)) as client:
            job = await client.submit("raise", b"hat")
            with pytest.raises(JobException, match="LookupError: no such thing: hat") as caught:
                await job
            assert caught.value.data == b"LookupError: no such thing: hat"
            with pytest.raises(JobException):
                [event async for event in job.events()]
            job = await client.submit("fail")
            assert isinstance(await job.exception(), JobFailed)
            assert repr(job).endswith("failed>")


@scene
async def test_a_delay_and_a_time(connect, server, hand):
    async with connect(str(server)) as client:
        jobs = [
            await client.submit("f", b"later", delay=datetime.timedelta(hours=1)),
            await client.submit("f", b"later", at=time.time() + 3600),
            await client.submit(
                "f", b"later", at=datetime.datetime.now(datetime.UTC) + datetime.timedelta(1)
            ),
        ]
        assert all(job.background for job in jobs)
        assert not has_job(hand)
        assert (await jobs[0].status()).known
        await client.submit("f", b"now", delay=-5)
        assert grab(hand)[3] == b"now"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"at": 5, "delay": 5}, "not both"),
        ({"delay": 5, "priority": Priority.HIGH}, "normal priority"),
        ({"delay": 5, "reducer": "r"}, "cannot have a time"),
        ({"delay": 5, "job_timeout": 5}, "job_timeout is for foreground jobs"),
        ({"background": True, "on_loss": "resubmit"}, "on_loss is for foreground jobs"),
        ({"reducer": "r", "priority": Priority.LOW}, "normal priority"),
        ({"at": datetime.datetime(2030, 1, 1)}, "no time zone"),
        ({"at": math.inf}, "cannot be run at"),
        ({"on_loss": "retry"}, "'report' or 'resubmit'"),
        ({"encoding": "pickle"}, "no encoding 'pickle'"),
        ({"unique": "a\0b"}, "NUL"),
    ],
)
@scene
async def test_what_does_not_go_together(connect, arguments, text):
    async with connect("127.0.0.1:1") as client:
        with pytest.raises(ValueError, match=text):
            await client.submit("f", **arguments)


@scene
async def test_a_reducer(connect, server, hand):
    async with connect(str(server), namespace="ns.") as client:
        waiting = asyncio.create_task(client.map_reduce("f", b"work", "sum", unique="u"))
        handle, *rest = await asyncio.to_thread(grab, hand, P.GRAB_JOB_ALL)
        assert rest == [b"ns.f", b"u", b"ns.sum", b"work"]
        hand.send(P.WORK_COMPLETE, handle, b"42")
        assert await waiting == b"42"
        job = await client.submit("f", b"more", reducer="sum", background=True)
        assert job.background
        assert grab(hand, P.GRAB_JOB_ALL)[3:] == (b"ns.sum", b"more")


@scene
async def test_a_namespace(connect, server, hand):
    async with connect(str(server), namespace="ns.") as client:
        job = await client.submit("f", b"x")
        handle, function, *_ = grab(hand)
        assert function == b"ns.f"
        assert job.function == "f"
        hand.send(P.WORK_FAIL, handle)
        assert (await job.exception()).function == "f"


@scene
async def test_encodings(connect, server, hand):
    async with connect(str(server), encoding="json") as client:
        job = await client.submit("f", {"a": [1, "ö"]})
        handle, *_, workload = grab(hand)
        assert workload == '{"a":[1,"ö"]}'.encode()
        hand.send(P.WORK_DATA, handle, b"[1]")
        hand.send(P.WORK_COMPLETE, handle, b'{"b": null}')
        assert await job == {"b": None}
        assert job.data == [[1]]
        job = await client.submit("f", "text", encoding="text")
        handle, *_, workload = grab(hand)
        assert workload == b"text"
        hand.send(P.WORK_COMPLETE, handle, b"\xff")
        with pytest.raises(EncodingError, match="result cannot be decoded as text"):
            await job
        with pytest.raises(EncodingError, match="workload cannot be encoded as json"):
            await client.submit("f", {1, 2})


@pytest.mark.parametrize("encoding", ["bytes", "text", "json", "msgpack"])
@scene
async def test_without_a_workload_it_is_empty_in_any_encoding(connect, server, hand, encoding):
    async with connect(str(server), encoding=encoding) as client:
        job = await client.submit("f")
        handle, *_, workload = grab(hand)
        assert workload == b""
        hand.send(P.WORK_COMPLETE, handle, b"")
        assert await job == {"bytes": b"", "text": ""}.get(encoding)
        [job async for job in client.submit_many([Submission("f")])]
        assert grab(hand)[3] == b""


@scene
async def test_status(connect, server, hand):
    async with connect(str(server)) as client:
        job = await client.submit("f", unique="u")
        handle = grab(hand)[0]
        hand.send(P.WORK_STATUS, handle, b"3", b"10")
        hand.send(P.ECHO_REQ, b"seen")
        hand.receive(P.ECHO_RES)
        status = await client.status(handle)
        assert status == await job.status()
        assert (status.known, status.running, status.numerator, status.denominator) == (True, True, 3, 10)
        assert status.clients is None
        status = await client.status_of_unique("u")
        assert (status.known, status.running, status.clients) == (True, True, 1)
        assert not (await client.status_of_unique("nobody")).known
        assert not (await client.status("H:nobody:1")).known
        for ask in (client.status, client.status_of_unique):
            with pytest.raises(ValueError, match="more than 63 bytes"):
                await ask("x" * 64)


@scene
async def test_cancel(connect, server, hand):
    async with connect(str(server)) as client:
        job = await client.submit("f", b"cancelled")
        background = await client.submit("f", b"cancelled too", background=True)
        assert await job.cancel()
        assert isinstance(await job.exception(PATIENCE), JobFailed)
        assert not await job.cancel()
        assert await background.cancel()
        assert not has_job(hand)
        await client.submit("f", b"not cancelled")
        assert grab(hand)[3] == b"not cancelled"
        assert await background.cancel() in (True, False)  # gearmand says OK until a worker has passed by


@scene
async def test_a_job_that_takes_too_long(connect, server, hand):
    async with connect(str(server)) as client:
        job = await client.submit("f", job_timeout=0.1)
        begun = time.monotonic()
        with pytest.raises(TimedOut, match=f"waited 0.1 s for the result of job {job.handle}"):
            await job
        assert 0.05 < time.monotonic() - begun < PATIENCE / 2
        assert job.done()
        hand.send(P.WORK_COMPLETE, grab(hand)[0], b"too late")
        assert await client.echo(b"in step") == b"in step"
        assert isinstance(await job.exception(), TimedOut)


@scene
async def test_a_timeout_ends_the_wait_and_not_the_job(connect, server, hand):
    async with connect(str(server)) as client:
        job = await client.submit("f")
        words = rf"waited 0\.05 s for the result of job {job.handle} of function 'f' from {server}"
        for call in (job.result, job.exception):
            with pytest.raises(TimedOut, match=words):
                await call(0.05)
        with pytest.raises(TimedOut, match="waited"):
            [event async for event in job.events(0.05)]
        assert await job.wait(0.01) is False
        hand.send(P.WORK_COMPLETE, grab(hand)[0], b"end")
        assert await job.result(PATIENCE) == b"end"


@scene
async def test_calls_at_the_same_time_have_timeouts_of_their_own(connect):
    def mute(peer):
        peer.accept_options()
        peer.wait_until_closed()

    with FakeServer(mute) as server:
        async with connect(str(server)) as client:

            async def wait(timeout):
                begun = time.monotonic()
                with pytest.raises(TimedOut, match=rf"waited {timeout} s for"):
                    await client.echo(b"x", timeout=timeout)
                return time.monotonic() - begun

            timeouts = 0.3, 0.1, 0.2, 0.1, 0.3
            for timeout, seconds in zip(timeouts, await asyncio.gather(*map(wait, timeouts)), strict=True):
                assert timeout - 0.01 < seconds < PATIENCE / 2


@scene
async def test_callbacks(connect, server, hand, caplog):
    async with connect(str(server)) as client:
        job = await client.submit("f")
        seen, ended, late = [], [], []
        job.add_event_callback(lambda job, event: seen.append(event))
        job.add_done_callback(lambda job: 1 / 0)
        job.add_done_callback(lambda job: ended.append(job.handle))
        handle = grab(hand)[0]
        hand.send(P.WORK_DATA, handle, b"1")
        hand.send(P.WORK_DATA, handle, b"2")
        hand.send(P.WORK_COMPLETE, handle, b"3")
        assert await job == b"3"
        await client.ping()
        assert seen == [JobData(b"1"), JobData(b"2")]
        assert ended == [job.handle]
        assert "ZeroDivisionError" in caplog.text
        job.add_event_callback(lambda job, event: late.append(event))
        job.add_done_callback(lambda job: late.append("end"))
        assert late == [JobData(b"1"), JobData(b"2"), "end"]


class TestSubmitMany:
    @scene
    async def test_jobs_come_in_their_order(self, connect, server, hand):
        count = 5000
        async with connect(str(server)) as client:
            submissions = (("f", b"%d" % i, f"u{i}") for i in range(count))
            jobs = [job async for job in client.submit_many(submissions, window=64, background=True)]
            assert [job.unique for job in jobs] == [f"u{i}" for i in range(count)]
            assert len({job.handle for job in jobs}) == count
            assert b"f\t5000\t0\t1\n" in server.admin("status")

    @scene
    async def test_foreground_jobs_end(self, connect, server, worker, running):
        with running(worker):
            async with connect(str(server)) as client:
                jobs = [job async for job in client.submit_many([("reverse", b"ab")] * 200)]
                assert [await job for job in jobs] == [b"ba"] * 200

    @scene
    async def test_submissions_say_more(self, connect, server, hand):
        async with connect(str(server)) as client:
            jobs = client.submit_many(
                [
                    Submission("f", b"plain", unique="x"),
                    Submission("f", b"later", delay=3600),
                    Submission("f", "json", encoding="json", priority=Priority.HIGH),
                    ("f", b"tuple"),
                ],
                background=True,
            )
            assert [job.unique async for job in jobs] == ["x", "", "", ""]
            assert [grab(hand)[3] for _ in range(3)] == [b'"json"', b"plain", b"tuple"]
            assert not has_job(hand)

    @scene
    async def test_what_fails_is_raised_in_its_place(self, connect, server, hand):
        def source():
            yield "f", b"1"
            yield "a\0b", b""
            yield "f", "text"
            yield "f", b"2"
            yield "f", b"", b"", b""
            yield 5
            yield "f", b"3"
            raise LookupError("no more")

        async with connect(str(server)) as client:
            jobs = aiter(client.submit_many(source(), background=True))
            found = []
            while True:
                try:
                    found.append((await anext(jobs)).function)
                except StopAsyncIteration:
                    break
                except Exception as error:
                    found.append(type(error))
            assert found == ["f", ValueError, TypeError, "f", ValueError, TypeError, "f", LookupError]
            assert [grab(hand)[3] for _ in range(3)] == [b"1", b"2", b"3"]

    @scene
    async def test_a_full_queue(self, connect, server, hand):
        hand.send(P.ECHO_REQ, b"the function is known")
        hand.receive(P.ECHO_RES)
        assert server.admin("maxqueue f 2") == b"OK\r\n"
        async with connect(str(server)) as client:
            jobs = aiter(client.submit_many([("f", b"%d" % i) for i in range(3)], background=True))
            await anext(jobs)
            await anext(jobs)
            with pytest.raises(ServerError, match="Job queue is full") as caught:
                await anext(jobs)
            assert caught.value.code == "QUEUE_ERROR"
            with pytest.raises(StopAsyncIteration):
                await anext(jobs)
            with pytest.raises(ServerError):
                await client.submit("f")

    @scene
    async def test_no_more_than_the_window_is_taken_ahead(self, connect, server):
        taken = 0

        def source():
            nonlocal taken
            for _ in range(100):
                taken += 1
                yield "f", b""

        async with connect(str(server)) as client:
            given = 0
            async for _ in client.submit_many(source(), window=8, background=True):
                given += 1
                assert taken - given <= 8 + 2
            assert given == 100

    @scene
    async def test_a_window_of_nothing(self, connect, server):
        async with connect(str(server)) as client:
            with pytest.raises(ValueError, match="at least one job must be in flight"):
                client.submit_many([], window=0)
            assert [job async for job in client.submit_many([])] == []


class TestMap:
    @scene
    async def test_results_in_order(self, connect, server, worker, running):
        with running(worker):
            async with connect(str(server)) as client:
                workloads = (b"%d" % i for i in range(500))
                results = [result async for result in client.map("reverse", workloads, in_flight=7)]
                assert results == [(b"%d" % i)[::-1] for i in range(500)]

    @pytest.mark.parametrize("ordered", [True, False])
    @scene
    async def test_results_as_they_come(self, connect, server, hand, ordered):
        async with connect(str(server)) as client:
            results = aiter(client.map("f", [b"1", b"2", b"3"], ordered=ordered))
            first = asyncio.ensure_future(anext(results))
            handles = {workload: handle for handle, _, _, workload in [await asyncio.to_thread(grab, hand)]}
            for _ in range(2):
                handle, _, _, workload = await asyncio.to_thread(grab, hand)
                handles[workload] = handle
            for workload in (b"3", b"2", b"1"):
                hand.send(P.WORK_COMPLETE, handles[workload], workload)
                if not ordered:
                    assert await first == workload
                    first = asyncio.ensure_future(anext(results, None))
            if ordered:
                assert [await first, await anext(results), await anext(results)] == [b"1", b"2", b"3"]
                first = asyncio.ensure_future(anext(results, None))
            assert await first is None

    @scene
    async def test_failures_are_raised_in_their_place(self, connect, server, worker, running):
        with running(worker):
            async with connect(str(server), encoding="text") as client:
                results = aiter(client.map("raise", ["a", b"not text", "b"]))
                for error, text in (
                    (JobException, "thing: a"),
                    (EncodingError, "text"),
                    (JobException, ": b"),
                ):
                    with pytest.raises(error, match=text):
                        await anext(results)
                with pytest.raises(StopAsyncIteration):
                    await anext(results)
                errors = [result async for result in client.map("fail", ["a", "b"], return_exceptions=True)]
                assert [type(error) for error in errors] == [JobFailed, JobFailed]

    @scene
    async def test_the_workloads_are_taken_as_there_is_room(self, connect, server, worker, running):
        taken = 0

        def source():
            nonlocal taken
            while True:
                taken += 1
                yield b"%d" % taken

        with running(worker):
            async with connect(str(server)) as client:
                results = aiter(client.map("reverse", source(), in_flight=5))
                for given in range(1, 50):
                    await anext(results)
                    assert taken - given <= 5

    @scene
    async def test_jobs_that_take_too_long(self, connect, server, hand):
        async with connect(str(server)) as client:
            results = client.map("f", [b"1", b"2"], job_timeout=0.1, return_exceptions=True, ordered=False)
            found = [result async for result in results]
            assert [type(error) for error in found] == [TimedOut, TimedOut]


@scene
async def test_close_ends_the_waits_of_others(connect, server, hand):
    async with connect(str(server)) as client:
        job = await client.submit("f")
        waiting = asyncio.create_task(job.exception(PATIENCE))
        await asyncio.to_thread(grab, hand)
        await client.close()
        error = await waiting
        assert isinstance(error, ConnectionLost)
        assert "was closed" in str(error)
        assert job.handle in str(error)
        await client.close()
        with pytest.raises(RuntimeError, match="closed"):
            await client.submit("f")


@scene
async def test_an_idle_connection_that_ended_is_replaced(connect, server):
    async with connect(str(server)) as client:
        await client.ping()
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await asyncio.sleep(0.01)
        assert 0 < await client.ping() < PATIENCE


@scene
async def test_many_at_once(connect, server, worker, running):
    async def ask(client, name):
        for i in range(20):
            workload = b"%d of %d" % (i, name)
            assert await (await client.submit("reverse", workload)).result(PATIENCE) == workload[::-1]

    with running(worker):
        async with connect(str(server)) as client:
            await asyncio.gather(*(ask(client, name) for name in range(8)))


@scene
async def test_cancel_where_the_server_cannot(connect):
    def submission(peer):
        peer.accept_options()
        peer.receive(P.SUBMIT_JOB_BG)
        peer.send(P.JOB_CREATED, b"H:1")

    def answering(text):
        def script(peer):
            peer.receive_line(b"cancel job H:1\r\n")
            peer.send_bytes(text)
            peer.wait_until_closed()

        return script

    scripts = [answering(text) for text in (b"ERR UNKNOWN_COMMAND no+such\r\n", b"220 mail.example\r\n", b"")]
    with FakeServer(submission, *scripts) as server:
        async with connect(str(server)) as client:
            job = await client.submit("f", background=True)
            assert not await job.cancel()
            with pytest.raises(ProtocolError, match=f"{server} answered '220 mail"):
                await job.cancel()
            with pytest.raises(TimedOut, match=f"waited 0.1 s for {server} to cancel job H:1"):
                await job.cancel(timeout=0.1)


@scene
async def test_large_workloads(connect, server, worker, running):
    workload = bytes(range(256)) * 4096 * 8
    with running(worker):
        async with connect(str(server)) as client:
            assert (
                await (await client.submit("reverse", bytearray(workload))).result(PATIENCE) == workload[::-1]
            )


@scene
async def test_a_unix_socket_and_tls(connect, authority, tmp_path):
    path = f"{tmp_path}/gearman.sock"
    server = Server(port=0, tls=authority.files(), listeners=[UnixListener(path)])
    certificate, key = authority.issue(authority.directory, "both", "client.example")
    tls = ClientTls(ca=authority.ca_file, certificate=certificate, key=key)
    async with server:
        for address in (f"unix:{path}", f"127.0.0.1:{server.port}"):
            async with connect(address, tls=tls) as client:
                assert await client.echo(bytes(1_000_000)) == bytes(1_000_000)
                job = await client.submit("f", background=True)
                assert job.server == address
                assert await job.cancel()
                assert re.fullmatch("H:.*", job.handle)
