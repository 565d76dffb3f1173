"""What a blocking client's threads do with its connections: they ask, and wait for what comes.

What is decided here is who waits; where a request goes and what becomes of it is the fleet's and the
session's affair.
"""

from __future__ import annotations

import os
import ssl
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

from gearcore._blocking import Deadline
from gearcore.address import ServerAddress
from gearcore.client.connections import Connections, Link
from gearcore.errors import ConnectionLost, GearcoreError, ProtocolError, ServerUnavailable, TimedOut
from gearcore.session.batches import expire
from gearcore.session.client import JobRequest, all_answered
from gearcore.session.fleet import Place, State
from gearcore.session.requests import Request

__all__ = ["Links"]


class Links(Connections):
    """The waiting of any number of threads for what comes over the connections.

    Of the threads that wait for the servers one leads: it waits for all connections, without the lock, and
    takes what comes, for all. The others wait for what it brings.
    """

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
        _everybody.add(self)

    def _begin(self) -> None:
        super()._begin()
        # What lost its connection and is to be asked again: with its error, and until when.
        self._homeless: deque[tuple[Request, GearcoreError, float]] = deque()
        self._news: list[Request] = []

    def now(self) -> float:
        """The time in seconds, of the clock that a job's ``expires`` goes by."""
        return time.monotonic()

    def deadline(self, timeout: float | None) -> Deadline:
        """When a call with this timeout gives up; None stands for the client's own timeout."""
        return Deadline(self._timeout if timeout is None else timeout)

    def call(self, request: Request, deadline: Deadline, place: Place | None = None) -> None:
        """Ask a server, of the client's choice or at this ``place``, and wait until it has answered.

        Raises the error if the answer is one, and TimedOut.
        """
        with self._lock:
            link = self._route(request.route, deadline, place)
            link.session.ask(request)
            self._send(link)
            if not request.answered:
                self._wait_for_answers(lambda: request.answered, request, deadline)
        if request.error is not None:
            raise request.error

    def start(self, jobs: list[Any], deadline: Deadline) -> None:
        """Submit jobs without waiting for their acknowledgements; those that find no server fail."""
        with self._lock:
            if self._alone is not None or not any(job.route for job in jobs):
                parts = [(b"", jobs)]
            else:
                parts = [(job.route, [job]) for job in jobs if job.route]
                if len(parts) < len(jobs):
                    parts.append((b"", [job for job in jobs if not job.route]))
            for route, part in parts:
                try:
                    link = self._route(route, deadline)
                except (ServerUnavailable, TimedOut) as error:
                    for job in part:
                        self._fail(job, copy(error))
                else:
                    link.session.ask_all(part)
            for link in list(self._links.values()):
                self._send(link)

    def wait_for_all(self, jobs: list[Any], deadline: Deadline) -> None:
        """Wait until each of the jobs is acknowledged or refused."""
        if not all_answered(jobs):
            with self._lock:
                self._wait_for_answers(lambda: all_answered(jobs), jobs[-1], deadline)

    def wait_until(self, done: Callable[[], bool], end: float) -> None:
        """Wait until ``done``, or until that time of the monotonic clock."""
        with self._lock:
            self._wait(done, Deadline(end - time.monotonic()))

    def wait_for_job(self, job: JobRequest, done: Callable[[], bool], deadline: Deadline) -> None:
        """Wait until ``done``, which is true once the job has ended. Raises TimedOut.

        A job that takes longer than it is allowed to has ended by that.
        """
        with self._lock:
            while True:
                self._wait(done, deadline.sooner_at(job.expires))
                if done():
                    return
                if time.monotonic() < job.expires:
                    break
                expire(job)
        raise self._timed_out(job, deadline)

    def close(self) -> None:
        """Close the connections. What is in flight ends with ConnectionLost."""
        with self._lock:
            self._closed = True
            for waker in self._attempts:
                waker.wake()
            for link in list(self._links.values()):
                self._lose(link, f"the client of {self.name} was closed")
            while self._homeless:
                request, error, _ = self._homeless.popleft()
                self._fail(request, error)
            self._wake()
            probes, self._probes = self._probes, []
            self._tell()
            if not self._led and self._waker is not None:
                self._waker.close()
                self._waker = self._watch = None
        for probe in probes:
            probe.join()

    def after_fork(self) -> None:
        """In a process that was forked: the connections are the parent's, and so are the answers."""
        links = list(self._links.values())
        homeless = self._homeless
        waker, closed = self._waker, self._closed
        self._begin()
        self._closed = closed
        for link in links:
            link.connection.close()
            link.session.connection_lost(f"the process that was connected to {link.place.name} was forked")
        for request, error, _ in homeless:
            request.fail(error)
        if waker is not None:
            waker.close()

    # What follows needs the lock, and gives it up while it waits.

    def _timed_out(self, request: Request, deadline: Deadline) -> TimedOut:
        session = request.session
        server = self.name if session is None else session.server
        return TimedOut(f"waited {deadline.seconds:g} s for {request.what} from {server}")

    def _wait_for_answers(self, done: Callable[[], bool], request: Request, deadline: Deadline) -> None:
        begun = time.monotonic()
        self._wait(done, deadline)
        if not done():
            error = self._timed_out(request, deadline)
            request.abandoned = True
            link = None if request.session is None else request.session.link
            if link is not None and link.connection.heard < begun:
                self._fleet.silent(link.place)
            raise error

    def _wait(self, done: Callable[[], bool], deadline: Deadline) -> None:
        while not done():
            if self._homeless:
                self._find_homes()
                if done():
                    return
            if self._led:
                self._follow(deadline)
            elif self._homeless:
                self._lead(deadline.sooner_at(self._fleet.next_try()))
            else:
                self._lead(deadline)
            if done() or deadline.expired:
                return

    def _lead(self, deadline: Deadline) -> None:
        watch = self._watch or self._make_watch()
        self._led = True
        for_one = not self._followers and self._awaited() == 1
        self._lock.release()
        try:
            ready = watch.wait_seconds(deadline.remaining(), for_one=for_one)
        finally:
            self._lock.acquire()
            self._led = False
            if self._followers:
                self._changed.notify_all()
            if self._closed and self._waker is not None and not self._links:
                self._waker.close()
                self._waker = self._watch = None
        for connection in ready:
            link = self._links.get(connection)
            if link is not None:
                if connection.unsent:
                    self._send(link)
                self._receive(link)
        if self._news:
            self._tell()

    def _awaited(self) -> int:
        count = 0
        for link in self._links.values():
            count += link.session.awaited
        return count

    def _tell(self) -> None:
        while self._news:
            news, self._news = self._news, []
            self._lock.release()
            try:
                for request in news:
                    if request.watcher is not None:
                        request.watcher(request)
            finally:
                self._lock.acquire()

    def _find_homes(self) -> None:
        """Ask again what lost its connection, as far as there is a server for it."""
        for _ in range(len(self._homeless)):
            if not self._homeless:  # somebody else does the same
                return
            request, error, until = self._homeless.popleft()
            if request.abandoned:
                continue
            try:
                link = self._route(request.route, Deadline(self._connect_timeout))
            except GearcoreError:
                if time.monotonic() < until:
                    self._homeless.append((request, error, until))
                else:
                    self._fail(request, error)
            except RuntimeError:  # closed
                self._fail(request, error)
            else:
                link.session.ask(request)
                self._send(link)

    def _fail(self, request: Request, error: GearcoreError) -> None:
        request.fail(error)
        if request.watcher is not None:
            self._news.append(request)
        self._wake()

    def _send(self, link: Link) -> None:
        connection = link.connection
        try:
            for part in link.session.parts_to_send():
                connection.send(part)
            if connection.unsent:
                connection.send()
        except ConnectionLost as error:
            # What the server said before it closed may answer what is in flight.
            while self._receive(link):
                pass
            self._lose(link, error)
        else:
            if self._led and connection.unsent and self._waker is not None:
                self._waker.wake()  # The thread that waits does not wait for room yet.

    def _receive(self, link: Link) -> bool:
        try:
            data = link.connection.receive()
            if data:
                if link.place.state is State.SILENT:
                    link.place.state = State.LIVE
                news = link.session.receive(data, link.connection.heard)
                if news:
                    self._news += news
        except (ConnectionLost, ProtocolError) as error:
            self._lose(link, error)
            return False
        return bool(data)

    def _lose(self, link: Link, cause: object) -> None:
        if self._links.pop(link.connection, None) is None:
            return
        if self._watch is not None:
            self._watch.remove(link.connection)
        link.connection.close()
        now = time.monotonic()
        again, ended = self._fleet.lost(link.place, cause, now)
        for request, error in again:
            # An acknowledged job may wait for a server; the caller of one that is not waits for the answer.
            patience = self._timeout if isinstance(request, JobRequest) and request.acknowledged else 0.0
            until = float("inf") if patience is None else now + patience
            self._homeless.append((request, error, until))
        self._news += [request for request in ended if request.watcher is not None]
        self._wake()


_everybody: weakref.WeakSet[Links] = weakref.WeakSet()


def _after_fork() -> None:
    for links in list(_everybody):
        links.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
