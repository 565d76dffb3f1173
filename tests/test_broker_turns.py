"""Whose turn it is: grabs by workers of many functions, held against plain lists of offers and jobs."""

from __future__ import annotations

import os
import random
import time

import pytest
from world import Peer, World, handle

from gearcore._codec import pack_request
from gearcore.protocol import PacketType as P

KINDS = (P.SUBMIT_JOB_HIGH_BG, P.SUBMIT_JOB_BG, P.SUBMIT_JOB_LOW_BG)


class Account:
    """Offers in the order of their turns, jobs in that of their submission, and nothing done cleverly."""

    def __init__(self, seed: int, functions: int, workers: int, **rules: bool) -> None:
        self.random = random.Random(seed)
        self.in_order = rules.get("in_order_of_offer", False)
        self.passes = not self.in_order or rules.get("round_robin", False)
        self.functions = [b"f%d" % number for number in range(functions)]
        self.world = World(**rules)
        self.client = self.world.peer()
        self.offers: dict[Peer, list[bytes]] = {self.world.peer(): [] for _ in range(workers)}
        self.queues: dict[bytes, tuple[list[bytes], ...]] = {f: ([], [], []) for f in self.functions}

    @property
    def worker(self) -> Peer:
        return self.random.choice(list(self.offers))

    @property
    def function(self) -> bytes:
        return self.random.choice(self.functions)

    def offer(self, worker: Peer, function: bytes) -> None:
        worker.send(P.CAN_DO, function)
        self.offers[worker].insert(0, function)

    def withdraw(self) -> None:
        worker, function = self.worker, self.function
        worker.send(P.CANT_DO, function)
        self.offers[worker][:] = [offered for offered in self.offers[worker] if offered != function]

    def replace(self) -> None:
        worker = self.worker
        if self.random.random() < 0.5:
            worker.send(P.RESET_ABILITIES)
        else:
            worker.leave()
            del self.offers[worker]
            worker = self.world.peer()
        self.offers[worker] = []
        for function in self.random.choices(self.functions, k=self.random.randint(0, len(self.functions))):
            self.offer(worker, function)

    def submit(self, function: bytes, priority: int) -> None:
        _, given = self.client.ask(KINDS[priority], function, b"", b"")
        self.queues[function][priority].append(given)

    def expected(self, worker: Peer) -> tuple[bytes | None, bytes | None]:
        """The job that is to be handed out, and its function."""
        offers = self.offers[worker]
        levels = [range(3)] if self.in_order else [[0], [1], [2]]
        for level in levels:
            for place, function in enumerate(offers):
                for priority in level:
                    if self.queues[function][priority]:
                        if self.passes:
                            offers.append(offers.pop(place))
                        return self.queues[function][priority].pop(0), function
        return None, None

    def grab(self) -> None:
        worker = self.worker
        given, function = self.expected(worker)
        _, *args = worker.ask(P.GRAB_JOB)
        assert args[:2] == ([] if given is None else [given, function])
        assert worker.connection.functions == self.offers[worker]
        if given is not None:
            worker.send(P.WORK_COMPLETE, given, b"")


RULES = [{}, {"in_order_of_offer": True}, {"in_order_of_offer": True, "round_robin": True}]


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(("functions", "repeats"), [(3, 3), (40, 0), (40, 20), (150, 0)])
@pytest.mark.parametrize("seed", range(3))
def test_a_grab_is_served_for_the_offer_whose_turn_it_is(seed, functions, repeats, workers, rules):
    account = Account(seed, functions, workers, **rules)
    for worker in account.offers:
        offered = account.functions + account.random.choices(account.functions, k=repeats)
        for function in account.random.sample(offered, len(offered)):
            account.offer(worker, function)
    weights = account.random.choice([(0, 1, 0), (1, 8, 1), (1, 1, 1)])
    for _ in range(12):
        # now there are few functions with jobs, now many
        few = account.random.sample(account.functions, account.random.choice([1, 3, functions // 2 + 1]))
        most = account.random.choice([3, 30, 3 * functions])
        for _ in range(most):
            (priority,) = account.random.choices(range(3), weights)
            account.submit(account.random.choice(few), priority)
        for _ in range(account.random.randint(0, 2 * most)):
            account.random.choice([account.grab] * 3 + [lambda: account.submit(account.function, 1)])()
        account.random.choice(
            [account.withdraw, account.replace, lambda: account.offer(account.worker, account.function)]
        )()
    for _ in range(100):
        account.grab()


@pytest.fixture
def quickly():
    limit = 10 if "libasan" in os.environ.get("LD_PRELOAD", "") else 1  # which slows what it watches
    start = time.process_time()
    yield
    assert time.process_time() - start < limit


class TestManyFunctions:
    """A grab costs the same however many functions there are, with jobs or without."""

    FUNCTIONS = tuple(b"function-%d" % number for number in range(10_000))
    JOBS = 40_000

    @pytest.mark.parametrize("rules", RULES, ids=str)
    @pytest.mark.parametrize("ready", [10_000, 9_999, 5_000, 100, 3])
    def test_jobs_are_handed_out(self, ready, rules, quickly):
        world = World(**rules)
        client, worker = world.peer(), world.peer()
        worker.raw(b"".join(pack_request(P.CAN_DO, function) for function in self.FUNCTIONS))
        chosen = random.Random(ready).sample(self.FUNCTIONS, ready)
        jobs = b"".join(pack_request(P.SUBMIT_JOB_BG, function, b"", b"") for function in chosen)
        client.raw(jobs * (self.JOBS // ready))
        worker.raw(pack_request(P.GRAB_JOB) * self.JOBS)
        assert sum(function.running for function in world.broker.functions) == self.JOBS // ready * ready

    def test_what_the_offers_took_comes_free(self):
        world = World()
        for function in self.FUNCTIONS:
            world.broker.create_function(function)
        before = world.broker.memory
        worker = world.worker(*self.FUNCTIONS)
        world.peer().submit(self.FUNCTIONS[0])
        assert worker.grab()
        with_a_job = world.broker.memory
        worker.send(P.RESET_ABILITIES)
        assert world.broker.memory - before < (with_a_job - before) / 100
        world.worker(*self.FUNCTIONS).leave()
        world.collect()
        assert world.broker.memory - before < (with_a_job - before) / 100

    def test_offers_withdrawn_one_by_one_take_nothing(self):
        world = World()
        functions = self.FUNCTIONS[:1_000]
        worker = world.worker(*functions)
        most = world.broker.memory
        for function in functions[1:]:
            worker.send(P.CANT_DO, function)
        assert most - world.broker.memory > 80 * len(functions)
        for function in reversed(functions[1:]):
            worker.send(P.CAN_DO, function)
        assert world.broker.memory == most
        for function in random.Random(1).sample(functions, len(functions)):
            _, job = world.peer().ask(P.SUBMIT_JOB_BG, function, b"", b"")
            assert worker.grab() == job

    @pytest.mark.parametrize(
        "go",
        [lambda worker: worker.leave(), lambda worker: worker.send(P.RESET_ABILITIES)],
        ids=["leave", "reset"],
    )
    def test_a_worker_goes_with_a_job_of_each(self, go, quickly):
        world = World()
        functions = [b"%d" % number for number in range(50_000)]
        worker = world.peer()
        worker.raw(b"".join(pack_request(P.CAN_DO, function) for function in functions))
        world.peer().raw(b"".join(pack_request(P.SUBMIT_JOB_BG, f, b"", b"") for f in functions))
        worker.raw(pack_request(P.GRAB_JOB) * len(functions))
        world.collect()
        go(worker)
        world.collect()
        states = [job.state for job in world.broker.jobs]
        assert states == ["queued"] * len(functions)


class TestOfferedVeryOften:
    """A worker may say a thing as often as it likes, and nobody pays for it later."""

    @pytest.fixture
    def world(self):
        return World()

    @pytest.fixture
    def worker(self, world):
        worker = world.worker(b"g")
        worker.raw(pack_request(P.CAN_DO, b"f") * 100_000)
        assert world.status(b"f").workers == 100_000
        return worker

    def test_jobs_are_handed_out(self, world, worker, quickly):
        world.peer().raw(pack_request(P.SUBMIT_JOB_BG, b"f", b"", b"") * 20_000)
        worker.raw(pack_request(P.GRAB_JOB) * 20_000)
        assert world.status(b"f").running == 20_000

    @pytest.mark.parametrize(
        "go",
        [lambda worker: worker.leave(), lambda worker: worker.send(P.RESET_ABILITIES)],
        ids=["leave", "reset"],
    )
    def test_it_goes(self, world, worker, go, quickly):
        world.peer().raw(pack_request(P.SUBMIT_JOB_BG, b"f", b"", b"") * 1000)
        worker.raw(pack_request(P.GRAB_JOB) * 1000)
        go(worker)
        status = world.status(b"f")
        assert (status.workers, status.running, status.normal) == (0, 0, 1000)

    def test_it_is_woken(self, world, worker, quickly):
        client = world.peer()
        for number in range(1, 1001):
            worker.send(P.PRE_SLEEP)
            client.submit(b"f", type="_BG")
            client.submit(b"f", type="_BG")
            assert worker.received() == [(P.NOOP,)]
            assert [worker.grab(), worker.grab()] == [handle(2 * number - 1), handle(2 * number)]


def test_each_of_several_offers_has_its_time_limit():
    world = World(in_order_of_offer=True, round_robin=True)
    client, worker = world.peer(), world.peer()
    worker.send(P.CAN_DO_TIMEOUT, b"f", b"7000")
    worker.send(P.CAN_DO, b"f")
    for limit in (None, 7, None, 7):
        given = client.submit(b"f", type="_BG")
        assert worker.grab() == given
        assert world.broker.deadline == (limit and world.now + limit)
        worker.send(P.WORK_COMPLETE, given, b"")


def test_a_worker_that_offered_twice_is_not_woken_before_its_turn():
    world = World(worker_wakeup=1)
    eager, modest, client = world.sleeper(b"f", b"f"), world.sleeper(b"f"), world.peer()
    for woken in (eager, modest, eager, modest):
        client.submit(b"f", type="_BG")
        assert woken.received() == [(P.NOOP,)]
        assert woken.grab()
        woken.send(P.PRE_SLEEP)
    assert eager.received() == modest.received() == []


def test_a_sleeper_keeps_its_place_when_it_offers_again():
    world = World(worker_wakeup=1)
    first, second = world.sleeper(b"f"), world.sleeper(b"f")
    first.send(P.CAN_DO, b"f")
    world.peer().submit(b"f")
    assert first.received() == [(P.NOOP,)]
    assert second.received() == []
