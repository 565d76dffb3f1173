"""What ``gearcore top`` shows: samples of servers become lines. No terminal and no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gearcore import FunctionQueues, FunctionStatus, PeerStatus
from gearcore.cli._common import visible
from gearcore.cli._report import Cell, as_table

__all__ = ["Sample", "Watched", "render"]


@dataclass(frozen=True)
class Sample:
    """What a server said at one time, in seconds of any clock."""

    time: float
    version: str
    functions: Sequence[FunctionStatus]
    queues: Sequence[FunctionQueues]
    peers: Sequence[PeerStatus]


@dataclass
class Watched:
    """A server with the last two samples of it, or the reason why there is none."""

    server: str
    before: Sample | None = None
    last: Sample | None = None
    error: str | None = None

    def took(self, sample: Sample) -> None:
        """There is a new sample."""
        self.before, self.last, self.error = self.last, sample, None

    def failed(self, error: str) -> None:
        """The server could not be asked. How fast things changed before says nothing any more."""
        self.before, self.last, self.error = None, None, error


@dataclass
class Row:
    """A function, on all servers together. ``change`` is how many jobs more there are each second."""

    name: str
    jobs: int = 0
    running: int = 0
    high: int = 0
    normal: int = 0
    low: int = 0
    workers: int = 0
    change: float | None = None


def render(watched: Sequence[Watched], clock: str, height: int | None, width: int | None) -> list[str]:
    """The screen, as lines; of lists what fits in, the functions with the most jobs first."""
    rows = functions_of(watched)
    lines = [headline(watched, rows, clock), "", *servers_table(watched), ""]
    functions = as_table(
        ("FUNCTION", "JOBS", "CHANGE/S", "RUNNING", "HIGH", "NORMAL", "LOW", "WORKERS"),
        [(r.name, r.jobs, r.change, r.running, r.high, r.normal, r.low, r.workers) for r in rows],
    )
    workers = workers_table(watched)
    if height is not None:
        room = max(height - len(lines) - 1, 2)
        for_workers = max(min(len(workers), room // 3), room - len(functions))
        functions = cut(functions, room - for_workers)
        workers = cut(workers, for_workers)
    lines += [*functions, "", *workers]
    return [line[:width] for line in lines[:height]]


def functions_of(watched: Sequence[Watched]) -> list[Row]:
    """The functions of all servers: those with jobs, the most first, and then the others by name."""
    rows: dict[str, Row] = {}
    for one in watched:
        if one.last is None:
            continue
        for status in one.last.functions:
            row = rows.setdefault(status.function, Row(status.function))
            row.jobs += status.jobs
            row.running += status.running
            row.workers += status.workers
        for queues in one.last.queues:
            row = rows.setdefault(queues.function, Row(queues.function))
            row.high += queues.high
            row.normal += queues.normal
            row.low += queues.low
        for name, change in changes(one).items():
            row = rows.setdefault(name, Row(name))
            row.change = (row.change or 0.0) + change
    return sorted(rows.values(), key=lambda row: (-row.jobs, row.name))


def changes(one: Watched) -> dict[str, float]:
    """How many jobs more a server has each second, by function."""
    if one.before is None or one.last is None or one.last.time <= one.before.time:
        return {}
    seconds = one.last.time - one.before.time
    before = {status.function: status.jobs for status in one.before.functions}
    return {
        status.function: (status.jobs - before.get(status.function, 0)) / seconds
        for status in one.last.functions
    }


def headline(watched: Sequence[Watched], rows: Sequence[Row], clock: str) -> str:
    """The first line: everything together."""
    known = [row.change for row in rows if row.change is not None]
    jobs, running = sum(row.jobs for row in rows), sum(row.running for row in rows)
    up = sum(one.last is not None for one in watched)
    servers = "1 server" if len(watched) == 1 else f"{len(watched)} servers"
    change = f" ({sum(known):+,.1f}/s)" if known else ""
    return f"gearcore top  {clock}  {up} of {servers} up, {jobs:,} jobs{change}, {running:,} running"


def servers_table(watched: Sequence[Watched]) -> list[str]:
    """A line for each server: what it is, or what is wrong with it."""
    rows: list[list[Cell]] = []
    for one in watched:
        if one.last is not None:
            offering = sum(bool(peer.functions) for peer in one.last.peers)
            jobs = sum(status.jobs for status in one.last.functions)
            counts = (len(one.last.functions), jobs, offering, len(one.last.peers))
            rows.append([one.server, one.last.version, *counts])
        else:
            rows.append([one.server, one.error or "asking", None, None, None, None])
    return as_table(("SERVER", "STATE", "FUNCTIONS", "JOBS", "WORKERS", "CONNECTIONS"), rows)


def workers_table(watched: Sequence[Watched]) -> list[str]:
    """The connections that offer functions."""
    peers = [(one, peer) for one in watched if one.last for peer in one.last.peers if peer.functions]
    return as_table(
        ("WORKER", "CLIENT ID", "SERVER", "FUNCTIONS"),
        [
            (peer.address, peer.client_id, one.server, ", ".join(sorted(map(visible, peer.functions))))
            for one, peer in sorted(peers, key=lambda pair: (pair[1].client_id, pair[1].address))
        ],
    )


def cut(table: list[str], height: int) -> list[str]:
    """A table of no more than so many lines, the last of which says what is missing."""
    if len(table) <= height:
        return table
    kept = table[: max(height - 1, 0)]
    return [*kept, f"... and {len(table) - len(kept)} more"][:height]
