"""Running jobs one at a time, in the thread that runs the worker."""

from __future__ import annotations

import threading
import time
from typing import Final

from gearcore.worker.executor import Executor, Shop
from gearcore.worker.job import WorkerJob
from gearcore.worker.running import Runner
from gearcore.worker.signals import Halt

__all__ = ["Inline"]

_PATIENCE: Final = 0.005
"""Seconds that an ended job may wait to be told to the server, since the next one runs already."""

_IDLE: Final = 200
"""How often the sender looks, and finds that no job has ended, before it goes to sleep."""


class Inline(Executor):
    """Runs jobs one after the other.

    With ``prefetch`` there may be several in hand. What they end with is then sent together, when half of
    them have ended; and at once, by a thread that looks after it, when the job that follows takes long.
    """

    def __init__(self, shop: Shop, runner: Runner, lock: threading.Lock, prefetch: int) -> None:
        self._shop = shop
        self._runner = runner
        self._lock = lock
        self._batch = (prefetch + 1) // 2
        self.stands_still = not prefetch
        self._ended = 0
        self._sender: threading.Thread | None = None
        self._needed = threading.Event()
        self._closed = False
        self._running = False
        if prefetch:
            self._sender = threading.Thread(target=self._send_late_ends, name="gearcore sender", daemon=True)
            self._sender.start()

    def start(self) -> bool:
        """Run one job, or half of those that may be in hand."""
        job = self._shop.next_job()
        if job is None:
            return False
        if not self._batch:
            self._run(job)
            return True
        begin = time.monotonic()
        count = 0
        while job is not None:
            self._run(job)
            count += 1
            if count == self._batch:
                break
            job = self._shop.next_job()
        self._shop.note_duration(time.monotonic() - begin, count)
        return True

    def halt(self) -> None:
        if self._running:
            raise Halt

    def close(self) -> None:
        self._closed = True
        if self._sender is not None:
            self._needed.set()
            self._sender.join()
        self._runner.close()

    def _run(self, job: WorkerJob) -> None:
        self._lock.release()
        try:
            self._running = True
            outcome = self._runner.run(job)
        finally:
            self._running = False
            self._lock.acquire()
        self._shop.ended(job, outcome)
        self._ended += 1
        if self._batch and not self._needed.is_set():
            self._needed.set()

    def _send_late_ends(self) -> None:
        seen, idle = 0, _IDLE
        while not self._closed:
            if idle == _IDLE:
                self._needed.clear()
                # A job may have ended, or all of it, just before.
                if seen == self._ended and not self._closed:
                    self._needed.wait()
                idle = 0
            seen = self._ended
            time.sleep(_PATIENCE)
            if seen != self._ended:
                idle = 0
            else:
                idle += 1
                if idle == 1:
                    with self._lock:
                        self._shop.send()
