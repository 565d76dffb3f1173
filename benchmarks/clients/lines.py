"""The lines of the table: what a client or a worker does, and with how much in each job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["LINES", "Kind", "Line", "choose"]

WARM_UP = 20
"""Operations before those that are measured."""

BATCH = 100
"""Jobs at once where several can be. With more libgearman and the Python libraries become slower."""

MOST_BYTES_UNDER_WAY = 8 << 20

MOST_BYTES = 256 << 20
"""What the server has to hold of the workloads of one measurement."""


class Kind(Enum):
    """What is done; the value is the mode of an adapter."""

    SUBMIT = "submit"
    SUBMIT_MANY = "submit_many"
    FOREGROUND = "foreground"
    WORK = "work"
    PREFETCH = "prefetch"

    @property
    def about(self) -> str:
        """It in words."""
        return ABOUT[self]

    @property
    def is_worker(self) -> bool:
        """Whether a worker is measured, rather than a client."""
        return self in (Kind.WORK, Kind.PREFETCH)

    @property
    def has_many(self) -> bool:
        """Whether an operation begins before the one before it has ended."""
        return self in (Kind.SUBMIT_MANY, Kind.PREFETCH)


ABOUT = {
    Kind.SUBMIT: "a client submits background jobs, one at a time",
    Kind.SUBMIT_MANY: "a client submits background jobs, pipelined",
    Kind.FOREGROUND: "a client submits a job and waits for its result, one at a time",
    Kind.WORK: "a worker drains a full queue, one job at a time",
    Kind.PREFETCH: "a worker drains a full queue, with prefetch",
}


@dataclass(frozen=True)
class Line:
    """One line: a kind of operation and the bytes of the workload."""

    kind: Kind
    size: int
    label: str

    @property
    def name(self) -> str:
        """What the line is called in the table."""
        return f"{self.kind.value}_{self.label}"

    @property
    def at_once(self) -> int:
        """Jobs under way at once on this line."""
        return self.under_way(BATCH) if self.kind.has_many else 1

    def under_way(self, most: int) -> int:
        """A number of jobs to have under way at once, or fewer where they are large."""
        return min(most, max(10, MOST_BYTES_UNDER_WAY // self.size))

    @property
    def instead(self) -> str:
        """The line on which those are measured that have nothing like prefetch."""
        return self.name.replace("prefetch", "work")

    def most(self, seconds: float) -> int:
        """More operations than anyone does in that time, as long as the server can hold so many jobs."""
        in_a_second = 1_500_000 if self.kind.has_many else 100_000
        return max(50, min(int(in_a_second * seconds), MOST_BYTES // self.size))


LINES: Sequence[Line] = [
    Line(kind, size, label) for kind in Kind for size, label in ((32, "32"), (1024, "1k"), (1 << 20, "1m"))
]


def choose(names: Sequence[str]) -> list[Line]:
    """The lines of these names or kinds, and those that they are compared with; all if there is no name.

    Raises KeyError for a name that there is not.
    """
    if not names:
        return list(LINES)
    wanted = set()
    for name in names:
        found = [line for line in LINES if name in (line.name, line.kind.value)]
        if not found:
            raise KeyError(name)
        wanted |= {line.name for line in found} | {line.instead for line in found}
    return [line for line in LINES if line.name in wanted]
