"""Runs a library's own test suite in its sources.

``suite.py IMPORT_NAME plain|accelerated pytest|unittest NAMES``

Prints a line of JSON last: how many tests ran and passed, and how many packets went through the codec.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import unittest

import gearcore


def run_pytest(names: list[str]) -> tuple[int, int]:
    import pytest

    class Count:
        ran = passed = 0

        def pytest_runtest_logreport(self, report):
            if report.when == "call" and (not report.skipped or hasattr(report, "wasxfail")):
                self.ran += 1
                self.passed += not report.failed
            elif report.failed:
                self.ran += report.when == "setup"

    count = Count()
    # Not with gearcore's own configuration, which pytest would find above the sources.
    pytest.main(
        ["-q", "-Wignore", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir=.", *names], plugins=[count]
    )
    return count.ran, count.passed


def run_unittest(names: list[str]) -> tuple[int, int]:
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(stream=sys.stdout).run(suite)
    return result.testsRun, result.testsRun - len(result.failures) - len(result.errors)


def main() -> None:
    module, way, runner, *names = sys.argv[1:]
    sys.path.insert(0, "")
    handle = gearcore.accelerate(module) if way == "accelerated" else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        ran, passed = {"pytest": run_pytest, "unittest": run_unittest}[runner](names)
    if ran != passed:
        print(printed.getvalue())
    counts = {"parsed": handle.parsed, "packed": handle.packed} if handle else {}
    print(json.dumps({"ran": ran, "passed": passed, **counts}))


if __name__ == "__main__":
    main()
