"""A store in memory: what it keeps lives as long as the object. For tests, and as the shortest example."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from struct import iter_unpack

from gearcore._ledger import one_by_one
from gearcore.errors import StoreError
from gearcore.store.interface import Batch, DeadLetter, Opened
from gearcore.store.records import numbers_in, with_tries

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps jobs in dictionaries, and survives any number of servers that open it one after the other."""

    def __init__(self) -> None:
        self._jobs: dict[int, bytes] = {}
        self._dead: dict[int, DeadLetter] = {}
        self._commits = 0
        self._last_number = 0
        self._prefix = ""
        self._is_open = False

    def open(self, prefix: str) -> Opened:
        """Begin; only one server at a time."""
        if self._is_open:
            raise StoreError("this store is open already")
        self._is_open = True
        self._prefix = self._prefix or prefix
        return Opened(self._commits, self._last_number, self._prefix, len(self._jobs))

    def claim(self) -> Iterator[bytes]:
        """Give all jobs."""
        yield b"".join(self._jobs.values())

    def commit(self, batch: Batch) -> None:
        """Do what the batch says, in the order of its fields."""
        if batch.number <= self._commits:
            return
        self._commits = batch.number
        self._last_number = batch.last_number
        self._jobs.update(one_by_one(batch.added))
        self._jobs.update(one_by_one(batch.late))
        for number, tries in iter_unpack("<QQ", batch.tries):
            if number in self._jobs:
                self._jobs[number] = with_tries(self._jobs[number], tries)
        for number in numbers_in(batch.forgotten):
            self._jobs.pop(number, None)
        for number in numbers_in(batch.gone):
            self._dead.pop(number, None)
        for letter in batch.died:
            self._dead[letter.number] = letter

    def tidy(self) -> bool:
        """There is never anything to do."""
        return False

    def dead(self, function: bytes | None = None, after: int = 0, most: int = 1000) -> list[DeadLetter]:
        """Look through all of them."""
        found = (
            letter
            for number, letter in sorted(self._dead.items())
            if number > after and function in (None, letter.function)
        )
        return list(islice(found, most))

    def close(self) -> None:
        """End; what was kept is there for the next who opens."""
        self._is_open = False
