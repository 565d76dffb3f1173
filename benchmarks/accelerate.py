"""Rates of other Gearman libraries with the codec and without: ``python -m benchmarks.accelerate``.

Each library comes from PyPI into an environment of its own under build/. Packing and parsing of JOB_ASSIGN
are measured by turns in one process, and so are a worker and a client of the library that pass jobs of 1 KB
through gearcore's server: of each the best round. What these take of the processor is a line of its own,
which other processes disturb less.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from gearcore import Server
from tests.libraries import LIBRARIES, Library, NotAvailable, python_with

CASES = Path(__file__).with_name("accelerate_cases.py")
END_TO_END = Path(__file__).parent.parent / "tests" / "differential" / "end_to_end.py"
WANTED = 3.0
ROUNDS, JOBS, SIZE = 15, 500, 1024  # end to end


def output(*command: object) -> str:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout


def rate(seconds: float) -> str:
    return f"{1e-3 / seconds:,.0f}"


def measure_codec(library: Library, python: Path) -> bool:
    """Print a line for each case, and return whether all are as fast as they should be."""
    reached = True
    for case, plain, accelerated in json.loads(output(python, CASES, library.module)):
        ratio = plain / accelerated
        reached &= ratio >= WANTED
        rates = f"{rate(plain):>10} {rate(accelerated):>12}"
        print(f"{library.requirement:22} {case:18} {rates} {ratio:>8.1f}", flush=True)
    return reached


def measure_end_to_end(library: Library, python: Path, port: int) -> bool:
    result = json.loads(output(python, END_TO_END, library.module, port, JOBS, SIZE, ROUNDS))
    reached = result["right"]
    for case, key in (("end to end, jobs", "seconds"), ("the same, of CPU", "of_cpu")):
        plain, accelerated = (min(times) / JOBS for times in result[key].values())
        reached &= accelerated < plain
        print(
            f"{library.requirement:22} {case:18} {1e-3 / plain:>10.2f} {1e-3 / accelerated:>12.2f} "
            f"{plain / accelerated:>8.2f}",
            flush=True,
        )
    return reached


def main() -> int:
    reached = True
    print(f"{'thousands a second':22}{'':19} {'plain':>10} {'accelerated':>12} {'ratio':>8}")
    with Server(port=0) as server:
        for library in LIBRARIES:
            try:
                python = python_with(library)
            except NotAvailable as reason:
                print(reason)
                continue
            reached &= measure_codec(library, python)
            if library.name != "gearman3":  # which receives nothing on this Python
                reached &= measure_end_to_end(library, python, server.port)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
