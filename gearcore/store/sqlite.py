"""The store of one server: a file of SQLite's, which one connection owns."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress

from gearcore._ledger import without
from gearcore.errors import BatchRefused, StoreError, StoreFailed
from gearcore.store.interface import Batch, DeadLetter, Opened
from gearcore.store.records import numbers_in
from gearcore.store.sqlite_file import CHECKPOINT_SIZE, PAGE_SIZE, connect, describe, inode, lengthen_log
from gearcore.store.sqlite_jobs import LOT_SIZE, SqliteJobs, others

__all__ = ["SqliteStore"]


class SqliteStore:
    """Keeps jobs in the file ``path``, made if it is not there. It belongs to one server at a time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self._database: sqlite3.Connection | None = None
        self._inode: tuple[int, int] = (0, 0)
        self._commits = 0
        self._confirmed = 0
        self._attempted = 0
        self._known: frozenset[int] = frozenset()
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
            self._open(prefix)
        except (sqlite3.Error, StoreError) as error:
            self.close()
            raise StoreError(f"{self}: {describe(error)}") from error
        lengthen_log(self.path)
        jobs = self._jobs
        self._commits = self._confirmed = jobs.commits
        return Opened(jobs.commits, jobs.last_number, jobs.prefix, len(jobs))

    def _open(self, prefix: str | None) -> sqlite3.Connection:
        """Connect and read what state the file is in. Without ``prefix`` it must be there already."""
        self._database = connect(self.path, prefix)
        self._inode = inode(self.path)
        self._jobs = SqliteJobs(self._database)
        return self._database

    def claim(self) -> Iterator[bytes]:
        """Give all jobs: this server has the file for itself."""
        self._connected()
        try:
            yield from self._jobs.read()
            self._claimed = True
        except (sqlite3.Error, ValueError, StoreError) as error:
            raise StoreError(f"{self}: {describe(error)}") from error

    def commit(self, batch: Batch) -> None:
        """Commit, and return when the disk has it all."""
        done = False
        try:
            if inode(self.path) != self._inode:
                raise StoreFailed(f"{self}: the file is not there any more")
            database = self._database or self._open_again()
            if batch.number > self._commits:
                self._commit(database, batch)
            done = True
        except (OverflowError, sqlite3.DataError) as error:
            raise BatchRefused(f"{self}: {error}") from error
        except (OSError, sqlite3.Error) as error:
            raise StoreFailed(f"{self}: {describe(error)}") from error
        finally:
            if not done:  # what became of it nobody knows: the file is read anew before the next attempt
                self._let_go()

    def _commit(self, database: sqlite3.Connection, batch: Batch) -> None:
        self._attempted = batch.number
        if self._known and batch.forgotten:
            batch = batch._replace(forgotten=others(batch.forgotten, self._known))
        if batch.forgotten:  # what was done before it could be committed need not be
            batch = batch._replace(added=without(batch.added, batch.forgotten))
        if 0 < len(batch.added) <= LOT_SIZE and not any(batch[2:-1]):
            self._jobs.add(batch.added, batch.number, batch.last_number)
        else:
            database.execute("BEGIN")
            self._write(database, batch)
            database.execute("COMMIT")
        self._commits = self._confirmed = batch.number
        self._known = frozenset()
        self._unsettled += len(batch.added) + len(batch.late) + PAGE_SIZE

    def _write(self, database: sqlite3.Connection, batch: Batch) -> None:
        """Write a batch of any kind."""
        self._jobs.add_late(batch.late)
        self._jobs.note_tries(batch.tries)
        self._jobs.forget(batch.forgotten, batch.number)
        self._jobs.add(batch.added, batch.number, batch.last_number)  # without what was just forgotten
        gone = ((number,) for number in numbers_in(batch.gone))
        database.executemany("DELETE FROM dead WHERE number = ?", gone)
        database.executemany("INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?, ?, ?, ?)", batch.died)
        database.execute("UPDATE state SET commits = ?, last_number = ?", [batch.number, batch.last_number])

    def _open_again(self) -> sqlite3.Connection:
        """Connect after a failure, and learn what the last attempt did."""
        try:
            database = self._open(None)
        except StoreError as error:
            raise StoreFailed(f"{self}: {error}") from error
        commits = self._jobs.commits
        if not self._confirmed <= commits <= self._attempted:
            raise StoreFailed(f"{self}: another server has written to it")
        # After a failed fsync the system may take what it did not write for written. This writes it again,
        # to the file itself.
        (busy, _, _) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreFailed(f"{self}: it is in use by another process")
        self._commits = commits
        # What a batch did that was reported as failed may be asked for once more, in another batch.
        self._known = self._jobs.forgotten_after(self._confirmed)
        return database

    def tidy(self) -> bool:
        """Empty the log into the file, or put together lots of which little is left."""
        if self._database is None or not self._claimed:
            return False
        try:
            if self._unsettled > CHECKPOINT_SIZE:
                self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._unsettled = 0
                return True
            written = self._jobs.merge()
        except (sqlite3.Error, ValueError):
            self._let_go()  # the next commit will say what is the matter
            return False
        self._unsettled += written
        return written > 0

    def dead(self, function: bytes | None = None, after: int = 0, most: int = 1000) -> list[DeadLetter]:
        """Look them up."""
        where, values = ("", []) if function is None else ("function = ? AND ", [function])
        query = f"SELECT * FROM dead WHERE {where}number > ? ORDER BY number LIMIT ?"
        try:
            return [DeadLetter(*row) for row in self._connected().execute(query, [*values, after, most])]
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
