"""The figures against what the server must reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from benchmarks.server.measure import Results
from benchmarks.server.servers import FLOOR, GEARCORE, GEARMANDS
from benchmarks.server.shapes import GROWTHS, Kind, Shape

__all__ = ["Check", "ShapeVerdict", "checks", "judge", "overall_ratio"]

FASTER_THAN_GEARMAND = 1.5
SHARE_OF_FLOOR_INSTEAD = 0.8
"""What must be reached of the floor where the times of gearmand are beyond it."""
FASTER_OVER_ALL = 3.0
SHARE_OF_FLOOR = {Kind.ROUND_TRIPS: 0.75, Kind.PIPELINED: 0.5}
SHARE_OF_CPU = 0.6
BYTES_PER_JOB = 250
BYTES_PER_CONNECTION = 5 * 1024
MEMORY_AFTERWARDS = 1.5
GROWTH = 1.1


@dataclass(frozen=True)
class ShapeVerdict:
    """How gearcore does under one shape."""

    shape: Shape
    to_gearmand: float | None
    of_floor: float | None
    short: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """One of the figures that are not a shape's own, and whether it is what it must be."""

    about: str
    value: str
    wanted: str
    passed: bool


def judge(results: Results, shape: Shape) -> ShapeVerdict:
    """Compare gearcore with the better gearmand, and with the floor."""

    def figure(server: str, key: str) -> float | None:
        return results.figure(shape.name, server, key)

    ours, floor = figure(GEARCORE, "ops_per_s"), figure(FLOOR, "ops_per_s")
    theirs = max((value for name in GEARMANDS if (value := figure(name, "ops_per_s"))), default=None)
    to_gearmand = ours / theirs if ours and theirs else None
    of_floor = ours / floor if ours and floor else None
    short = []
    if GEARCORE in results.failures[shape.name]:
        short.append("fails")
    if shape.kind in SHARE_OF_FLOOR:
        if of_floor is not None and of_floor < SHARE_OF_FLOOR[shape.kind]:
            short.append(f"floor {of_floor:.0%} < {SHARE_OF_FLOOR[shape.kind]:.0%}")
        if to_gearmand is not None and to_gearmand < FASTER_THAN_GEARMAND:
            beyond = floor is not None and theirs is not None and FASTER_THAN_GEARMAND * theirs > floor
            if not beyond:
                short.append(f"speed {to_gearmand:.2f} < {FASTER_THAN_GEARMAND}")
            elif of_floor is not None and of_floor < SHARE_OF_FLOOR_INSTEAD:
                short.append(f"floor {of_floor:.0%} < {SHARE_OF_FLOOR_INSTEAD:.0%}")
        short += compare(results, shape, "server_cpu_us_per_op", "CPU", SHARE_OF_CPU)
    if shape.kind is Kind.LATENCY:
        short += compare(results, shape, "p99_us", "p99", 1.0)
    return ShapeVerdict(shape, to_gearmand, of_floor, tuple(dict.fromkeys(short)))


def compare(results: Results, shape: Shape, key: str, called: str, most: float) -> Iterator[str]:
    """What to say if gearcore needs more than a share of the lesser that a gearmand needs."""
    ours = results.figure(shape.name, GEARCORE, key)
    theirs = [value for name in GEARMANDS if (value := results.figure(shape.name, name, key))]
    if ours and theirs and ours > most * min(theirs):
        yield f"{called} {ours / min(theirs):.0%} > {most:.0%}"


def overall_ratio(verdicts: Sequence[ShapeVerdict]) -> float | None:
    """The geometric mean of the ratios to gearmand over the shapes that show speed."""
    ratios = [v.to_gearmand for v in verdicts if v.to_gearmand and v.shape.kind in SHARE_OF_FLOOR]
    return geometric_mean(ratios) if ratios else None


def checks(results: Results, verdicts: Sequence[ShapeVerdict]) -> list[Check]:
    """What is not a shape's own: the mean, memory, growth. What was not measured is left out."""
    found = []
    mean = overall_ratio(verdicts)
    if mean is not None:
        wanted = f"at least {FASTER_OVER_ALL:g}"
        found.append(
            Check("geometric mean of the ratios to gearmand", f"{mean:.2f}", wanted, mean >= FASTER_OVER_ALL)
        )
    return [*found, *memory_checks(results), *growth_checks(results)]


def memory_checks(results: Results) -> Iterator[Check]:
    """Bytes for a job and a connection, and what is given back."""
    for shape, about, most in (
        ("queue_1m", "bytes for a queued job with a workload of 32", BYTES_PER_JOB),
        ("connect_10k", "bytes for an idle connection", BYTES_PER_CONNECTION),
    ):
        each = bytes_for_one(results, shape, GEARCORE)
        if each is not None:
            theirs = [value for name in GEARMANDS if (value := bytes_for_one(results, shape, name))]
            beside = f" (gearmand {min(theirs):,.0f})" if theirs else ""
            yield Check(about, f"{each:,.0f}{beside}", f"at most {most:,}", each <= most)
    before = results.figure("queue_1m", GEARCORE, "rss_before")
    after = results.figure("empty_1m", GEARCORE, "rss_rested")
    if before and after:
        share = after / before
        about = "memory after a million jobs, as a multiple of that from before"
        yield Check(about, f"{share:.2f}", f"at most {MEMORY_AFTERWARDS:g}", share <= MEMORY_AFTERWARDS)


def growth_checks(results: Results) -> Iterator[Check]:
    """What an operation costs when there is much, against what it costs when there is little."""
    key = "server_cpu_us_per_op"
    for growth in GROWTHS:
        small = results.figure(growth.small, GEARCORE, key)
        large = results.figure(growth.large, GEARCORE, key)
        if small and large:
            yield growth_check(f"CPU for an operation {growth.about}", large / small)
    for shape, about in (("submit_3m", "grows to"), ("drain_3m", "shrinks from")):
        parts = results.slices(shape, GEARCORE, key)
        if len(parts) > 1 and parts[0] and parts[-1]:
            little, much = (parts[0], parts[-1]) if shape == "submit_3m" else (parts[-1], parts[0])
            yield growth_check(f"CPU for an operation as a backlog {about} 3 million jobs", much / little)


def growth_check(about: str, ratio: float) -> Check:
    """One of them."""
    return Check(about, f"{ratio - 1:+.0%}", f"below {GROWTH - 1:+.0%}", ratio < GROWTH)


def bytes_for_one(results: Results, shape: str, server: str) -> float | None:
    """How much memory a server's operation leaves in use, where that is what the shape shows."""
    before, after = results.figure(shape, server, "rss_before"), results.figure(shape, server, "rss_after")
    operations = results.figure(shape, server, "ops")
    return (after - before) / operations if before and after and operations else None
