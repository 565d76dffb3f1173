"""Waiting awake in an event loop: see ``gearcore._waiting.Vigil``."""

from __future__ import annotations

import asyncio

from gearcore._waiting import Vigil

__all__ = ["LoopVigil"]


class LoopVigil:
    """Has the event loop turn, and not sleep, while one answer is due. Others have their turns as ever."""

    __slots__ = ("_loop", "_next", "_on", "_vigil")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._vigil = Vigil()
        self._on = False
        self._next: asyncio.Handle | None = None

    def begin(self) -> None:
        """One answer is due, and nothing else is to be done."""
        if not self._on:
            self._on = True
            if self._vigil.begin():
                self._next = self._loop.call_soon(self._turn)

    def end(self) -> None:
        """Something came."""
        if self._on:
            self._on = False
            self._vigil.end()
            if self._next is not None:
                self._next.cancel()
                self._next = None

    def _turn(self) -> None:
        self._next = self._loop.call_soon(self._turn) if self._vigil.goes_on() else None
