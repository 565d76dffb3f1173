"""The results as one table, which is read as it is, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.clients.libraries import GEARCORES, LIBRARIES
from benchmarks.clients.measure import Results
from benchmarks.clients.verdict import Verdict
from benchmarks.server.table import NOTHING, short, table

__all__ = ["render"]

HEADER = ("line", *(library.name for library in LIBRARIES), "to libgearman", "to best Python", "falls short")


def render(results: Results, verdicts: Sequence[Verdict]) -> str:
    """Operations in a second, and in brackets microseconds of CPU for each; ratios are blocking / asyncio."""
    rows = [row(results, verdict) for verdict in verdicts]
    return table([HEADER, *rows], right=range(1, len(HEADER) - 1))


def row(results: Results, verdict: Verdict) -> tuple[str, ...]:
    """One line."""
    return (
        verdict.line.name,
        *(cell(results, verdict.line.name, library.name) for library in LIBRARIES),
        both(verdict.to_libgearman),
        both(verdict.to_python),
        "; ".join(verdict.short),
    )


def cell(results: Results, line: str, library: str) -> str:
    """One library on one line."""
    if library in results.failures[line]:
        return "fails"
    speed, cpu = results.speed(line, library), results.cpu(line, library)
    return NOTHING if speed is None or cpu is None else f"{speed:,.0f} ({short(cpu)})"


def both(ratios: Mapping[str, float]) -> str:
    """The ratios of the two APIs."""
    return " / ".join(f"{ratios[name]:.2f}" if name in ratios else NOTHING for name in GEARCORES)
