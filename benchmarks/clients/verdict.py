"""The figures against what gearcore's client and worker must reach."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.clients.libraries import GEARCORES, LIBGEARMAN, LIMIT, OTHER_PYTHON
from benchmarks.clients.lines import Line
from benchmarks.clients.measure import Results

__all__ = ["Verdict", "judge"]

TO_LIBGEARMAN = 1.0
TO_LIBGEARMAN_MANY = 5.0
"""With pipelining or prefetch."""
TO_PYTHON = 5.0
"""To the best of the other Python libraries."""


@dataclass(frozen=True)
class Verdict:
    """How gearcore does on one line. The ratios are those of its blocking and of its asyncio API."""

    line: Line
    to_libgearman: dict[str, float]
    to_python: dict[str, float]
    short: tuple[str, ...]


def judge(results: Results, line: Line) -> Verdict:
    """Compare gearcore with libgearman, and with the best of the other Python libraries."""
    theirs, limit = speed(results, line, LIBGEARMAN), results.speed(line.name, LIMIT)
    best = max((value for name in OTHER_PYTHON if (value := speed(results, line, name))), default=None)
    wanted = TO_LIBGEARMAN_MANY if line.kind.has_many else TO_LIBGEARMAN
    to_libgearman, to_python, short = {}, {}, []
    for name in GEARCORES:
        if name in results.failures[line.name]:
            short.append(f"{name} fails")
        ours = results.speed(line.name, name)
        for ratios, other, called, least in (
            (to_libgearman, theirs, LIBGEARMAN, wanted),
            (to_python, best, "Python", TO_PYTHON),
        ):
            if ours and other:
                ratios[name] = ours / other
                if ratios[name] < least:
                    short.append(f"{name} to {called} {ratios[name]:.2f} < {least:g}")
                    if limit and limit / other < least:
                        short[-1] += f" (limit {limit / other:.2f})"
    return Verdict(line, to_libgearman, to_python, tuple(short))


def speed(results: Results, line: Line, library: str) -> float | None:
    """Operations in a second; those without prefetch for those that have none."""
    return results.speed(line.name, library) or results.speed(line.instead, library)
