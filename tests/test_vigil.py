"""When a wait for one answer begins awake, and when it is slept through, by a clock that the tests set."""

import asyncio

import pytest

from gearcore import _waiting
from gearcore._waiting import Vigil
from gearcore.aio.vigil import LoopVigil

SOON = 30e-6
LATE = 10e-3
READY = [(1, 1)]


class World:
    """The time, and a ``poll`` for which an answer comes at ``due``; who sleeps is woken 20 us later."""

    def __init__(self):
        self.now = 1.0
        self.due = 0.0
        self.others = 0.0
        self.asleep = 0
        self.given_way = 0

    def clock(self):
        return self.now

    def give_way(self):
        self.given_way += 1
        self.now += 1e-6 + self.others

    def poll(self, timeout):
        if timeout:
            self.asleep += 1
            self.now = max(self.now, self.due) + 20e-6
        self.now += 1e-6
        return READY if self.now >= self.due else []

    def waits(self, vigil, *answers):
        """Wait for answers that come in so many seconds; returns for which of them it was asleep."""
        slept = []
        for seconds in answers:
            self.due = self.now + seconds
            before = self.asleep
            assert vigil.poll(self, 1000) == READY
            slept.append(self.asleep > before)
        return slept


@pytest.fixture
def world(monkeypatch):
    world = World()
    monkeypatch.setattr(_waiting, "_clock", world.clock)
    monkeypatch.setattr(_waiting, "_give_way", world.give_way)
    monkeypatch.setattr(_waiting, "_processors", lambda: 2)
    return world


def test_it_stays_awake_once_answers_come_soon(world):
    assert world.waits(Vigil(), SOON, SOON, SOON) == [True, False, False]


def test_it_sleeps_where_answers_come_late(world):
    assert world.waits(Vigil(), LATE, LATE, LATE) == [True] * 3


def test_after_a_late_one_it_sleeps_until_one_came_soon(world):
    vigil = Vigil()
    world.waits(vigil, SOON, SOON)
    begun = world.now
    assert world.waits(vigil, LATE) == [True]
    assert world.now - begun < LATE + 100e-6
    assert world.waits(vigil, SOON, SOON, SOON) == [True, False, False]


def test_it_tries_less_often_the_more_often_it_was_in_vain(world):
    awake_in_vain = 0
    vigil = Vigil()
    for _ in range(500):
        world.waits(vigil, SOON)
        world.given_way = 0
        world.waits(vigil, 60e-6)
        awake_in_vain += world.given_way > 20
    assert 3 < awake_in_vain < 20


def test_it_sleeps_when_others_want_the_processor(world):
    vigil = Vigil()
    world.waits(vigil, SOON, SOON)
    world.others = 10e-6
    assert world.waits(vigil, SOON, SOON) == [True, True]


def test_with_one_processor_it_sleeps(world, monkeypatch):
    monkeypatch.setattr(_waiting, "_processors", lambda: 1)
    assert world.waits(Vigil(), SOON, SOON, SOON) == [True] * 3


def test_who_does_not_wait_is_not_kept(world):
    vigil = Vigil()
    world.waits(vigil, SOON, SOON)
    world.due = world.now + LATE
    begun = world.now
    assert vigil.poll(world, 0) == []
    assert world.now - begun < 10e-6


def test_an_event_loop_turns_while_it_is_awake(world):
    async def main():
        vigil = LoopVigil(asyncio.get_running_loop())
        turns = []
        for answer in (SOON, SOON, LATE):
            vigil.begin()
            vigil.begin()
            end = world.now + answer
            count = 0
            while world.now < end:
                before = world.now
                await asyncio.sleep(0)
                count += 1
                if world.now == before:  # it is asleep
                    world.now = end
            vigil.end()
            turns.append(count)
        before = world.now
        for _ in range(10):
            await asyncio.sleep(0)
        assert world.now == before
        return turns

    first, second, third = asyncio.run(main())
    assert first == 1
    assert 20 < second < 40
    assert 40 < third < 60
