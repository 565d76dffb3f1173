"""Run fuzz targets for a time: ``python tests/fuzz --seconds 60``. Prints the seed of what it finds."""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.targets import TARGETS

HANG = 30
"""Seconds after which an input that is not done counts as a hang: the stack is printed and the run ends."""

GROWTH = 32 * 1024
"""KiB that the process may grow after the first tenth of its time."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long, for all targets together")
    parser.add_argument("--seed", type=int, help="run this one input of the target and no other")
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default"
    )
    arguments = parser.parse_args()
    names = arguments.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no target {', '.join(unknown)}")
    if arguments.seed is not None:
        for name in names:
            TARGETS[name](arguments.seed)
        return 0
    return max([run(name, arguments.seconds / len(names)) for name in names])


def run(name: str, seconds: float) -> int:
    start = time.monotonic()
    source = random.SystemRandom()
    inputs = settled = found = 0
    while (elapsed := time.monotonic() - start) < seconds:
        seed = source.randrange(1 << 48)
        faulthandler.dump_traceback_later(HANG, exit=True)
        try:
            TARGETS[name](seed)
        except Exception:
            found += 1
            traceback.print_exc()
            print(f"{name}: repeat it by: python tests/fuzz --seed {seed} {name}")
            if found == 5:
                break
        inputs += 1
        if not settled and elapsed > seconds / 10:
            settled = peak()
    faulthandler.cancel_dump_traceback_later()
    growth = peak() - settled if settled else 0
    print(f"{name}: {inputs} inputs in {elapsed:.0f} s, {found} findings, {growth} KiB more memory")
    return int(found > 0 or growth > GROWTH)


def peak() -> int:
    """The most memory that the process had so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
