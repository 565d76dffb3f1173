"""Kill servers and workers under load: ``python tests/chaos --seconds 60``.

Three servers and four workers are processes of their own. Client threads and an asyncio client submit
foreground jobs all the time, while every second a server or a worker, in turn, is killed by SIGKILL and
started again. No caller may see an error who wants his jobs resubmitted, every job that was acknowledged must
be answered with its own result, or be reported as lost to who wants that, and nothing may hang.
"""

import argparse
import faulthandler
import logging
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos.scene import play

KINDS = ("gearcore", "gearmand")

OVERTIME = 120
"""Seconds beyond those that were asked for after which it hangs: the stacks are printed, and it ends."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long, for each kind of server")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; all by default")
    arguments = parser.parse_args()
    kinds = arguments.kinds or KINDS
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"no server {', '.join(unknown)}")
    logging.getLogger("gearcore").setLevel(logging.CRITICAL)
    return max([run(kind, arguments.seconds) for kind in kinds])


def run(kind: str, seconds: float) -> int:
    """Play, and print what came of it; returns the exit status."""
    faulthandler.dump_traceback_later(seconds + OVERTIME, exit=True)
    with tempfile.TemporaryDirectory() as folder:
        outcome = play(kind, seconds, Path(folder))
    faulthandler.cancel_dump_traceback_later()
    print(f"{kind}, {seconds:g} s: {outcome}", flush=True)
    for error in outcome.errors[:5]:
        print(error, file=sys.stderr)
    return int(bool(outcome.errors or outcome.unaccounted))


if __name__ == "__main__":
    sys.exit(main())
