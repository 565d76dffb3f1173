"""SIGTERM and SIGINT for a worker: the first lets it end in good order, the second at once."""

from __future__ import annotations

import _thread
import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Halt", "StopSignals"]

log = logging.getLogger("gearcore.worker")


class Halt(KeyboardInterrupt):
    """Raised in the function that runs in the worker's own thread, when it must end at once.

    A KeyboardInterrupt, since that is what asyncio lets through from a signal handler.
    """


class StopSignals:
    """While it is entered, in the main thread, SIGTERM and SIGINT stop a worker.

    The first calls ``stop``. The second, or the end of ``grace`` seconds after the first, calls ``halt``;
    which raises Halt if there is no other way.
    """

    def __init__(self, stop: Callable[[], None], halt: Callable[[], None], grace: float) -> None:
        self._stop = stop
        self._halt = halt
        self._timer = threading.Timer(grace, self._end_grace)
        self._timer.daemon = True
        self._before: dict[int, Any] = {}
        self._stopping = False

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("signals can be installed in the main thread only")
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            self._halt()
        else:
            self._stopping = True
            self._timer.start()
            self._stop()

    def _end_grace(self) -> None:
        # To run the handler again in the main thread, where the function is.
        if sys.platform == "win32":
            _thread.interrupt_main(signal.SIGTERM)  # once it is back from what it waits for
        else:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
