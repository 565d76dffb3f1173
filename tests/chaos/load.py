"""Callers: each submits jobs one after the other, and counts what becomes of them."""

import asyncio
import itertools
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import gearcore.aio
from chaos.fleet import PATIENCE
from gearcore import Client, ConnectionLost

FUNCTION = "reverse"
BATCH = 50
"""Jobs that are in flight together of those who submit several at once."""


class Load:
    """Callers in threads and in an event loop, until ``stop``.

    ``counts`` has the jobs that were ``submitted``, which means acknowledged; ``answered`` with their own
    result; ``resubmitted`` when their server died, once for each time (not those of ``map``, which does not
    tell); and ``reported`` as lost, which is what their callers asked for. ``errors`` are the
    tracebacks of all that no caller may see.
    """

    def __init__(self, servers: list[str]) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self._servers = servers
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._resubmitting = Client(servers, on_loss="resubmit", timeout=PATIENCE)
        self._reporting = Client(servers, on_loss="report", timeout=PATIENCE)
        calls: list[Callable[[Iterator[int]], None]] = [
            self._submit_one,
            self._submit_one,
            self._map,
            self._submit_some,
            self._submit_some,
        ]
        self._threads = [
            threading.Thread(target=self._repeat, args=(number, call)) for number, call in enumerate(calls)
        ]
        self._threads.append(threading.Thread(target=lambda: asyncio.run(self._run_tasks(len(calls)))))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End once each caller has what it waits for. Raises AssertionError if one of them hangs."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(3 * PATIENCE)
            assert not thread.is_alive(), "a caller hangs"
        self._resubmitting.close()
        self._reporting.close()

    def _repeat(self, caller: int, call: Callable[[Iterator[int]], None]) -> None:
        numbers = itertools.count(caller << 40)
        while not self._stopping.is_set():
            try:
                call(numbers)
            except Exception:
                self.errors.append(traceback.format_exc())

    def _submit_one(self, numbers: Iterator[int]) -> None:
        number = next(numbers)
        job = self._resubmitting.submit(FUNCTION, workload(number), unique=unique(number))
        self._count(submitted=1)
        self._check(number, job.result(PATIENCE))
        self._count(answered=1, resubmitted=job.losses)

    def _map(self, numbers: Iterator[int]) -> None:
        some = list(itertools.islice(numbers, 10 * BATCH))
        results = self._resubmitting.map(FUNCTION, map(workload, some), in_flight=BATCH)
        for number, result in zip(some, results, strict=True):
            self._check(number, result)
        self._count(submitted=len(some), answered=len(some))

    def _submit_some(self, numbers: Iterator[int]) -> None:
        some = list(itertools.islice(numbers, BATCH))
        jobs = self._reporting.submit_many((FUNCTION, workload(number), unique(number)) for number in some)
        for number, job in zip(some, list(jobs), strict=True):
            self._count(submitted=1)
            try:
                result = job.result(PATIENCE)
            except ConnectionLost:
                self._count(reported=1)
            else:
                self._check(number, result)
                self._count(answered=1)

    async def _run_tasks(self, first: int) -> None:
        async with (
            gearcore.aio.Client(self._servers, timeout=PATIENCE) as client,
            asyncio.TaskGroup() as group,
        ):
            for caller in range(first, first + 4):
                group.create_task(self._repeat_async(client, caller, "resubmit"))
            group.create_task(self._repeat_async(client, first + 4, "report"))

    async def _repeat_async(self, client: gearcore.aio.Client, caller: int, on_loss: str) -> None:
        numbers = itertools.count(caller << 40)
        while not self._stopping.is_set():
            try:
                await self._submit_async(client, next(numbers), on_loss)
            except Exception:
                self.errors.append(traceback.format_exc())

    async def _submit_async(self, client: Any, number: int, on_loss: str) -> None:
        job = await client.submit(FUNCTION, workload(number), unique=unique(number), on_loss=on_loss)
        self._count(submitted=1)
        try:
            result = await job.result(PATIENCE)
        except ConnectionLost:
            if on_loss != "report":
                raise
            self._count(reported=1)
        else:
            self._check(number, result)
            self._count(answered=1, resubmitted=job.losses if on_loss == "resubmit" else 0)

    def _check(self, number: int, result: bytes) -> None:
        assert result == workload(number)[::-1], f"job {number} was answered by {result!r}"

    def _count(self, **counts: int) -> None:
        with self._lock:
            self.counts.update(counts)


def workload(number: int) -> bytes:
    """What the job of a number has to work on, as no other has."""
    return b"job %d" % number


def unique(number: int) -> str | None:
    """Every other job has a unique id, by which it goes to a server of its own."""
    return f"chaos-{number}" if number % 2 else None
