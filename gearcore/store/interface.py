"""What a store is: the one small interface between the server and wherever its background jobs are kept.

The broker gathers what is to be kept and what is to be forgotten; a `Batch` of it is committed as a whole,
and only then are its jobs acknowledged. Jobs and numbers are bytes that the broker writes and reads in C
(``src/gearcore/_record.pxd``), for nothing here may cost time in Python for each job.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

__all__ = ["Batch", "DeadLetter", "Opened", "Store"]


class DeadLetter(NamedTuple):
    """A job that is kept although it is not run any more."""

    number: int
    """The last part of its handle."""
    handle: bytes
    function: bytes
    unique: bytes
    tries: int
    """Its runs that came to nothing."""
    error: bytes
    """What became of the last run."""
    died_at: float
    """Unix time."""
    record: bytes
    """The job, as in `Batch.added`."""


class Batch(NamedTuple):
    """What is to be committed as a whole. Numbers are those of jobs, 64 bits each."""

    number: int
    """Counts up. A batch that comes again under the same number is the same one, tried again: what an earlier
    attempt did already is not to be done twice."""
    added: bytes = b""
    """Records of jobs, in the order of their numbers, which are above those of all batches before."""
    late: bytes = b""
    """Records of jobs with lower numbers: they were not to be kept at first, or were dead letters."""
    forgotten: bytes = b""
    """Numbers of jobs that are not to be kept any more. Some may be of a batch that failed: whether its jobs
    were kept nobody knows."""
    tries: bytes = b""
    """Pairs of 64 bits: the number of a job, and its tries from now on."""
    died: Sequence[DeadLetter] = ()
    """Dead letters to keep. Their jobs are among those forgotten."""
    gone: bytes = b""
    """Numbers of dead letters that are not to be kept any more."""
    last_number: int = 0
    """The highest number that any job has had: the next is above it, after a restart as well."""


class Opened(NamedTuple):
    """What a store has kept beside the jobs."""

    commits: int
    """The number of the last batch that was committed; 0 if there was none."""
    last_number: int
    """`Batch.last_number` of that batch."""
    prefix: str
    """What comes before a job's number in its handle, once `open` was told; the jobs keep their handles."""
    jobs: int
    """How many jobs `claim` will give."""


class Store(Protocol):
    """Where background jobs are kept. All calls come from one thread, one after the other, and may block.

    The jobs of a store belong to a server while that has claimed them. A store of one server gives it all
    of them at the start. A store that several servers share gives each a part, under a lease that the server
    renews by its commits; it raises `StoreFailed` from `commit` while it cannot be reached, and
    `BatchRefused` for a batch of a server whose lease has run out, and whose jobs another has claimed.
    """

    def open(self, prefix: str) -> Opened:
        """Begin, as the server whose handles start like that. Raises `StoreError` when that is impossible."""

    def claim(self) -> Iterator[bytes]:
        """Give the jobs that this server is to run from now on: records, as many at a time as is convenient.

        They come in the order in which they are to be queued. Raises `StoreError` if they cannot be read.
        """

    def commit(self, batch: Batch) -> None:
        """Do all that the batch says, and see to it that nothing of it can be lost; then return.

        Raises `StoreFailed` if that may work later, after which the same batch comes again or another one
        instead, and `BatchRefused` if it never will.
        """

    def tidy(self) -> bool:
        """Do a little of what need not be done at once; return whether there is more of it.

        It may be called at any time between other calls, and while `claim` gives its parts.
        """

    def dead(self, function: bytes | None = None, after: int = 0, most: int = 1000) -> list[DeadLetter]:
        """Return dead letters, of one function if one is given, in the order of their numbers.

        They are those with numbers above ``after``, ``most`` of them at the most.
        """

    def close(self) -> None:
        """End. A store may be opened again."""
