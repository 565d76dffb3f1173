"""The connections of an asyncio client, and the waiting for what comes over them.

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
from typing import Any, cast

from gearcore._connecting import explain
from gearcore.address import ServerAddress
from gearcore.aio.connecting import connect
from gearcore.errors import ConnectionLost, GearcoreError, ProtocolError, ServerUnavailable, TimedOut
from gearcore.session.batches import expire
from gearcore.session.callbacks import Callbacks
from gearcore.session.client import ClientSession, JobRequest, all_answered
from gearcore.session.fleet import Fleet, Place, State
from gearcore.session.requests import Request

__all__ = ["Links", "News"]


class Link(asyncio.Protocol):
    """One connection of a client, with what is in flight on it. ``heard`` is when something came last."""

    def __init__(self, links: Links, place: Place) -> None:
        self.place = place
        self.session = ClientSession(place.name, self)
        self.heard = 0.0
        self.transport: asyncio.Transport | None = None
        self._links = links
        self._loop = asyncio.get_running_loop()
        self._flushed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a connection."""
        self.transport = cast("asyncio.Transport", transport)
        self.heard = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the server."""
        self.heard = self._loop.time()
        if self.place.state is State.SILENT:
            self.place.state = State.LIVE
        try:
            news = self.session.receive(data, self.heard)
        except ProtocolError as error:
            self._links.lose(self, error)
            return
        for request in news:
            if request.watcher is not None:
                request.watcher(request)
        if self.place.state is State.PROBED:
            self._links.change()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection ended."""
        cause = "the server closed it"
        if error is not None:
            cause = explain(error) if isinstance(error, OSError) else str(error)
        self._links.lose(self, ConnectionLost(f"the connection to {self.place.name} ended: {cause}"))

    def flush(self) -> None:
        """Send what there is to send: at once, or at the end of the event loop's turn if something was."""
        if not self._flushed:
            self._flushed = True
            self._loop.call_soon(self._flush_rest)
            self._write()

    def _flush_rest(self) -> None:
        self._flushed = False
        self._write()

    def _write(self) -> None:
        parts = self.session.parts_to_send()
        if parts and self.transport is not None and not self.transport.is_closing():
            self.transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        """Close the connection. What is unsent is dropped."""
        if self.transport is not None:
            self.transport.abort()


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


class Links:
    """Connections to any of some servers, in one event loop. ``name`` is what the errors call the servers."""

    def __init__(
        self,
        addresses: Sequence[ServerAddress],
        *,
        tls: ssl.SSLContext | None,
        timeout: float | None,
        connect_timeout: float,
    ) -> None:
        self.name = ", ".join(map(str, addresses))
        self._addresses = addresses
        self._tls = tls
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._closed = False
        self._begin(None)

    def _begin(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop
        self._fleet = Fleet([str(address) for address in self._addresses])
        self._alone = self._fleet.places[0] if len(self._addresses) == 1 else None
        self._tasks: set[asyncio.Task[None]] = set()
        self._settling = False
        self._turns: list[asyncio.Future[None]] = []
        # What lost its connection and is to be asked again: with its error, and until when.
        self._homeless: deque[tuple[Request, GearcoreError, float]] = deque()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that runs. The connections of an earlier one are forgotten."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            for place in self._fleet.places:
                if place.session is not None:
                    place.session.connection_lost(f"the event loop of the connection to {place.name} is gone")
            self._begin(loop)
        return loop

    def seconds(self, timeout: float | None) -> float:
        """How long a call with this timeout waits; None stands for the client's own timeout."""
        timeout = self._timeout if timeout is None else timeout
        return math.inf if timeout is None else max(timeout, 0.0)

    async def call(self, request: Request, seconds: float, place: Place | None = None) -> None:
        """Ask a server, of the client's choice or at this ``place``, and wait until it has answered.

        Raises the error if the answer is one, and TimedOut.
        """
        begun = self.loop.time()
        link = await self._route(request.route, begun + seconds, place)
        answered = self.loop.create_future()
        request.watcher = lambda request: _wake(answered) if request.answered else None
        link.session.ask(request)
        link.flush()
        asked = self.loop.time()
        try:
            if not await self._wait(answered, begun + seconds):
                raise self._unanswered(request, asked, seconds)
        except BaseException:
            request.abandoned = True
            raise
        finally:
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
                link.flush()

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
            wake = partial(_wake, changed)
            for request in requests:
                request.watcher = wake
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
            if not await self._wait(waiter, end) and not done():
                raise TimedOut(f"waited {max(timeout or 0.0, 0.0):g} s for {job.what} from {job.server}")

    def expire_in_time(self, job: JobRequest) -> None:
        """End a job, which was acknowledged, when it has taken as long as it may."""
        if job.allowed >= 0 and not job.ended:
            self.loop.call_at(job.expires, _expire, job)

    def places(self, route: bytes = b"") -> list[Place]:
        """The servers, in the order in which a request with this unique id tries them."""
        return list(self._fleet.order(route))

    def address_of(self, place: Place) -> ServerAddress:
        """Where a server listens."""
        return self._addresses[place.index]

    async def open(self, place: Place, seconds: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection beside the others, for the caller alone."""
        reader = asyncio.StreamReader()
        transport, protocol = await connect(
            lambda: asyncio.StreamReaderProtocol(reader),
            self.address_of(place),
            min(seconds, self._connect_timeout),
            self._tls,
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())

    async def close(self) -> None:
        """Close the connections. What is in flight ends with ConnectionLost."""
        self._closed = True
        if asyncio.get_running_loop() is not self._loop:
            return
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

    def change(self) -> None:
        """Wake who waits for a connection."""
        turns, self._turns = self._turns, []
        for turn in turns:
            _wake(turn)

    async def _wait(self, future: asyncio.Future[None], end: float) -> bool:
        """Wait for a future until that time; returns whether it came."""
        timer = None if end == math.inf else self.loop.call_at(end, future.cancel)
        try:
            await future
        except asyncio.CancelledError:
            if timer is None or self.loop.time() < end or _is_cancelled():
                raise
            return False
        finally:
            if timer is not None:
                timer.cancel()
        return True

    def _unanswered(self, request: Request, asked: float, seconds: float) -> TimedOut:
        request.abandoned = True
        session = request.session
        if session is None:
            return TimedOut(f"waited {seconds:g} s for {request.what} from {self.name}")
        if session.link.heard < asked:
            self._fleet.silent(session.link.place)
        return TimedOut(f"waited {seconds:g} s for {request.what} from {session.server}")

    async def _route(self, route: bytes, end: float, wanted: Place | None = None) -> Link:
        """A connection for a request. Raises ServerUnavailable when no server can be reached."""
        failed: list[Place] = []
        error: ServerUnavailable | None = None
        while True:
            if self._closed:
                raise RuntimeError(f"the client of {self.name} is closed")
            place = wanted or self._alone
            if place is None:
                self._probe()
                place = self._fleet.choose(route, failed)
            elif place in failed:
                place = None
            if place is None:
                assert error is not None, "a server that was not chosen has failed"
                raise error
            if place.session is not None:
                link: Link = place.session.link
                return link
            if place.state in (State.CONNECTING, State.PROBED):
                if not await self._turn(end) and place.session is None:
                    raise TimedOut(f"waited for a connection to {place.name}, in vain")
            else:
                try:
                    await self._connect(place, end)
                except ServerUnavailable as reason:
                    failed.append(place)
                    error = reason

    async def _turn(self, end: float) -> bool:
        turn = self.loop.create_future()
        self._turns.append(turn)
        return await self._wait(turn, end)

    async def _connect(self, place: Place, end: float) -> None:
        place.state = State.CONNECTING
        try:
            link = await self._open(place, end - self.loop.time())
        except BaseException:
            place.failed(self.loop.time())
            raise
        else:
            self._attach(link)
        finally:
            self.change()

    async def _open(self, place: Place, seconds: float) -> Link:
        limit = min(max(seconds, 0.0), self._connect_timeout)
        _, link = await connect(lambda: Link(self, place), self._addresses[place.index], limit, self._tls)
        return link

    def _attach(self, link: Link) -> None:
        if self._closed:
            link.close()
            raise RuntimeError(f"the client of {self.name} is closed")
        link.place.connected(link.session)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _probe(self) -> None:
        """Try again to reach the servers that are due, beside the others, which are used meanwhile."""
        for place in self._fleet.due(self.loop.time()):
            place.state = State.PROBED
            self._spawn(self._run_probe(place))

    async def _run_probe(self, place: Place) -> None:
        link = None
        end = self.loop.time() + self._connect_timeout
        try:
            link = await self._open(place, self._connect_timeout)
            # A server that takes connections and says nothing is no better than one that takes none.
            link.flush()
            while not link.session.accepted and link.transport is not None:
                if link.transport.is_closing() or not await self._turn(end):
                    break
        except ServerUnavailable:
            pass
        finally:
            if link is not None and link.session.accepted and not self._closed:
                self._attach(link)
            else:
                place.failed(self.loop.time())
                if link is not None:
                    link.close()
            self.change()

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
            link.session.ask(request)
            link.flush()


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


def _is_answered(request: Request) -> bool:
    return request.answered


def _wake(future: asyncio.Future[None], _: Request | None = None) -> None:
    if not future.done():
        future.set_result(None)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
