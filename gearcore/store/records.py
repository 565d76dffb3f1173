"""What stores written in Python may want to know of records, where they deal with single ones."""

from __future__ import annotations

from struct import Struct, unpack

__all__ = ["numbers_in", "with_tries"]

TRIES = Struct("<I")
TRIES_AT = 12
"""Where in a record its tries are: see ``src/gearcore/_record.pxd``."""


def numbers_in(numbers: bytes) -> tuple[int, ...]:
    """Return the numbers of jobs, which are 64 bits each."""
    return unpack(f"<{len(numbers) // 8}Q", numbers)


def with_tries(record: bytes, tries: int) -> bytes:
    """Return a record with other tries."""
    return record[:TRIES_AT] + TRIES.pack(min(tries, 2**32 - 1)) + record[TRIES_AT + TRIES.size :]
