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


class Keeper(Protocol):
    """What the writer needs of a broker. All of it is called in the event loop's thread."""

    @property
    def gathered(self) -> bool:
        """Whether there is something for the next batch."""

    def take_batch(self) -> tuple[bytes, bytes, bytes, bytes, list[DeadLetter], bytes, int]:
        """Give what gathered: the fields of a `Batch` without its number. One batch is out at a time."""

    def batch_stored(self) -> None:
        """The batch that is out was committed: its jobs are acknowledged."""

    def batch_refused(self, reason: str) -> None:
        """The batch that is out is given up: its jobs are refused, and all else goes into the next."""

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
        self._on_change = on_change
        self._when_down = when_down
        self._number = 0
        self._flying: Batch | None = None
        self._failing = False
        self._stopping: asyncio.Future[None] | None = None
        self._pause = FIRST_PAUSE
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, prefix: str) -> tuple[str, int]:
        """Open the store and have the broker load what it kept.

        Returns the prefix of the handles that were given out, which is to stay, and the last number in one.
        Raises `StoreError` when the store cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        self._thread = StoreThread(self._store)
        try:
            opened = await self._thread.call(lambda: self._store.open(prefix))
            self._number = opened.commits
        except BaseException:
            self._thread.end()
            raise
        return opened.prefix, opened.last_number

    async def load(self) -> int:
        """Have the broker queue the jobs that the store has for this server; returns how many they are."""
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
        if self._flying is None and self._timer is None and self._keeper.gathered:
            self._take_off()

    def _take_off(self) -> None:
        self._number += 1
        self._flying = Batch(self._number, *self._keeper.take_batch())
        self._thread.commit(self._flying, self._landed)

    def _landed(self, error: Exception | None) -> None:
        batch, self._flying = self._flying, None
        if error is None:
            if self._failing:
                self._failing = False
                self._pause = FIRST_PAUSE
                self._keeper.refuse_background(None)
                log.warning("store %s works again", self._store)
            self._keeper.batch_stored()
        elif isinstance(error, BatchRefused):
            log.error("background jobs are refused: %s", error)
            self._keeper.batch_refused(str(error))
        else:
            self._flying = batch
            self._fail(error)
        self._on_change()
        self.advance()
        if self._stopping is not None and self._flying is None and self._timer is None:
            self._stopping.set_result(None)
            self._stopping = None

    def _fail(self, error: Exception) -> None:
        """Refuse what there is, or keep it, until the next attempt."""
        if not self._failing:
            self._failing = True
            log.error(
                "background jobs %s: %s",
                "wait" if self._when_down == "wait" else "are refused",
                error,
                exc_info=None if isinstance(error, StoreError) else error,
            )
        if self._when_down == "refuse" or self._stopping is not None:
            self._flying = None
            self._keeper.batch_refused(str(error))
            self._keeper.refuse_background(str(error))
        if self._stopping is None:
            self._timer = self._loop.call_later(self._pause, self._try_again)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _try_again(self) -> None:
        self._timer = None
        if self._flying is None:
            self._take_off()
        else:
            self._thread.commit(self._flying, self._landed)

    async def dead(self, function: bytes | None, after: int, most: int) -> list[DeadLetter]:
        """Ask the store for dead letters, as `Store.dead` does."""
        return await self._thread.call(lambda: self._store.dead(function, after, most))

    async def stop(self) -> None:
        """Commit what there is, in one last attempt if the store fails, and close the store."""
        waiting = self._timer is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flying is not None or self._keeper.gathered:
            self._stopping = stopping = self._loop.create_future()
            if waiting or self._flying is None:
                self._try_again()
            await stopping
        await self._thread.call(self._store.close)
        self._thread.end()
