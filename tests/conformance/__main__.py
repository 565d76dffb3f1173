"""Compare gearcore with gearmand: ``python -m tests.conformance --help`` says how."""

from __future__ import annotations

import argparse
import sys

from .case import Verdict, compare, judge
from .cases import CASES
from .report import PAGE, update
from .servers import GEARMAND, MISSING, Pool, can_listen, find_gearmand
from .wander import random_case


def main() -> int:
    parser = argparse.ArgumentParser(prog="conformance", description="Compare gearcore with gearmand.")
    parser.add_argument("words", metavar="WORD", nargs="*", help="play the cases with this in their names")
    parser.add_argument("-r", "--random", metavar="N", type=int, help="play N random scripts instead")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="number of the first random script")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every transcript")
    parser.add_argument("--write", action="store_true", help=f"bring {PAGE.name} up to date, and no more")
    options = parser.parse_args()
    if options.write:
        update()
        return 0
    if find_gearmand() is None:
        print(MISSING, file=sys.stderr)
        return 1
    if options.random is None:
        chosen = [case for case in CASES if any(word in case.name for word in options.words or [""])]
    else:
        chosen = [random_case(seed) for seed in range(options.seed, options.seed + options.random)]
    possible = [case for case in chosen if can_listen(case.options.listen)]
    pool = Pool()
    try:
        verdicts = [judge(case, pool) for case in possible]
    finally:
        pool.stop()
    for case in chosen:
        if case not in possible:
            print(f"{case.name}: left out, this machine has no address {case.options.listen}\n")
    for verdict in verdicts:
        if options.verbose:
            print(f"{verdict.case.name}\n{transcripts(verdict)}\n")
        if verdict.trouble:
            print(f"{verdict.case.name}: {verdict.trouble}\n")
    print(summary(verdicts))
    return any(verdict.trouble for verdict in verdicts)


def transcripts(verdict: Verdict) -> str:
    """What was sent and received; where the servers differ, gearmand's lines with - and gearcore's with +."""
    reference, found = (list(verdict.transcripts.values()) * 2)[:2]
    return compare(reference, found)


def summary(verdicts: list[Verdict]) -> str:
    """The count of each kind of verdict."""
    fine = [verdict.case for verdict in verdicts if not verdict.trouble]
    departures = sum(case.departure is not None for case in fine)
    alone = sum(GEARMAND not in case.servers for case in fine)
    counts = {
        "cases": len(verdicts),
        "equal transcripts": len(fine) - departures - alone,
        "documented departures": departures,
        "cases of gearmand 2.0's ways, for gearcore alone": alone,
        "other differences": len(verdicts) - len(fine),
    }
    return "\n".join(f"{count:5} {what}" for what, count in counts.items())


if __name__ == "__main__":
    sys.exit(main())
