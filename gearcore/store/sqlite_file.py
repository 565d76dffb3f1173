"""The file of a store: its tables, how a server takes it for itself, and what it says when it fails."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress

from gearcore.errors import StoreError

__all__ = ["CHECKPOINT_SIZE", "DAMAGED", "PAGE_SIZE", "connect", "describe", "inode", "lengthen_log"]

APPLICATION = 0x67636F72
"""What marks a database as gearcore's: SQLite's ``application_id``."""

VERSION = 1
"""The version of the schema and of the records in it: SQLite's ``user_version``."""

SCHEMA = """
CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), commits INTEGER NOT NULL,
    last_number INTEGER NOT NULL, prefix TEXT NOT NULL);
CREATE TABLE lot (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, count INTEGER NOT NULL,
    commits INTEGER NOT NULL, last_number INTEGER NOT NULL, checksum INTEGER NOT NULL, records BLOB NOT NULL);
CREATE TABLE forgotten (lot INTEGER NOT NULL, commits INTEGER NOT NULL, numbers BLOB NOT NULL,
    PRIMARY KEY (lot, commits)) WITHOUT ROWID;
CREATE TABLE single (number INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE tries (number INTEGER PRIMARY KEY, tries INTEGER NOT NULL);
CREATE TABLE dead (number INTEGER PRIMARY KEY, handle BLOB NOT NULL, function BLOB NOT NULL,
    unique_id BLOB NOT NULL, tries INTEGER NOT NULL, error BLOB NOT NULL, died_at REAL NOT NULL,
    record BLOB NOT NULL);
CREATE INDEX dead_by_function ON dead (function, number);
"""

CHECKPOINT_SIZE = 4 * 1024 * 1024
"""Bytes committed after which the file takes over what is in the log beside it, when there is time for it."""

LOG_IN_PLACE = 6 * 1024 * 1024
"""Bytes of that log that are there from the start: about what it takes until it is begun anew."""

LARGEST_LOG = 64 * 1024 * 1024
"""The size of that log at which it is done whether there is time or not."""

PAGE_SIZE = 4096

DAMAGED = "it is damaged"


def connect(path: str, prefix: str | None) -> sqlite3.Connection:
    """Open the file for this process alone, and make its tables if it is new.

    A new one is for handles that begin with ``prefix``; with None it has to be there. Raises `StoreError`
    for a file that is something else, without its name, and `sqlite3.Error`.
    """
    mode = "rw" if prefix is None else "rwc"
    name = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    database = sqlite3.connect(
        f"file:{name}?mode={mode}", uri=True, isolation_level=None, timeout=1, check_same_thread=False
    )
    try:
        database.execute(f"PRAGMA page_size={PAGE_SIZE}")
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        check_identity(database)
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
    except BaseException:
        database.close()
        raise
    return database


def check_identity(database: sqlite3.Connection) -> None:
    """See whether the file is a store, and one that this version can read."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if application == APPLICATION:
        if version > VERSION:
            raise StoreError(f"it is from a newer gearcore: version {version}, not {VERSION}")
        return
    for table in tables:
        columns = {row[1] for row in database.execute(f"PRAGMA table_info({quoted(table)})")}
        if {"unique_key", "function_name", "data"} <= columns:
            raise StoreError(
                "it is a queue of gearmand's: name another file, and take its jobs over by"
                " 'gearcore store import'"
            )
    if tables or version:
        raise StoreError("it is a database of another program")


def lengthen_log(path: str) -> None:
    """Give the log beside an open file its usual length, in zeros, which SQLite takes for the end of it.

    Making sure of what is written over takes half as long as of what makes a file longer. Where there is no
    room for it the log stays as it is.
    """
    with suppress(OSError), open(f"{path}-wal", "r+b", buffering=0) as log:
        size = log.seek(0, os.SEEK_END)
        try:
            while (missing := LOG_IN_PLACE - log.tell()) > 0:
                log.write(bytes(missing))
            os.fsync(log.fileno())
        except OSError:
            log.truncate(size)


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


def quoted(name: str) -> str:
    """Write a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
