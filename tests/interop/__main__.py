"""``python tests/interop``: run the tests, and print a line for each foreign program in each of its roles.

What comes from package registries is installed in a cache first; words after the command go to pytest.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from interop.catalogue import PEERS, Missing, Peer  # noqa: E402 (found by the path above)

ROLES = ("client", "worker", "admin")


class Table:
    """Counts the outcomes of tests for each peer and role that they are marked with."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, str], Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            marks = {tuple(value) for name, value in report.user_properties if name == "peer"}
            for peer, role in marks:
                self.outcomes.setdefault((peer, role), Counter())[report.outcome] += 1

    def lines(self) -> list[str]:
        lines = [f"{'peer':<12}{'version':<18}{'role':<8}{'checks':>7}  result"]
        for peer in PEERS:
            for role in ROLES:
                outcomes = self.outcomes.get((peer.name, role))
                if outcomes:
                    checks = outcomes["passed"] + outcomes["failed"]
                    row = f"{peer.name:<12}{version_of(peer):<18}{role:<8}{checks:>7}  {verdict(outcomes)}"
                    lines.append(row)
        return lines


def version_of(peer: Peer) -> str:
    try:
        return peer.find().version
    except Missing:
        return "-"


def verdict(outcomes: Counter[str]) -> str:
    if outcomes["failed"]:
        return f"FAIL ({outcomes['failed']})"
    return "pass" if outcomes["passed"] else "skipped: not installed"


def main() -> int:
    os.environ.setdefault("GEARCORE_INSTALL_PEERS", "1")
    table = Table()
    code = pytest.main([str(FOLDER), "-q", "-rs", *sys.argv[1:]], plugins=[table])
    print("", *table.lines(), sep="\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
