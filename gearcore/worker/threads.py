"""Running jobs in threads."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable

from gearcore.worker.endings import Raised, describe
from gearcore.worker.executor import MARGIN, Executor, Shop
from gearcore.worker.job import WorkerJob
from gearcore.worker.running import Runner, name, timed_out

__all__ = ["Threads"]

log = logging.getLogger("gearcore.worker")


class Threads(Executor):
    """Runs jobs in so many threads.

    A thread cannot be ended from outside: one whose function does not return in time is left to itself, and
    another takes its place.
    """

    def __init__(self, shop: Shop, runner: Runner, lock: threading.Lock, count: int) -> None:
        self.slots = count
        self._shop = shop
        self._runner = runner
        self._lock = lock
        self._closed = False
        self._threads = {_Thread(self._work) for _ in range(count)}
        self._idle = list(self._threads)

    def start(self) -> bool:
        while self._idle:
            job = self._shop.next_job()
            if job is None:
                break
            thread = self._idle.pop()
            self._begin(thread, job)
            thread.jobs.put(job)
        return False

    def deadline(self) -> float:
        return min(thread.deadline for thread in self._threads)

    def look(self, now: float) -> None:
        for thread in list(self._threads):
            if now >= thread.deadline and thread.job is not None:
                self._abandon(thread, thread.job)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            for thread in threads:
                thread.jobs.put(None)
        for thread in threads:
            if thread.job is None:
                thread.thread.join()

    def _begin(self, thread: _Thread, job: WorkerJob) -> None:
        thread.job = job
        timeout = None if job._function is None else job._function.timeout
        if timeout is not None:
            thread.deadline = time.monotonic() + timeout + MARGIN * job._known.is_async
            self._shop.wake()

    def _abandon(self, thread: _Thread, job: WorkerJob) -> None:
        assert job._function is not None
        assert job._function.timeout is not None
        error = timed_out(job._function.timeout)
        log.error("%s: %s; its thread is left to itself, and another takes its place", name(job), error)
        self._threads.remove(thread)
        successor = _Thread(self._work)
        self._threads.add(successor)
        successor.jobs.put((job, error))
        self._shop.ended(job, Raised(describe(error)))

    def _work(self, thread: _Thread) -> None:
        try:
            while (item := thread.jobs.get()) is not None:
                if isinstance(item, tuple):
                    self._runner.tell_failure(*item)
                    with self._lock:
                        self._idle.append(thread)
                    self._shop.wake()
                else:
                    self._run(thread, item)
        finally:
            self._runner.close()

    def _run(self, thread: _Thread, first: WorkerJob) -> None:
        job: WorkerJob | None = first
        while job is not None:
            outcome = self._runner.run(job)
            with self._lock:
                if thread not in self._threads:
                    log.warning("%s ended at last, for nobody", name(job))
                    thread.jobs.put(None)
                    return
                thread.job = None
                thread.deadline = math.inf
                if self._closed:
                    return
                self._shop.ended(job, outcome)
                job = self._shop.next_job()
                if job is None:
                    self._idle.append(thread)
                else:
                    self._begin(thread, job)
                self._shop.send()


class _Thread:
    """A thread, the job that it runs, and when that has had its time."""

    def __init__(self, work: Callable[[_Thread], None]) -> None:
        self.jobs: queue.SimpleQueue[WorkerJob | tuple[WorkerJob, Exception] | None] = queue.SimpleQueue()
        self.job: WorkerJob | None = None
        self.deadline = math.inf
        self.thread = threading.Thread(target=work, args=[self], name="gearcore function", daemon=True)
        self.thread.start()
