"""Measure gearmand, gearcore and the floor in turn, and print how they compare.

python -m benchmarks.server                           all of it, for a quiet machine: about half an hour
python -m benchmarks.server --quick                   a tenth of the operations once: does it still work?
python -m benchmarks.server --shapes drain,fg_4x16    some of it
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.server import machine
from benchmarks.server.build import ROOT, CannotBuild, Programs, build
from benchmarks.server.chart import draw
from benchmarks.server.measure import Plan, Results, measure
from benchmarks.server.servers import FLOOR, GEARCORE, GEARMANDS, SERVERS, CannotStart, find_gearmand, start
from benchmarks.server.shapes import Shape, choose
from benchmarks.server.table import render
from benchmarks.server.verdict import Check, ShapeVerdict, checks, judge

PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"
QUICK_RESULTS = ROOT / "build" / "benchmarks" / "results"
MARKED = re.compile(r"(<!-- results -->\n).*?(<!-- results end -->)", re.DOTALL)


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.server",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds, of which the medians count (5)")
    parser.add_argument("--shapes", default="", metavar="A,B", help="only these shapes, and what they need")
    parser.add_argument("--quick", action="store_true", help="one round of a tenth of the operations")
    parser.add_argument("--operations", type=int, metavar="N", help="no shape does more operations than N")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help="where the results go (benchmarks/results, with --quick build/benchmarks/results)",
    )
    parser.add_argument(
        "--write",
        type=Path,
        nargs="?",
        const=PAGE,
        metavar="PAGE",
        help="put the tables into a page, between its marks (docs/performance.md)",
    )
    options = parser.parse_args(words)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.output = options.output or (QUICK_RESULTS if options.quick else RESULTS)
    try:
        options.shapes = choose([name for name in options.shapes.split(",") if name])
    except KeyError as error:
        parser.error(f"there is no shape {error}; docs/performance.md lists them")
    if options.write and not MARKED.search(options.write.read_text(encoding="utf-8")):
        parser.error(f"{options.write} has no <!-- results --> to fill")
    return options


def tell(line: str) -> None:
    """Say something that is not a result."""
    print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; returns the exit status."""
    options = arguments(words)
    warnings = machine.complaints()
    servers = [name for name in SERVERS if name not in GEARMANDS or find_gearmand()]
    if len(servers) < len(SERVERS):
        warnings.append(
            "gearmand is not installed (Debian's package gearman-job-server): there is no ratio to it"
        )
    try:
        programs = build()
    except CannotBuild as error:
        for warning in warnings:
            tell(warning)
        tell(f"{error}: only a load from Python can be put on the servers")
        return load_from_python([name for name in servers if name != FLOOR], options.operations)
    shapes, left_out = affordable(options.shapes)
    warnings += left_out
    for warning in warnings:
        tell(warning)
    plan = Plan(shapes, servers, options.rounds, 10 if options.quick else 1, options.operations)
    about = machine.describe()
    return finish(options, about, warnings, run(plan, programs))


def run(plan: Plan, programs: Programs) -> tuple[Plan, Results]:
    """Measure, with a line on the way for each load."""
    return plan, measure(plan, programs, tell)


def affordable(shapes: Sequence[Shape]) -> tuple[list[Shape], list[str]]:
    """The shapes for which enough files may be open, and a line about the others."""
    if not shapes:
        return [], []
    wanted = max(shape.descriptors() for shape in shapes)
    limit = machine.allow_descriptors(wanted)
    fitting = [shape for shape in shapes if shape.descriptors() <= limit]
    names = ", ".join(shape.name for shape in shapes if shape not in fitting)
    lacking = f"only {limit:,} files may be open (ulimit -Hn), of {wanted:,}: left out are {names}"
    return fitting, [lacking] if names else []


def load_from_python(servers: Sequence[str], operations: int | None) -> int:
    """What can be measured without a C compiler: ``gearcore bench`` against each server."""
    for name in servers:
        print(f"{name}:", flush=True)
        try:
            with start(name) as server:
                program = "from gearcore.cli import main; main()"
                target = ["bench", "--server", f"127.0.0.1:{server.port}"]
                target += ["--jobs", str(operations)] if operations else []
                subprocess.run([sys.executable, "-c", program, *target], check=False)
        except CannotStart as error:
            tell(str(error))
    return 0


def finish(
    options: argparse.Namespace,
    about: dict[str, Any],
    warnings: Sequence[str],
    outcome: tuple[Plan, Results],
) -> int:
    """Print the tables and write the files; returns the exit status."""
    plan, results = outcome
    verdicts = [judge(results, shape) for shape in plan.shapes]
    found = checks(results, verdicts)
    tables = render(results, verdicts, found)
    print(tables, end="")
    busy = [
        shape.name
        for shape in plan.shapes
        if (results.figure(shape.name, GEARCORE, "loadgen_busy") or 0) > 0.95
    ]
    if busy:
        tell(f"loadgen itself had no time to spare, so that gearcore may be faster: {', '.join(busy)}")
    failures = [
        f"{shape}, {server}: {why}"
        for shape, by_server in results.failures.items()
        for server, why in by_server.items()
    ]
    for failure in failures:
        tell(failure)

    options.output.mkdir(parents=True, exist_ok=True)
    document = as_json(plan, about, [*warnings, *failures], results, verdicts, found)
    (options.output / "server.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (options.output / "server.svg").write_text(draw(verdicts), encoding="utf-8")
    tell(f"written: {options.output / 'server.json'}, {options.output / 'server.svg'}")
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        text = f"{introduction(plan, about, warnings)}\n{tables}"
        options.write.write_text(MARKED.sub(lambda mark: mark[1] + text + mark[2], page), encoding="utf-8")
    return 1 if any(GEARCORE in by_server for by_server in results.failures.values()) else 0


def introduction(plan: Plan, about: dict[str, Any], warnings: Sequence[str]) -> str:
    """What was measured, for those who read only the page."""
    part = " of a part of the operations" if plan.divisor > 1 or plan.most_operations else ""
    lines = [
        f"Medians of {plan.rounds} rounds{part}, on {about['processors']} processors ({about['processor']}),"
        f" {about['system']}, Python {about['python']}, gearmand {about['gearmand']}.",
        *(f"While this was measured, {warning}." for warning in warnings),
    ]
    return "\n".join(lines) + "\n"


def as_json(
    plan: Plan,
    about: dict[str, Any],
    warnings: Sequence[str],
    results: Results,
    verdicts: Sequence[ShapeVerdict],
    found: Sequence[Check],
) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "machine": about,
        "rounds": plan.rounds,
        "part_of_operations": 1 / plan.divisor,
        "most_operations": plan.most_operations,
        "warnings": list(warnings),
        "shapes": {
            verdict.shape.name: {
                "about": verdict.shape.about,
                "kind": verdict.shape.kind.value,
                "to_gearmand": verdict.to_gearmand,
                "of_floor": verdict.of_floor,
                "falls_short": verdict.short,
                "rounds": dict(results.samples[verdict.shape.name]),
            }
            for verdict in verdicts
        },
        "checks": [vars(check) for check in found],
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
