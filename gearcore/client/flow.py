"""Many jobs at a time, for the blocking client."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from gearcore._blocking import Deadline
from gearcore.client.exchange import Exchange
from gearcore.client.job import Job
from gearcore.session.batches import Flight, Packer

__all__ = ["Mapping", "Submitting"]


class Submitting:
    """Gives the jobs of ``submit_many`` in batches, each of which is acknowledged."""

    def __init__(
        self, links: Exchange, packer: Packer[Job], source: Iterator[Any], timeout: float | None
    ) -> None:
        self._links = links
        self._packer = packer
        self._source = source
        self._timeout = timeout
        self._ended = False
        self._batches: deque[tuple[list[Job], Deadline]] = deque()

    def next_batch(self) -> list[Job]:
        """The next jobs, or none at the end."""
        while not self._ended and self._packer.room > 0:
            jobs, self._ended = self._packer.pack(self._source)
            if jobs:
                deadline = self._links.deadline(self._timeout)
                self._links.start(jobs, deadline)
                self._batches.append((jobs, deadline))
        if not self._batches:
            return []
        jobs, deadline = self._batches.popleft()
        self._packer.unpack(len(jobs))
        self._links.wait_for_all(jobs, deadline)
        return jobs


class Mapping:
    """The results of ``map``. After a failure, which is raised in its place, the next can still be had."""

    def __init__(
        self,
        links: Exchange,
        flight: Flight[Job],
        source: Iterator[Any],
        timeout: float | None,
        return_exceptions: bool,
    ) -> None:
        self._links = links
        self._flight = flight
        self._source = source
        self._timeout = timeout
        self._return_exceptions = return_exceptions
        self._ended = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return self._next().result(0)
        except StopIteration:
            raise
        except Exception as error:
            if self._return_exceptions:
                return error
            raise

    def _next(self) -> Job:
        flight = self._flight
        while True:
            if not self._ended and flight.room > 0:
                jobs, self._ended = flight.pack(self._source, self._links.now())
                if jobs:
                    self._links.start(jobs, self._links.deadline(self._timeout))
            if flight.ready():
                return flight.take()
            if flight.empty:
                if self._ended:
                    raise StopIteration
            elif self._ended or flight.room <= 0:
                self._links.wait_until(flight.ready, flight.limit())
                flight.expire(self._links.now())
