"""Which event loop a server runs in when it may choose."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

try:
    from gearcore._direct import DirectSockets
except ImportError:  # not Linux
    DirectSockets = None  # type: ignore[assignment, misc]

__all__ = ["HAS_DIRECT_SOCKETS", "DirectEventLoop", "DirectSockets", "new_event_loop"]

HAS_DIRECT_SOCKETS = DirectSockets is not None
"""Whether the server can read and write sockets by itself on this system."""


def new_event_loop(direct: bool) -> asyncio.AbstractEventLoop:
    """Make an event loop for a server; ``direct`` for sockets that it reads and writes by itself.

    Otherwise it is uvloop's, or the standard library's where there is no uvloop (on Windows).
    """
    if direct:
        return DirectEventLoop()
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class DirectEventLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop, which serves direct sockets in C while it waits for its own.

    It waits in one system call for both. Only what is not theirs (connections to accept, TLS, timers,
    signals, calls from other threads) takes a turn of the event loop.
    """

    def __init__(self) -> None:
        self._selector_of_both = _Selector()
        super().__init__(self._selector_of_both)

    def serve_while_waiting(
        self, sockets: DirectSockets, after: Callable[[list[tuple[Any, Exception | None]]], None]
    ) -> bool:
        """Serve these sockets from now on; ``after`` is called with what `DirectSockets.serve` returns.

        Returns False, and does nothing, when it serves others already.
        """
        if self._selector_of_both.sockets is not None:
            return False
        sockets.heed(self._selector_of_both.fileno())
        self._selector_of_both.sockets = sockets
        self._selector_of_both.after = after
        return True

    def leave_alone(self) -> None:
        """Serve no sockets any more."""
        self._selector_of_both.sockets = None


class _Selector(selectors.DefaultSelector):
    sockets: DirectSockets | None = None
    after: Callable[[list[tuple[Any, Exception | None]]], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.sockets is None:
            return super().select(timeout)
        self.after(self.sockets.serve(-1.0 if timeout is None else max(timeout, 0.0)))
        return super().select(0)
