"""A store in memory that fails, and takes its time, when it is told to."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from gearcore.store import Batch, MemoryStore

__all__ = ["FaultyStore"]

PATIENCE = 20


class FaultyStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Exception] = []
        """What the next commits raise, one after the other."""
        self.begun: SimpleQueue[Batch] = SimpleQueue()
        """The batches that it was given."""
        self._paused = False
        self._passes = threading.Semaphore(0)

    def pause(self) -> None:
        """Have commits take until `go_on`, or until `let_one_pass` is called once for each."""
        self._passes = threading.Semaphore(0)
        self._paused = True

    def go_on(self) -> None:
        self._paused = False
        self.let_one_pass()

    def let_one_pass(self) -> None:
        self._passes.release()

    def commit(self, batch: Batch) -> None:
        self.begun.put(batch)
        assert not self._paused or self._passes.acquire(timeout=PATIENCE)
        if self.faults:
            raise self.faults.pop(0)
        super().commit(batch)
