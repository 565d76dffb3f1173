"""The client and worker in memory: as over a server, and what is theirs alone."""

import asyncio
import logging
import time
from datetime import UTC, datetime

import pytest

import gearcore.aio
from gearcore import (
    Client,
    ConnectionLost,
    DeadLetter,
    EncodingError,
    Job,
    JobException,
    JobFailed,
    Priority,
    Retry,
    Server,
    Submission,
    TimedOut,
    Worker,
    WorkerJob,
)
from gearcore.testing import Pair, worker_in_thread

SETTINGS = {"namespace": "app.", "encoding": "json"}


@pytest.fixture(params=["memory", "server"])
def work(request):
    """Have a worker work: gives a client, in memory or over a server."""
    if request.param == "memory":
        pairs = []

        def start(worker: Worker, **options) -> Client:
            pairs.append(Pair(worker, **options))
            return pairs[-1].client

        yield start
        for pair in pairs:
            pair.close()
        return
    with Server(port=0) as server:
        ending = []

        def start(worker: Worker, **options) -> Client:
            client = Client(server.addresses, **options)
            running = worker_in_thread(server.addresses, worker)
            running.__enter__()
            ending.extend([running, client])
            return client

        yield start
        for manager in ending:
            manager.__exit__(None, None, None)


def test_what_a_function_sends_comes_in_the_encoding_and_under_the_name_of_both(work):
    worker = Worker(**SETTINGS)
    seen = []

    @worker.function
    def add(job):
        seen.append((type(job), job.function, job.unique, job.tries, job.workload))
        job.send_data({"so far": job.data[0]})
        job.send_status(1, 2)
        job.send_warning(b"careful\0")
        return sum(job.data)

    job = work(worker, **SETTINGS).submit("add", [1, 2, 3], unique="sum")
    assert job.result(timeout=10) == 6
    assert isinstance(job, Job)
    assert job.data == [{"so far": 1}]
    assert (job.progress.numerator, job.progress.denominator) == (1, 2)
    assert job.warnings == [b"careful\0"]
    assert list(job) == [{"so far": 1}]
    assert [type(event).__name__ for event in job.events()] == ["JobData", "JobProgress", "JobWarning"]
    assert seen == [(WorkerJob, "add", "sum", 1, b"[1,2,3]")]


def test_failures_are_told_as_over_a_server(work):
    worker = Worker()
    worker.register("raise", lambda job: {}[job.workload.decode()])
    worker.register("fail", lambda job: job.fail("on request"))
    worker.register("wrong", lambda job: 7)
    client = work(worker)
    with pytest.raises(JobException, match="KeyError: 'left'"):
        client.submit("raise", b"left").result(timeout=10)
    with pytest.raises(JobFailed):
        client.submit("fail").result(timeout=10)
    with pytest.raises(JobException, match="TypeError: result must be bytes-like"):
        client.submit("wrong").result(timeout=10)
    with pytest.raises(EncodingError):
        client.submit("fail", object(), encoding="json")


def test_map_and_submit_many_and_callbacks(work):
    worker = Worker()
    worker.register("reverse", lambda job: job.workload[::-1])
    client = work(worker)
    assert list(client.map("reverse", [b"ab", b"cd"])) == [b"ba", b"dc"]
    assert sorted(client.map("reverse", [b"ab", b"cd"], ordered=False)) == [b"ba", b"dc"]
    jobs = client.submit_many([("reverse", b"ab"), Submission("reverse", b"cd", unique="u")])
    assert [job.result(timeout=10) for job in jobs] == [b"ba", b"dc"]
    ended = []
    job = client.submit("reverse", b"ab")
    job.add_done_callback(ended.append)
    assert job.exception(timeout=10) is None
    assert ended == [job]
    assert client.echo(b"echo") == b"echo"
    assert not client.status(job.handle).known


def test_map_and_reduce(work):
    worker = Worker(namespace="app.", encoding="text")

    @worker.function("split", aggregate=" ".join)
    def split(job):
        for word in job.data.split():
            job.send_data(word)

    @worker.function
    def shout(job):
        return job.data.upper()

    # The parts are jobs, which need a second hand over a server.
    worker.set_concurrency(threads=2)
    client = work(worker, namespace="app.", encoding="text")
    assert client.map_reduce("split", "a few words", "shout") == "A FEW WORDS"


def test_hooks_and_async_functions(work):
    worker = Worker()
    calls = []
    worker.before_job(lambda job: calls.append("before"))
    worker.after_job(lambda job: calls.append("after"))
    worker.on_failure(lambda job, error: calls.append(type(error).__name__))

    @worker.function
    async def halve(job):
        await asyncio.sleep(0)
        job.send_data(b"half")
        return b"%d" % (2 // int(job.workload))

    client = work(worker)
    assert client.submit("halve", b"2").result(timeout=10) == b"1"
    with pytest.raises(JobException, match="ZeroDivisionError"):
        client.submit("halve", b"0").result(timeout=10)
    assert calls == ["before", "after", "before", "ZeroDivisionError", "after"]


def test_a_job_with_a_retry_in_place_is_tried_in_place(work):
    worker = Worker()
    tries = []

    @worker.function(retry=Retry(limit=2, delay=0.01, in_place=True))
    def flaky(job):
        tries.append(job.tries)
        if len(tries) < 3:
            raise OSError("not yet")
        return b"at last"

    assert work(worker).submit("flaky").result(timeout=10) == b"at last"
    assert len(tries) == 3


# What a pair has beyond that.


@pytest.fixture
def pair():
    with Pair() as pair:
        yield pair


@pytest.fixture
def lazy():
    """A pair whose jobs wait, and the workloads that it was given, in their order."""
    with Pair(at_once=False) as pair:
        ran = []
        pair.worker.register("note", lambda job: ran.append(job.workload))
        yield pair, ran


def test_a_job_has_run_when_submit_returns(pair):
    ran = []
    pair.worker.register("note", lambda job: ran.append(job.workload))
    pair.client.submit("note", b"1", background=True)
    assert ran == [b"1"]
    job = pair.client.submit("note", b"2")
    assert ran == [b"1", b"2"]
    assert job.done()
    assert job.server == "memory"


def test_functions_and_hooks_may_be_added_at_any_time(pair):
    pair.worker.register("first", lambda job: b"1")
    assert pair.client.submit("first").result() == b"1"
    job = pair.client.submit("second")
    assert not job.done()
    hooked = []
    pair.worker.register("second", lambda job: b"2")
    pair.worker.before_job(lambda job: hooked.append(job.function))
    assert job.result() == b"2"
    assert pair.client.submit("first").result() == b"1"
    assert hooked == ["second", "first"]


def test_jobs_wait_until_they_are_asked_for_and_run_by_priority(lazy):
    pair, ran = lazy
    jobs = [
        pair.client.submit("note", priority.name.encode(), priority=priority)
        for priority in (Priority.LOW, Priority.NORMAL, Priority.HIGH)
    ]
    assert not any(job.done() for job in jobs)
    assert pair.client.status(jobs[0].handle).known
    assert ran == []
    assert pair.run_pending() == 3
    assert ran == [b"HIGH", b"NORMAL", b"LOW"]
    assert all(job.done() for job in jobs)
    assert pair.run_pending() == 0


def test_waiting_runs_what_is_waited_for(lazy):
    pair, ran = lazy
    first, second = pair.client.submit("note", b"1"), pair.client.submit("note", b"2")
    assert first.result() == b""
    assert ran == [b"1"]
    assert not second.done()
    assert list(pair.client.map("note", [b"3", b"4"], in_flight=1)) == [b"", b""]
    assert ran == [b"1", b"2", b"3", b"4"]


def test_equal_jobs_are_one_while_they_wait(lazy):
    pair, ran = lazy
    jobs = [pair.client.submit("note", b"1", unique="same") for _ in range(3)]
    assert len({job.handle for job in jobs}) == 1
    assert pair.client.status_of_unique("same").known
    assert pair.run_pending() == 1
    assert ran == [b"1"]
    assert [job.result() for job in jobs] == [b""] * 3


def test_a_job_that_waits_can_be_cancelled(lazy):
    pair, _ = lazy
    job, later = pair.client.submit("note", b"1"), pair.client.submit("note", b"2", delay=60)
    assert job.cancel()
    assert later.cancel()
    pair.pass_time(120)
    assert pair.run_pending() == 0
    assert isinstance(job.exception(), JobFailed)
    assert not job.cancel()
    ended = pair.client.submit("note", b"3", background=True)
    assert pair.run_pending() == 1
    assert not ended.cancel()


def test_a_wait_that_cannot_end_ends_at_once(pair):
    begin = time.monotonic()
    job = pair.client.submit("nobody")
    with pytest.raises(TimedOut, match="nothing left to run"):
        job.result(timeout=60)
    with pytest.raises(TimedOut, match="nothing left to run"):
        next(pair.client.map("nobody", [b"1"]))
    assert time.monotonic() - begin < 10


def test_a_job_that_is_later_than_it_may_be_has_timed_out(lazy):
    pair, ran = lazy
    job = pair.client.submit("note", b"1", job_timeout=5)
    pair.pass_time(4)
    assert not job.done()
    pair.pass_time(2)
    with pytest.raises(TimedOut, match="waited 5 s"):
        job.result()
    assert ran == []


def test_delayed_jobs_run_in_their_time_and_in_their_order(pair):
    ran = []
    pair.worker.register("note", lambda job: ran.append((job.workload, pair.time)))
    start = pair.time
    assert abs(start - time.time()) < 60
    pair.client.submit("note", b"second", delay=90)
    pair.client.submit("note", b"first", at=datetime.fromtimestamp(start + 60, UTC))
    pair.pass_time(59)
    assert ran == []
    pair.pass_time(1)
    assert ran == [(b"first", start + 60)]
    pair.pass_time(3600)
    assert ran[1:] == [(b"second", start + 90)]
    assert pair.time == start + 3660
    with pytest.raises(ValueError, match="backwards"):
        pair.pass_time(-1)


def test_delayed_jobs_are_only_queued_where_jobs_wait(lazy):
    pair, ran = lazy
    pair.client.submit("note", b"1", delay=60)
    assert pair.run_pending() == 0
    pair.pass_time(60)
    assert ran == []
    assert pair.run_pending() == 1
    assert ran == [b"1"]


def test_retries_come_after_their_pauses_and_then_the_dead_letter(pair):
    tries, letters = [], []
    start = pair.time

    @pair.worker.function(retry=Retry(limit=2, delay=10, factor=3, jitter=False), dead_letter="bury")
    def flaky(job):
        tries.append((job.tries, job.unique, pair.time - start))
        raise OSError("no")

    pair.worker.register("bury", lambda job: letters.append(DeadLetter.unpack(job.workload)))
    pair.client.submit("flaky", b"work", unique="u", background=True)
    pair.pass_time(3600)
    assert tries == [(1, "u", 0), (2, "u", 10), (3, "u", 40)]
    assert [(letter.function, letter.tries, letter.workload) for letter in letters] == [("flaky", 3, b"work")]


def test_the_pauses_of_tries_in_place_take_no_real_time(pair):
    pauses = []

    @pair.worker.function(retry=Retry(limit=1, delay=600, jitter=False, in_place=True))
    def flaky(job):
        pauses.append(pair.time)
        raise OSError("no")

    assert isinstance(pair.client.submit("flaky").exception(), JobException)
    assert pauses[1] - pauses[0] == 600


def test_periodic_jobs_run_once_for_each_of_their_times(pair):
    times = []

    @pair.worker.every(60)
    def tick(job):
        times.append(pair.time)

    pair.pass_time(600)
    assert len(times) == 10
    assert all(moment % 60 == 0 for moment in times)


def test_a_function_may_submit_jobs_and_wait_for_them(pair):
    order = []

    @pair.worker.function
    def outer(job):
        later = pair.client.submit("inner", b"later", background=True)
        assert pair.client.status(later.handle).known
        order.append("outer")
        return pair.client.submit("inner", b"now").result()

    @pair.worker.function
    def inner(job):
        order.append(job.workload)
        return job.workload

    assert pair.client.submit("outer").result() == b"now"
    assert order == ["outer", b"later", b"now"]


def test_what_ends_a_test_goes_through_a_function_and_the_job_does_not_come_back(pair):
    calls = []

    @pair.worker.function
    def check(job):
        calls.append(job.handle)
        pytest.fail("this is wrong")

    with pytest.raises(pytest.fail.Exception, match="this is wrong"):
        pair.client.submit("check")
    # With one function more the worker connects again, and a broker gives what it left to the next.
    pair.worker.register("another", lambda job: b"fine")
    assert pair.client.submit("another").result() == b"fine"
    assert len(calls) == 1


def test_what_a_function_submits_in_the_background_runs_after_it(pair):
    order = []

    @pair.worker.function
    def countdown(job):
        number = int(job.workload)
        if number:
            pair.client.submit("countdown", b"%d" % (number - 1), background=True)
        order.append(number)

    pair.client.submit("countdown", b"3", background=True)
    assert order == [3, 2, 1, 0]


def test_a_pair_takes_the_namespace_and_encoding_of_a_worker_and_may_have_other_clients():
    worker = Worker("192.0.2.1", **SETTINGS)
    worker.register("double", lambda job: 2 * job.data)
    with Pair(worker) as pair:
        assert pair.worker is worker
        assert pair.client.submit("double", 4).result() == 8
        assert pair.new_client(namespace="", encoding="bytes").submit("app.double", b"4").result() == b"8"
        assert not pair.new_client(namespace="other.").submit("double", 4).done()
    with Pair(namespace="app.", encoding="json") as pair:
        pair.worker.register("double", lambda job: 2 * job.data)
        assert pair.client.submit("double", 4).result() == 8


def test_a_pair_is_made_of_a_blocking_worker():
    with pytest.raises(TypeError, match=r"gearcore\.Worker"):
        Pair(gearcore.aio.Worker())


def test_closing_ends_the_jobs_in_flight(caplog):
    with Pair() as pair:
        job = pair.client.submit("nobody")
        ended = []
        job.add_done_callback(ended.append)
    assert isinstance(job.exception(), ConnectionLost)
    assert ended == [job]
    with pytest.raises(RuntimeError, match="closed"):
        pair.client.submit("nobody")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
