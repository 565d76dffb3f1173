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
        self._at_work = threading.Event()
        self._at_work.set()

    def pause(self) -> None:
        """Have commits take until `go_on`."""
        self._at_work.clear()

    def go_on(self) -> None:
        self._at_work.set()

    def commit(self, batch: Batch) -> None:
        self.begun.put(batch)
        assert self._at_work.wait(PATIENCE)
        if self.faults:
            raise self.faults.pop(0)
        super().commit(batch)
