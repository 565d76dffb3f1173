"""What blocking and asyncio workers do alike, whatever runs their functions."""

import asyncio
import contextvars
import gc
import json
import logging
import sys
import threading
import time

import pytest
from fake_server import PATIENCE, FakeServer, free_port

import gearcore.aio
import gearcore.session.pauses
import gearcore.worker.links
from gearcore import Client, JobException, JobFailed, ServerUnavailable, Worker
from gearcore.protocol import PacketType as P
from gearcore.server.listeners import UnixListener
from gearcore.worker import DeadLetter, Retry

pytestmark = pytest.mark.usefixtures("no_hang")

KINDS = {
    "one at a time": lambda servers, **options: Worker(servers, **options),
    "prefetch": lambda servers, **options: Worker(servers, prefetch=8, **options),
    "threads": lambda servers, **options: Worker(servers, threads=3, **options),
    "asyncio": lambda servers, **options: gearcore.aio.Worker(servers, concurrency=3, **options),
}
CONCURRENT = ("threads", "asyncio")


@pytest.fixture(params=KINDS)
def make(request):
    """Makes a worker."""
    return KINDS[request.param]


@pytest.fixture(params=CONCURRENT)
def make_concurrent(request):
    """Makes a worker of three jobs at a time."""
    return KINDS[request.param]


@pytest.fixture
def quick(monkeypatch):
    """Pauses that a test can wait for."""
    monkeypatch.setattr(gearcore.session.pauses, "FIRST_PAUSE", 0.01)


def settle(check):
    """Wait for what has no event."""
    give_up = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def test_plain_and_async_functions(client, server, make, running):
    worker = make(server.address)

    @worker.function
    def plain(job):
        job.send_status(1, 2)
        job.send_data(b"part")
        return job.workload[::-1]

    if isinstance(worker, Worker):

        @worker.function("async")
        async def _(job):
            await asyncio.sleep(0)
            job.send_data(b"part")
            return job.workload[::-1]
    else:

        @worker.function("async")
        async def _(job):
            await job.send_data(b"part")
            await job.send_warning(b"careful")
            return job.workload[::-1]

    with running(worker):
        for function in ("plain", "async"):
            job = client.submit(function, b"abc")
            assert job.result(PATIENCE) == b"cba"
            assert job.data == [b"part"]


def test_encodings(server, make, running):
    worker = make(server.address, encoding="json")

    @worker.function
    def add(job):
        job.send_data(["adding", *job.data])
        return sum(job.data)

    @worker.function(encoding="text")
    def upper(job):
        return job.data.upper()

    @worker.function
    def wrong(job):
        return {1, 2}

    worker.register("nothing", lambda job: None)
    worker.register("no text", lambda job: None, encoding="text")
    worker.register("data", lambda job: repr((job.data, job.workload)).encode(), encoding="bytes")
    worker.register("json data", lambda job: [job.data, len(job.workload)])
    worker.register("text data", lambda job: f"{job.data!r}", encoding="text")

    with running(worker), Client(server.address, encoding="json", timeout=PATIENCE) as client:
        job = client.submit("add", [1, 2])
        assert job.result(PATIENCE) == 3
        assert job.data == [["adding", 1, 2]]
        assert client.submit("upper", "größe", encoding="text").result(PATIENCE) == "GRÖSSE"
        assert client.submit("nothing", None).result(PATIENCE) is None
        assert client.submit("no text", "", encoding="text").result(PATIENCE) == ""
        assert client.submit("data", encoding="bytes").result(PATIENCE) == b"(b'', b'')"
        assert client.submit("json data").result(PATIENCE) == [None, 0]
        assert client.submit("json data", None).result(PATIENCE) == [None, 4]
        assert client.submit("text data", encoding="text").result(PATIENCE) == "''"
        error = client.submit("wrong", 1).exception(PATIENCE)
        assert error.data.startswith(b"EncodingError: result cannot be encoded as json")
        error = client.submit("add", b"{", encoding="bytes").exception(PATIENCE)
        assert error.data.startswith(b"EncodingError: workload cannot be decoded as json")


def test_a_namespace(server, make, running):
    worker = make(server.address, namespace="app.")
    worker.register("f", lambda job: f"{job.function} {job.reducer}".encode())
    with running(worker), Client(server.address, namespace="app.", timeout=PATIENCE) as client:
        assert client.submit("f").result(PATIENCE) == b"f "
        assert client.map_reduce("f", b"", "g") == b"f g"
        assert b"app.f" in server.admin("status")


def test_what_a_function_raises_does_not_end_the_worker(client, server, make, running, caplog):
    worker = make(server.address)

    def leave(job):
        sys.exit(3)

    async def cancelled(job):
        raise asyncio.CancelledError

    worker.register("leave", leave)
    worker.register("cancelled", cancelled)
    worker.register("wrong", lambda job: 5)
    worker.register("fail", lambda job: job.fail("on request"))
    worker.register("ok", lambda job: None)
    with running(worker):
        assert client.submit("leave").exception(PATIENCE).data == b"SystemExit: 3"
        assert client.submit("cancelled").exception(PATIENCE).data == b"CancelledError"
        assert client.submit("wrong").exception(PATIENCE).data.startswith(b"TypeError: result must be")
        assert isinstance(client.submit("fail").exception(PATIENCE), JobFailed)
        assert client.submit("ok").result(PATIENCE) == b""
    assert "on request" in caplog.text
    assert "Traceback" in caplog.text


def test_timeouts(client, server, make, running):
    worker = make(server.address)
    go, ended = threading.Event(), threading.Event()

    @worker.function(timeout=0.1)
    def stuck(job):
        go.wait(PATIENCE)
        ended.set()

    @worker.function(timeout=0.1)
    async def stuck_async(job):
        await asyncio.sleep(PATIENCE)

    @worker.function(timeout=PATIENCE)
    def quick(job):
        return b"quick"

    with running(worker):
        for function in ("stuck", "stuck_async") * 4:  # more often than there are threads
            error = client.submit(function).exception(PATIENCE)
            assert error.data == b"TimedOut: its function took longer than 0.1 s"
        assert client.submit("quick").result(PATIENCE) == b"quick"
        go.set()
        assert ended.wait(PATIENCE)
        assert client.submit("quick").result(PATIENCE) == b"quick"


def test_several_at_a_time_and_no_more(client, server, make_concurrent, running):
    worker = make_concurrent(server.address)
    together = threading.Barrier(3, timeout=PATIENCE)
    running_now = []
    most = []

    @worker.function
    def meet(job):
        running_now.append(1)
        most.append(len(running_now))
        together.wait()
        running_now.pop()

    with running(worker):
        jobs = [client.submit("meet") for _ in range(9)]
        for job in jobs:
            job.result(PATIENCE)
    assert max(most) == 3


def test_a_function_with_a_concurrency_of_its_own(client, server, make_concurrent, running):
    worker = make_concurrent(server.address)
    busy, most, free = [], [], threading.Event()

    @worker.function(concurrency=1)
    def limited(job):
        busy.append(1)
        most.append(len(busy))
        free.wait(PATIENCE)
        busy.pop()

    worker.register("other", lambda job: b"other")
    with running(worker):
        jobs = [client.submit("limited") for _ in range(6)]
        settle(lambda: busy)
        for _ in range(5):
            assert client.submit("other").result(PATIENCE) == b"other"
        free.set()
        for job in jobs:
            job.result(PATIENCE)
    assert max(most) == 1


def test_hooks(client, server, make, running):
    worker = make(server.address)
    calls = []

    @worker.before_job
    def before(job):
        calls.append(("before", job.function))
        if job.workload == b"refuse":
            raise PermissionError("refused")

    @worker.after_job
    async def after(job):
        calls.append(("after", job.function))
        if job.workload == b"late":
            raise OSError("late")

    @worker.on_failure
    def failure(job, error):
        calls.append(("failure", type(error).__name__))
        raise RuntimeError("is logged")

    @worker.function
    def f(job):
        calls.append(("run", job.function))
        if job.workload == b"raise":
            raise KeyError
        return b"ok"

    def run(workload):
        calls.clear()
        job = client.submit("f", workload)
        error = job.exception(PATIENCE)
        return [name for name, _ in calls], error and error.data.decode()

    with running(worker):
        assert run(b"") == (["before", "run", "after"], None)
        assert run(b"raise") == (["before", "run", "failure", "after"], "KeyError")
        assert run(b"refuse") == (["before", "failure", "after"], "PermissionError: refused")
        assert run(b"late") == (["before", "run", "after", "failure"], "OSError: late")


def test_retry_by_resubmission_and_a_dead_letter(client, server, make, running):
    worker = make(server.address)
    tries, letters, done = [], [], threading.Event()

    @worker.function(retry=Retry(limit=2, delay=0.0), dead_letter="graveyard")
    def f(job):
        tries.append((job.tries, job.unique, job.workload))
        raise ValueError("no good")

    @worker.function
    def graveyard(job):
        letters.append(DeadLetter.unpack(job.workload))
        done.set()

    with running(worker):
        client.submit("f", b"w\0", unique="id", background=True)
        assert done.wait(PATIENCE)
    assert tries == [(1, "id", b"w\0"), (2, "id", b"w\0"), (3, "id", b"w\0")]
    [letter] = letters
    assert letter == DeadLetter("f", "id", letter.handle, 3, "ValueError: no good", b"w\0")


def test_a_retry_waits(server, client, make, running):
    worker = make(server.address)
    times, done = [], threading.Event()

    @worker.function(retry=Retry(limit=1, delay=1.0, jitter=False))
    def f(job):
        times.append(time.time())
        if job.tries == 1:
            job.fail()
        done.set()

    with running(worker):
        client.submit("f", background=True)
        # gearmand 1.1 wakes nobody when a delayed job is due: the worker remembers it.
        assert done.wait(PATIENCE)
    assert 1.0 <= times[1] - times[0] < 4.0


def test_retry_in_place(client, server, make, running):
    worker = make(server.address)
    tries = []

    @worker.function(retry=Retry(limit=3, delay=0.001, in_place=True))
    def f(job):
        tries.append(1)
        if job.workload or len(tries) < 3:
            raise ValueError
        return b"at last"

    with running(worker):
        assert client.submit("f").result(PATIENCE) == b"at last"
        assert len(tries) == 3
        assert client.submit("f", b"never").exception(PATIENCE).data == b"ValueError"
        assert len(tries) == 3 + 4


def test_several_servers_are_served_alike(make, running):
    with gearcore.Server(port=0) as one, gearcore.Server(port=0) as two:
        addresses = [f"127.0.0.1:{server.port}" for server in (one, two)]
        worker = make([*addresses, f"127.0.0.1:{free_port()}"])
        order = []
        worker.register("f", lambda job: order.append(job.workload))
        with Client(addresses[0]) as first, Client(addresses[1]) as second:
            for _ in range(500):
                first.submit("f", b"1", background=True)
                second.submit("f", b"2", background=True)
            with running(worker):
                settle(lambda: len(order) == 1000)
        both = max(order.index(b"1"), order.index(b"2"))  # until then there was a connection to one of them
        assert 150 <= order[both : both + 600].count(b"1") <= 450


def test_a_server_that_comes_and_goes(server, client, make, running, quick):
    with gearcore.Server(port=0) as other:
        worker = make([server.address, f"127.0.0.1:{other.port}"])
        worker.register("f", lambda job: b"ok")
        with running(worker), Client(f"127.0.0.1:{other.port}") as steady:
            for _ in range(3):
                assert client.submit("f").result(PATIENCE) == b"ok"
                server.stop()
                assert steady.submit("f").result(PATIENCE) == b"ok"
                server.start()
                settle(lambda: b"f" in server.admin("workers"))


def test_no_server_at_all(make):
    ports = [free_port(), free_port()]
    worker = make([f"127.0.0.1:{port}" for port in ports])
    worker.register("f", len)
    running = worker.run
    with pytest.raises(ServerUnavailable, match="Connection refused"):
        asyncio.run(running()) if isinstance(worker, gearcore.aio.Worker) else running()


def test_tls_and_a_unix_socket(make, running, authority, tmp_path):
    path = tmp_path / "socket"
    listener = UnixListener(str(path))
    with (
        gearcore.Server(port=0, tls=authority.files(False)) as secure,
        gearcore.Server(host=[], listeners=[listener]),
    ):
        addresses = [f"unix:{path}", f"127.0.0.1:{secure.port}"]
        worker = make(addresses, tls=authority.client())
        worker.register("f", lambda job: bytes(2_000_000))
        with running(worker):
            for address in addresses:
                with Client(address, tls=authority.client(), timeout=PATIENCE) as client:
                    for _ in range(3):
                        assert len(client.submit("f", bytes(1_000_000)).result(PATIENCE)) == 2_000_000
    gc.collect()  # which complains about what was not closed


def test_what_is_left_after_the_grace_is_given_back(client, server, make_concurrent, running):
    worker = make_concurrent(server.address, grace=0.1)
    started, go = threading.Event(), threading.Event()

    @worker.function
    def stuck(job):
        started.set()
        go.wait(PATIENCE)

    job = client.submit("stuck")
    with running(worker) as thread:
        assert started.wait(PATIENCE)
        worker.stop()
        thread.join()
    settle(lambda: not job.status().running)
    assert job.status().known
    go.set()


def test_it_grabs_after_a_long_sleep(make, running, monkeypatch):
    """The NOOP of a delayed job is not sent by gearmand 1.1, and any may be lost."""
    monkeypatch.setattr(gearcore.worker.links, "LONGEST_SLEEP", 0.02)

    def script(peer):
        peer.receive(P.CAN_DO)
        for _ in range(3):
            while peer.receive_packet().type == P.GRAB_JOB_ALL:  # the threads grab for each of them
                time.sleep(0.05)  # until it looks whether the answer is overdue
                peer.send(P.NO_JOB)
        peer.receive(P.GRAB_JOB_ALL)
        peer.send(P.JOB_ASSIGN, b"H:1", b"f", b"x")
        while peer.receive_packet().type != P.WORK_COMPLETE:
            pass
        done.set()

    done = threading.Event()
    with FakeServer(script) as server:
        worker = make(str(server), timeout=PATIENCE)
        worker.register("f", lambda job: job.workload)
        with running(worker):
            assert done.wait(PATIENCE)


def test_map_and_reduce(server, client, make_concurrent, running):
    mapper, reducer = make_concurrent(server.address), Worker(server.address)

    if isinstance(mapper, Worker):

        @mapper.function(aggregate=b"+".join)
        def split(job):
            for word in job.workload.split():
                job.send_data(word)
    else:

        @mapper.function(aggregate=b"+".join)
        async def split(job):
            for word in job.workload.split():
                await job.send_data(word)

    @reducer.function
    def upper(job):
        if job.workload == b"bad":
            raise ValueError("bad")
        return job.workload.upper()

    with running(mapper), running(reducer):
        assert client.map_reduce("split", b"a bc d", "upper") == b"A+BC+D"
        with pytest.raises(JobException, match="bad"):
            client.map_reduce("split", b"a bad", "upper")
        job = client.submit("split", b"without a reducer")
        assert job.result(PATIENCE) == b""
        assert job.data == [b"without", b"a", b"reducer"]


def test_an_async_function_of_a_blocking_worker_maps_too(server, client, running):
    mapper, reducer = Worker(server.address), Worker(server.address)

    @mapper.function(aggregate=b"+".join)
    async def split(job):
        for word in job.workload.split():
            job.send_data(word)
        return b"last"

    reducer.register("upper", lambda job: job.workload.upper())
    with running(mapper), running(reducer):
        assert client.map_reduce("split", b"a bc d", "upper") == b"A+BC+D+LAST"


def test_bad_options():
    for worker in (Worker(), gearcore.aio.Worker()):
        for options in ({"timeout": 0}, {"concurrency": 0}, {"encoding": "pickle"}):
            with pytest.raises(ValueError, match=next(iter(options))):
                worker.register("f", len, **options)
    for options in ({"threads": 0}, {"processes": 0}, {"prefetch": -1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            Worker(**options)
    with pytest.raises(ValueError, match="concurrency"):
        gearcore.aio.Worker(concurrency=0)
    with pytest.raises(ValueError, match="not both"):
        Worker(threads=1, processes=1)
    for options in ({"limit": -1}, {"delay": -1}, {"factor": 0.5}):
        with pytest.raises(ValueError, match="at least"):
            Retry(**options)


def test_a_result_does_not_wait_for_the_job_behind_it(server, client, running):
    """With prefetch, ends are sent together; but not when the next job takes long."""
    worker = Worker(server.address, prefetch=8)
    started, go = threading.Event(), threading.Event()

    @worker.function
    def f(job):
        if job.workload == b"long":
            started.set()
            go.wait(PATIENCE)
        return job.workload

    with running(worker):
        for _ in range(20):
            client.submit("f").result(PATIENCE)
        job = None
        while not started.is_set():
            jobs = [client.submit("f", workload) for workload in (b"1", b"2", b"long", b"3")]
            started.wait(0.5)
        assert jobs[0].result(PATIENCE) == b"1"
        assert jobs[1].result(PATIENCE) == b"2"
        go.set()
        assert jobs[3].result(PATIENCE) == b"3"
        assert job is None


def test_a_result_does_not_wait_for_the_job_behind_it_in_an_event_loop(server, client, running):
    worker = gearcore.aio.Worker(server.address, prefetch=8)
    started = threading.Semaphore(0)
    go = threading.Semaphore(0)

    @worker.function
    async def f(job):
        if job.workload == b"long":
            started.release()
            while not go.acquire(blocking=False):
                await asyncio.sleep(0.002)
        return job.workload

    def submit(count):
        return [client.submit("f", b"%d" % number) for number in range(count)], client.submit("f", b"long")

    before, long = submit(20)
    with running(worker):
        for count in (1, 2, 3, 4, 5, 6, 7):
            assert started.acquire(timeout=PATIENCE)
            for job in before:
                job.result(PATIENCE)
            before, last = submit(count)  # while it runs: so many are in hand when it ends
            settle(lambda last=last: last.status().running)
            go.release()
            assert long.result(PATIENCE) == b"long"
            long = last
        assert started.acquire(timeout=PATIENCE)
        for job in before:
            job.result(PATIENCE)
        go.release()


def test_jobs_in_an_event_loop_share_no_context_and_no_cancellation(server, client, running):
    """Although those that do not await run in one task, one after the other."""
    worker = gearcore.aio.Worker(server.address, prefetch=8)
    variable = contextvars.ContextVar("variable", default=b"nobody")

    @worker.before_job
    def before(job):
        assert variable.get() == b"nobody"
        variable.set(job.unique.encode())

    @worker.function
    async def f(job):
        if job.workload == b"cancel":
            asyncio.current_task().cancel()
        elif job.workload == b"await":
            await asyncio.sleep(0)
        elif job.workload == b"limited":
            async with asyncio.timeout(0.01):
                await asyncio.sleep(PATIENCE)
        return variable.get()

    kinds = [b"", b"cancel", b"", b"await", b"", b"", b"limited", b"cancel", b"", b"await", b"limited"] * 5
    jobs = [client.submit("f", kind, unique=f"u{number}") for number, kind in enumerate(kinds)]
    with running(worker):
        for number, (kind, job) in enumerate(zip(kinds, jobs, strict=True)):
            if kind == b"limited":
                assert job.exception(PATIENCE).data == b"TimeoutError"
            else:
                assert job.result(PATIENCE) == b"u%d" % number


@pytest.mark.parametrize("make", [Worker, gearcore.aio.Worker])
def test_a_refused_retry_fails_the_job(running, make, caplog):
    def script(peer):
        peer.receive(P.CAN_DO)
        peer.receive(P.GRAB_JOB_ALL)
        peer.send(P.JOB_ASSIGN_UNIQ, b"H:1", b"f", b"u", b"x")
        function, unique, _, workload = peer.receive(P.SUBMIT_JOB_EPOCH)
        assert (function, unique, workload) == (b"f", b"retry:2:u", b"x")
        peer.send(P.ERROR, b"QUEUE_ERROR", b"Job queue is full")
        assert peer.receive(P.WORK_FAIL) == (b"H:1",)
        peer.receive(P.RESET_ABILITIES)
        peer.wait_until_closed()

    with FakeServer(script) as server:
        worker = make(server.address)

        @worker.function(retry=Retry(delay=0))
        def f(job):
            worker.stop()
            job.fail("x")

        with running(worker) as thread:
            thread.join()
    assert "cannot be tried again: QUEUE_ERROR" in caplog.text


def test_dead_letters_are_json():
    letter = DeadLetter("f", "u", "H:1", 2, "ValueError", b"\0\xff")
    assert json.loads(letter.pack())["error"] == "ValueError"
    assert DeadLetter.unpack(letter.pack()) == letter
    for bad in (b"", b"{}", b"[]", b'{"workload": 5}'):
        with pytest.raises(ValueError, match=r"."):
            DeadLetter.unpack(bad)


def test_debug_log(server, client, make, running, caplog):
    caplog.set_level(logging.DEBUG, "gearcore.worker")
    worker = make(server.address)
    worker.register("f", lambda job: b"secret")
    with running(worker):
        job = client.submit("f", b"hidden")
        job.result(PATIENCE)
        client.submit("f").result(PATIENCE)
    assert sum(job.handle in line for line in caplog.messages) >= 2
    assert "secret" not in caplog.text
