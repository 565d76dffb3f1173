"""The test suites that other libraries ship, with the codec in them and without: ``make accelerate-suites``.

Libraries and their sources come from PyPI. Ends with 1 if a suite does worse with the codec, or if one that
is published could not be run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.libraries import LIBRARIES, NotAvailable, python_with, sources_of

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Suite:
    """The tests in a source distribution: who runs them, their names, and what they need besides."""

    runner: str
    names: tuple[str, ...]
    needs: tuple[str, ...] = ()
    left_out: str = ""


SUITES = {
    "pygearman": Suite(
        "pytest",
        ("tests",),
        left_out="for the tests/_core_testing.py that the sources lack, core_testing.py stands in",
    ),
    "gear": Suite(
        "unittest",
        ("gear.tests.test_gear", "gear.tests.test_functional"),
        ("fixtures", "testtools", "testresources", "testscenarios", "pyOpenSSL", "statsd<3"),
    ),
}


def main() -> int:
    failed = False
    for library in LIBRARIES:
        suite = SUITES.get(library.name)
        if suite is None:
            print(f"{library.requirement}: its source distribution has no tests")
            continue
        try:
            python = python_with(library, *suite.needs)
            sources = sources_of(library)
        except NotAvailable as reason:
            print(reason)
            failed = True
            continue
        if library.name == "pygearman":
            shutil.copy(HERE / "core_testing.py", sources / "tests" / "_core_testing.py")
        passed = {}
        for way in ("plain", "accelerated"):
            command = [python, HERE / "suite.py", library.module, way, suite.runner, *suite.names]
            done = subprocess.run(
                [str(word) for word in command], cwd=sources, stdout=subprocess.PIPE, text=True, check=True
            )
            *trouble, last = done.stdout.splitlines()
            result = json.loads(last)
            passed[way] = result["passed"]
            through = (
                f", {result['parsed']} packets parsed and {result['packed']} packed by the codec"
                if way == "accelerated"
                else ""
            )
            print(
                f"{library.requirement}, {way}: {result['passed']} of {result['ran']} tests passed{through}"
            )
            print("".join(f"    {line}\n" for line in trouble[-20:]), end="", flush=True)
        if suite.left_out:
            print(f"    ({suite.left_out})")
        failed |= passed["accelerated"] < passed["plain"] or not passed["accelerated"]
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
