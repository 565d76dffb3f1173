"""What an asyncio client's tasks do with its connections: they ask, and wait for what comes.

Where a request goes and what becomes of it is the fleet's and the session's affair, as in
``gearcore.client.links``.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Any

from gearcore.address import ServerAddress
from gearcore.aio.connections import Connections, Link, wake
from gearcore.aio.deadlines import Answer, Deadlines
from gearcore.errors import GearcoreError, ServerUnavailable, TimedOut
from gearcore.session.batches import expire
from gearcore.session.callbacks import Callbacks
from gearcore.session.client import JobRequest, all_answered
from gearcore.session.fleet import Place, State
from gearcore.session.requests import Request

__all__ = ["Links", "News"]


class News(Callbacks):
    """The callbacks of one job, and those who wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waiters: list[asyncio.Future[None]] = []

    def __call__(self, job: JobRequest) -> None:
        """Call whom the job has news for, and wake who waits for them."""
        super().__call__(job)
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class Links(Connections):
    """The waiting of any number of tasks for what comes over the connections."""

    def __init__(
        self,
        addresses: Sequence[ServerAddress],
        *,
        tls: ssl.SSLContext | None,
        timeout: float | None,
        connect_timeout: float,
    ) -> None:
        super().__init__(addresses, tls, connect_timeout)
        self._timeout = timeout

    def _begin(self, loop: asyncio.AbstractEventLoop | None) -> None:
        super()._begin(loop)
        if loop is not None:
            self._deadlines = Deadlines(loop)
        self._settling = False
        # What lost its connection and is to be asked again: with its error, and until when.
        self._homeless: deque[tuple[Request, GearcoreError, float]] = deque()

    def seconds(self, timeout: float | None) -> float:
        """How long a call with this timeout waits; None stands for the client's own timeout."""
        timeout = self._timeout if timeout is None else timeout
        return math.inf if timeout is None else max(timeout, 0.0)

    async def call(self, request: Request, seconds: float, place: Place | None = None) -> None:
        """Ask a server, of the client's choice or at this ``place``, and wait until it has answered.

        Raises the error if the answer is one, and TimedOut.
        """
        loop = self.loop
        left = seconds
        only = place or self._alone
        if only is not None and only.session is not None and not self._closed:
            link: Link = only.session.link
        else:
            end = loop.time() + seconds
            link = await self._route(request.route, end, place)
            left = max(end - loop.time(), 0.0)
        answer: Answer = loop.create_future()
        request.watcher = partial(_answer, answer)
        link.ask(request)
        asked = loop.time()
        link.expect()
        self._deadlines.add(answer, left)
        try:
            if not await answer:
                raise self._unanswered(request, asked, seconds)
        except BaseException:
            request.abandoned = True
            raise
        finally:
            self._deadlines.remove(answer, left)
            request.watcher = None
        if request.error is not None:
            raise request.error

    async def start(self, jobs: list[Any], seconds: float) -> None:
        """Submit jobs without waiting for their acknowledgements; those that find no server fail."""
        if self._alone is not None or not any(job.route for job in jobs):
            parts = [(b"", jobs)]
        else:
            parts = [(job.route, [job]) for job in jobs if job.route]
            if len(parts) < len(jobs):
                parts.append((b"", [job for job in jobs if not job.route]))
        for route, part in parts:
            try:
                link = await self._route(route, self.loop.time() + seconds)
            except (ServerUnavailable, TimedOut) as error:
                for job in part:
                    if not job.answered:
                        job.fail(copy(error))
            else:
                link.session.ask_all(part)
                link.send()

    async def wait_for_all(self, jobs: list[Any], seconds: float) -> None:
        """Wait until each of the jobs is acknowledged or refused."""
        begun = self.loop.time()
        while not all_answered(jobs):
            job = next(job for job in reversed(jobs) if not job.answered)
            if not await self.wait_until(partial(_is_answered, job), [job], begun + seconds):
                raise self._unanswered(job, begun, seconds)

    async def wait_until(self, done: Callable[[], bool], requests: Sequence[Request], end: float) -> bool:
        """Wait until ``done``, which changes with one of the requests, or until that time of the loop's
        clock.
        """
        while not done():
            changed = self.loop.create_future()
            woken = partial(wake, changed)
            for request in requests:
                request.watcher = woken
            try:
                if not await self._wait(changed, end):
                    return done()
            finally:
                for request in requests:
                    request.watcher = None
        return True

    async def wait_for_job(self, job: JobRequest, done: Callable[[], bool], timeout: float | None) -> None:
        """Wait until ``done``, which is true once the job has ended. Raises TimedOut."""
        loop = self.loop
        end = math.inf if timeout is None else loop.time() + timeout
        while not done():
            waiter = loop.create_future()
            news_of(job).waiters.append(waiter)
            if job.session is not None:
                job.session.link.expect()
            if not await self._wait(waiter, end) and not done():
                raise TimedOut(f"waited {max(timeout or 0.0, 0.0):g} s for {job.what} from {job.server}")

    def expire_in_time(self, job: JobRequest) -> None:
        """End a job, which was acknowledged, when it has taken as long as it may."""
        if job.allowed >= 0 and not job.ended:
            self.loop.call_at(job.expires, _expire, job)

    async def close(self) -> None:
        """Close the connections. What is in flight ends with ConnectionLost."""
        self._closed = True
        if asyncio.get_running_loop() is not self._loop:
            return
        self._deadlines.close()
        for place in self._fleet.places:
            if place.session is not None:
                self.lose(place.session.link, f"the client of {self.name} was closed")
        while self._homeless:
            request, error, _ = self._homeless.popleft()
            _fail(request, error)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.change()
        # The event loop closes the sockets in its next turn.
        await asyncio.sleep(0)

    def lose(self, link: Link, cause: object) -> None:
        """A connection ended."""
        place = link.place
        link.close()
        if place.session is not link.session:
            if place.state is State.PROBED:
                self.change()
            return
        now = self.loop.time()
        again, ended = self._fleet.lost(place, cause, now)
        for request, error in again:
            # An acknowledged job may wait for a server; the caller of one that is not waits for the answer.
            patience = self._timeout if isinstance(request, JobRequest) and request.acknowledged else 0.0
            self._homeless.append((request, error, math.inf if patience is None else now + patience))
        for request in ended:
            if request.watcher is not None:
                request.watcher(request)
        if self._homeless and not self._settling and not self._closed:
            self._settling = True
            self._spawn(self._settle())
        self.change()

    def _unanswered(self, request: Request, asked: float, seconds: float) -> TimedOut:
        request.abandoned = True
        session = request.session
        if session is None:
            return TimedOut(f"waited {seconds:g} s for {request.what} from {self.name}")
        if session.link.heard < asked:
            self._fleet.silent(session.link.place)
        return TimedOut(f"waited {seconds:g} s for {request.what} from {session.server}")

    async def _settle(self) -> None:
        """Ask again what lost its connection, as soon as there is a server for it."""
        try:
            while self._homeless:
                for _ in range(len(self._homeless)):
                    await self._find_home(*self._homeless.popleft())
                if self._homeless:
                    await asyncio.sleep(max(self._fleet.next_try() - self.loop.time(), 0.0))
        finally:
            self._settling = False

    async def _find_home(self, request: Request, error: GearcoreError, until: float) -> None:
        if request.abandoned:
            return
        try:
            link = await self._route(request.route, self.loop.time() + self._connect_timeout)
        except (ServerUnavailable, TimedOut):
            if self.loop.time() < until:
                self._homeless.append((request, error, until))
            else:
                _fail(request, error)
        except BaseException:
            _fail(request, error)
            raise
        else:
            link.ask(request)


def news_of(job: JobRequest) -> News:
    """The callbacks of a job, made when they are first asked for."""
    if not isinstance(job.watcher, News):
        job.watcher = News()
    return job.watcher


def _fail(request: Request, error: GearcoreError) -> None:
    request.fail(error)
    if request.watcher is not None:
        request.watcher(request)


def _expire(job: JobRequest) -> None:
    if not job.ended:
        expire(job)
        if job.watcher is not None:
            job.watcher(job)


def _answer(answer: Answer, request: Request) -> None:
    if request.answered and not answer.done():
        answer.set_result(True)


def _is_answered(request: Request) -> bool:
    return request.answered
