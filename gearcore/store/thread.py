"""The thread that a store has for itself: it may block there, and is asked one thing at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from gearcore.store.interface import Batch, Store

__all__ = ["StoreThread"]

T = TypeVar("T")


class StoreThread:
    """Runs what a store is asked for, in order, and reports to the event loop that runs when it is made.

    While nobody asks for anything the store tidies up.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="gearcore-store", daemon=True)
        self._thread.start()

    def commit(
        self, batch: Batch, committed: Callable[[], None], then: Callable[[Exception | None], None]
    ) -> None:
        """Commit a batch, and call ``committed`` in this thread once it is.

        In either case ``then`` is called in the event loop, with what went wrong, if anything did.
        """

        def attempt() -> None:
            try:
                self._store.commit(batch)
            except Exception as error:
                self._loop.call_soon_threadsafe(then, error)
            else:
                committed()
                self._loop.call_soon_threadsafe(then, None)

        self._tasks.put(attempt)

    def call(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Call a function in the thread; the future gets what it returns or raises."""
        future: asyncio.Future[T] = self._loop.create_future()

        def attempt() -> None:
            try:
                result = function()
            except Exception as error:
                self._loop.call_soon_threadsafe(settle, partial(future.set_exception, error))
            else:
                self._loop.call_soon_threadsafe(settle, partial(future.set_result, result))

        def settle(how: Callable[[], None]) -> None:
            if not future.cancelled():
                how()

        self._tasks.put(attempt)
        return future

    def end(self) -> None:
        """End the thread once it has done what it was asked so far."""
        self._tasks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            while self._tasks.empty() and self._store.tidy():
                pass
            task = self._tasks.get()
            if task is None:
                return
            task()
