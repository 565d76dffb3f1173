"""Workers in the broker: what they offer, how they sleep and are woken, what happens when they go."""

import pytest
from world import World, handle

from gearcore._codec import pack_request
from gearcore.protocol import PacketType as P


@pytest.fixture
def world():
    return World()


def test_a_sleeping_worker_is_woken_once(world):
    client, worker = world.peer(), world.sleeper(b"f")
    client.submit(b"f")
    client.submit(b"f")
    assert worker.received() == [(P.NOOP,)]


def test_every_sleeping_worker_of_the_function_is_woken_and_no_other_if_the_rules_say_so():
    world = World(worker_wakeup=0)
    one, two, other, awake = (
        world.sleeper(b"f"),
        world.sleeper(b"g", b"f"),
        world.sleeper(b"g"),
        world.worker(b"f"),
    )
    world.peer().submit(b"f")
    assert one.received() == two.received() == [(P.NOOP,)]
    assert other.received() == awake.received() == []


def test_a_worker_that_falls_asleep_while_a_job_waits_is_woken_at_once(world):
    world.peer().submit(b"f", type="_LOW_BG")
    worker = world.worker(b"f")
    assert worker.ask(P.PRE_SLEEP) == (P.NOOP,)


def test_a_worker_that_sleeps_again_is_woken_again(world):
    client, worker = world.peer(), world.sleeper(b"a", b"b", b"c")
    for function in (b"a", b"b", b"c", b"a", b"c", b"b") * 3:
        client.submit(function, type="_BG")
        assert worker.received() == [(P.NOOP,)]
        assert worker.grab()
        worker.send(P.PRE_SLEEP)
        assert worker.received() == []


def test_no_wake_up_is_lost_when_a_woken_worker_sleeps_without_a_grab(world):
    client, worker, other = world.peer(), world.sleeper(b"f"), world.worker(b"f")
    client.submit(b"f")
    assert worker.received() == [(P.NOOP,)]
    other.grab()
    worker.send(P.PRE_SLEEP)
    assert worker.received() == []
    client.submit(b"f")
    assert worker.received() == [(P.NOOP,)]


def test_a_joined_job_wakes_nobody(world):
    client, worker = world.peer(), world.sleeper(b"f")
    client.submit(b"f", unique=b"u")
    assert worker.received() == [(P.NOOP,)]
    assert worker.grab()
    worker.send(P.PRE_SLEEP)
    client.submit(b"f", unique=b"u")
    assert worker.received() == []


def test_the_wake_up_comes_before_the_acknowledgement_on_a_shared_connection(world):
    both = world.sleeper(b"f")
    assert both.ask_all(P.SUBMIT_JOB, b"f", b"", b"") == [(P.NOOP,), (P.JOB_CREATED, handle(1))]


def test_a_sleeper_that_offers_more_is_woken_for_that_too(world):
    worker = world.sleeper(b"f")
    worker.send(P.CAN_DO, b"g")
    world.peer().submit(b"g")
    assert worker.received() == [(P.NOOP,)]


def test_a_grab_ends_the_sleep(world):
    client, worker = world.peer(), world.sleeper(b"f")
    assert worker.grab() is None
    client.submit(b"f")
    assert worker.received() == []


def test_one_connection_is_client_and_worker_at_once(world):
    both = world.worker(b"f")
    assert both.submit(b"f", b"to myself") == handle(1)
    assert both.grab() == handle(1)
    both.send(P.WORK_COMPLETE, handle(1), b"done")
    assert both.received() == [(P.WORK_COMPLETE, handle(1), b"done")]


def test_a_worker_may_hold_several_jobs(world):
    client, worker = world.peer(), world.worker(b"f")
    handles = [client.submit(b"f") for _ in range(3)]
    assert [worker.grab() for _ in range(3)] == handles
    for given in reversed(handles):
        worker.send(P.WORK_COMPLETE, given, given)
    assert client.received() == [(P.WORK_COMPLETE, given, given) for given in reversed(handles)]


class TestWithdrawing:
    @pytest.mark.parametrize("packet", [(P.CANT_DO, b"f"), (P.RESET_ABILITIES,)])
    def test_a_withdrawn_function_is_not_served_and_does_not_wake(self, world, packet):
        client, worker = world.peer(), world.sleeper(b"f")
        worker.send(*packet)
        client.submit(b"f")
        assert worker.received() == []
        assert worker.grab() is None
        assert world.status(b"f").workers == 0

    @pytest.mark.parametrize("packet", [(P.CANT_DO, b"f"), (P.RESET_ABILITIES,)])
    def test_its_running_jobs_go_back_to_the_queue(self, world, packet):
        client, worker, other = world.peer(), world.worker(b"f"), world.sleeper(b"f")
        client.submit(b"f", b"x")
        other.received()
        worker.grab()
        other.grab()
        other.send(P.PRE_SLEEP)
        worker.send(*packet)
        assert other.received() == [(P.NOOP,)]
        assert other.grab() == handle(1)
        assert worker.ask(P.WORK_COMPLETE, handle(1), b"")[:2] == (P.ERROR, b"JOB_NOT_FOUND")

    def test_jobs_of_other_functions_are_kept(self, world):
        client, worker = world.peer(), world.worker(b"f", b"g")
        client.submit(b"f")
        worker.grab()
        worker.send(P.CANT_DO, b"g")
        worker.send(P.WORK_COMPLETE, handle(1), b"")
        assert client.received() == [(P.WORK_COMPLETE, handle(1), b"")]

    def test_a_function_offered_twice_counts_twice_and_goes_at_once(self, world):
        worker = world.worker(b"f", b"f")
        assert world.status(b"f").workers == 2
        worker.send(P.CANT_DO, b"f")
        assert world.status(b"f").workers == 0

    def test_an_unknown_function_can_be_withdrawn_without_being_made(self, world):
        world.worker().send(P.CANT_DO, b"never heard of")
        assert world.broker.functions == []

    def test_turns_go_on_after_the_function_served_last_is_withdrawn(self, world):
        client, worker = world.peer(), world.worker(b"a", b"b", b"c")
        for function in (b"a", b"b", b"c") * 2:
            client.submit(function, function)
        first = worker.ask(P.GRAB_JOB)[-1]
        worker.send(P.CANT_DO, first)
        others = {worker.ask(P.GRAB_JOB)[-1] for _ in range(2)}
        assert others == {b"a", b"b", b"c"} - {first}


class TestWorkersThatLeave:
    def test_a_running_job_goes_back_to_the_end_of_its_queue(self, world):
        client, worker, other = world.peer(), world.worker(b"f"), world.worker(b"f")
        client.submit(b"f")
        client.submit(b"f")
        worker.grab()
        worker.send(P.WORK_STATUS, handle(1), b"1", b"2")
        worker.leave()
        assert client.ask_all(P.GET_STATUS, handle(1))[-1] == (
            P.STATUS_RES, handle(1), b"1", b"0", b"0", b"0",
        )  # fmt: skip
        assert [other.grab(), other.grab()] == [handle(2), handle(1)]
        other.send(P.WORK_COMPLETE, handle(1), b"at last")
        assert client.received() == [(P.WORK_COMPLETE, handle(1), b"at last")]

    def test_several_go_back_newest_first(self, world):
        client, worker, other = world.peer(), world.worker(b"f"), world.worker(b"f")
        for _ in range(3):
            client.submit(b"f")
        worker.grab()
        worker.grab()
        worker.leave()
        assert [other.grab() for _ in range(3)] == [handle(3), handle(2), handle(1)]

    def test_a_job_that_comes_back_wakes_a_sleeper(self, world):
        client, worker = world.peer(), world.worker(b"f")
        client.submit(b"f", type="_BG")
        worker.grab()
        sleeper = world.sleeper(b"f")
        worker.leave()
        assert sleeper.received() == [(P.NOOP,)]

    def test_a_sleeper_that_left_is_not_woken(self, world):
        worker = world.sleeper(b"f")
        worker.leave()
        world.peer().submit(b"f")
        assert world.status(b"f").workers == 0

    def test_a_connection_that_left_takes_no_more(self, world):
        worker = world.sleeper(b"f")
        worker.leave()
        worker.leave()
        assert worker.connection.closing
        with pytest.raises(ValueError, match="disconnected"):
            worker.raw(b"status\n")

    def test_a_worker_that_waits_for_its_own_job_leaves_nothing_behind(self, world):
        both = world.worker(b"f")
        both.submit(b"f")
        both.grab()
        both.leave()
        assert len(world.broker) == 0
        assert world.status(b"f")[1:] == (0, 0, 0, 0, 0)


class TestFewFunctionsWithJobs:
    """A worker that offers many functions looks among those that have jobs instead."""

    def test_they_take_turns(self, world):
        client, worker = world.peer(), world.worker(b"a", b"b", b"c", b"d", b"e")
        for function in (b"a", b"a", b"b", b"b"):
            client.submit(function, function)
        assert [worker.ask(P.GRAB_JOB)[-1] for _ in range(4)] == [b"b", b"a", b"b", b"a"]

    def test_of_several_offers_of_a_function_the_newest_counts(self, world):
        worker = world.peer()
        worker.send(P.CAN_DO_TIMEOUT, b"f", b"5000")
        worker.send(P.CAN_DO, b"f")
        world.peer().submit(b"f", type="_BG")
        assert worker.grab() == handle(1)
        assert world.broker.deadline is None


def test_what_a_dropped_function_took_comes_free(world):
    before = world.broker.memory
    world.broker.create_function(b"f" * 100)
    assert world.broker.memory > before
    assert world.broker.drop_function(b"f" * 100)
    assert world.broker.memory == before


def test_a_workload_that_is_larger_than_what_is_left_of_the_memory_is_refused():
    client = World(max_memory=50_000).peer()
    assert client.ask(P.SUBMIT_JOB_BG, b"f", b"", b"x" * 60_000)[:2] == (P.ERROR, b"QUEUE_ERROR")
    assert client.submit(b"f", b"x" * 40_000, type="_BG") == handle(1)


def test_the_parts_of_a_packet_without_a_body_are_put_together_when_the_memory_is_full():
    worker = World(max_memory=0).peer()
    packet = pack_request(P.GRAB_JOB)
    worker.raw(packet[:5])
    worker.raw(packet[5:])
    assert worker.received() == [(P.NO_JOB,)]
