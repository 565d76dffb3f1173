"""What a job's user wants to be called for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from gearcore._requests import JobRequest
from gearcore.session.events import JobEvent

__all__ = ["Callbacks"]

log = logging.getLogger("gearcore.client")


class Callbacks:
    """The callbacks of one job, which is a ``watcher`` of it.

    Each is called once for each event, in their order, or once when the job has ended; what it raises is
    logged and goes no further.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._on_event: list[Callable[[Any, JobEvent], object]] = []
        self._on_end: list[Callable[[Any], object]] = []
        self._seen = 0

    def add_for_events(self, job: JobRequest, callback: Callable[[Any, JobEvent], object]) -> None:
        """Call this with the job and each event that comes, and now with those that have come."""
        with self._lock:
            for event in job.news[: self._seen]:
                _call(callback, job, event)
            self._on_event.append(callback)
            self(job)

    def add_for_end(self, job: JobRequest, callback: Callable[[Any], object]) -> None:
        """Call this with the job when it has ended, or now if it has."""
        with self._lock:
            self._on_end.append(callback)
            self(job)

    def __call__(self, job: JobRequest) -> None:
        """Call whom the job has news for."""
        with self._lock:
            while self._seen < len(job.news):
                self._seen += 1
                for on_event in self._on_event:
                    _call(on_event, job, job.news[self._seen - 1])
            while job.ended and self._on_end:
                _call(self._on_end.pop(0), job)


def _call(callback: Callable[..., object], *args: object) -> None:
    try:
        callback(*args)
    except Exception:
        log.exception("a callback of job %r raised", args[0])
