"""A worker's connections to its servers: made in the background, and lived with."""

from __future__ import annotations

import math
import random
import ssl
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gearcore._blocking import Connection, Deadline, Waker
from gearcore._waiting import READ, wait_for
from gearcore.address import ServerAddress
from gearcore.errors import ConnectionLost, GearcoreError, TimedOut
from gearcore.protocol import PacketType
from gearcore.session.crew import Lane
from gearcore.session.pauses import Pauses
from gearcore.session.worker import WorkerNews, WorkerSession, WorkerState

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["LONGEST_SLEEP", "Attempt", "Link", "Target"]

LONGEST_SLEEP: Final = 60.0
"""Seconds after which a worker that heard nothing asks for a job again."""


class Target:
    """A server to work for, with the functions of one lane: connected, or to be connected again.

    ``due`` is the time of the next attempt, ``link`` the connection while there is one, ``attempt`` the one
    that is being made.
    """

    def __init__(self, address: ServerAddress, lane: Lane) -> None:
        self.address = address
        self.lane = lane
        self.pauses = Pauses(random.random)
        self.due = 0.0
        self.failed = False
        self.link: Link | None = None
        self.attempt: Attempt | None = None


class Attempt:
    """An attempt to connect, in a thread of its own: one server that is slow to answer holds up no other.

    Once it is ``over`` there is either a ``connection`` or an ``error``, and ``done`` was called.
    """

    def __init__(
        self,
        address: ServerAddress,
        timeout: float,
        tls: ssl.SSLContext | None,
        done: Callable[[], None],
    ) -> None:
        self.over = False
        self.connection: Connection | None = None
        self.error: GearcoreError | None = None
        self._address = address
        self._timeout = timeout
        self._tls = tls
        self._done = done
        self._waker = Waker()
        self._guard = threading.Lock()
        self._unwanted = False
        self._thread = threading.Thread(target=self._run, name=f"connect to {address}", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Nobody wants the connection any more."""
        with self._guard:
            self._unwanted = True
            if self.connection is not None:
                self.connection.close()
            if not self.over:
                self._waker.wake()
        # A look-up of a name cannot be ended; its thread is left to itself.
        self._thread.join(0.5)

    def _run(self) -> None:
        try:
            deadline = Deadline(self._timeout)
            connection = Connection.open(self._address, deadline, self._waker, self._tls)
        except GearcoreError as error:
            self.error = error
        else:
            with self._guard:
                self.connection = connection
                if self._unwanted:
                    connection.close()
        with self._guard:
            self.over = True
            self._waker.close()
        self._done()


class Link:
    """A connection that there is, with its session. Everything here needs the engine's ``lock``.

    Jobs send their updates by ``send``, from any thread, and that takes the lock by itself. A link that is
    ``broken`` is given up by the engine at its next look; ``wake`` asks it for one.
    """

    def __init__(
        self,
        target: Target,
        connection: Connection,
        session: WorkerSession,
        timeout: float,
        lock: threading.Lock,
        wake: Callable[[], None],
        take: Callable[[Link, list[WorkerNews]], None],
    ) -> None:
        self.target = target
        self.connection = connection
        self.session = session
        self.broken: GearcoreError | None = None
        self.closed = False
        self._timeout = timeout
        self._lock = lock
        self._wake = wake
        self._take = take
        self._since = time.monotonic()
        self._stuck: float | None = None

    def flush(self) -> None:
        """Send what there is to send, as far as possible at once."""
        parts = self.session.parts_to_send()
        if parts or self._stuck is not None:
            self._since = time.monotonic()
            try:
                for part in parts:
                    self.connection.send(part, more=part is not parts[-1])
                if not parts:
                    self.connection.send()
            except GearcoreError as error:
                self._break(error)
                return
            if not self.connection.unsent:
                self._stuck = None
            elif self._stuck is None:
                self._stuck = self._since + self._timeout
                self._wake()  # whoever waits does not wait for room yet

    def receive(self) -> None:
        """Take what the server has sent."""
        connection, session = self.connection, self.session
        try:
            while data := connection.receive():
                self._since = time.monotonic()
                news = session.receive(data)
                if news:
                    self._take(self, news)
                if session.state is WorkerState.STOPPED:
                    self._wake()
                if not connection.readable:
                    break
        except GearcoreError as error:
            self._break(error)
            return
        if self._stuck is not None:
            self.flush()

    def send(self, packet_type: PacketType, handle: bytes, *args: Buffer) -> None:
        """Send an update of a job, and wait until the system has taken it."""
        with self._lock:
            self._check()
            self.session.update(packet_type, handle, *args)
            self.flush()
            while self._stuck is not None and not self.broken:
                if time.monotonic() >= self._stuck:
                    self._break(self._too_slow())
                    break
                self._lock.release()
                try:
                    wait_for(self.connection.fileno(), self.connection.interest | READ, 0.1)
                finally:
                    self._lock.acquire()
                if not self.closed:
                    self.receive()
            self._check()

    def deadline(self) -> float:
        """When something is to be done for this link, unless it is heard of before."""
        if self._stuck is not None:
            return self._stuck
        if self.session.expects:
            return self._since + self._timeout
        if self.session.due < math.inf:
            return min(self._since + LONGEST_SLEEP, time.monotonic() + self.session.due - time.time())
        return self._since + LONGEST_SLEEP

    def look(self, now: float) -> None:
        """Do what is to be done when nothing was heard until ``deadline()``."""
        if self.broken or now < self.deadline():
            return
        if self._stuck is not None:
            self._break(self._too_slow())
        elif self.session.expects:
            address = self.session.server
            self._break(TimedOut(f"waited {self._timeout:g} s for {address} to answer a grab"))
        elif time.time() >= self.session.due:
            self.session.alarm()
        else:
            self._since = now
            if self.session.state is WorkerState.SLEEPING:
                self.session.oversleep()

    def close(self) -> None:
        """Close the connection. The server gives the jobs that are in hand to other workers."""
        self.closed = True
        # A process that was forked meanwhile may have the socket too.
        self.connection.shut_down()
        self.connection.close()

    def __str__(self) -> str:
        return self.session.server

    def _break(self, error: GearcoreError) -> None:
        self.broken = error
        self._wake()

    def _check(self) -> None:
        if self.broken is not None:
            kind = TimedOut if isinstance(self.broken, TimedOut) else ConnectionLost
            raise kind(str(self.broken)) from self.broken
        if self.closed:
            raise ConnectionLost(f"the connection to {self.session.server} was closed")

    def _too_slow(self) -> TimedOut:
        return TimedOut(f"waited {self._timeout:g} s for {self.session.server} to take data")
