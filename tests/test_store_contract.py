"""What every store must do, whatever it is made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faulty_store import FaultyStore
from records import numbers, read, record, records

from gearcore.errors import StoreError
from gearcore.store import Batch, DeadLetter, MemoryStore, SqliteStore, Store

PREFIX = "H:test"


def in_memory(directory: Path) -> Callable[[], Store]:
    store = MemoryStore()
    return lambda: store


def in_a_faulty_store(directory: Path) -> Callable[[], Store]:
    """One that does not fail unless it is told to."""
    store = FaultyStore()
    return lambda: store


def in_sqlite(directory: Path) -> Callable[[], Store]:
    return lambda: SqliteStore(directory / "queue")


STORES = {"memory": in_memory, "faulty": in_a_faulty_store, "sqlite": in_sqlite}


class Kept:
    """A store across restarts."""

    def __init__(self, new: Callable[[], Store]) -> None:
        self.new = new
        self.store = new()
        self.opened = self.store.open(PREFIX)
        self.count = self.opened.commits

    def commit(self, **fields: object) -> None:
        self.count += 1
        self.store.commit(Batch(self.count, **fields))

    def restart(self) -> list[tuple[int, int]]:
        """Number and tries of the jobs that are there after a restart, in their order."""
        self.store.close()
        self.store = self.new()
        self.opened = self.store.open(PREFIX)
        assert self.opened.commits == self.count
        jobs = []
        for part in self.store.claim():
            jobs += read(part)
            self.store.tidy()
        assert len(jobs) == self.opened.jobs
        return jobs


@pytest.fixture(params=STORES)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(STORES[request.param](tmp_path))
    yield kept
    kept.store.close()


def letter(number: int, function: bytes = b"f") -> DeadLetter:
    return DeadLetter(
        number, b"H:test:%d" % number, function, b"u\0", 3, b"\xff gone", 1e9, record(number, b"w\0")
    )


def test_what_was_committed_is_there_after_a_restart(kept):
    assert kept.restart() == []
    kept.commit(added=records(1, 2, 5), last_number=7)
    kept.commit(added=records(9), last_number=9)
    assert kept.restart() == [(1, 0), (2, 0), (5, 0), (9, 0)]
    assert kept.opened.last_number == 9


def test_records_come_back_as_they_were(kept):
    job = record(
        3, b"\0\xffwork", function=b"\0f", unique=b"u", reducer=b"r", priority=2, tries=4, unix_time=5.5
    )
    kept.commit(added=job)
    assert kept.restart() == [(3, 4)]
    assert b"".join(kept.store.claim()) == job


def test_what_was_forgotten_is_not(kept):
    kept.commit(added=records(1, 2, 3))
    kept.commit(added=records(4, 5), forgotten=numbers(2))
    assert kept.restart() == [(1, 0), (3, 0), (4, 0), (5, 0)]
    kept.commit(forgotten=numbers(5, 1, 3))
    assert kept.restart() == [(4, 0)]
    kept.commit(forgotten=numbers(4))
    assert kept.restart() == []


def test_a_job_may_be_added_and_forgotten_in_the_same_batch(kept):
    kept.commit(added=records(1, 2), forgotten=numbers(1))
    assert kept.restart() == [(2, 0)]
    kept.commit(late=records(1), forgotten=numbers(1, 2))
    assert kept.restart() == []


def test_jobs_of_a_batch_that_failed_may_be_forgotten(kept):
    kept.commit(added=records(10, 11))
    kept.commit(added=records(30), forgotten=numbers(20, 21, 22))
    kept.commit(forgotten=numbers(5, 40))
    assert kept.restart() == [(10, 0), (11, 0), (30, 0)]


def test_a_job_may_come_late(kept):
    kept.commit(added=records(10, 20))
    kept.commit(added=records(40), late=records(15, 10_000))
    assert sorted(kept.restart()) == [(10, 0), (15, 0), (20, 0), (40, 0), (10_000, 0)]
    kept.commit(forgotten=numbers(10, 10_000, 15))
    assert kept.restart() == [(20, 0), (40, 0)]


def test_tries_are_kept(kept):
    kept.commit(added=records(1, 2, 3), late=records(0x100))
    kept.commit(tries=numbers(2, 1, 0x100, 5))
    kept.commit(tries=numbers(2, 2, 77, 1))
    assert sorted(kept.restart()) == [(1, 0), (2, 2), (3, 0), (0x100, 5)]
    kept.commit(forgotten=numbers(1))
    assert sorted(kept.restart()) == [(2, 2), (3, 0), (0x100, 5)]


def test_the_same_batch_is_done_once(kept):
    kept.commit(added=records(1, 2, 3))
    kept.commit(forgotten=numbers(1))
    kept.count -= 1
    kept.commit(forgotten=numbers(1))
    kept.count -= 1
    kept.commit(forgotten=numbers(2))  # it is the number that counts
    assert kept.restart() == [(2, 0), (3, 0)]


def test_dead_letters_are_kept_until_they_are_not(kept):
    kept.commit(added=records(1, 2, 3))
    kept.commit(forgotten=numbers(1, 2, 3), died=[letter(1), letter(3, b"g"), letter(2)])
    assert kept.restart() == []
    assert kept.store.dead() == [letter(1), letter(2), letter(3, b"g")]
    assert kept.store.dead(b"g") == [letter(3, b"g")]
    assert kept.store.dead(b"f", 1) == [letter(2)]
    assert kept.store.dead(None, 0, 1) == [letter(1)]
    kept.commit(gone=numbers(1, 99), late=letter(1).record)
    assert kept.restart() == [(1, 0)]
    assert kept.store.dead() == [letter(2), letter(3, b"g")]


def test_a_letter_may_die_again(kept):
    kept.commit(late=records(7), gone=numbers(7))
    kept.commit(forgotten=numbers(7), died=[letter(7)])
    kept.commit(late=records(7), gone=numbers(7))
    kept.commit(forgotten=numbers(7), died=[letter(7)._replace(tries=9)])
    assert kept.restart() == []
    assert [found.tries for found in kept.store.dead()] == [9]


def test_handles_keep_their_prefix(kept):
    assert kept.opened.prefix == PREFIX
    kept.store.close()
    kept.store = kept.new()
    assert kept.store.open("H:other").prefix == PREFIX


def test_it_belongs_to_one_server_at_a_time(kept):
    with pytest.raises(StoreError):
        kept.new().open(PREFIX)
    kept.commit(added=records(1))
    assert kept.restart() == [(1, 0)]


def test_many_small_commits_come_back(kept):
    for number in range(1, 200):
        kept.commit(added=records(number))
    there = [(number, 0) for number in range(1, 200)]
    assert kept.restart() == there
    while kept.store.tidy():
        pass
    assert kept.restart() == there
    kept.commit(forgotten=numbers(*range(1, 200, 2)))
    assert kept.restart() == there[1::2]


@pytest.mark.parametrize("seed", range(5))
def test_any_history_comes_back(kept, seed):
    """A long random one, with restarts, against a dictionary."""
    chance = random.Random(seed)
    there: dict[int, int] = {}
    last = 0
    foreground: list[int] = []
    for _ in range(300):
        added, late, tries = [], [], []
        for _ in range(chance.choice([0, 1, 1, 5, 40])):
            last += 1
            (added if chance.random() < 0.8 else foreground).append(last)
        while foreground and chance.random() < 0.2:
            late.append(foreground.pop(chance.randrange(len(foreground))))
        there.update(dict.fromkeys(added + late, 0))
        for number in chance.sample(sorted(there), min(len(there), chance.choice([0, 0, 2]))):
            there[number] += 1
            tries += [number, there[number]]
        oldest = sorted(there)
        if chance.random() < 0.5:
            chance.shuffle(oldest)
        gone = oldest[: chance.choice([0, 0, 1, 10, 30])]
        for number in gone:
            del there[number]
        kept.commit(
            added=records(*added),
            late=records(*late),
            tries=numbers(*tries),
            forgotten=numbers(*gone),
            last_number=last,
        )
        for _ in range(chance.choice([0, 0, 0, 3])):
            kept.store.tidy()
        if chance.random() < 0.05:
            assert sorted(kept.restart()) == sorted(there.items())
    assert sorted(kept.restart()) == sorted(there.items())
