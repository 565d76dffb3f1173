"""The results as text: tables that are read as they are, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.server.measure import Results
from benchmarks.server.servers import FLOOR, GEARCORE, GEARMANDS
from benchmarks.server.shapes import Kind, Shape
from benchmarks.server.verdict import Check, ShapeVerdict, bytes_for_one

__all__ = ["render"]

HEADER = (
    "shape",
    *(f"{name}, ops/s" for name in GEARMANDS),
    "gearcore, ops/s",
    "floor, ops/s",
    "to gearmand",
    "of floor",
    "CPU µs/op",
    "p50 µs",
    "p99 µs",
    "bytes/job",
    "falls short",
)

NOTHING = "-"


def render(results: Results, verdicts: Sequence[ShapeVerdict], checks: Sequence[Check]) -> str:
    """Both tables: the shapes, and the figures that are not a shape's own."""
    rows = [row(results, verdict) for verdict in verdicts if verdict.shape.kind is not Kind.MEMORY]
    parts = []
    if rows:
        parts.append(table([HEADER, *rows], right=range(1, len(HEADER) - 1)))
    if checks:
        lines = [(c.about, c.value, c.wanted, "" if c.passed else "falls short") for c in checks]
        parts.append(table([("figure", "gearcore", "wanted", ""), *lines], right=(1, 2)))
    return "\n".join(parts)


def row(results: Results, verdict: ShapeVerdict) -> tuple[str, ...]:
    """One shape."""
    shape = verdict.shape
    return (
        shape.name,
        *(speed(results, shape, server) for server in (*GEARMANDS, GEARCORE, FLOOR)),
        NOTHING if verdict.to_gearmand is None else f"{verdict.to_gearmand:.2f}",
        NOTHING if verdict.of_floor is None else f"{verdict.of_floor:.0%}",
        beside(results, shape, "server_cpu_us_per_op"),
        beside(results, shape, "p50_us"),
        beside(results, shape, "p99_us"),
        job_memory(results, shape),
        "; ".join(verdict.short),
    )


def speed(results: Results, shape: Shape, server: str) -> str:
    """Operations in a second."""
    if server in results.failures[shape.name]:
        return "fails"
    value = results.figure(shape.name, server, "ops_per_s")
    return NOTHING if value is None else f"{value:,.0f}"


def beside(results: Results, shape: Shape, key: str) -> str:
    """A figure of gearcore, with that of the better gearmand in brackets."""
    ours = results.figure(shape.name, GEARCORE, key)
    theirs = [value for name in GEARMANDS if (value := results.figure(shape.name, name, key))]
    if ours is None:
        return NOTHING
    return short(ours) + (f" ({short(min(theirs))})" if theirs else "")


def job_memory(results: Results, shape: Shape) -> str:
    """What a job in the queue takes, where the shape fills one."""
    if shape.mode != "submit":
        return NOTHING
    ours = bytes_for_one(results, shape.name, GEARCORE)
    theirs = [value for name in GEARMANDS if (value := bytes_for_one(results, shape.name, name))]
    if ours is None:
        return NOTHING
    return f"{ours:,.0f}" + (f" ({min(theirs):,.0f})" if theirs else "")


def short(value: float) -> str:
    """A number with the digits that mean something."""
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def table(rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    """A table in Markdown whose columns are even."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |\n"

    rules = [
        "-" * (width - 1) + ":" if column in right else "-" * width for column, width in enumerate(widths)
    ]
    header, *body = rows
    return line(header) + f"| {' | '.join(rules)} |\n" + "".join(line(cells) for cells in body)
