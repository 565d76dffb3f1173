"""Measure the client and worker of each library in turn over the same server, and print how they compare.

python -m benchmarks.clients                               all of it, on a quiet machine: a quarter of an hour
python -m benchmarks.clients --quick                       each once, for a tenth of a second: does it work?
python -m benchmarks.clients --lines work,submit_many_32   some of it
python -m benchmarks.clients --server gearmand             over Debian's gearmand
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.clients import libraries, lines
from benchmarks.clients.libraries import CannotHave, Library, prepare
from benchmarks.clients.measure import Plan, Results, measure
from benchmarks.clients.table import render
from benchmarks.clients.verdict import Verdict, judge
from benchmarks.server import machine
from benchmarks.server.build import ROOT, CannotBuild, Programs, build
from benchmarks.server.servers import GEARCORE, GEARMANDS, find_gearmand

RESULTS = ROOT / "benchmarks" / "results"
QUICK_RESULTS = ROOT / "build" / "benchmarks" / "results"
SERVERS = {"gearcore": GEARCORE, "gearmand": GEARMANDS[-1]}


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.clients",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds, of which the medians count (5)")
    parser.add_argument("--seconds", type=float, metavar="N", help="how long each measurement takes (1)")
    parser.add_argument("--lines", default="", metavar="A,B", help="only these, or these kinds of them")
    parser.add_argument("--libraries", default="", metavar="A,B", help="only these")
    parser.add_argument("--server", choices=SERVERS, default="gearcore", help="the job server (gearcore)")
    parser.add_argument("--quick", action="store_true", help="one round of a tenth of a second each")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help="where the results go (benchmarks/results, with --quick build/benchmarks/results)",
    )
    options = parser.parse_args(words)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (0.1 if options.quick else 1.0)
    options.output = options.output or (QUICK_RESULTS if options.quick else RESULTS)
    try:
        options.lines = lines.choose([name for name in options.lines.split(",") if name])
        options.libraries = libraries.choose([name for name in options.libraries.split(",") if name])
    except KeyError as error:
        parser.error(f"there is no {error}; docs/performance.md lists the lines and the libraries")
    if options.server == "gearmand" and not find_gearmand():
        parser.error("gearmand is not installed (Debian's package gearman-job-server)")
    return options


def tell(line: str) -> None:
    """Say something that is not a result."""
    print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; returns the exit status."""
    options = arguments(words)
    about, warnings = machine.describe(), machine.complaints()
    try:
        programs = build()
    except CannotBuild as error:
        tell(f"{error}: without it there is no other side for a client or worker to talk to")
        return 1
    commands, missing = have(options.libraries, programs)
    warnings += missing
    for warning in warnings:
        tell(warning)
    plan = Plan(options.lines, commands, SERVERS[options.server], options.rounds, options.seconds)
    results = measure(plan, programs, tell)
    return finish(options, about, warnings, plan, results)


def have(wanted: Sequence[Library], programs: Programs) -> tuple[dict[Library, Sequence[str]], list[str]]:
    """The libraries that can be had and the commands that run them, and a line about each of the others."""
    commands, missing = {}, []
    for library in wanted:
        try:
            commands[library] = prepare(library, programs)
        except CannotHave as error:
            missing.append(f"{library.name} is left out: {error}")
    return commands, missing


def finish(
    options: argparse.Namespace,
    about: dict[str, Any],
    warnings: Sequence[str],
    plan: Plan,
    results: Results,
) -> int:
    """Print the table and write the file; returns the exit status."""
    verdicts = [judge(results, line) for line in plan.lines]
    print(render(results, verdicts), end="")
    failures = [
        f"{line}, {library}: {why}"
        for line, by_library in results.failures.items()
        for library, why in by_library.items()
    ]
    for failure in failures:
        tell(failure)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "clients.json"
    document = as_json(plan, about, [*warnings, *failures], results, verdicts)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    tell(f"written: {path}")
    return 1 if any(set(libraries.GEARCORES) & set(failed) for failed in results.failures.values()) else 0


def as_json(
    plan: Plan,
    about: dict[str, Any],
    warnings: Sequence[str],
    results: Results,
    verdicts: Sequence[Verdict],
) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "machine": about,
        "server": plan.server,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "libraries": {library.name: library.requirement for library in plan.commands},
        "warnings": list(warnings),
        "lines": {
            verdict.line.name: {
                "about": verdict.line.kind.about,
                "size": verdict.line.size,
                "at_once": verdict.line.at_once,
                "to_libgearman": verdict.to_libgearman,
                "to_best_python": verdict.to_python,
                "falls_short": verdict.short,
                "rounds": dict(results.samples[verdict.line.name]),
            }
            for verdict in verdicts
        },
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
