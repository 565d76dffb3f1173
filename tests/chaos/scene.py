"""The play: load, and somebody killed every second."""

import itertools
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from chaos.fleet import running_fleet
from chaos.load import Load

INTERVAL = 1.0
"""Seconds between kills."""


class Outcome(NamedTuple):
    """What came of it; see ``Load`` for the counts and errors."""

    counts: Counter[str]
    errors: list[str]
    server_kills: int
    worker_kills: int

    @property
    def unaccounted(self) -> int:
        """How many acknowledged jobs were neither answered nor reported."""
        return self.counts["submitted"] - self.counts["answered"] - self.counts["reported"]

    def __str__(self) -> str:
        counts = self.counts
        return (
            f"{self.server_kills} servers and {self.worker_kills} workers killed; "
            f"{counts['submitted']:,} jobs acknowledged, {counts['answered']:,} answered, "
            f"{counts['resubmitted']:,} resubmitted, {counts['reported']:,} reported as lost, "
            f"{self.unaccounted} neither, {len(self.errors)} errors"
        )


def play(kind: str, seconds: float, folder: Path) -> Outcome:
    """Kill a server or a worker, in turn, every second. Raises AssertionError when a caller hangs.

    A server that was killed is back before the next one is: two of three are always there.
    """
    with running_fleet(kind, folder) as (servers, workers):
        load = Load([server.address for server in servers])
        load.start()
        try:
            begin = time.monotonic()
            victims = itertools.chain.from_iterable(
                zip(itertools.cycle(servers), itertools.cycle(workers), strict=False)
            )
            for kill, victim in enumerate(victims, 1):
                due = begin + kill * INTERVAL
                if due > begin + seconds:
                    break
                time.sleep(max(due - time.monotonic(), 0.0))
                victim.kill()
                victim.kills += 1
                victim.start()
        finally:
            load.stop()
        return Outcome(
            load.counts,
            load.errors,
            sum(server.kills for server in servers),
            sum(worker.kills for worker in workers),
        )
