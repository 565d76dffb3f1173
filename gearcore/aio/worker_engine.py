"""The asyncio worker at work: its connections, and its tasks."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from gearcore._connecting import explain
from gearcore.aio.connecting import connect
from gearcore.aio.vigil import LoopVigil
from gearcore.aio.worker_job import Runner, WorkerJob, in_context
from gearcore.errors import ConnectionLost, GearcoreError, TimedOut
from gearcore.protocol import PacketType
from gearcore.session.crew import Crew
from gearcore.session.worker import Assignment, Submitted, WorkerSession, WorkerState
from gearcore.worker import links
from gearcore.worker.endings import Completed, Outcome, end, settle
from gearcore.worker.functions import Function
from gearcore.worker.links import Target
from gearcore.worker.periodic import Scheduler
from gearcore.worker.running import name
from gearcore.worker.settings import Settings, make_lanes

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Engine"]

log = logging.getLogger("gearcore.worker")

_TURN: Final = 0.005
"""Seconds for which jobs run in a row before the event loop gets its turn, and the server their ends."""


class Link(asyncio.Protocol):
    """A connection that there is, with its session. ``gone`` is done when it has ended, with the reason."""

    def __init__(self, engine: Engine, session: WorkerSession, timeout: float) -> None:
        self.session = session
        self._engine = engine
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[GearcoreError | None] = self._loop.create_future()
        self.vigil = LoopVigil(self._loop)
        self._since = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._room: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a connection."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what the server has sent."""
        self._since = time.monotonic()
        self.vigil.end()
        try:
            for item in self.session.receive(data):
                if type(item) is Assignment:
                    self._engine.take(self, item)
                elif isinstance(item, Submitted):
                    settle(self.session, item)
                else:
                    log.warning("%s: %s", self, item)
        except GearcoreError as error:
            self.leave(error)
        self._engine.step()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection ended."""
        cause = "the server closed it"
        if error is not None:
            cause = explain(error) if isinstance(error, OSError) else str(error)
        self.leave(ConnectionLost(f"the connection to {self} ended: {cause}"))
        self.resume_writing()
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        """There is much that the system has not taken."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """The system has taken most of it."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def flush(self) -> None:
        """Send what there is to send."""
        parts = self.session.parts_to_send()
        if parts and self._transport is not None and not self._transport.is_closing():
            self._since = time.monotonic()
            for part in parts:
                self._transport.write(part)

    async def send(self, packet_type: PacketType, handle: bytes, *args: Buffer) -> None:
        """Send an update of a job, and wait until the system has taken most of it."""
        self._check()
        self.session.update(packet_type, handle, *args)
        self.flush()
        if self._room is not None:
            try:
                async with asyncio.timeout(self._timeout):
                    await asyncio.shield(self._room)
            except TimeoutError:
                self.leave(TimedOut(f"waited {self._timeout:g} s for {self} to take data"))
        self._check()

    def deadline(self) -> float:
        """When something is to be done for this link, unless it is heard of before."""
        if self.session.expects or self._room is not None:
            return self._since + self._timeout
        return self._since + links.LONGEST_SLEEP

    def look(self, now: float) -> None:
        """Do what is to be done when nothing was heard until ``deadline()``."""
        if now < self.deadline():
            return
        if self._room is not None:
            self.leave(TimedOut(f"waited {self._timeout:g} s for {self} to take data"))
        elif self.session.expects:
            self.leave(TimedOut(f"waited {self._timeout:g} s for {self} to answer a grab"))
        else:
            self._since = now
            if self.session.state is WorkerState.SLEEPING:
                self.session.oversleep()

    def leave(self, error: GearcoreError | None) -> None:
        """Give the connection up. The server gives the jobs that are in hand to other workers."""
        if not self.gone.done():
            self.gone.set_result(error)

    async def end(self) -> None:
        """Close the connection once all is sent. Of TLS the server has a part in that."""
        if self._transport is not None:
            self._transport.close()
            await asyncio.wait({self._closed}, timeout=self._timeout)

    def close(self) -> None:
        """Close the connection at once. What is unsent is dropped."""
        self.leave(None)
        if self._transport is not None:
            self._transport.abort()

    def __str__(self) -> str:
        return self.session.server

    def _check(self) -> None:
        if self.gone.done():
            error = self.gone.result()
            text = f"the connection to {self} was closed" if error is None else str(error)
            raise (TimedOut if isinstance(error, TimedOut) else ConnectionLost)(text) from error


class Engine:
    """One run of an asyncio worker."""

    def __init__(
        self,
        settings: Settings,
        functions: Mapping[bytes, Function],
        scheduler: Scheduler,
        max_jobs: int | None,
        concurrency: int,
        runner: Runner,
    ) -> None:
        self._settings = settings
        self._functions = functions
        self._scheduler = scheduler
        self._jobs_left = max_jobs
        self._concurrency = concurrency
        self._runner = runner
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._crew = Crew(concurrency, settings.prefetch)
        self._row = max((settings.prefetch + 1) // 2, 1)
        self._waiting: deque[WorkerJob] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._links: set[Link] = set()
        self._links_changed = asyncio.Event()
        self._targets = [Target(s, lane) for lane in make_lanes(functions) for s in settings.servers]
        self._answered = False
        self._changing = False
        self.asks = True
        """Whether jobs are asked for: no more once someone wants it to stop, even before it hears of that."""
        self.stopping = False
        self._stopped = asyncio.Event()
        self._halted = asyncio.Event()

    async def run(self) -> None:
        """Work until ``stop``. Raises what is wrong with the servers when none of them has ever answered."""
        keepers = {asyncio.create_task(self._keep(target)) for target in self._targets}
        others = {asyncio.create_task(self._wait_for_the_end())}
        if self._scheduler:
            others.add(asyncio.create_task(self._schedule()))
        try:
            pending = keepers | others
            while pending & keepers:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                if self._halted.is_set():
                    log.warning("the jobs that are left are given back")
                    break
        finally:
            await self._close(keepers | others)

    def stop(self) -> None:
        """Take no more jobs, and end when those in hand have."""
        self.asks = False
        if not self.stopping:
            self.stopping = True
            self._stopped.set()
            for link in self._links:
                link.session.stop()
            self.change()

    def halt(self) -> None:
        """End at once, and leave the jobs that run to the servers."""
        self.stop()
        self._halted.set()

    async def pause(self, seconds: float) -> bool:
        """Sleep; returns whether the worker stops meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        except TimeoutError:
            return False
        return True

    def take(self, link: Link, assignment: Assignment) -> None:
        """A server gave a job."""
        function = self._functions.get(assignment.function)
        self._waiting.append(WorkerJob(link, assignment, function, self._settings.namespace_size))

    def change(self) -> None:
        """Something changed: at the end of this turn of the event loop, start jobs, grab, and send."""
        if not self._changing:
            self._changing = True
            self._loop.call_soon(self.step)

    def step(self) -> None:
        """Start jobs, grab, and send."""
        self._changing = False
        while self._waiting and len(self._running) < self._concurrency:
            task = self._loop.create_task(self._perform(self._waiting.popleft()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        if self.asks:
            self._crew.grab(self._jobs_left)
        stands_still = not (self._running or self._settings.prefetch)
        for link in self._links:
            link.flush()
            if link.session.state is WorkerState.STOPPED:
                link.leave(None)
            elif stands_still:
                link.vigil.begin()

    async def _perform(self, job: WorkerJob) -> None:
        """Run a job, and then more of those that wait: what does not await needs no task for each.

        Half of those that may be prefetched are left for the next turn, to be run while the server hears how
        these ended.
        """
        task = asyncio.current_task()
        assert task is not None
        begin = time.monotonic()
        for count in range(1, self._row + 1):
            # Each has a context of its own, as in a task of its own.
            outcome = await in_context(self._context.copy(), self._runner.run(job))
            self._end(job, outcome)
            seconds = time.monotonic() - begin
            # A function that cancelled its own task leaves it to nobody else.
            if not self._waiting or seconds > _TURN or count == self._row or task.cancelling():
                break
            self.change()  # in case that the next one awaits something
            job = self._waiting.popleft()
        self._crew.note_duration(seconds, count)
        # Not by the callback, which would come after the next step.
        self._running.discard(task)
        if self._running:
            self.change()  # their ends may come in this turn too, and go out together
        else:
            self.step()

    def _end(self, job: WorkerJob, outcome: Outcome) -> None:
        link = job._outlet
        assert isinstance(link, Link)
        if self._jobs_left is not None:
            self._jobs_left -= 1
            if not self._jobs_left:
                self.stop()
        if link.gone.done():
            log.warning("%s: %s ended, and nobody was told", link, name(job))
        else:
            end(link.session, job, outcome, time.time())
            if type(outcome) is not Completed:
                self._set_alarm(link)

    def _set_alarm(self, link: Link) -> None:
        """Have the session wake when a delayed job is due that it has submitted."""
        due = link.session.due
        if due < math.inf:
            self._loop.call_later(max(due - time.time(), 0.0), self._ring, link)

    def _ring(self, link: Link) -> None:
        if link.session.due <= time.time():
            link.session.alarm()
            self.change()
        self._set_alarm(link)

    async def _keep(self, target: Target) -> None:
        """Be connected to a server until the worker stops."""
        while True:
            try:
                error = await self._live_with(target)
            except GearcoreError as reason:
                error = reason
            if error is None:
                return
            if self.stopping:
                log.warning("%s", error)
                return
            target.failed = True
            self._answered = self._answered or any(link.session.answered for link in self._links)
            if not self._answered and all(target.failed for target in self._targets):
                raise error
            pause = target.pauses.next()
            log.warning("%s; next attempt in %.1f s", error, pause)
            if await self.pause(pause):
                return

    async def _live_with(self, target: Target) -> GearcoreError | None:
        """Connect and wait for the end of it; returns the reason, or None for an end in good order."""
        link = await self._connect(target)
        if link is None:
            return None
        session = link.session
        log.info("%s: connected, offering %d functions", link, len(target.lane.functions))
        session.start()
        self._crew.add(session, target.lane)
        self._links.add(link)
        self._links_changed.set()
        if self.stopping:
            session.stop()
        self.change()
        try:
            while not link.gone.done():
                now = time.monotonic()
                # It may begin to sleep, or to expect an answer, meanwhile.
                seconds = min(link.deadline() - now, self._settings.timeout, links.LONGEST_SLEEP)
                await asyncio.wait({link.gone}, timeout=max(seconds, 0.0))
                if not link.gone.done():
                    link.look(time.monotonic())
                    self.change()
            error = link.gone.result()
            if error is None:
                await link.end()
        finally:
            self._links.discard(link)
            self._links_changed.set()
            self._crew.remove(session)
            self._waiting = deque(job for job in self._waiting if job._outlet is not link)
            link.close()
            self.change()  # what it was asked for may be asked of others
            log.info("%s: disconnected", link)
            if session.answered:
                self._answered = True
                target.pauses.reset()
        return error

    async def _connect(self, target: Target) -> Link | None:
        settings = self._settings

        def make_link() -> Link:
            session = WorkerSession(str(target.address), target.lane.functions, settings.client_id)
            return Link(self, session, settings.timeout)

        connecting = asyncio.create_task(
            connect(make_link, target.address, settings.connect_timeout, settings.tls)
        )
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({connecting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            connecting.cancel()
            stopped.cancel()
            await asyncio.wait({connecting, stopped})
        return None if connecting.cancelled() else connecting.result()[1]

    async def _wait_for_the_end(self) -> None:
        await self._stopped.wait()
        try:
            async with asyncio.timeout(self._settings.grace):
                await self._halted.wait()
        except TimeoutError:
            self._halted.set()

    async def _schedule(self) -> None:
        while not self.stopping:
            sessions = {link.session.server: link.session for link in self._links}
            self._scheduler.look(time.time(), list(sessions.values()))
            for link in self._links:
                self._set_alarm(link)
            self.change()
            self._links_changed.clear()
            due = self._scheduler.deadline(bool(self._links)) - time.time()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(max(due, 0.01), links.LONGEST_SLEEP)):
                    await self._links_changed.wait()

    async def _close(self, tasks: set[asyncio.Task[None]]) -> None:
        self.asks = False
        self.stopping = True
        self._waiting.clear()
        for link in list(self._links):
            link.leave(None)
        tasks = tasks | self._running
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # it was raised already, or comes too late
