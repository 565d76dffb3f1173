"""Trying a job again: when, how often, and how the job itself tells how often it was tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

__all__ = ["Retry", "read_unique", "write_unique"]

_PREFIX: Final = b"retry:"

_LONGEST_UNIQUE: Final = 63
"""Bytes of a unique id that every server keeps apart: gearmand cuts a longer one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and when a job is tried again that failed.

    ``limit`` is how many tries may follow the first. The first of them comes after ``delay`` seconds, each
    further one after ``factor`` times as long, and none after more than ``longest`` seconds. With ``jitter``
    each pause is cut by up to a half at random, lest jobs that failed together meet again.

    The worker submits the job again as a background job with that delay, and is free for others meanwhile;
    a client that waits for the job is told that it failed. With ``in_place`` it keeps the job instead, and
    what runs it waits: the way for foreground jobs and short pauses. (No packet tells a worker whether
    somebody waits for its job.)
    """

    limit: int = 5
    delay: float = 1.0
    factor: float = 2.0
    longest: float = 3600.0
    jitter: bool = True
    in_place: bool = False

    def __post_init__(self) -> None:
        if self.limit < 0 or self.delay < 0 or self.longest < 0 or self.factor < 1:
            raise ValueError(f"{self}: limit, delay and longest are at least 0, and factor at least 1")

    def pause(self, tries: int, random: Callable[[], float]) -> float:
        """The seconds after this many tries. ``random`` gives a number from 0 to 1."""
        # 2.0**1024 is too much for a float.
        pause = min(self.delay * self.factor ** min(tries - 1, 64), self.longest)
        return pause * (0.5 + 0.5 * random()) if self.jitter else pause


def read_unique(unique: bytes) -> tuple[int, bytes]:
    """The number of a job's try, from 1 on, and the unique id that it was first submitted with."""
    if unique.startswith(_PREFIX):
        number, colon, rest = unique[len(_PREFIX) :].partition(b":")
        if colon and number.isdigit() and len(number) < 10:
            return int(number), rest
    return 1, unique


def write_unique(tries: int, unique: bytes, token: bytes) -> bytes:
    """The unique id of a job's next try: ``retry:NUMBER:UNIQUE``.

    It differs from that of the job in hand, or the server would take both for one job. A unique id that is
    too long for that is replaced by a digest of it, and ``token``, which must be like no other, takes the
    place of an empty one.
    """
    prefix = b"%s%d:" % (_PREFIX, tries)
    unique = unique or token
    if len(prefix) + len(unique) > _LONGEST_UNIQUE:
        unique = blake2b(unique, digest_size=16).hexdigest().encode()
    return prefix + unique
