"""Waiting for file descriptors: until when, for which of them, and how somebody else ends it."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import time
from typing import Final, Protocol

__all__ = ["READ", "WRITE", "Deadline", "Poll", "Waker", "make_poll", "wait_for"]

_LONGEST_WAIT: Final = 86400.0
"""Seconds of one wait at most. What the system calls take has a limit; who waits longer waits again."""

_LONGEST_SELECT: Final = 0.5
"""Seconds of one ``select`` at most: on Windows, signals are handled between two of them only."""

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


def wait_for(number: int, interest: int, seconds: float) -> bool:
    """Wait for one descriptor, for so many seconds; returns whether it is ready."""
    poll = make_poll()
    poll.register(number, interest)
    return bool(poll.poll(math.ceil(min(seconds, _LONGEST_WAIT) * 1000)))
