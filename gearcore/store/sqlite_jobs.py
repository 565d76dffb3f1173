"""The jobs in a store's file: a log more than a table.

The jobs of a commit are one row, a *lot*, so that a commit costs the same for one job as for hundreds, and
what is forgotten of them is one row as well. A lot says which commit it is of, so that one that only adds
jobs is a single statement; all others note that in the table ``state``. A `Ledger` knows, without a note for
each job, when the last job of a lot is gone, and its row with it. Small lots are put together.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from struct import iter_unpack, pack

from gearcore._ledger import Ledger, one_by_one, pieces, without
from gearcore.errors import StoreError
from gearcore.store.records import numbers_in, with_tries
from gearcore.store.sqlite_file import DAMAGED

__all__ = ["SqliteJobs", "others"]

LOT_SIZE = 16 * 1024 * 1024
"""Bytes of records in a row from which the rest of a commit goes into another."""

MERGED_SIZE = 256 * 1024
"""The most bytes of records that neighbouring rows may have to be put together."""


class SqliteJobs:
    """The jobs in an open database; made anew after a failure, for what it knows may be wrong then."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._singles = {number for (number,) in database.execute("SELECT number FROM single")}
        self._ledger = Ledger()
        forgotten = dict(
            database.execute("SELECT lot, SUM(LENGTH(numbers)) / 8 FROM forgotten GROUP BY lot").fetchall()
        )
        state = database.execute("SELECT commits, last_number, prefix FROM state").fetchone()
        if state is None:
            raise StoreError(f"{DAMAGED}: it has no state")
        self.commits, self.last_number, self.prefix = int(state[0]), int(state[1]), str(state[2])
        lots = database.execute(
            "SELECT first, last, count, commits, last_number, LENGTH(records) FROM lot ORDER BY first"
        )
        for first, last, count, commits, last_number, size in lots:
            left = count - forgotten.get(first, 0)
            if left <= 0:
                raise StoreError(f"{DAMAGED}: more is forgotten than was kept")
            try:
                self._ledger.append(first, last, count, left, size)
            except (ValueError, OverflowError) as error:
                raise StoreError(f"{DAMAGED}: {error}") from error
            self.commits = max(self.commits, commits)
            self.last_number = max(self.last_number, last_number)

    def __len__(self) -> int:
        return self._ledger.left + len(self._singles)

    def read(self) -> Iterator[bytes]:
        """Give all of them, in the order of their numbers as far as that is theirs to say."""
        tries: dict[int, int] = dict(self._database.execute("SELECT number, tries FROM tries").fetchall())
        forgotten = groupby(
            self._database.execute("SELECT lot, numbers FROM forgotten ORDER BY lot"), key=itemgetter(0)
        )
        lot_of_forgotten, gone = next(forgotten, (None, iter(())))
        lots = self._database.execute("SELECT first, last, checksum, records FROM lot ORDER BY first")
        for first, last, checksum, records in lots:
            if zlib.crc32(records) != checksum:
                raise StoreError(f"{DAMAGED}: the jobs from number {first} on are not as they were")
            if lot_of_forgotten == first:
                records = without(records, b"".join(numbers for _, numbers in gone))
                lot_of_forgotten, gone = next(forgotten, (None, iter(())))
            if tries and any(first <= number <= last for number in tries):
                records = b"".join(tried(one_by_one(records), tries))
            yield records
        singles = self._database.execute("SELECT number, record FROM single ORDER BY number")
        yield b"".join(tried(singles, tries))

    def add(self, records: bytes, commits: int, last_number: int) -> None:
        """Write the records of jobs whose numbers are above those of all others."""
        for first, last, count, start, end in pieces(records, LOT_SIZE):
            self._write_lot(first, last, count, commits, last_number, records[start:end])
            self._ledger.append(first, last, count, count, end - start)

    def _write_lot(
        self, first: int, last: int, count: int, commits: int, last_number: int, records: bytes
    ) -> None:
        self._database.execute(
            "INSERT INTO lot VALUES (?, ?, ?, ?, ?, ?, ?)",
            [first, last, count, commits, last_number, zlib.crc32(records), records],
        )

    def add_late(self, records: bytes) -> None:
        """Write the records of jobs with lower numbers."""
        late = one_by_one(records)
        self._database.executemany("INSERT OR REPLACE INTO single VALUES (?, ?)", late)
        self._singles.update(number for number, _ in late)

    def note_tries(self, pairs: bytes) -> None:
        """Write how often jobs were tried."""
        for number, tries in iter_unpack("<QQ", pairs):
            if number in self._singles:
                row = self._database.execute("SELECT record FROM single WHERE number = ?", [number])
                record = with_tries(row.fetchone()[0], tries)
                self._database.execute("UPDATE single SET record = ? WHERE number = ?", [record, number])
            else:
                self._database.execute("INSERT OR REPLACE INTO tries VALUES (?, ?)", [number, tries])

    def forget(self, numbers: bytes, commits: int) -> None:
        """Write which jobs are forgotten, in the commit of that number."""
        singles = self._singles.intersection(numbers_in(numbers)) if self._singles else set()
        if singles:
            self._database.executemany("DELETE FROM single WHERE number = ?", [(one,) for one in singles])
            self._singles -= singles
            numbers = others(numbers, singles)
        groups = self._ledger.split(numbers)
        for first, forgotten, left in groups:
            if left:
                self._database.execute("INSERT INTO forgotten VALUES (?, ?, ?)", [first, commits, forgotten])
            else:
                self._delete_lot(first)
        self._ledger.settle(groups)

    def _delete_lot(self, first: int) -> None:
        """Delete a lot and what was noted about its jobs."""
        execute = self._database.execute
        execute("DELETE FROM forgotten WHERE lot = ?", [first])
        for (last,) in execute("DELETE FROM lot WHERE first = ? RETURNING last", [first]).fetchall():
            execute("DELETE FROM tries WHERE number BETWEEN ? AND ?", [first, last])

    def forgotten_after(self, commits: int) -> frozenset[int]:
        """Say which jobs were forgotten by later commits, as far as their lots are still there."""
        rows = self._database.execute("SELECT numbers FROM forgotten WHERE commits > ?", [commits])
        return frozenset(number for (numbers,) in rows for number in numbers_in(numbers))

    def merge(self) -> int:
        """Put neighbouring lots together, without what is forgotten of them; return the bytes written."""
        firsts = self._ledger.crowded(MERGED_SIZE)
        if not firsts:
            return 0
        left = []
        last = commits = last_number = 0
        execute = self._database.execute
        execute("BEGIN")
        for first in firsts:
            row = execute("SELECT * FROM lot WHERE first = ?", [first])
            _, last, _, commits, last_number, checksum, records = row.fetchone()
            if zlib.crc32(records) != checksum:
                raise sqlite3.DatabaseError(DAMAGED)
            forgotten = execute("SELECT numbers FROM forgotten WHERE lot = ?", [first])
            left.append(without(records, b"".join(numbers for (numbers,) in forgotten)))
        self._database.executemany("DELETE FROM forgotten WHERE lot = ?", [(first,) for first in firsts])
        self._database.executemany("DELETE FROM lot WHERE first = ?", [(first,) for first in firsts])
        records = b"".join(left)
        ((_, _, count, _, _),) = pieces(records, len(records))
        self._write_lot(firsts[0], last, count, commits, last_number, records)
        execute("COMMIT")
        self._ledger.merge(firsts, count, len(records))
        return len(records)


def others(numbers: bytes, excluded: Iterable[int]) -> bytes:
    """Return the numbers that are not among those."""
    left = [number for number in numbers_in(numbers) if number not in excluded]
    return pack(f"<{len(left)}Q", *left)


def tried(records: Iterable[tuple[int, bytes]], tries: dict[int, int]) -> Iterator[bytes]:
    """Give records with the tries that were noted since they were written."""
    for number, record in records:
        yield with_tries(record, tries[number]) if number in tries else record
