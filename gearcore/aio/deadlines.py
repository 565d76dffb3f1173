"""When the answers to an asyncio client's requests are late."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from typing import Final

__all__ = ["Answer", "Deadlines"]

_TICK: Final = 0.001
"""Seconds that a timer of an event loop may come too early."""

Answer = asyncio.Future[bool]
"""Of a request: done with True when it is answered, and with False when it is late."""


class Deadlines:
    """Ends the waits for answers that take too long, with one timer for all of them.

    A timer for each would cost more than to send the request. Requests with the same patience are late in the
    order in which they were sent, so only the first of them is looked at.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._rings = math.inf
        # By patience in seconds, and then in the order of their ends.
        self._waiting: dict[float, OrderedDict[Answer, float]] = {}

    def add(self, answer: Answer, seconds: float) -> None:
        """Let it be late in so many seconds, or never if they are infinite."""
        if seconds == math.inf:
            return
        end = self._loop.time() + seconds
        self._waiting.setdefault(seconds, OrderedDict())[answer] = end
        if end < self._rings:
            self._ring_at(end)

    def remove(self, answer: Answer, seconds: float) -> None:
        """It is waited for no more."""
        waiting = self._waiting.get(seconds)
        if waiting is not None:
            waiting.pop(answer, None)

    def close(self) -> None:
        """Ring no more."""
        self._ring_at(math.inf)

    def _ring_at(self, end: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = end
        self._timer = None if end == math.inf else self._loop.call_at(end, self._ring)

    def _ring(self) -> None:
        late = self._loop.time() + _TICK
        rings = math.inf
        for seconds, waiting in list(self._waiting.items()):
            while waiting:
                answer, end = next(iter(waiting.items()))
                if end > late:
                    rings = min(rings, end)
                    break
                del waiting[answer]
                if not answer.done():
                    answer.set_result(False)
            else:
                del self._waiting[seconds]
        self._ring_at(rings)
