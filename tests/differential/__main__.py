"""The test suites that other libraries ship, with the codec in them and without: ``make accelerate-suites``.

Libraries and their sources come from PyPI. Some have tests in their repositories alone: with a directory as
argument, which has a checkout of such a repository by the name of the library on PyPI, those are run too, on
the library as it is on PyPI. Ends with 1 if a suite does worse with the codec, or if one that is published
could not be run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.libraries import ENVIRONMENTS, LIBRARIES, Library, NotAvailable, python_with, sources_of

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Suite:
    """Tests: who runs them, their names, what they need besides, and what is run where PyPI has not all."""

    runner: str
    names: tuple[str, ...]
    needs: tuple[str, ...] = ()
    is_published: bool = True
    stands_in: str = ""


PARTS_OF_GEARMAN = ("protocol_tests", "admin_client_tests", "client_tests", "worker_tests")

SUITES = {
    "pygearman": Suite("pytest", ("tests",), stands_in="core_testing.py"),
    "gear": Suite(
        "unittest",
        ("gear.tests.test_gear", "gear.tests.test_functional"),
        ("fixtures", "testtools", "testresources", "testscenarios", "pyOpenSSL", "statsd<3"),
    ),
    "python3-gearman": Suite(
        "unittest", tuple(f"tests.{part}" for part in PARTS_OF_GEARMAN), is_published=False
    ),
    # What its tests ask for, pytest-asyncio 1 has no more.
    "aiogear": Suite("pytest", ("tests",), ("pytest-asyncio<1",), is_published=False),
}


def tests_of(library: Library, suite: Suite, checkouts: Path | None) -> tuple[Path, str]:
    """The directory to run a suite in, and where its tests come from."""
    checkout = checkouts / library.name / "tests" if checkouts else None
    if checkout and checkout.is_dir():
        directory = ENVIRONMENTS / "checkouts" / library.name
        shutil.rmtree(directory, ignore_errors=True)
        # Without the library's code, which is to be what is installed.
        shutil.copytree(checkout, directory / "tests")
        (directory / "tests" / "__init__.py").touch()
        return directory, "the tests of a checkout"
    directory = sources_of(library)
    if not suite.stands_in:
        return directory, "the tests of its source distribution"
    shutil.copy(HERE / suite.stands_in, directory / "tests" / f"_{suite.stands_in}")
    return directory, f"the tests of its source distribution, with a {suite.stands_in} that they lack"


def run_suite(library: Library, suite: Suite, checkouts: Path | None) -> bool:
    """Print how a suite goes without the codec and with it, and return whether it goes as well."""
    python = python_with(library, *suite.needs)
    directory, origin = tests_of(library, suite, checkouts)
    print(f"{library.requirement}, {origin}")
    passed = {}
    for way in ("plain", "accelerated"):
        command = [python, HERE / "suite.py", library.module, way, suite.runner, *suite.names]
        done = subprocess.run(
            [str(word) for word in command], cwd=directory, stdout=subprocess.PIPE, text=True, check=True
        )
        *trouble, last = done.stdout.splitlines()
        result = json.loads(last)
        passed[way] = result["passed"]
        counts = ""
        if way == "accelerated":
            counts = f", {result['parsed']} packets parsed and {result['packed']} packed by the codec"
        print(f"    {way}: {result['passed']} of {result['ran']} passed{counts}")
        print("".join(f"        {line}\n" for line in trouble[-20:]), end="", flush=True)
    return 0 < passed["accelerated"] >= passed["plain"]


def main() -> int:
    failed = False
    checkouts = Path(sys.argv[1]) if sys.argv[1:] else None
    for library in LIBRARIES:
        suite = SUITES.get(library.name)
        if suite is None or not (
            suite.is_published or (checkouts and (checkouts / library.name / "tests").is_dir())
        ):
            print(f"{library.requirement}: its source distribution has no tests")
            continue
        try:
            failed |= not run_suite(library, suite, checkouts)
        except NotAvailable as reason:
            print(reason)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
