"""Run fuzz targets for a time: ``python tests/fuzz --seconds 60``.

Half of the inputs are chosen by Hypothesis, which makes what it finds as simple as can be and prints how to
repeat it; the others come from random seeds, many more in the same time.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.targets import TARGETS

HANG = 30
"""Seconds after which an input that is not done counts as a hang: the stack is printed and the run ends."""

GROWTH = 32 * 1024
"""KiB that the process may grow after the first tenth of its time."""


BATCH = 100
"""Inputs of each kind before it is the other's turn."""

SETTINGS: dict[str, Any] = {
    "max_examples": BATCH,
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": list(HealthCheck),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long, for all targets together")
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default"
    )
    arguments = parser.parse_args()
    names = arguments.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no target {', '.join(unknown)}")
    return max([run(name, arguments.seconds / len(names)) for name in names])


def run(name: str, seconds: float) -> int:
    """Feed a target with what Hypothesis chooses, and with seeds that are quicker to make, in turn."""
    start = time.monotonic()
    source = random.SystemRandom()
    inputs = settled = found = 0

    def one(choices: random.Random) -> None:
        nonlocal inputs
        inputs += 1
        faulthandler.dump_traceback_later(HANG, exit=True)
        TARGETS[name](choices)

    def seeded() -> None:
        seed = source.randrange(1 << 48)
        try:
            one(random.Random(seed))
        except Exception:
            print(f"{name}: repeat it by TARGETS[{name!r}](random.Random({seed}))")
            raise

    chosen = settings(**SETTINGS)(given(st.randoms(use_true_random=False))(one))
    while (elapsed := time.monotonic() - start) < seconds and found < 5:
        try:
            chosen()
            for _ in range(BATCH):
                seeded()
        except Exception:
            found += 1
            traceback.print_exc()
        if not settled and elapsed > seconds / 10:
            settled = peak()
    faulthandler.cancel_dump_traceback_later()
    growth = peak() - settled if settled else 0
    print(
        f"{name}: {inputs} inputs in {elapsed:.0f} s, {found} findings, {growth} KiB more memory", flush=True
    )
    return int(found > 0 or growth > GROWTH)


def peak() -> int:
    """The most memory that the process had so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
