"""The run itself: every library on every line, several times over."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.clients.libraries import LIMIT, Library
from benchmarks.clients.lines import WARM_UP, Kind, Line
from benchmarks.server.build import Programs
from benchmarks.server.servers import CannotStart, Server, start

__all__ = ["Plan", "Results", "measure"]

FUNCTION = "bench0"
"""The name that loadgen gives to its function."""

CANNOT = 3
"""The status of an adapter whose library has no such thing."""

PATIENCE = 60.0
"""Seconds that an adapter may take longer than it was told to."""

DEEP = 1000
"""Submissions that loadgen has under way at once."""

LIMIT_IN_A_SECOND = {
    Kind.SUBMIT: 30_000,
    Kind.SUBMIT_MANY: 1_000_000,
    Kind.FOREGROUND: 15_000,
    Kind.WORK: 30_000,
    Kind.PREFETCH: 800_000,
}
"""About how many operations loadgen does in a second; it is told the number, and not the time."""

Figures = dict[str, Any]


class LoadFailed(Exception):
    """An adapter did not come to its end."""


class NotThere(Exception):
    """A library has no such thing."""


@dataclass(frozen=True)
class Plan:
    """What to run."""

    lines: Sequence[Line]
    commands: Mapping[Library, Sequence[str]]
    """The libraries that there are, and how to run their adapters."""
    server: str
    rounds: int
    seconds: float


@dataclass
class Results:
    """What was measured: for each line and library the figures of each round, or why there are none."""

    samples: dict[str, dict[str, list[Figures]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    failures: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    lacking: set[tuple[str, str]] = field(default_factory=set)

    def speed(self, line: str, library: str) -> float | None:
        """Operations in a second, the median of the rounds; None if there is none."""
        return self._median(line, library, lambda figures: figures["ops"] / figures["seconds"])

    def cpu(self, line: str, library: str) -> float | None:
        """Microseconds of CPU for an operation, those of the library's process."""
        return self._median(line, library, lambda figures: figures["cpu_seconds"] * 1e6 / figures["ops"])

    def _median(self, line: str, library: str, value: Callable[[Figures], float]) -> float | None:
        values = [value(figures) for figures in self.samples[line][library]]
        return median(values) if values else None


def measure(plan: Plan, programs: Programs, tell: Callable[[str], None]) -> Results:
    """Run it all. ``tell`` gets a line for each measurement."""
    results = Results()
    libraries = list(plan.commands)
    for number in range(plan.rounds):
        for line in plan.lines:
            # Each round begins with another library, so that none is always the first after a change of line.
            turn = number % len(libraries)
            for library in [*libraries[turn:], *libraries[:turn]]:
                if line.kind in library.lacks or (line.name, library.name) in results.lacking:
                    continue
                if library.name in results.failures[line.name]:
                    continue
                try:
                    figures = measure_one(plan, line, library, programs)
                except NotThere as error:
                    results.lacking.add((line.name, library.name))
                    said = f"has none: {error}"
                except (CannotStart, LoadFailed) as error:
                    # To try again in the next round would mean to wait for the same stall again.
                    results.failures[line.name][library.name] = str(error)
                    said = f"failed: {error}"
                else:
                    results.samples[line.name][library.name].append(figures)
                    said = f"{figures['ops'] / figures['seconds']:,.0f}/s"
                tell(f"round {number + 1} of {plan.rounds}: {line.name}, {library.name}: {said}")
    return results


def measure_one(plan: Plan, line: Line, library: Library, programs: Programs) -> Figures:
    """Start a server, give the library what it needs on the other side, and run its adapter."""
    command = plan.commands[library]
    with start(plan.server) as server:
        if line.kind.is_worker:
            fill(programs, server, line, line.most(plan.seconds) + WARM_UP + line.at_once)
        if library.name == LIMIT:
            return run_loadgen(command, server, line, plan.seconds)
        words = [
            *command,
            line.kind.value,
            "127.0.0.1",
            *(str(server.port), FUNCTION, str(line.size), str(line.most(plan.seconds))),
            *(str(plan.seconds), str(WARM_UP), str(line.at_once)),
        ]
        if line.kind is Kind.FOREGROUND:
            with serving(programs, server):
                return run(words, plan.seconds)
        return run(words, plan.seconds)


def run(words: Sequence[str], seconds: float) -> Figures:
    """Run an adapter, and return what it measured."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + PATIENCE)
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"not done after {seconds + PATIENCE:.0f} s") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise (NotThere if done.returncode == CANNOT else LoadFailed)(said)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def run_loadgen(command: Sequence[str], server: Server, line: Line, seconds: float) -> Figures:
    """Have loadgen itself do what a library would."""
    count = min(line.most(seconds), max(100, int(LIMIT_IN_A_SECOND[line.kind] * seconds)))
    load = {
        Kind.SUBMIT: "submit d=1",
        Kind.SUBMIT_MANY: f"submit d={line.under_way(DEEP)}",
        Kind.FOREGROUND: "foreground d=1",
        Kind.WORK: "drain",
        Kind.PREFETCH: f"drain grabs={line.at_once}",
    }[line.kind]
    figures = run(
        [*command, "127.0.0.1", str(server.port), "0", *load.split(), f"n={count}", f"size={line.size}"],
        seconds,
    )
    return {
        "ops": figures["ops"],
        "seconds": figures["seconds"],
        "cpu_seconds": figures["loadgen_busy"] * figures["seconds"],
    }


def fill(programs: Programs, server: Server, line: Line, count: int) -> None:
    """Queue jobs for a worker to drain."""
    words = ["submit", f"n={count}", f"size={line.size}", f"d={line.under_way(DEEP)}"]
    run([str(programs.loadgen), "127.0.0.1", str(server.port), "0", *words], 0)


@contextmanager
def serving(programs: Programs, server: Server) -> Iterator[None]:
    """A worker in C that answers as long as the context."""
    command = [str(programs.loadgen), "127.0.0.1", str(server.port), "0", "serve"]
    worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        worker.kill()
        worker.wait()
