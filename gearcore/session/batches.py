"""Many jobs at a time, without I/O: how many are made at once, how many are in flight, and which is next."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

from gearcore.errors import TimedOut
from gearcore.session.client import JobRequest, Terms, new_job, new_jobs, refused_job
from gearcore.session.submissions import Submission

__all__ = ["Flight", "Packer", "expire"]

J = TypeVar("J", bound=JobRequest)

_QUICK: Final = 0.001
"""Seconds in which a source must give a batch for the next one to be larger."""

_BATCH_BYTES: Final = 1024 * 1024
"""Bytes of workloads after which a batch is large enough, however few they are."""


def expire(job: JobRequest) -> None:
    """End a job that took longer than it may."""
    if job.session is not None:
        job.session.forget(job)
    job.fail(TimedOut(f"waited {job.allowed:g} s for {job.what} from {job.server}"))


class Packer(Generic[J]):
    """Makes jobs of what a source gives, in batches: large ones, but only while the source is quick.

    Who submits lines as they are typed does not want them to be held back until there are hundreds. ``cls``
    is the class of the jobs, ``window`` how many may be without an acknowledgement, ``terms`` what tuples are
    submitted by, ``terms_of`` gives those of a ``Submission``, and ``clock`` tells the time in seconds.
    """

    def __init__(
        self,
        cls: type[J],
        terms: Terms,
        terms_of: Callable[[Submission], Terms],
        window: int,
        clock: Callable[[], float],
    ) -> None:
        if window < 1:
            raise ValueError(f"at least one job must be in flight, and not {window}")
        self._cls = cls
        self._terms = terms
        self._terms_of = terms_of
        self._window = window
        self._largest = max(1, window // 4)
        self._clock = clock
        self._size = 1
        self._bytes: deque[tuple[int, int]] = deque()
        self._in_flight = 0

    @property
    def room(self) -> int:
        """How many jobs the next batch may have; 0 while too many are in flight."""
        return min(self._size, self._window - self._in_flight)

    def pack(self, source: Iterator[Any]) -> tuple[list[J], bool]:
        """The next batch, and whether the source has ended."""
        begun = self._clock()
        jobs: list[J] = []
        ended = False
        room = self.room
        while len(jobs) < room and not ended:
            made, odd, ended = new_jobs(self._cls, self._terms, source, room - len(jobs), _BATCH_BYTES)
            jobs += made
            if odd is not None:
                jobs.append(self._make(odd))
            elif len(made) < room:
                break
        quick = self._clock() - begun < _QUICK
        self._size = min(2 * self._size, self._largest) if quick else 1
        self._in_flight += len(jobs)
        return jobs, ended

    def unpack(self, count: int) -> None:
        """So many jobs are not in flight any more."""
        self._in_flight -= count

    def _make(self, item: object) -> J:
        try:
            if not isinstance(item, Submission):
                raise TypeError(f"a submission is a tuple or a Submission, not {type(item).__name__}")
            return new_job(self._cls, self._terms_of(item), item.function, item.workload, item.unique)
        except Exception as error:
            return refused_job(self._cls, self._terms, error)


class Flight(Generic[J]):
    """The jobs of a ``map`` that are in flight, and which of them is next: in their order, or as they end.

    ``timeout`` is how many seconds the server has for an acknowledgement.
    """

    def __init__(self, packer: Packer[J], ordered: bool, timeout: float) -> None:
        self._packer = packer
        self._ordered = ordered
        self._timeout = timeout
        self._jobs: deque[J] = deque()
        self._unanswered: deque[tuple[float, list[J]]] = deque()

    @property
    def room(self) -> int:
        """How many more jobs may be in flight."""
        return self._packer.room

    @property
    def empty(self) -> bool:
        """Whether there is no job in flight."""
        return not self._jobs

    @property
    def awaited(self) -> list[J]:
        """The jobs of which one may be the next."""
        return [self._jobs[0]] if self._ordered else list(self._jobs)

    def pack(self, source: Iterator[Any], now: float) -> tuple[list[J], bool]:
        """The next jobs to start, and whether the source has ended."""
        jobs, ended = self._packer.pack(source)
        if jobs:
            self._jobs += jobs
            self._unanswered.append((now + self._timeout, jobs))
        return jobs, ended

    def ready(self) -> bool:
        """Whether there is a job to ``take``."""
        if self._ordered:
            return bool(self._jobs) and self._jobs[0].ended
        return any(job.ended for job in self._jobs)

    def take(self) -> J:
        """The next job, which has ended. Only when ``ready``."""
        self._packer.unpack(1)
        if self._jobs[0].ended:
            return self._jobs.popleft()
        job = next(job for job in self._jobs if job.ended)
        self._jobs.remove(job)
        return job

    def limit(self) -> float:
        """When the first job in flight runs out of time."""
        while self._unanswered and all(job.answered for job in self._unanswered[0][1]):
            self._unanswered.popleft()
        limit = self._unanswered[0][0] if self._unanswered else math.inf
        if self._jobs and self._jobs[0].allowed >= 0:
            limit = min(limit, min(job.expires for job in self._jobs))
        return limit

    def expire(self, now: float) -> None:
        """End the jobs that have run out of time."""
        for job in self._jobs:
            if not job.ended and job.expires <= now:
                expire(job)
        while self._unanswered and self._unanswered[0][0] <= now:
            for job in self._unanswered.popleft()[1]:
                if not job.answered:
                    job.abandoned = True
                    job.fail(TimedOut(f"waited {self._timeout:g} s for {job.what}"))
