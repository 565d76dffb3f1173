"""The run itself: every server under every shape, several times over."""

from __future__ import annotations

import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.server.build import Programs
from benchmarks.server.servers import FLOOR, GEARCORE, GEARMANDS, CannotStart, Server, start
from benchmarks.server.shapes import Kind, Shape, chains

__all__ = ["Plan", "Results", "measure"]

LONGEST_LOAD = 900.0
"""Seconds after which a load is ended that makes progress, but will not come to an end."""

REST = 2.0
"""Seconds that a server has to give memory back."""

Figures = dict[str, Any]


class LoadFailed(Exception):
    """loadgen did not come to the end of its load."""


@dataclass(frozen=True)
class Plan:
    """What to run."""

    shapes: Sequence[Shape]
    servers: Sequence[str]
    rounds: int
    divisor: int = 1
    most_operations: int | None = None

    def words(self, shape: Shape, server: str) -> list[str]:
        """What loadgen is asked for."""
        return shape.words(self.divisor, self.most_operations, server in GEARMANDS)

    def takes(self, shape: Shape, server: str, number: int) -> bool:
        """Whether a server is measured under a shape in the round of that number."""
        most = self.rounds if shape.most_rounds is None else shape.most_rounds
        return number < most and (server != FLOOR or (shape.has_floor and shape.kind is not Kind.MEMORY))


@dataclass
class Results:
    """What was measured: for each shape and server the figures of each round, or why there are none."""

    samples: dict[str, dict[str, list[Figures]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    failures: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    def figure(self, shape: str, server: str, key: str) -> float | None:
        """The median of a figure over the rounds; None if there is none."""
        values = [sample[key] for sample in self.samples[shape][server] if sample.get(key)]
        return median(values) if values else None

    def slices(self, shape: str, server: str, key: str) -> list[float]:
        """The medians of a figure in each part of the run."""
        rounds = [[part[key] for part in sample.get("slices", ())] for sample in self.samples[shape][server]]
        return [median(values) for values in zip(*rounds, strict=False)]


def measure(plan: Plan, programs: Programs, tell: Callable[[str], None]) -> Results:
    """Run it all. ``tell`` gets a line for each load that was put on a server."""
    results = Results()
    for number in range(plan.rounds):
        for chain in chains(plan.shapes):
            # Each round begins with another server, so that none is always the first after a change of shape.
            turn = number % len(plan.servers)
            for server in [*plan.servers[turn:], *plan.servers[:turn]]:
                if not plan.takes(chain[0], server, number) or results.failures[chain[0].name].get(server):
                    continue
                tell(
                    f"round {number + 1} of {plan.rounds}: "
                    + run_chain(chain, server, plan, programs, results)
                )
    return results


def run_chain(chain: Sequence[Shape], name: str, plan: Plan, programs: Programs, results: Results) -> str:
    """Put a chain of shapes on a fresh server, and say in one line what came of it."""
    said = []
    shape = chain[0]
    try:
        with start(name, floor=programs.floor, floor_wakes=chain[0].floor_wakes) as server:
            for shape in chain:
                if shape.only_gearcore and name != GEARCORE:
                    continue
                figures = put_load(programs.loadgen, server, plan.words(shape, name))
                if shape.rests:
                    time.sleep(REST)
                    figures["rss_rested"] = resident_memory(server.pid)
                results.samples[shape.name][name].append(figures)
                said.append(f"{shape.name} {figures['ops_per_s']:,.0f}/s")
    except (CannotStart, LoadFailed) as error:
        # To try again in the next round would mean to wait for the same stall again.
        for rest in chain[chain.index(shape) :]:
            results.failures[rest.name][name] = str(error)
        results.failures[chain[0].name][name] = str(error)
        said.append(f"{shape.name} failed: {error}")
    return f"{name}: {', '.join(said)}"


def put_load(loadgen: Path, server: Server, words: Sequence[str]) -> Figures:
    """Run loadgen, and return what it found."""
    command = [str(loadgen), "127.0.0.1", str(server.port), str(server.pid), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_LOAD)
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"not done after {LONGEST_LOAD:.0f} s") from None
    if done.returncode:
        raise LoadFailed(done.stderr.strip() or f"loadgen ended with status {done.returncode}")
    figures: Figures = json.loads(done.stdout)
    figures["arguments"] = " ".join(words)
    return figures


def resident_memory(pid: int) -> int:
    """The bytes that a process has resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
