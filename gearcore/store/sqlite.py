"""The store of one server: a file of SQLite's.

It is a log more than a table. The jobs of a commit are one row, so that a commit costs the same for one job
as for hundreds, and what is forgotten of them is one row as well. A `Ledger` knows, without a note for each
job, when the last job of a row is gone. `SqliteStore.tidy` puts rows together that have become small.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from struct import iter_unpack, pack

from gearcore._ledger import Ledger, one_by_one, pieces, without
from gearcore.errors import BatchRefused, StoreError, StoreFailed
from gearcore.store.interface import Batch, DeadLetter, Opened
from gearcore.store.records import numbers_in, with_tries

__all__ = ["SqliteStore"]

APPLICATION = 0x67636F72
"""What marks a database as gearcore's: SQLite's ``application_id``."""

VERSION = 1
"""The version of the schema and of the records in it: SQLite's ``user_version``."""

SCHEMA = """
CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), commits INTEGER NOT NULL,
    last_number INTEGER NOT NULL, prefix TEXT NOT NULL);
CREATE TABLE lot (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, count INTEGER NOT NULL,
    checksum INTEGER NOT NULL, records BLOB NOT NULL);
CREATE TABLE forgotten (lot INTEGER NOT NULL, commits INTEGER NOT NULL, numbers BLOB NOT NULL,
    PRIMARY KEY (lot, commits)) WITHOUT ROWID;
CREATE TABLE single (number INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE tries (number INTEGER PRIMARY KEY, tries INTEGER NOT NULL);
CREATE TABLE dead (number INTEGER PRIMARY KEY, handle BLOB NOT NULL, function BLOB NOT NULL,
    unique_id BLOB NOT NULL, tries INTEGER NOT NULL, error BLOB NOT NULL, died_at REAL NOT NULL,
    record BLOB NOT NULL);
CREATE INDEX dead_by_function ON dead (function, number);
"""

ONE_STEP = """
CREATE TEMP VIEW step AS SELECT 0 AS commits, 0 AS last_number, 0 AS first, 0 AS last, 0 AS count,
    0 AS checksum, NULL AS records;
CREATE TEMP TRIGGER take_step INSTEAD OF INSERT ON step BEGIN
    UPDATE state SET commits = NEW.commits, last_number = NEW.last_number;
    INSERT INTO lot VALUES (NEW.first, NEW.last, NEW.count, NEW.checksum, NEW.records);
END;
"""
"""The most frequent transaction, jobs added and nothing else, as one statement: with each statement a thread
takes its turn with the event loop's several times."""

LOT_SIZE = 16 * 1024 * 1024
"""Bytes of records in a row from which the rest of a commit goes into another."""

MERGED_SIZE = 256 * 1024
"""The most bytes of records that neighbouring rows may have to be put together."""

CHECKPOINT_SIZE = 4 * 1024 * 1024
"""Bytes committed after which the file takes over what is in the log beside it, when there is time for it."""

LARGEST_LOG = 64 * 1024 * 1024
"""The size of that log at which it is done whether there is time or not."""

PAGE_SIZE = 4096

DAMAGED = "it is damaged"


class SqliteStore:
    """Keeps jobs in the file ``path``, made if it is not there. It belongs to one server at a time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self._database: sqlite3.Connection | None = None
        self._inode: tuple[int, int] = (0, 0)
        self._commits = 0
        self._confirmed = 0
        self._attempted = 0
        self._known = b""
        self._singles: set[int] = set()
        self._ledger = Ledger()
        self._claimed = False  # until then `tidy` would move what is being read
        self._unsettled = 0  # bytes committed since the last checkpoint

    def __str__(self) -> str:
        return f"sqlite:{self.path}"

    def open(self, prefix: str) -> Opened:
        """Open the file, and take it for this server alone."""
        exists = os.path.lexists(self.path)
        if not os.access(self.path if exists else os.path.dirname(self.path), os.W_OK):
            raise StoreError(f"{self}: it cannot be {'written to' if exists else 'made there'}")
        try:
            commits, last_number, prefix = self._open(prefix)
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"{self}: {describe(error)}") from error
        except StoreError:
            self.close()
            raise
        self._commits = self._confirmed = commits
        return Opened(commits, last_number, prefix, self._ledger.left + len(self._singles))

    def _open(self, prefix: str | None) -> tuple[int, int, str]:
        """Connect and read what state the file is in. Without ``prefix`` it must be there already."""
        mode = "rw" if prefix is None else "rwc"
        name = self.path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        database = sqlite3.connect(
            f"file:{name}?mode={mode}", uri=True, isolation_level=None, timeout=1, check_same_thread=False
        )
        self._database = database
        database.execute(f"PRAGMA page_size={PAGE_SIZE}")
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._check_identity(database)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute(f"PRAGMA wal_autocheckpoint={LARGEST_LOG // PAGE_SIZE}")
        database.execute(f"PRAGMA journal_size_limit={LARGEST_LOG}")
        database.execute("BEGIN IMMEDIATE")  # says now if the file cannot be written
        if prefix is not None and not database.execute("PRAGMA user_version").fetchone()[0]:
            for statement in filter(str.strip, SCHEMA.split(";")):
                database.execute(statement)
            database.execute("INSERT INTO state VALUES (1, 0, 0, ?)", [prefix])
            database.execute(f"PRAGMA application_id={APPLICATION}")
            database.execute(f"PRAGMA user_version={VERSION}")
        database.execute("UPDATE state SET commits = commits")
        database.execute("COMMIT")
        database.executescript(ONE_STEP)
        self._inode = inode(self.path)
        self._read_ledger(database)
        state = database.execute("SELECT commits, last_number, prefix FROM state").fetchone()
        if state is None:
            raise StoreError(f"{self}: {DAMAGED}: it has no state")
        return int(state[0]), int(state[1]), str(state[2])

    def _check_identity(self, database: sqlite3.Connection) -> None:
        """See whether the file is a store, and one that this version can read."""
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if application == APPLICATION:
            if version > VERSION:
                raise StoreError(f"{self}: it is from a newer gearcore: version {version}, not {VERSION}")
            return
        for table in tables:
            columns = {row[1] for row in database.execute(f"PRAGMA table_info({quoted(table)})")}
            if {"unique_key", "function_name", "data"} <= columns:
                raise StoreError(
                    f"{self}: it is a queue of gearmand's: name another file, and take its jobs over by"
                    " 'gearcore store import'"
                )
        if tables or version:
            raise StoreError(f"{self}: it is a database of another program")

    def _read_ledger(self, database: sqlite3.Connection) -> None:
        """Read what is where, without the jobs themselves."""
        ledger = Ledger()
        forgotten = dict(
            database.execute("SELECT lot, SUM(LENGTH(numbers)) / 8 FROM forgotten GROUP BY lot").fetchall()
        )
        lots = database.execute("SELECT first, last, count, LENGTH(records) FROM lot ORDER BY first")
        for first, last, count, size in lots:
            left = count - forgotten.get(first, 0)
            if left <= 0:
                raise StoreError(f"{self}: {DAMAGED}: more is forgotten than was kept")
            ledger.append(first, last, count, left, size)
        self._ledger = ledger
        self._singles = {number for (number,) in database.execute("SELECT number FROM single")}

    def claim(self) -> Iterator[bytes]:
        """Give all jobs: this server has the file for itself."""
        try:
            yield from self._claim(self._connected())
            self._claimed = True
        except (sqlite3.Error, ValueError) as error:
            raise StoreError(f"{self}: {describe(error)}") from error

    def _claim(self, database: sqlite3.Connection) -> Iterator[bytes]:
        tries: dict[int, int] = dict(database.execute("SELECT number, tries FROM tries").fetchall())
        forgotten = groupby(
            database.execute("SELECT lot, numbers FROM forgotten ORDER BY lot"), key=itemgetter(0)
        )
        lot_of_forgotten, gone = next(forgotten, (None, iter(())))
        lots = database.execute("SELECT first, last, checksum, records FROM lot ORDER BY first")
        for first, last, checksum, records in lots:
            if zlib.crc32(records) != checksum:
                raise StoreError(f"{self}: {DAMAGED}: the jobs from number {first} on are not as they were")
            if lot_of_forgotten == first:
                records = without(records, b"".join(numbers for _, numbers in gone))
                lot_of_forgotten, gone = next(forgotten, (None, iter(())))
            if tries and any(first <= number <= last for number in tries):
                records = b"".join(tried(one_by_one(records), tries))
            yield records
        singles = database.execute("SELECT number, record FROM single ORDER BY number")
        yield b"".join(tried(singles, tries))

    def commit(self, batch: Batch) -> None:
        """Commit, and return when the disk has it all."""
        try:
            if inode(self.path) != self._inode:
                raise StoreFailed(f"{self}: the file is not there any more")
            database = self._database or self._open_again()
            if batch.number <= self._commits:
                return
            self._attempted = batch.number
            if self._known and batch.forgotten:
                batch = batch._replace(forgotten=others(batch.forgotten, set(numbers_in(self._known))))
            if batch.forgotten:  # what was done before it could be committed need not be
                batch = batch._replace(added=without(batch.added, batch.forgotten))
            parts = pieces(batch.added, LOT_SIZE)
            singles: set[int] = set()
            groups: list[tuple[int, bytes, int]] = []
            if len(parts) == 1 and not any(batch[2:-1]):
                first, last, count, _, _ = parts[0]
                database.execute(
                    "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        batch.number,
                        batch.last_number,
                        first,
                        last,
                        count,
                        zlib.crc32(batch.added),
                        batch.added,
                    ],
                )
            else:
                singles, groups = self._commit_all(database, batch, parts)
        except (OverflowError, sqlite3.DataError) as error:
            self._let_go()
            raise BatchRefused(f"{self}: {error}") from error
        except (OSError, sqlite3.Error) as error:
            # What became of it nobody knows: the file is read anew before the next attempt.
            self._let_go()
            raise StoreFailed(f"{self}: {describe(error)}") from error
        except StoreError:
            self._let_go()
            raise
        self._commits = self._confirmed = batch.number
        self._known = b""
        for first, last, count, start, end in parts:
            self._ledger.append(first, last, count, count, end - start)
        self._ledger.settle(groups)
        self._singles -= singles
        self._unsettled += len(batch.added) + len(batch.late) + PAGE_SIZE

    def _open_again(self) -> sqlite3.Connection:
        """Connect after a failure, and learn what the last attempt did."""
        try:
            commits, _, _ = self._open(None)
        except StoreError as error:
            raise StoreFailed(str(error)) from error
        if not self._confirmed <= commits <= self._attempted:
            raise StoreFailed(f"{self}: another server has written to it")
        # After a failed fsync the system may take what it did not write for written. This writes it again,
        # to the file itself.
        database = self._connected()
        (busy, _, _) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreFailed(f"{self}: it is in use by another process")
        self._commits = commits
        # What a batch did that was reported as failed may be asked for once more, in another batch.
        rows = database.execute("SELECT numbers FROM forgotten WHERE commits > ?", [self._confirmed])
        self._known = b"".join(numbers for (numbers,) in rows)
        return database

    def _commit_all(
        self, database: sqlite3.Connection, batch: Batch, parts: list[tuple[int, int, int, int, int]]
    ) -> tuple[set[int], list[tuple[int, bytes, int]]]:
        """Commit a batch of any kind; return the single jobs it forgot, and what the ledger is to settle."""
        database.execute("BEGIN")
        self._write_jobs(database, batch, parts)
        forgotten = self._write_forgotten(database, batch)
        self._write_dead(database, batch)
        database.execute("UPDATE state SET commits = ?, last_number = ?", [batch.number, batch.last_number])
        database.execute("COMMIT")
        return forgotten

    def _write_jobs(
        self, database: sqlite3.Connection, batch: Batch, parts: list[tuple[int, int, int, int, int]]
    ) -> None:
        """Write the jobs of a batch, those added in these parts, and how often jobs were tried."""
        for first, last, count, start, end in parts:
            records = batch.added[start:end]
            database.execute(
                "INSERT INTO lot VALUES (?, ?, ?, ?, ?)", [first, last, count, zlib.crc32(records), records]
            )
        if batch.late:
            late = one_by_one(batch.late)
            database.executemany("INSERT OR REPLACE INTO single VALUES (?, ?)", late)
            self._singles.update(number for number, _ in late)
        for number, tries in iter_unpack("<QQ", batch.tries):
            if number in self._singles:
                for (record,) in database.execute("SELECT record FROM single WHERE number = ?", [number]):
                    record = with_tries(record, tries)
                    database.execute("UPDATE single SET record = ? WHERE number = ?", [record, number])
            else:
                database.execute("INSERT OR REPLACE INTO tries VALUES (?, ?)", [number, tries])

    def _write_forgotten(
        self, database: sqlite3.Connection, batch: Batch
    ) -> tuple[set[int], list[tuple[int, bytes, int]]]:
        """Write which jobs are forgotten; return the single ones, and what the ledger is to settle."""
        numbers = batch.forgotten
        singles: set[int] = set()
        if self._singles and numbers:
            singles = self._singles.intersection(numbers_in(numbers))
            database.executemany("DELETE FROM single WHERE number = ?", [(number,) for number in singles])
            if singles:
                numbers = others(numbers, singles)
        return singles, self._forget(database, batch.number, numbers)

    def _forget(
        self, database: sqlite3.Connection, commits: int, numbers: bytes
    ) -> list[tuple[int, bytes, int]]:
        groups = self._ledger.split(numbers)
        for first, forgotten, left in groups:
            if left:
                database.execute("INSERT INTO forgotten VALUES (?, ?, ?)", [first, commits, forgotten])
            else:
                self._delete_lot(database, first)
        return groups

    def _delete_lot(self, database: sqlite3.Connection, first: int) -> None:
        """Delete a lot and what was noted about its jobs."""
        database.execute("DELETE FROM forgotten WHERE lot = ?", [first])
        for (last,) in database.execute("DELETE FROM lot WHERE first = ? RETURNING last", [first]).fetchall():
            database.execute("DELETE FROM tries WHERE number BETWEEN ? AND ?", [first, last])

    def _write_dead(self, database: sqlite3.Connection, batch: Batch) -> None:
        if batch.gone:
            gone = ((number,) for number in numbers_in(batch.gone))
            database.executemany("DELETE FROM dead WHERE number = ?", gone)
        if batch.died:
            database.executemany("INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?, ?, ?, ?)", batch.died)

    def tidy(self) -> bool:
        """Empty the log into the file, or put together lots of which little is left."""
        if self._database is None or not self._claimed:
            return False
        try:
            if self._unsettled > CHECKPOINT_SIZE:
                self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._unsettled = 0
                return True
            firsts = self._ledger.crowded(MERGED_SIZE)
            if firsts:
                self._merge(self._database, firsts)
        except (sqlite3.Error, ValueError):
            self._let_go()  # the next commit will say what is the matter
            return False
        return bool(firsts)

    def _merge(self, database: sqlite3.Connection, firsts: list[int]) -> None:
        """Put neighbouring lots together, without what is forgotten of them."""
        left = []
        last = 0
        database.execute("BEGIN")
        for first in firsts:
            row = database.execute("SELECT last, checksum, records FROM lot WHERE first = ?", [first])
            last, checksum, records = row.fetchone()
            if zlib.crc32(records) != checksum:
                raise sqlite3.DatabaseError(DAMAGED)
            forgotten = database.execute("SELECT numbers FROM forgotten WHERE lot = ?", [first])
            left.append(without(records, b"".join(numbers for (numbers,) in forgotten)))
        database.executemany("DELETE FROM forgotten WHERE lot = ?", [(first,) for first in firsts])
        database.executemany("DELETE FROM lot WHERE first = ?", [(first,) for first in firsts])
        records = b"".join(left)
        ((_, _, count, _, _),) = pieces(records, len(records))
        database.execute(
            "INSERT INTO lot VALUES (?, ?, ?, ?, ?)", [firsts[0], last, count, zlib.crc32(records), records]
        )
        database.execute("COMMIT")
        self._ledger.merge(firsts, count, len(records))
        self._unsettled += len(records)

    def dead(self, function: bytes | None = None, after: int = 0, most: int = 1000) -> list[DeadLetter]:
        """Look them up."""
        try:
            database = self._connected()
            if function is None:
                rows = database.execute(
                    "SELECT * FROM dead WHERE number > ? ORDER BY number LIMIT ?", [after, most]
                )
            else:
                rows = database.execute(
                    "SELECT * FROM dead WHERE function = ? AND number > ? ORDER BY number LIMIT ?",
                    [function, after, most],
                )
            return [DeadLetter(*row) for row in rows]
        except sqlite3.Error as error:
            raise StoreFailed(f"{self}: {describe(error)}") from error

    def _connected(self) -> sqlite3.Connection:
        if self._database is None:
            raise StoreFailed(f"{self}: it is not open")
        return self._database

    def _let_go(self) -> None:
        """Close after a failure; the next commit opens again."""
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.rollback()
            with suppress(sqlite3.Error):
                database.close()

    def close(self) -> None:
        """Close the file, which then holds all that the log beside it held."""
        self._claimed = False
        self._let_go()


def describe(error: Exception) -> str:
    """Say in a few words what SQLite, or the system, complains of."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return str(error)
    return EXPLANATIONS.get(code & 0xFF, str(error))


EXPLANATIONS = {
    sqlite3.SQLITE_BUSY: "it is in use by another process",
    sqlite3.SQLITE_READONLY: "it cannot be written to",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_NOTADB: "it is not a database",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk fails",
}
"""What SQLite's primary error codes mean to whoever runs a server."""


def inode(path: str) -> tuple[int, int]:
    """Say which file it is that has this name, if there is one."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def others(numbers: bytes, excluded: set[int]) -> bytes:
    """Return the numbers that are not among those."""
    left = [number for number in numbers_in(numbers) if number not in excluded]
    return pack(f"<{len(left)}Q", *left)


def quoted(name: str) -> str:
    """Write a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def tried(records: Iterable[tuple[int, bytes]], tries: dict[int, int]) -> Iterator[bytes]:
    """Give records with the tries that were noted since they were written."""
    for number, record in records:
        yield with_tries(record, tries[number]) if number in tries else record
