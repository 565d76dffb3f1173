"""Time in the broker: timeouts, delayed jobs, the runs that a job gets. The clock is the test's."""

import struct

import pytest
from world import World, handle

from gearcore.protocol import PacketType as P


@pytest.fixture
def world():
    return World()


def at(world: World, seconds: float) -> bytes:
    """The time of day so many seconds from now, as SUBMIT_JOB_EPOCH has it."""
    return b"%d" % (world.unix_time + seconds)


def delayed(world: World, seconds: float, workload: bytes = b"", unique: bytes = b"") -> bytes:
    kind, given = world.peer().ask_all(P.SUBMIT_JOB_EPOCH, b"f", unique, at(world, seconds), workload)[-1]
    assert kind is P.JOB_CREATED
    return given


class TestTimeouts:
    def worker(self, world, timeout):
        worker = world.peer()
        worker.send(P.CAN_DO_TIMEOUT, b"f", timeout)
        return worker

    def test_a_job_that_takes_too_long_is_queued_again(self, world):
        client, slow = world.peer(), self.worker(world, b"1500")
        client.submit(b"f")
        slow.grab()
        sleeper = world.sleeper(b"f")
        world.pass_time(1.49)
        assert sleeper.received() == []
        world.pass_time(0.02)
        assert sleeper.received() == [(P.NOOP,)]
        assert sleeper.grab() == handle(1)
        assert slow.ask(P.WORK_COMPLETE, handle(1), b"late")[:2] == (P.ERROR, b"JOB_NOT_FOUND")
        sleeper.send(P.WORK_COMPLETE, handle(1), b"in time")
        assert client.received() == [(P.WORK_COMPLETE, handle(1), b"in time")]

    @pytest.mark.parametrize(
        ("timeout", "seconds"),
        [
            (b"1", 1),
            (b"999", 1),
            (b"2000", 2),
            (b"2000\0", 2),
            (struct.pack(">I", 3000), 3),
            (b"3000", 3),
            (b"9" * 20, 4294967.295),
        ],
    )
    def test_how_a_timeout_is_read(self, world, timeout, seconds):
        worker = self.worker(world, timeout)
        world.peer().submit(b"f", type="_BG")
        worker.grab()
        assert world.broker.deadline == pytest.approx(world.now + seconds)

    @pytest.mark.parametrize("timeout", [b"0", b"-5", b"", b"soon"])
    def test_no_number_is_no_timeout(self, world, timeout):
        worker = self.worker(world, timeout)
        world.peer().submit(b"f", type="_BG")
        worker.grab()
        assert world.broker.deadline is None

    @pytest.mark.parametrize("end", ["complete", "leave", "withdraw"])
    def test_a_job_that_ended_is_not_timed_out(self, world, end):
        worker = self.worker(world, b"1000")
        world.peer().submit(b"f", type="_BG")
        worker.grab()
        if end == "complete":
            worker.send(P.WORK_COMPLETE, handle(1), b"")
        elif end == "leave":
            worker.leave()
        else:
            worker.send(P.RESET_ABILITIES)
        assert world.broker.deadline is None
        world.pass_time(2)

    def test_many_jobs_expire_in_order_whichever_end_before(self, world):
        worker = self.worker(world, b"1000")
        client = world.peer()
        for _ in range(100):
            client.submit(b"f")
            worker.grab()
            world.pass_time(0.001)
        for number in range(1, 101, 3):
            worker.send(P.WORK_COMPLETE, handle(number), b"")
        world.pass_time(2)
        other = world.worker(b"f")
        assert [other.grab() for _ in range(66)] == [handle(n) for n in range(1, 101) if n % 3 != 1]
        assert other.grab() is None


class TestRuns:
    @pytest.mark.parametrize(("retries", "runs"), [(0, 1), (1, 1), (2, 2), (3, 3)])
    def test_a_job_gets_its_runs_and_then_fails(self, retries, runs):
        world = World(job_retries=retries)
        client = world.peer()
        client.submit(b"f", unique=b"u")
        for _ in range(runs):
            assert client.received() == []
            worker = world.worker(b"f")
            assert worker.grab() == handle(1)
            worker.leave()
        assert client.received() == [(P.WORK_FAIL, handle(1))]
        assert world.worker(b"f").grab() is None
        assert len(world.broker) == 0

    def test_a_timeout_uses_up_a_run(self):
        world = World(job_retries=1)
        client, worker = world.peer(), world.peer()
        worker.send(P.CAN_DO_TIMEOUT, b"f", b"1000")
        client.submit(b"f")
        worker.grab()
        world.pass_time(1)
        assert client.received() == [(P.WORK_FAIL, handle(1))]

    def test_without_a_limit_it_is_run_for_ever(self, world):
        world.peer().submit(b"f", type="_BG")
        for _ in range(300):
            worker = world.worker(b"f")
            assert worker.grab() == handle(1)
            worker.leave()
        assert world.broker.jobs[0].failures == 300


class TestDelayedJobs:
    def test_a_delayed_job_wakes_a_worker_when_its_time_comes(self, world):
        worker = world.sleeper(b"f")
        delayed(world, 10, b"later")
        assert worker.received() == []
        assert worker.grab() is None
        worker.send(P.PRE_SLEEP)
        world.pass_time(9.9)
        assert worker.received() == []
        world.pass_time(0.2)
        assert worker.received() == [(P.NOOP,)]
        assert worker.ask(P.GRAB_JOB)[-1] == b"later"

    def test_they_come_in_the_order_of_their_times_and_then_of_arrival(self, world):
        for seconds, workload in [(30, b"c"), (10, b"a1"), (20, b"b"), (10, b"a2")]:
            delayed(world, seconds, workload)
        worker = world.worker(b"f")
        world.pass_time(60)
        assert [worker.ask(P.GRAB_JOB)[-1] for _ in range(4)] == [b"a1", b"a2", b"b", b"c"]

    def test_one_that_is_cancelled_leaves_the_others_in_order(self, world):
        """Into its place comes the last of the heap, which may be earlier than what is above that place."""
        handles = {seconds: delayed(world, seconds) for seconds in (1, 10, 2, 11, 12, 3, 4)}
        assert world.broker.cancel(handles[11])
        worker, grabbed = world.worker(b"f"), []
        for _ in range(12):
            world.pass_time(1)
            grabbed.append(worker.grab())
        assert grabbed == [handles.get(n) if n != 11 else None for n in range(1, 13)]

    def test_the_earlier_of_the_last_two_comes_first(self, world):
        handles = {seconds: delayed(world, seconds) for seconds in (1, 10, 2, 11)}
        worker, grabbed = world.worker(b"f"), []
        for _ in range(12):
            world.pass_time(1)
            grabbed.append(worker.grab())
        assert grabbed == [handles.get(n) for n in range(1, 13)]

    @pytest.mark.parametrize("epoch", [b"0", b"1", b"-3", b"soon", b""])
    def test_a_time_that_passed_or_is_none_means_at_once(self, world, epoch):
        world.peer().ask(P.SUBMIT_JOB_EPOCH, b"f", b"", epoch, b"w")
        assert world.worker(b"f").grab() == handle(1)

    def test_the_time_that_it_is_means_at_once(self, world):
        assert delayed(world, 0) == world.worker(b"f").grab()

    def test_white_space_and_a_plus_may_come_before_the_time(self, world):
        epoch = b" +" + at(world, 10)
        world.peer().ask(P.SUBMIT_JOB_EPOCH, b"f", b"", epoch, b"")
        assert world.broker.deadline == world.now + 10

    def test_it_is_of_normal_priority(self, world):
        delayed(world, 1)
        world.pass_time(1)
        assert world.status(b"f")[1:4] == (0, 1, 0)

    def test_it_counts_as_queued_and_hides_no_other_job(self, world):
        delayed(world, 10)
        client, worker = world.peer(), world.worker(b"f")
        client.submit(b"f", b"low", type="_LOW_BG")
        assert world.status(b"f")[1:] == (0, 1, 1, 0, 1)
        assert worker.ask(P.GRAB_JOB)[-1] == b"low"
        assert worker.grab() is None
        assert worker.ask_all(P.PRE_SLEEP) == []

    def test_it_can_be_joined_and_outlives_who_joined(self, world):
        given = delayed(world, 10, unique=b"u")
        client = world.peer()
        assert client.submit(b"f", unique=b"u") == given
        client.leave()
        world.pass_time(10)
        assert world.worker(b"f").grab() == given

    def test_a_step_of_the_clock_is_noticed_at_the_next_tick(self, world):
        given = delayed(world, 3600)
        world.unix_time += 3600
        world.pass_time(1)
        assert world.worker(b"f").grab() == given

    def test_it_can_be_cancelled(self, world):
        assert world.broker.cancel(delayed(world, 10))
        assert world.broker.deadline is None
        assert world.status(b"f")[1:] == (0, 0, 0, 0, 0)

    def test_a_schedule_runs_at_the_next_minute_that_fits(self, world):
        worker = world.sleeper(b"f")
        (created,) = world.peer().ask_all(P.SUBMIT_JOB_SCHED, b"f", b"", b"", b"*", b"", b"", b"", b"w")
        assert created[0] is P.JOB_CREATED
        world.pass_time(60)
        assert worker.received() == [(P.NOOP,)]
        assert worker.ask(P.GRAB_JOB)[-1] == b"w"

    def test_a_schedule_that_nothing_fits_is_refused(self, world):
        answer = world.peer().ask(P.SUBMIT_JOB_SCHED, b"f", b"", b"0", b"0", b"31", b"2", b"", b"w")
        assert answer[:2] == (P.ERROR, b"INVALID_ARGUMENT")


class TestCancel:
    def test_a_queued_job_ends_with_work_fail_for_its_clients(self, world):
        client = world.peer()
        client.submit(b"f", unique=b"u")
        assert world.broker.cancel(handle(1))
        assert client.received() == [(P.WORK_FAIL, handle(1))]
        assert world.worker(b"f").grab() is None
        assert not world.broker.cancel(handle(1))

    def test_a_running_job_goes_on_unheard_and_its_unique_is_free(self, world):
        client, worker = world.peer(), world.worker(b"f")
        client.submit(b"f", unique=b"u", type="_BG")
        client.submit(b"f", unique=b"u")
        worker.grab()
        assert world.broker.cancel(handle(1))
        assert client.received() == [(P.WORK_FAIL, handle(1))]
        assert client.submit(b"f", b"again", b"u") == handle(2)
        worker.send(P.WORK_DATA, handle(1), b"x")
        worker.send(P.WORK_COMPLETE, handle(1), b"x")
        assert worker.received() == client.received() == []
        assert worker.grab() == handle(2)

    def test_a_cancelled_job_is_not_run_again(self, world):
        worker = world.worker(b"f")
        world.peer().submit(b"f", type="_BG")
        worker.grab()
        world.broker.cancel(handle(1))
        worker.leave()
        assert world.worker(b"f").grab() is None
        assert len(world.broker) == 0


class TestLimits:
    def test_a_full_queue_refuses_and_lets_twins_join(self, world):
        world.broker.limit(b"f", 0, 2, 1)
        client, worker = world.peer(), world.worker(b"f")
        client.submit(b"f", unique=b"u")
        refused = (P.ERROR, b"QUEUE_ERROR", b"Job queue is full")
        assert client.ask(P.SUBMIT_JOB_LOW, b"f", b"", b"") == refused
        client.submit(b"f")
        worker.grab()
        assert client.ask(P.SUBMIT_JOB_BG, b"f", b"", b"") == refused
        assert client.submit(b"f", unique=b"u") == handle(1)
        assert client.submit(b"f", type="_HIGH") == handle(3)
        assert client.submit(b"other") == handle(4)
        for number in (1, 3, 2):
            if number > 1:
                worker.grab()
            worker.send(P.WORK_COMPLETE, handle(number), b"")
        client.received()
        assert client.submit(b"f") == handle(5)

    def test_delayed_jobs_count(self, world):
        world.broker.limit(b"f", 0, 1, 0)
        delayed(world, 10)
        refused = (P.ERROR, b"QUEUE_ERROR", b"Job queue is full")
        assert world.peer().ask(P.SUBMIT_JOB_BG, b"f", b"", b"") == refused
        assert world.broker.drop_function(b"f") is False

    def test_a_limit_holds_for_a_function_that_comes_later_and_does_not_list_it(self, world):
        world.broker.limit(b"f", 1, 1, 1)
        assert world.broker.functions == []
        assert world.broker.drop_function(b"f") is None
        client = world.peer()
        client.submit(b"f")
        assert client.ask(P.SUBMIT_JOB, b"f", b"", b"")[:2] == (P.ERROR, b"QUEUE_ERROR")


class TestOrderOfGearmand11:
    def order(self, **options):
        world = World(in_order_of_offer=True, **options)
        client, worker = world.peer(), world.worker(b"a", b"b", b"c")
        for kind in ("_LOW", "", "_HIGH"):
            for function in (b"a", b"b", b"c"):
                client.submit(function, function + kind[1:2].lower().encode(), type=kind)
        return [worker.ask(P.GRAB_JOB)[-1] for _ in range(9)]

    def test_the_newest_offer_wins_over_any_priority(self):
        assert self.order() == [b"ch", b"c", b"cl", b"bh", b"b", b"bl", b"ah", b"a", b"al"]

    def test_with_round_robin_functions_take_turns(self):
        assert self.order(round_robin=True) == [b"ch", b"bh", b"ah", b"c", b"b", b"a", b"cl", b"bl", b"al"]


def test_as_many_workers_are_woken_as_the_rules_say_and_in_turn():
    world = World(worker_wakeup=2)
    workers = [world.sleeper(b"f") for _ in range(5)]
    client = world.peer()
    client.submit(b"f")
    assert [len(w.received()) for w in workers] == [1, 1, 0, 0, 0]
    client.submit(b"f")
    assert [len(w.received()) for w in workers] == [0, 0, 1, 1, 0]


def test_every_client_gets_exceptions_if_the_rules_say_so():
    world = World(exceptions=True)
    client, worker = world.peer(), world.worker(b"f")
    client.submit(b"f")
    worker.grab()
    worker.send(P.WORK_EXCEPTION, handle(1), b"why")
    assert client.received() == [(P.WORK_EXCEPTION, handle(1), b"why")]


@pytest.mark.parametrize(("timeout", "seconds", "next"), [(b"5000", 10, 5), (b"20000", 10, 10)])
def test_the_deadline_is_the_earliest_of_all(world, timeout, seconds, next):
    worker = world.peer()
    worker.send(P.CAN_DO_TIMEOUT, b"f", timeout)
    world.peer().submit(b"f", type="_BG")
    worker.grab()
    delayed(world, seconds)
    assert world.broker.deadline == world.now + next
