"""Which of several servers a job goes to."""

from __future__ import annotations

import hashlib
from bisect import bisect
from collections.abc import Sequence
from typing import Final

__all__ = ["Ring"]

_POINTS: Final = 160
"""Points that each server has on the ring: so many that the servers' shares differ by a tenth or so."""


class Ring:
    """Consistent hashing: unique ids to servers, which are numbered from 0 and known by their names.

    A unique id has the same order of servers in every process and on every machine that names the same
    servers, in whatever order. Where a server is added or taken away, only the ids change place that go to
    it, or went.
    """

    def __init__(self, names: Sequence[str]) -> None:
        points = sorted(
            (_hash(f"{name}#{number}".encode()), server)
            for server, name in enumerate(names)
            for number in range(_POINTS)
        )
        self._hashes = [point for point, _ in points]
        self._servers = [server for _, server in points]
        self._count = len(names)
        self._orders: dict[int, tuple[int, ...]] = {}

    def order(self, unique: bytes) -> tuple[int, ...]:
        """All servers, in the order in which a unique id tries them."""
        at = bisect(self._hashes, _hash(unique)) % len(self._hashes)
        order = self._orders.get(at)
        if order is None:
            order = self._orders[at] = self._walk(at)
        return order

    def _walk(self, at: int) -> tuple[int, ...]:
        found: dict[int, None] = {}
        while len(found) < self._count:
            found[self._servers[at]] = None
            at = (at + 1) % len(self._servers)
        return tuple(found)


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
