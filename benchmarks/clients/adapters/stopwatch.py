"""What every adapter in Python begins with: which load to put on the server, and the time that it takes.

An adapter is ``python ADAPTER.py MODE HOST PORT FUNCTION SIZE MOST SECONDS WARM_UP DEPTH``. It does
``WARM_UP`` operations, and then measures up to ``MOST`` of them, for about ``SECONDS``. With pipelining or
prefetch ``DEPTH`` is how many are under way at once. It prints a line of JSON: ``ops``, ``seconds`` and
``cpu_seconds``, those of its process. With status 3 it says, in a line on stderr, that its library has no
such thing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import NoReturn

CANNOT = 3
STRIDE = 10
"""Operations from one look at the clock to the next."""


@dataclass(frozen=True)
class Load:
    """What an adapter is asked for."""

    mode: str
    host: str
    port: int
    function: str
    size: int
    most: int
    seconds: float
    warm_up: int
    depth: int

    @property
    def server(self) -> str:
        """The server's address in one word."""
        return f"{self.host}:{self.port}"

    @property
    def workload(self) -> bytes:
        """What each job carries."""
        return b"x" * self.size


class Stopwatch:
    """Counts operations, and takes the time and the CPU of the process for them."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._jobs = 0
        self._mark = load.warm_up
        self.ops = 0

    def start(self) -> None:
        """Begin to measure."""
        self._cpu = -time.process_time()
        self._began = time.perf_counter()

    def stop(self) -> None:
        """End it."""
        self._seconds = time.perf_counter() - self._began
        self._cpu += time.process_time()

    def batches(self, size: int) -> Iterator[int]:
        """How many operations to do next, until the time is over."""
        end = self._began + self._load.seconds
        while self.ops < self._load.most and time.perf_counter() < end:
            count = min(size, self._load.most - self.ops)
            self.ops += count
            yield count

    def operations(self, item: object = None) -> Iterator[object]:
        """Give the item once for each operation, until the time is over."""
        return chain.from_iterable(repeat(item, count) for count in self.batches(STRIDE))

    def job(self) -> bool:
        """Count a job that a worker begins; returns whether it is the last."""
        self._jobs += 1
        return self._jobs == self._mark and self._look()

    def _look(self) -> bool:
        if self._jobs == self._load.warm_up:
            self.start()
        else:
            self.ops = self._jobs - self._load.warm_up
            over = time.perf_counter() - self._began >= self._load.seconds
            if over or self.ops + STRIDE > self._load.most:
                self.stop()
                return True
        self._mark += STRIDE
        return False

    def report(self) -> None:
        """Print what was measured."""
        print(json.dumps({"ops": self.ops, "seconds": self._seconds, "cpu_seconds": self._cpu}))


def cannot(why: str) -> NoReturn:
    """Say that the library has no such thing."""
    print(why, file=sys.stderr)
    sys.exit(CANNOT)


def run(**modes: Callable[[Load, Stopwatch], None]) -> None:
    """Do what the command line asks for."""
    mode, host, port, function, size, most, seconds, warm_up, depth = sys.argv[1:]
    load = Load(
        mode, host, int(port), function, int(size), int(most), float(seconds), int(warm_up), int(depth)
    )
    if mode not in modes:
        cannot(f"there is no {mode} here")
    stopwatch = Stopwatch(load)
    modes[mode](load, stopwatch)
    stopwatch.report()
