"""The blocking worker at work: its loop over servers and jobs."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from gearcore._blocking import Connection, Waker, Watch
from gearcore.errors import GearcoreError
from gearcore.protocol import PacketType
from gearcore.session.crew import Crew
from gearcore.session.worker import Assignment, Submitted, WorkerNews, WorkerSession, WorkerState
from gearcore.worker import links
from gearcore.worker.endings import Completed, Outcome, end, settle
from gearcore.worker.executor import Executor
from gearcore.worker.functions import Function
from gearcore.worker.job import WorkerJob
from gearcore.worker.links import Attempt, Link, Target
from gearcore.worker.periodic import Scheduler
from gearcore.worker.running import name
from gearcore.worker.settings import Settings, make_lanes

__all__ = ["Engine"]

log = logging.getLogger("gearcore.worker")


class Engine:
    """One run of a worker. ``lock`` guards all but ``run``, ``stop`` and ``wake``.

    ``attention`` says that something has changed that the loop must look at: connections, deadlines, or that
    the worker is to stop.
    """

    def __init__(
        self,
        settings: Settings,
        functions: Mapping[bytes, Function],
        scheduler: Scheduler,
        max_jobs: int | None,
        make_executor: Callable[[Engine], Executor],
    ) -> None:
        self.lock = threading.Lock()
        self.stopping = False
        self._settings = settings
        self._functions = functions
        self._scheduler = scheduler
        self._jobs_left = max_jobs
        self._waiting: deque[WorkerJob] = deque()
        self._attention = True
        self._answered = False
        self._stop_by: float | None = None
        self._halted = False
        self._waker = Waker()
        self._watch = Watch(self._waker)
        self._targets = [Target(s, lane) for lane in make_lanes(functions) for s in settings.servers]
        self._links: dict[Connection, Link] = {}
        self._executor = make_executor(self)
        self._crew = Crew(self._executor.slots, settings.prefetch)

    def run(self) -> None:
        """Work until ``stop``. Raises what is wrong with the servers when none of them has ever answered."""
        try:
            with self.lock:
                while self._look():
                    self._work()
        finally:
            self._close()

    def stop(self) -> None:
        """Take no more jobs, and end when those in hand have. From any thread, and signal handlers."""
        self.stopping = True
        self.wake()

    def wake(self) -> None:
        """Have the loop look at everything. From any thread, and signal handlers."""
        self._attention = True
        self._waker.wake()

    def next_job(self) -> WorkerJob | None:
        """The job that is to start next, or None when none waits."""
        return self._waiting.popleft() if self._waiting else None

    def ended(self, job: WorkerJob, outcome: Outcome) -> None:
        """A job ended; what is to be sent for it is in its session."""
        link = job._outlet
        assert isinstance(link, Link)
        if self._jobs_left is not None:
            self._jobs_left -= 1
            if not self._jobs_left:
                self.stop()
        if link.closed or link.broken is not None:
            log.warning("%s: %s ended, and nobody was told", link.target.address, name(job))
        else:
            end(link.session, job, outcome, time.time())
            if type(outcome) is not Completed:
                self.wake()  # the session may have an alarm to be heard
        if self.stopping:
            self.wake()

    def send(self) -> None:
        """Grab what there is room for, and send all that there is to send."""
        if not self.stopping:
            self._crew.grab(self._jobs_left)
        for link in self._links.values():
            link.flush()

    def watch(self, connection: Connection) -> None:
        """Wait for this connection too."""
        self._watch.add(connection)

    def unwatch(self, connection: Connection) -> None:
        """Wait for it no more."""
        self._watch.remove(connection)

    def forward(self, job: WorkerJob, packet_type: PacketType, args: tuple[bytes, ...]) -> None:
        """Send an update that a process has sent for its job."""
        link = job._outlet
        assert isinstance(link, Link)
        if not link.closed and link.broken is None:
            link.session.update(packet_type, job._assignment.handle, *args)

    def descriptors(self) -> list[int]:
        """What a process that is forked now must close: it belongs to the engine."""
        return [connection.fileno() for connection in self._links]

    def halt(self) -> None:
        """End at once, and leave the jobs that run to the servers. From any thread, and signal handlers."""
        self._halted = True
        self.stop()
        self._executor.halt()

    def note_duration(self, seconds: float, jobs: int) -> None:
        """So many jobs took so long, one after the other."""
        self._crew.note_duration(seconds, jobs)

    def _work(self) -> None:
        """Work until something needs attention, or it is time for a look."""
        until = self._deadline()
        more = False
        while not self._attention:
            if self._waiting:
                more = self._executor.start()
            self.send()
            if more and self._waiting:
                if time.monotonic() >= until:
                    return
                continue
            ready = self._wait(min(until, self._alarm()))
            for connection in ready:
                link = self._links.get(connection)
                if link is not None:
                    link.receive()
                else:
                    self._executor.receive(connection)
            if not ready:
                return

    def _wait(self, until: float) -> list[Connection]:
        self.lock.release()
        try:
            return self._watch.wait_seconds(
                max(until - time.monotonic(), 0.0), for_one=self._executor.stands_still
            )
        finally:
            self.lock.acquire()

    def _alarm(self) -> float:
        """When the first of the delayed jobs is due that were submitted here, maybe since the last look."""
        due = math.inf
        for link in self._links.values():
            if link.session.due < due:
                due = link.session.due
        return due if due == math.inf else time.monotonic() + due - time.time()

    def _deadline(self) -> float:
        now = time.monotonic()
        # A connection that begins to sleep or to expect an answer meanwhile is looked at in time.
        times = [now + min(self._settings.timeout, links.LONGEST_SLEEP), self._executor.deadline()]
        times += [link.deadline() for link in self._links.values()]
        if self._stop_by is not None:
            times.append(self._stop_by)
        else:
            times += [t.due for t in self._targets if t.link is None and t.attempt is None]
            if self._scheduler:
                times.append(now + self._scheduler.deadline(bool(self._links)) - time.time())
        return min(times)

    def _look(self) -> bool:
        """Look after everything that is not the flow of jobs; returns whether to go on."""
        self._attention = False
        now = time.monotonic()
        if self.stopping and self._stop_by is None:
            self._stop_by = now + self._settings.grace
            for link in self._links.values():
                link.session.stop()
        if self._halted or (self._stop_by is not None and now >= self._stop_by):
            log.warning("the jobs that are left are given back")
            return False
        for target in self._targets:
            self._look_at(target, now)
        self._executor.look(now)
        if self._scheduler and not self.stopping:
            # One lane of each server is enough.
            sessions = {link.session.server: link.session for link in self._links.values()}
            self._scheduler.look(time.time(), list(sessions.values()))
        return not self.stopping or bool(self._links)

    def _look_at(self, target: Target, now: float) -> None:
        attempt, link = target.attempt, target.link
        if attempt is not None and attempt.over:
            target.attempt = None
            if attempt.connection is not None:
                self._connected(target, attempt.connection)
            elif attempt.error is not None:
                self._failed(target, attempt.error, now)
        elif link is not None:
            link.look(now)
            if link.session.state is WorkerState.STOPPED:
                link.flush()
            if link.broken is not None:
                self._drop(link)
                self._answered = self._answered or link.session.answered
                if link.session.answered:
                    target.pauses.reset()
                self._failed(target, link.broken, now)
            elif link.session.state is WorkerState.STOPPED and not link.connection.unsent:
                self._drop(link)
        elif attempt is None and not self.stopping and now >= target.due:
            settings = self._settings
            target.attempt = Attempt(target.address, settings.connect_timeout, settings.tls, self.wake)

    def _connected(self, target: Target, connection: Connection) -> None:
        functions = target.lane.functions
        session = WorkerSession(str(target.address), functions, self._settings.client_id)
        link = Link(target, connection, session, self._settings.timeout, self.lock, self.wake, self._take)
        target.link = link
        self._links[connection] = link
        self.watch(connection)
        log.info("%s: connected, offering %d functions", target.address, len(functions))
        session.start()
        self._crew.add(session, target.lane)
        if self.stopping:
            session.stop()
            self._attention = True

    def _failed(self, target: Target, error: GearcoreError, now: float) -> None:
        if self.stopping:
            log.warning("%s", error)
            return
        target.failed = True
        self._answered = self._answered or any(link.session.answered for link in self._links.values())
        if not self._answered and all(target.failed for target in self._targets):
            raise error
        pause = target.pauses.next()
        target.due = now + pause
        log.warning("%s; next attempt in %.1f s", error, pause)

    def _drop(self, link: Link) -> None:
        del self._links[link.connection]
        link.target.link = None
        self._crew.remove(link.session)
        self._waiting = deque(job for job in self._waiting if job._outlet is not link)
        self.unwatch(link.connection)
        link.close()
        log.info("%s: disconnected", link.target.address)

    def _take(self, link: Link, news: list[WorkerNews]) -> None:
        functions, namespace_size = self._functions, self._settings.namespace_size
        for item in news:
            if type(item) is Assignment:
                self._waiting.append(WorkerJob(link, item, functions.get(item.function), namespace_size))
            elif isinstance(item, Submitted):
                settle(link.session, item)
                self._attention = True
            else:
                log.warning("%s: %s", link.target.address, item)

    def _close(self) -> None:
        with self.lock:
            self.stopping = True
            self._waiting.clear()
            for link in list(self._links.values()):
                self._drop(link)
        for target in self._targets:
            if target.attempt is not None:
                target.attempt.cancel()
        self._executor.close()
        self._waker.close()
