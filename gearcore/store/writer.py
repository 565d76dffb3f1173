"""Between the broker, which gathers what is to be kept, and the store: group commit, and its failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

from gearcore.errors import BatchRefused, StoreError
from gearcore.store.interface import Batch, DeadLetter, Store
from gearcore.store.thread import StoreThread

__all__ = ["Keeper", "StoreWriter"]

log = logging.getLogger("gearcore.store")

FIRST_PAUSE = 0.1
"""Seconds between a commit that failed and the next attempt; doubled with every further one."""

LONGEST_PAUSE = 5.0


Letter = tuple[int, bytes, bytes, bytes, int, bytes, float, bytes]
"""The fields of a `DeadLetter`."""


class Keeper(Protocol):
    """What the writer needs of a broker. All but `batch_committed` is called in the event loop's thread."""

    @property
    def gathered(self) -> bool:
        """Whether there is something for the next batch."""

    @property
    def due(self) -> bool:
        """Whether it is to be committed now: what nobody waits for is better committed with more of it."""

    def take_batch(self) -> tuple[bytes, bytes, bytes, bytes, list[Letter], bytes, int]:
        """Give what gathered: the fields of a `Batch` without its number. One batch is out at a time."""

    def batch_committed(self) -> None:
        """The batch that is out was committed: its jobs may be acknowledged before `batch_stored` says so.

        It is called in the store's thread, while the event loop's may be in the broker.
        """

    def batch_stored(self) -> None:
        """The batch that is out was committed: its jobs are acknowledged."""

    def batch_refused(self, reason: str) -> None:
        """The batch that is out is given up: its jobs are refused, and all else goes into the next.

        Raises MemoryError, and leaves it out, when there is none to take back what it has.
        """

    def refuse_background(self, reason: str | None) -> None:
        """Refuse every background job from now on, or take them again."""

    def load(self, records: bytes) -> int:
        """Queue jobs that a store kept; return their number. Raises ValueError when they are none."""


class StoreWriter:
    """Commits what a broker gathers, as much as there is, one batch after the other.

    All that gathers while a batch is on its way goes into the next one. When the store fails, the jobs of
    the batch and all further ones are refused, with ``when_down="refuse"``; with ``"wait"`` the same batch
    is tried again, and whoever submitted waits. In either case it goes on by itself once the store works.

    ``on_change`` is called when the broker may have something to write.
    """

    def __init__(
        self,
        store: Store,
        keeper: Keeper,
        on_change: Callable[[], None],
        when_down: Literal["refuse", "wait"] = "refuse",
    ) -> None:
        self._store = store
        self._keeper = keeper
        self.on_change = on_change
        self._when_down = when_down
        self._number = 0
        self._thread: StoreThread | None = None
        self._flying: Batch | None = None
        self._failing = False
        self._stopping: asyncio.Future[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._waiting_for_flying: list[asyncio.Future[None]] = []
        self._pause = FIRST_PAUSE
        self._timer: asyncio.TimerHandle | None = None

    def __str__(self) -> str:
        return str(self._store)

    async def start(self, prefix: str) -> tuple[str, int]:
        """Open the store and have the broker load what it kept.

        Returns the prefix of the handles that were given out, which is to stay, and the last number in one.
        Raises `StoreError` when the store cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        self._thread = StoreThread(self._store)
        opened = await self._thread.call(lambda: self._store.open(prefix))
        self._number = opened.commits
        self._failing = False
        self._pause = FIRST_PAUSE
        self._keeper.refuse_background(None)
        return opened.prefix, opened.last_number

    async def load(self) -> int:
        """Have the broker queue the jobs that the store has for this server; returns how many they are."""
        assert self._thread is not None
        claimed: Iterator[bytes] = iter(self._store.claim())
        count = 0
        try:
            while (records := await self._thread.call(lambda: next(claimed, None))) is not None:
                count += self._keeper.load(records)
        except ValueError as error:
            raise StoreError(f"{self._store}: {error}") from error
        return count

    def advance(self) -> None:
        """Have what gathered committed, unless a batch is on its way. To be called after each turn."""
        given_up = self._failing and self._stopping is not None
        if self._thread is None or self._flying is not None or self._timer is not None or given_up:
            return
        if self._keeper.due or (self._stopping is not None and self._keeper.gathered):
            self._take_off()

    def _take_off(self) -> None:
        added, late, forgotten, tries, died, gone, last_number = self._keeper.take_batch()
        letters = [DeadLetter(*letter) for letter in died]
        self._number += 1
        self._flying = Batch(self._number, added, late, forgotten, tries, letters, gone, last_number)
        self._waiting_for_flying += self._waiting
        self._waiting = []
        self._send(self._flying)

    def _send(self, batch: Batch) -> None:
        assert self._thread is not None
        self._thread.commit(batch, self._keeper.batch_committed, self._landed)

    def _landed(self, error: Exception | None) -> None:
        batch, self._flying = self._flying, None
        if error is None:
            if self._failing:
                self._failing = False
                self._pause = FIRST_PAUSE
                self._keeper.refuse_background(None)
                log.warning("store %s works again", self._store)
            self._keeper.batch_stored()
            self._tell(None)
        else:
            self._flying = batch
            try:
                self._fail(error)
            except MemoryError:
                log.error("there is no memory to take back a batch that failed: it is tried again")
                self._wait()
        self.advance()  # before anything is written: if there is enough, the next commit begins meanwhile
        self.on_change()
        if self._stopping is not None and self._flying is None and self._timer is None:
            self._stopping.set_result(None)
            self._stopping = None

    def _fail(self, error: Exception) -> None:
        """Refuse what there is, or keep it, until the next attempt."""
        if isinstance(error, BatchRefused):
            log.error("background jobs are refused: %s", error)
            self._give_up(error)
            return
        if not self._failing:
            self._failing = True
            log.error(
                "background jobs %s: %s",
                "wait" if self._when_down == "wait" else "are refused",
                error,
                exc_info=None if isinstance(error, StoreError) else error,
            )
        if self._when_down == "refuse" or self._stopping is not None:
            self._give_up(error)
            self._keeper.refuse_background(str(error))
        if self._stopping is None:
            self._wait()

    def _give_up(self, error: Exception) -> None:
        """Refuse the batch that is out."""
        self._keeper.batch_refused(str(error))
        self._flying = None
        self._tell(error)

    def _wait(self) -> None:
        """Try again after a pause."""
        self._timer = self._loop.call_later(self._pause, self._try_again)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _try_again(self) -> None:
        self._timer = None
        if self._flying is None:
            self._take_off()
        else:
            self._send(self._flying)

    def stored(self) -> asyncio.Future[None]:
        """Return a future for when all that has gathered is stored; it raises `StoreError` if it is not."""
        future: asyncio.Future[None] = self._loop.create_future()
        if self._keeper.gathered:
            self._waiting.append(future)
        elif self._flying is not None:
            self._waiting_for_flying.append(future)
        else:
            future.set_result(None)
        return future

    def _tell(self, error: Exception | None) -> None:
        """Tell those who wait for the batch that was out what became of it."""
        told, self._waiting_for_flying = self._waiting_for_flying, []
        for future in told:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    async def dead(self, function: bytes | None, after: int, most: int) -> list[DeadLetter]:
        """Ask the store for dead letters, as `Store.dead` does."""
        if self._thread is None:
            raise StoreError(f"{self}: it is not open")
        return await self._thread.call(lambda: self._store.dead(function, after, most))

    async def stop(self) -> None:
        """Commit what there is, in one last attempt if the store fails, and close the store."""
        if self._thread is None:
            return
        waiting = self._timer is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flying is not None or self._keeper.gathered:
            self._stopping = stopping = self._loop.create_future()
            if waiting or self._flying is None:
                self._try_again()
            await stopping
        thread, self._thread = self._thread, None
        await thread.call(self._store.close)
        thread.end()
