"""Many jobs at a time, for the asyncio client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from gearcore.aio.job import Job
from gearcore.aio.links import Links
from gearcore.session.batches import Flight, Packer

__all__ = ["Mapping", "Source", "Submitting"]


class Source:
    """Items of an iterable of either kind, a few at a time, as they are or as ``make`` makes them.

    ``ended`` says that there are no more; what the iterable raises is raised by the iterators that it gives.
    """

    def __init__(
        self,
        items: Iterable[Any] | AsyncIterable[Any],
        make: Callable[[Any], Any] | None = None,
    ) -> None:
        self.ended = False
        self._items: Iterator[Any] | None = None
        self._later: AsyncIterator[Any] | None = None
        if isinstance(items, AsyncIterable):
            self._later = aiter(items)
        else:
            self._items = iter(items) if make is None else map(make, items)
        self._make = make
        self._next: asyncio.Task[Any] | None = None

    def packed(self, ended: bool) -> None:
        """Whoever packed the items that ``take`` gave met their end."""
        self.ended = self.ended or (ended and self._items is not None)

    @property
    def pending(self) -> asyncio.Task[Any] | None:
        """What is done when there is an item, while one is waited for."""
        return self._next

    async def take(self, count: int, wait: bool) -> Iterator[Any]:
        """The items that are there, up to so many; with ``wait`` at least one."""
        if self._items is not None:
            return self._items
        assert self._later is not None, "it is an iterable of one kind or the other"
        items: list[Any] = []
        error: Exception | None = None
        while len(items) < count and error is None and not self.ended:
            if self._next is None:
                self._next = asyncio.ensure_future(_next(self._later))
            if not self._next.done():
                # One turn of the event loop tells who has the next item at hand.
                await asyncio.wait({self._next}, timeout=None if wait and not items else 0)
            if not self._next.done():
                break
            task, self._next = self._next, None
            try:
                item = task.result()
                items.append(item if self._make is None else self._make(item))
            except StopAsyncIteration:
                self.ended = True
            except Exception as raised:
                error, self.ended = raised, True
        return _replay(items, error)

    def close(self) -> None:
        """Wait for no more items."""
        if self._next is not None:
            self._next.cancel()


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items)


def _replay(items: list[Any], error: Exception | None) -> Iterator[Any]:
    yield from items
    if error is not None:
        raise error


class Submitting:
    """The jobs of ``submit_many``, each of which is acknowledged."""

    def __init__(self, links: Links, packer: Packer[Job], source: Source, seconds: float) -> None:
        self._links = links
        self._packer = packer
        self._source = source
        self._seconds = seconds
        self._batches: deque[list[Job]] = deque()
        self._batch: Iterator[Job] = iter(())

    def __aiter__(self) -> AsyncIterator[Job]:
        return self

    async def __anext__(self) -> Job:
        for job in self._batch:
            if job.error is not None:
                raise job.error
            self._links.expire_in_time(job)
            return job
        while await self._next_batch():
            return await self.__anext__()
        raise StopAsyncIteration

    async def _next_batch(self) -> bool:
        while not self._source.ended and self._packer.room > 0:
            items = await self._source.take(self._packer.room, wait=not self._batches)
            jobs, ended = self._packer.pack(items)
            self._source.packed(ended)
            if not jobs:
                break
            await self._links.start(jobs, self._seconds)
            self._batches.append(jobs)
        if not self._batches:
            return False
        jobs = self._batches.popleft()
        self._packer.unpack(len(jobs))
        await self._links.wait_for_all(jobs, self._seconds)
        self._batch = iter(jobs)
        return True


class Mapping:
    """The results of ``map``. After a failure, which is raised in its place, the next can still be had."""

    def __init__(
        self, links: Links, flight: Flight[Job], source: Source, seconds: float, return_exceptions: bool
    ) -> None:
        self._links = links
        self._flight = flight
        self._source = source
        self._seconds = seconds
        self._return_exceptions = return_exceptions

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        job = await self._next()
        if job is None:
            self._source.close()
            raise StopAsyncIteration
        try:
            return await job.result()
        except Exception as error:
            if self._return_exceptions:
                return error
            raise

    async def _next(self) -> Job | None:
        flight = self._flight
        loop = self._links.loop
        while True:
            if not self._source.ended and flight.room > 0:
                items = await self._source.take(flight.room, wait=flight.empty)
                jobs, ended = flight.pack(items, loop.time())
                self._source.packed(ended)
                if jobs:
                    await self._links.start(jobs, self._seconds)
            if flight.ready():
                return flight.take()
            if flight.empty:
                if self._source.ended:
                    return None
            elif self._source.ended or flight.room <= 0 or self._source.pending is not None:
                await self._wait()
                flight.expire(loop.time())

    async def _wait(self) -> None:
        """Wait for a result, or for an item of the source if there is room for one."""
        flight = self._flight
        source = self._source.pending if flight.room > 0 else None
        if source is None:
            await self._links.wait_until(flight.ready, flight.awaited, flight.limit())
            return
        results = asyncio.ensure_future(self._links.wait_until(flight.ready, flight.awaited, flight.limit()))
        try:
            await asyncio.wait({results, source}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            results.cancel()
            await asyncio.wait({results})
