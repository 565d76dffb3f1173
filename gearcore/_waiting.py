"""Waiting for file descriptors: until when, for which of them, and how somebody else ends it."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import time
from typing import Final, Protocol

__all__ = ["READ", "WRITE", "Deadline", "Poll", "Vigil", "Waker", "make_poll", "wait_for"]

_LONGEST_WAIT: Final = 86400.0
"""Seconds of one wait at most. What the system calls take has a limit; who waits longer waits again."""

_LONGEST_SELECT: Final = 0.5
"""Seconds of one ``select`` at most: on Windows, signals are handled between two of them only."""

_AWAKE: Final = 5e-5
"""Seconds for which an answer is awaited awake."""

_SOON: Final = 1e-4
"""Seconds within which the last one must have come: to be woken for it is part of them."""

_OURS: Final = 4e-6
"""Seconds that it takes at most to give way to nobody."""

_LONGEST_REST: Final = 255
"""How many waits are slept through after one that was awake in vain, at most."""

_clock: Final = time.perf_counter
"""That of ``time.monotonic`` is too coarse on Windows."""

_give_way: Final = getattr(os, "sched_yield", lambda: time.sleep(0))

READ: Final = getattr(select, "POLLIN", 1)
"""Of what is waited for: that there is something to read, or that it has ended."""

WRITE: Final = getattr(select, "POLLOUT", 4)
"""Of what is waited for: that there is room to write."""


class Deadline:
    """When a call gives up. One deadline goes for all that the call waits for.

    ``seconds`` from now, or never for None. What is below 0 is as 0: do what can be done
    without waiting.
    """

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float | None) -> None:
        if seconds is None:
            self.seconds = self._end = math.inf
        else:
            self.seconds = seconds if seconds > 0.0 else 0.0
            self._end = time.monotonic() + self.seconds

    def remaining(self) -> float:
        """Seconds that are left, no less than 0 and no more than a day."""
        # For every wait: min and max would cost more than all the rest.
        left = self._end - time.monotonic()
        if left < 0.0:
            return 0.0
        return left if left < _LONGEST_WAIT else _LONGEST_WAIT

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._end

    def sooner(self, seconds: float) -> Deadline:
        """One in so many seconds if that is sooner, else the same."""
        return Deadline(seconds) if seconds < self._end - time.monotonic() else self

    def sooner_at(self, end: float) -> Deadline:
        """One at that time of the monotonic clock if it is sooner, else the same."""
        return self if self._end <= end else Deadline(end - time.monotonic())


class Waker:
    """Ends a wait from another thread or a signal handler."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """What becomes readable when somebody wakes."""
        return self._reader.fileno()

    def wake(self) -> None:
        """End the wait that is going on, or the next one. Takes no lock, and does not mind a closed waker."""
        # The pipe may be full: then there is a wake in it.
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def rest(self) -> None:
        """Forget the wakes so far."""
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass

    def wait(self, seconds: float) -> None:
        """Wait to be woken, for so many seconds."""
        if wait_for(self.fileno(), READ, seconds):
            self.rest()

    def close(self) -> None:
        """Give the file descriptors back."""
        self._reader.close()
        self._writer.close()


class Poll(Protocol):
    """What of ``select.poll`` is used here."""

    def register(self, fd: int, eventmask: int, /) -> None:
        """Wait for this descriptor too."""

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Wait for something else on it."""

    def unregister(self, fd: int, /) -> None:
        """Wait for it no more."""

    def poll(self, timeout: int, /) -> list[tuple[int, int]]:
        """Wait, for so many milliseconds, and return who is ready, for what."""


class Vigil:
    """Whether to stay awake while one answer is due.

    To fall asleep and to be woken takes a processor some microseconds, and a virtual one tens of them: longer
    than a server close by takes to answer. So a wait begins awake if the last one was short. When that is in
    vain, or somebody else wants the processor, the next waits are slept through: twice as many after each
    such time. With a single processor all are, since who answers needs it.
    """

    __slots__ = ("_alone", "_awake", "_begun", "_in_vain", "_rest", "_soon", "_vain")

    def __init__(self) -> None:
        self._alone = _processors() == 1
        self._begun = 0.0
        self._awake = self._soon = self._in_vain = False
        self._vain = self._rest = 0

    def begin(self) -> bool:
        """A wait begins; returns whether to be awake."""
        self._begun = _clock()
        self._awake = self._soon and not self._rest and not self._alone
        self._in_vain = False
        return self._awake

    def goes_on(self) -> bool:
        """There is no answer yet: let others have the processor; returns whether to be awake still."""
        looked = _clock()
        _give_way()
        now = _clock()
        self._in_vain = now - looked > _OURS or now - self._begun > _AWAKE
        return not self._in_vain

    def end(self) -> None:
        """The wait is over."""
        self._soon = _clock() - self._begun < _SOON
        if self._in_vain:
            self._rest = self._vain = min(2 * self._vain + 1, _LONGEST_REST)
        elif self._awake:
            self._vain //= 2
        elif self._rest:
            self._rest -= 1

    def poll(self, poll: Poll, timeout: int) -> list[tuple[int, int]]:
        """Wait, and return what ``poll.poll(timeout)`` does."""
        ready: list[tuple[int, int]] = []
        if timeout and self.begin():
            while not (ready := poll.poll(0)) and self.goes_on():
                pass
        if not ready:
            ready = poll.poll(timeout)
        if timeout:
            self.end()
        return ready


class SelectPoll:
    """``select.poll`` where there is none, as on Windows."""

    def __init__(self) -> None:
        self._interest: dict[int, int] = {}

    def register(self, fd: int, eventmask: int, /) -> None:
        """Wait for this descriptor too."""
        self._interest[fd] = eventmask

    modify = register

    def unregister(self, fd: int, /) -> None:
        """Wait for it no more."""
        del self._interest[fd]

    def poll(self, timeout: int, /) -> list[tuple[int, int]]:
        """Wait, for so many milliseconds, and return who is ready, for what."""
        writers = [fd for fd, interest in self._interest.items() if interest & WRITE]
        end = time.monotonic() + timeout / 1000
        while True:
            seconds = min(max(end - time.monotonic(), 0.0), _LONGEST_SELECT)
            try:
                # Windows reports an attempt to connect that failed as the third kind.
                ready = select.select(list(self._interest), writers, writers, seconds)
            except OSError:  # one was closed meanwhile; who looks at them finds out which
                return [(fd, READ) for fd in self._interest]
            if any(ready) or time.monotonic() >= end:
                return [(fd, READ) for fd in {fd for kind in ready for fd in kind}]


def make_poll() -> Poll:
    """An object to wait for descriptors with."""
    return select.poll() if hasattr(select, "poll") else SelectPoll()


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def wait_for(number: int, interest: int, seconds: float) -> bool:
    """Wait for one descriptor, for so many seconds; returns whether it is ready."""
    poll = make_poll()
    poll.register(number, interest)
    return bool(poll.poll(math.ceil(min(seconds, _LONGEST_WAIT) * 1000)))
