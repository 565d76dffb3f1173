"""As few workers are woken as will do, and no job waits while a worker for it sleeps."""

import pytest
from world import World

from gearcore.protocol import PacketType as P

NOOP = [(P.NOOP,)]


@pytest.fixture
def world():
    return World()


def test_one_job_wakes_one_worker_and_the_next_wakes_the_next(world):
    workers = [world.sleeper(b"f") for _ in range(4)]
    client = world.peer()
    for number in range(4):
        client.submit(b"f")
        assert [worker.received() for worker in workers] == [NOOP if n == number else [] for n in range(4)]
    client.submit(b"f")
    assert [worker.received() for worker in workers] == [[]] * 4


def test_a_worker_that_was_woken_and_works_is_not_counted_on(world):
    first, second, client = world.sleeper(b"f"), world.sleeper(b"f"), world.peer()
    client.submit(b"f")
    assert first.received() == NOOP
    assert first.grab()
    client.submit(b"f")
    assert second.received() == NOOP


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda worker: worker.leave(), id="leaves"),
        pytest.param(lambda worker: worker.send(P.CANT_DO, b"f"), id="withdraws the function"),
        pytest.param(lambda worker: worker.send(P.RESET_ABILITIES), id="withdraws everything"),
        pytest.param(lambda worker: worker.world.pass_time(0.11), id="does not answer"),
    ],
)
def test_a_wake_up_that_comes_to_nothing_is_passed_on(world, act):
    first, second, third = (world.sleeper(b"f") for _ in range(3))
    world.peer().submit(b"f")
    assert first.received() == NOOP
    act(first)
    assert second.received() == NOOP
    assert third.received() == []


def test_a_wake_up_is_passed_on_when_the_worker_takes_another_job(world):
    both, other = world.sleeper(b"f", b"g"), world.sleeper(b"f")
    client = world.peer()
    client.submit(b"f")
    assert both.received() == NOOP
    client.submit(b"g", type="_HIGH")
    assert both.ask(P.GRAB_JOB)[2] == b"g"
    assert other.received() == NOOP


def test_a_worker_that_is_woken_and_sleeps_again_is_woken_at_once(world):
    first, second = world.sleeper(b"f"), world.sleeper(b"f")
    world.peer().submit(b"f")
    assert first.received() == NOOP
    assert first.ask(P.PRE_SLEEP) == (P.NOOP,)
    assert second.received() == NOOP


def test_a_wake_up_that_is_answered_is_not_waited_for(world):
    worker = world.sleeper(b"f")
    world.peer().submit(b"f", type="_BG")
    assert world.broker.deadline == pytest.approx(world.now + 0.1)
    worker.received()
    worker.grab()
    assert world.broker.deadline is None


def test_a_sleeper_that_offers_a_function_with_a_job_is_woken(world):
    world.peer().submit(b"g")
    worker = world.sleeper(b"f")
    assert worker.ask_all(P.CAN_DO, b"g") == NOOP


def test_a_late_answer_to_a_wake_up_does_no_harm(world):
    first, second, client = world.sleeper(b"f"), world.sleeper(b"f"), world.peer()
    client.submit(b"f")
    world.pass_time(1)
    assert first.received() == second.received() == NOOP
    assert second.grab()
    assert first.grab() is None
    first.send(P.PRE_SLEEP)
    client.submit(b"f")
    assert first.received() == NOOP


def test_a_thousand_sleepers_of_twenty_thousand_functions_cost_no_more_than_the_jobs():
    """The work of a grab and of a wake-up does not grow with what a worker offers."""
    world = World()
    worker = world.peer()
    for number in range(20_000):
        worker.send(P.CAN_DO, b"f%d" % number)
    worker.send(P.PRE_SLEEP)
    client = world.peer()
    for number in range(0, 20_000, 10):
        client.submit(b"f%d" % number, type="_BG")
        assert worker.received() == NOOP
        assert worker.grab()
        worker.send(P.PRE_SLEEP)


def test_wake_ups_are_passed_on_in_the_order_in_which_they_were_sent(world):
    first, other, second = world.sleeper(b"f"), world.sleeper(b"g"), world.sleeper(b"f")
    client = world.peer()
    client.submit(b"f")
    world.pass_time(0.05)
    client.submit(b"g")
    assert first.received() == other.received() == NOOP
    world.pass_time(0.06)
    assert second.received() == NOOP


def test_one_tick_passes_on_every_wake_up_that_is_due(world):
    workers = [world.sleeper(b"f") for _ in range(4)]
    client = world.peer()
    client.submit(b"f")
    client.submit(b"f")
    assert [worker.received() for worker in workers] == [NOOP, NOOP, [], []]
    world.broker.tick(world.now + 0.11, world.unix_time)
    assert [worker.received() for worker in workers] == [[], [], NOOP, NOOP]


def test_a_wake_up_that_was_answered_in_vain_does_not_keep_the_next_one_back(world):
    first, second, quick, client = world.sleeper(b"f"), world.sleeper(b"f"), world.worker(b"f"), world.peer()
    client.submit(b"f")
    assert first.received() == NOOP
    assert quick.grab()
    assert first.grab() is None
    client.submit(b"f")
    assert second.received() == NOOP


def test_a_wake_up_stays_with_a_worker_that_withdraws_another_function(world):
    first, second = world.sleeper(b"f", b"g"), world.sleeper(b"f")
    world.peer().submit(b"f")
    assert first.received() == NOOP
    first.send(P.CANT_DO, b"g")
    assert second.received() == []
    assert first.grab()


@pytest.mark.parametrize("packet", [(P.CANT_DO, b"f"), (P.RESET_ABILITIES,)])
def test_who_withdraws_in_its_sleep_is_not_woken_for_its_own_job(world, packet):
    worker = world.worker(b"f")
    world.peer().submit(b"f")
    assert worker.grab()
    worker.send(P.PRE_SLEEP)
    other = world.sleeper(b"f")
    worker.send(*packet)
    assert worker.received() == []
    assert other.received() == NOOP


def test_who_withdraws_everything_in_its_sleep_sleeps_on(world):
    worker = world.worker(b"f")
    client = world.peer()
    client.submit(b"f")
    assert worker.grab()
    worker.send(P.PRE_SLEEP)
    worker.send(P.RESET_ABILITIES)
    worker.send(P.CAN_DO, b"g")
    client.submit(b"g")
    assert worker.received() == NOOP


def test_who_is_told_of_a_job_instead_of_falling_asleep_is_awake(world):
    client, worker = world.peer(), world.worker(b"f")
    client.submit(b"f")
    assert worker.ask(P.PRE_SLEEP) == (P.NOOP,)
    client.submit(b"f")
    assert worker.received() == []


def test_nobody_is_woken_for_the_job_of_a_worker_that_was_its_own_client(world):
    both = world.worker(b"f")
    both.submit(b"f")
    assert both.grab()
    other = world.sleeper(b"f")
    both.leave()
    assert other.received() == []


class TestAllAreWoken:
    @pytest.fixture
    def world(self):
        return World(worker_wakeup=0)

    def test_once_until_they_sleep_again(self, world):
        client, worker = world.peer(), world.sleeper(b"f", b"g")
        client.submit(b"f")
        client.submit(b"g")
        assert worker.received() == NOOP

    def test_but_not_by_what_they_offer_in_their_sleep(self, world):
        world.peer().submit(b"g")
        worker = world.sleeper(b"f")
        assert worker.ask_all(P.CAN_DO, b"g") == []


@pytest.mark.parametrize("rule", [-1, 1])
def test_a_worker_that_is_to_be_cut_off_is_not_counted_on(rule):
    world = World(worker_wakeup=rule, max_output=1000)
    stuck, other = world.sleeper(b"f"), world.sleeper(b"f")
    for _ in range(3):
        stuck.send(P.ECHO_REQ, b"x" * 2000)
    assert stuck.connection.overflowed
    world.peer().submit(b"f", type="_BG")
    assert other.received() == NOOP
