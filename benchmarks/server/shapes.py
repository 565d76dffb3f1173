"""The load shapes: what loadgen is asked for, and what is expected of a server under it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["GROWTHS", "SHAPES", "Growth", "Kind", "Shape", "chains", "choose"]


class Kind(Enum):
    """What a shape shows, and so what it is held against."""

    ROUND_TRIPS = "round trips"
    PIPELINED = "pipelined"
    LATENCY = "latency"
    """Servers do different amounts of other work beside the operations: only the latency compares."""
    MEMORY = "memory"


@dataclass(frozen=True)
class Shape:
    """One load shape. ``load`` is the mode and the options of loadgen, whose help explains them."""

    name: str
    load: str
    kind: Kind
    about: str
    after: str | None = None
    """The shape that has to run first, on the same server: this one takes what it left."""
    most_in_gearmand: int | None = None
    """The operations that gearmand gets where it takes minutes for those that the others do in seconds."""
    only_gearcore: bool = False
    has_floor: bool = True
    floor_wakes: int = 0
    """How many sleepers the floor wakes for a job; 0 is all, as gearmand does."""
    most_rounds: int | None = None
    rests: bool = False
    """Whether the server's memory is read once more when it has had time to give some back."""

    @property
    def mode(self) -> str:
        """What loadgen does."""
        return self.load.split()[0]

    def options(self) -> dict[str, int]:
        """How much of it."""
        pairs = (word.split("=") for word in self.load.split()[1:])
        return {key: int(value) for key, value in pairs}

    def words(self, divisor: int, most: int | None, gearmand: bool) -> list[str]:
        """The arguments for a part of the operations: so many times fewer, and ``most`` at most."""
        options = self.options()
        for key in {"n", "queued"} & options.keys():
            fewer = max(options[key] // divisor, min(options[key], 200))
            options[key] = fewer if most is None else min(fewer, most)
        if gearmand and self.most_in_gearmand is not None:
            options["n"] = min(options["n"], self.most_in_gearmand)
        return [self.mode, *(f"{key}={value}" for key, value in options.items())]

    def descriptors(self) -> int:
        """How many open files server and loadgen need each."""
        options = self.options()
        connections = options["n"] if self.mode == "connect" else 0
        return connections + sum(options.get(key, 0) for key in ("c", "w", "idle")) + 64


@dataclass(frozen=True)
class Growth:
    """Two shapes that differ in one quantity only: the cost of an operation must be about the same."""

    about: str
    small: str
    large: str


ROUND_TRIPS, PIPELINED, LATENCY, MEMORY = Kind

SHAPES: Sequence[Shape] = (
    Shape("echo", "echo n=300000 c=4 d=64", PIPELINED, "requests that no queue is needed for"),
    Shape("submit", "submit n=300000 c=4 d=64", PIPELINED, "background jobs, which nobody works on"),
    Shape("drain", "drain n=300000 w=4", ROUND_TRIPS, "workers take what `submit` left", after="submit"),
    Shape("submit_uniq", "submit n=100000 c=4 d=64 uniq=1", PIPELINED, "each with a unique id of its own"),
    Shape("submit_1k", "submit n=100000 c=4 d=64 size=1024", PIPELINED, "workloads of 1 KB"),
    Shape(
        "drain_1k_g8",
        "drain n=100000 w=4 grabs=8",
        PIPELINED,
        "what `submit_1k` left, eight requests in flight for each worker",
        after="submit_1k",
    ),
    Shape("submit_16f", "submit n=100000 c=4 d=64 funcs=16", PIPELINED, "for 16 functions in turn"),
    Shape(
        "drain_16f",
        "drain n=100000 w=8 funcs=16",
        ROUND_TRIPS,
        "what `submit_16f` left, by workers that offer all 16",
        after="submit_16f",
    ),
    Shape(
        "fg_4x16", "foreground n=100000 c=4 w=4 d=16", ROUND_TRIPS, "4 clients with 16 jobs each, 4 workers"
    ),
    Shape("fg_serial", "foreground n=20000 c=1 w=1 d=1", ROUND_TRIPS, "one job at a time"),
    Shape(
        "fg_50x50", "foreground n=100000 c=50 w=50 d=1", ROUND_TRIPS, "50 clients with a job each, 50 workers"
    ),
    Shape(
        "fg_g8",
        "foreground n=100000 c=4 w=4 d=16 grabs=8",
        PIPELINED,
        "as `fg_4x16`, eight requests in flight",
    ),
    Shape("stream_4x4", "stream n=200000 c=4 w=4 d=64", ROUND_TRIPS, "background jobs while workers drain"),
    Shape(
        "fg_idle1000",
        "foreground n=50000 c=4 w=4 d=16 idle=1000",
        ROUND_TRIPS,
        "as `fg_4x16`, 1,000 more idle",
    ),
    Shape(
        "fg_idle10k",
        "foreground n=50000 c=4 w=4 d=16 idle=9992",
        ROUND_TRIPS,
        "as `fg_4x16`, 9,992 more idle",
    ),
    Shape(
        "fg_10k", "foreground n=100000 c=50 w=50 d=1 idle=9900", ROUND_TRIPS, "as `fg_50x50`, 9,900 more idle"
    ),
    Shape(
        "herd",
        "foreground n=10000 c=1 w=1000 d=1",
        ROUND_TRIPS,
        "1,000 workers asleep, one job at a time",
        most_in_gearmand=300,
        floor_wakes=1,
    ),
    Shape("submit_1kf", "submit n=100000 c=4 d=64 funcs=1000", PIPELINED, "for 1,000 functions in turn"),
    Shape(
        "drain_1kf",
        "drain n=100000 w=4 funcs=1000",
        ROUND_TRIPS,
        "what `submit_1kf` left, by workers that offer all 1,000",
        after="submit_1kf",
    ),
    Shape(
        "fg_1kf",
        "foreground n=50000 c=4 w=4 d=16 funcs=1000",
        ROUND_TRIPS,
        "as `fg_4x16`, for 1,000 functions in turn",
        most_in_gearmand=10000,
    ),
    Shape("register_20k", "register w=4 funcs=20000", PIPELINED, "workers offer 20,000 functions each"),
    Shape(
        "fg_20kf",
        "foreground n=20000 c=4 w=4 d=16 funcs=20000",
        ROUND_TRIPS,
        "as `fg_4x16`, for 20,000 functions in turn",
        most_in_gearmand=1000,
    ),
    Shape(
        "submit_3m",
        "submit n=3000000 c=4 d=64 slices=10",
        PIPELINED,
        "a backlog of 3 million jobs grows",
        most_rounds=3,
    ),
    Shape(
        "drain_3m",
        "drain n=3000000 w=4 grabs=8 slices=10",
        PIPELINED,
        "and shrinks",
        after="submit_3m",
        most_in_gearmand=5000,
        most_rounds=3,
    ),
    Shape(
        "steady_1k",
        "steady n=200000 c=4 w=4 d=64 queued=1000",
        ROUND_TRIPS,
        "1,000 jobs are queued; each that is done is replaced by a new one",
    ),
    Shape(
        "steady_3m",
        "steady n=200000 c=4 w=4 d=64 queued=3000000",
        ROUND_TRIPS,
        "as `steady_1k`, with 3 million",
        most_in_gearmand=3000,
        most_rounds=3,
    ),
    Shape("submit_64k", "submit n=5000 c=4 d=8 size=65536", PIPELINED, "workloads of 64 KB"),
    Shape("fg_64k", "foreground n=10000 c=4 w=4 d=4 size=65536", PIPELINED, "foreground, workloads of 64 KB"),
    Shape("fg_1M", "foreground n=200 c=1 w=1 d=4 size=1000000", PIPELINED, "foreground, workloads of 1 MB"),
    Shape(
        "coalesce",
        "coalesce n=100000 c=50 w=1",
        ROUND_TRIPS,
        "50 clients wait for one job; an operation is a client's answer",
    ),
    Shape(
        "fg_prio", "foreground n=100000 c=4 w=4 d=16 prio=1", ROUND_TRIPS, "as `fg_4x16`, priorities mixed"
    ),
    Shape("submit_prio", "submit n=100000 c=4 d=64 prio=1", PIPELINED, "background jobs, priorities mixed"),
    Shape(
        "drain_prio",
        "drain n=100000 w=4",
        ROUND_TRIPS,
        "workers take what `submit_prio` left",
        after="submit_prio",
    ),
    Shape(
        "flood",
        "flood n=2000 c=2 w=1 d=1000",
        LATENCY,
        "one foreground job at a time, while a client floods another function with background jobs",
        has_floor=False,
    ),
    Shape(
        "queue_1m", "submit n=1000000 c=4 d=64", MEMORY, "bytes for a queued job of 32 bytes", most_rounds=3
    ),
    Shape(
        "empty_1m",
        "drain n=1000000 w=4 grabs=8",
        MEMORY,
        "memory after a million jobs, against that from before",
        after="queue_1m",
        only_gearcore=True,
        most_rounds=3,
        rests=True,
    ),
    Shape(
        "connect_10k", "connect n=10000", MEMORY, "bytes for a connection that was used once", most_rounds=3
    ),
)

GROWTHS: Sequence[Growth] = (
    Growth("from 8 to 10,000 connections", "fg_4x16", "fg_idle10k"),
    Growth("from 100 connections to 10,000, of which 100 are busy", "fg_50x50", "fg_10k"),
    Growth("from 1 thousand to 3 million queued jobs", "steady_1k", "steady_3m"),
)


def choose(names: Sequence[str]) -> list[Shape]:
    """The shapes of these names, each behind the one that it needs; all for no name. Raises KeyError."""
    known = {shape.name: shape for shape in SHAPES}
    wanted: dict[str, None] = {}
    for name in names or known:
        shape = known[name]
        if shape.after is not None:
            wanted[shape.after] = None
        wanted[name] = None
    return [shape for shape in SHAPES if shape.name in wanted]


def chains(shapes: Iterable[Shape]) -> list[list[Shape]]:
    """The shapes in groups, of which each needs a server that is fresh."""
    groups: list[list[Shape]] = []
    for shape in shapes:
        if shape.after is None:
            groups.append([shape])
        else:
            next(group for group in groups if group[-1].name == shape.after).append(shape)
    return groups
