"""Who reads what the servers send: a thread that waits for something, or one in the background.

gear's clients and workers hear of everything in a thread of their own. To hand each answer from that thread
to the one that waits for it costs more than all else, so a thread that waits reads by itself, and may read on
for a moment when more is due. The one in the background reads while nobody waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gearcore._blocking import Connection as Stream
from gearcore._blocking import Deadline, Waker, Watch

if TYPE_CHECKING:
    from gearcore.compat.gear.connection import Connection

__all__ = ["Pump"]

_SOON: Final = 0.01
"""Seconds after a thread has read for which the background leaves it to the next, if nothing is due."""

_MOMENT: Final = 0.001
"""Seconds for which a thread reads on, at the most."""


class Pump:
    """Calls ``read`` with each connection that has something, in one thread at a time.

    ``expects`` says whether something is on its way that nobody waits for. ``name`` is that of the thread.
    """

    def __init__(self, read: Callable[[Connection], None], expects: Callable[[], bool], name: str) -> None:
        self._read = read
        self._expects = expects
        self._name = name
        # The lock guards everything below. The leader reads; it holds the lock only to look around.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._background = threading.Condition(self._lock)
        self._waker = Waker()
        self._watch = Watch(self._waker)
        self._connections: dict[Stream, Connection] = {}
        self._coming: list[tuple[Stream, Connection]] = []
        self._going: list[Stream] = []
        self._leader: int | None = None
        self._waiters = 0
        self._followers = 0
        self._turns = 0
        self._asleep = False
        self._stopped = False
        self._thread: threading.Thread | None = None

    def add(self, stream: Stream, connection: Connection) -> None:
        """Read this stream too, for this connection."""
        with self._lock:
            self._coming.append((stream, connection))
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        self.poke()

    def drop(self, stream: Stream) -> None:
        """Read this stream no more, and close it."""
        stream.shut_down()
        with self._lock:
            if self._stopped:
                stream.close()
                return
            self._going.append(stream)
        self.poke()

    def poke(self) -> None:
        """Have every thread that waits look whether what it waits for has come."""
        with self._lock:
            if self._followers:
                self._changed.notify_all()
            if self._leader is not None and self._leader != threading.get_ident():
                self._waker.wake()
            elif self._leader is None:
                self._background.notify()

    def wait(
        self, done: Callable[[], bool], seconds: float | None, then: Callable[[], bool] | None = None
    ) -> bool:
        """Wait until ``done``, for so many seconds; returns whether it was.

        When it was, go on for a moment until ``then``, if there is that, unless it is a handler that waits.
        """
        deadline = Deadline(seconds)
        with self._lock:
            self._waiters += 1
            try:
                while not done():
                    if self._stopped or deadline.expired:
                        return False
                    self._await(deadline)
                if then is not None:
                    self._read_on(then)
                return True
            finally:
                self._waiters -= 1
                self._hand_over()

    def stop(self) -> None:
        """Read no more, and close all streams. What waits ends, ``done`` or not."""
        with self._lock:
            self._stopped = True
            self._changed.notify_all()
            self._background.notify()
            self._waker.wake()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self._lock:
            while self._leader not in (None, threading.get_ident()):
                self._follow(Deadline(None))
            self._rearrange()
            for stream in self._connections:
                stream.close()
            self._connections.clear()
            self._waker.close()

    # What follows needs the lock.

    def _lead(self, deadline: Deadline) -> None:
        before, self._leader = self._leader, threading.get_ident()
        self._turns += 1
        self._rearrange()
        self._lock.release()
        try:
            for stream in self._watch.wait(deadline, for_one=self._waiters == 1):
                connection = self._connections.get(stream)
                if connection is not None:
                    self._read(connection)
        finally:
            self._lock.acquire()
            self._leader = before
            if self._followers:
                self._changed.notify_all()

    def _read_on(self, then: Callable[[], bool]) -> None:
        moment = Deadline(_MOMENT)
        # A handler that did would be called by the next one that it waits for, and so on, ever deeper.
        while self._leader != threading.get_ident() and not (then() or self._stopped or moment.expired):
            self._await(moment)

    def _await(self, deadline: Deadline) -> None:
        # What a handler waits for it reads itself: nobody else does meanwhile.
        if self._leader is None or self._leader == threading.get_ident():
            self._lead(deadline)
        else:
            self._follow(deadline)

    def _follow(self, deadline: Deadline) -> None:
        self._followers += 1
        try:
            self._changed.wait(deadline.remaining())
        finally:
            self._followers -= 1

    def _hand_over(self) -> None:
        if self._waiters:
            if self._leader is None and self._followers:
                self._changed.notify()
        elif self._asleep or self._expects():
            self._background.notify()

    def _rearrange(self) -> None:
        """Take up what is new, and close what is to go: for a leader, since nobody else waits for it then."""
        for stream, connection in self._coming:
            self._connections[stream] = connection
            self._watch.add(stream)
        self._coming.clear()
        for stream in self._going:
            if self._connections.pop(stream, None) is not None:
                self._watch.remove(stream)
            stream.close()
        self._going.clear()

    def _run(self) -> None:
        seen = -1
        with self._lock:
            while not self._stopped:
                if self._leader is not None or self._waiters:
                    self._rest()
                elif self._turns != seen and not self._expects() and not self._going:
                    seen = self._turns
                    self._background.wait(_SOON)
                else:
                    self._lead(Deadline(None))
                    seen = self._turns

    def _rest(self) -> None:
        """Leave the reading to others: look again soon, or when one that waits long has ended."""
        turns = self._turns
        self._background.wait(_SOON)
        if turns == self._turns and (self._leader is not None or self._waiters) and not self._stopped:
            self._asleep = True
            self._background.wait()
            self._asleep = False
