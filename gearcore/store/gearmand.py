"""The jobs in gearmand's own persistent queues, read with the driver of each database."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from gearcore.errors import StoreError

__all__ = ["KeptJob", "read_jobs"]


class KeptJob(NamedTuple):
    """A job as gearmand keeps it."""

    function: bytes
    unique: bytes
    priority: int
    """0 is high, 1 normal, 2 low."""
    workload: bytes
    unix_time: int
    """Not to be run before; 0 for at once."""


COLUMNS = "unique_key, function_name, priority, data"
EPOCH = "when_to_run"
"""A column that tables of old versions lack."""

UUID = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""The unique ids that libgearman gives to background jobs without one."""


def read_jobs(
    source: str, table: str | None = None, prefix: str | None = None
) -> Generator[KeptJob, None, None]:
    """Give the jobs of a queue, in the order in which gearmand would queue them.

    ``source`` is ``sqlite:PATH`` or a URL of postgresql, mysql or redis. ``table`` and ``prefix`` (of Redis
    keys) are gearmand's defaults unless they are given. Raises `StoreError` when they cannot be read.
    """
    kind, colon, rest = source.partition(":")
    if not colon or kind not in READERS:
        raise StoreError(f"{source}: not sqlite:PATH, nor a URL of postgresql, mysql or redis")
    try:
        if kind == "redis":
            yield from from_redis(source, "_gear_" if prefix is None else prefix)
        elif kind == "sqlite":
            yield from from_sqlite(rest, table or "gearman_queue")
        elif kind == "mysql":
            yield from from_mysql(source, table or "gearman_queue")
        else:
            yield from from_postgresql(source, table or "queue")
    except ModuleNotFoundError as error:
        raise StoreError(
            f"{source}: it takes the package {error.name}, which comes with the extra:"
            f" pip install 'gearcore-gearman[{kind}]'"
        ) from error
    except StoreError:
        raise
    except Exception as error:  # each driver has its own, with no base in common
        raise StoreError(f"{without_password(source)}: {error}") from error


READERS = ("sqlite", "postgresql", "mysql", "redis")


def without_password(source: str) -> str:
    """Write a source so that everybody may read it."""
    return re.sub(r"(//[^/@]*:)[^/@]*@", r"\1...@", source)


def from_sqlite(path: str, table: str) -> Iterator[KeptJob]:
    """Read a file of libsqlite3. gearmand is not to use it at the same time."""
    if not os.path.exists(path):
        raise StoreError(f"sqlite:{path}: there is no such file")
    with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as database:
        quoted = '"' + table.replace('"', '""') + '"'
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({quoted})")]
        # The texts are whatever bytes a client sent.
        texts = "CAST(unique_key AS BLOB), CAST(function_name AS BLOB), priority, CAST(data AS BLOB)"
        yield from rows(database.execute(f"SELECT {with_epoch(texts, columns)} FROM {quoted} ORDER BY rowid"))


def from_postgresql(url: str, table: str) -> Iterator[KeptJob]:
    """Read a table of Postgres, as a stream."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(url) as database, database.cursor("gearcore_import") as cursor:
        query = sql.SQL(f"SELECT {COLUMNS}, {EPOCH} FROM {{}}").format(sql.Identifier(table))
        yield from rows(cursor.execute(query))


def from_mysql(url: str, table: str) -> Iterator[KeptJob]:
    """Read a table of MySQL, as a stream."""
    import pymysql
    from pymysql.cursors import SSCursor

    parts = urlsplit(url)
    with (
        closing(
            pymysql.connect(
                host=parts.hostname or "localhost",
                port=parts.port or 3306,
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                database=parts.path.strip("/"),
            )
        ) as database,
        database.cursor(SSCursor) as cursor,
    ):
        quoted = "`" + table.replace("`", "``") + "`"
        cursor.execute(f"SELECT {COLUMNS}, {EPOCH} FROM {quoted}")
        yield from rows(cursor)


def from_redis(url: str, prefix: str) -> Iterator[KeptJob]:
    """Read the keys of Redis, without blocking it."""
    import redis

    start = prefix.encode() + b"-"
    with closing(redis.Redis.from_url(url)) as database:
        for key in database.scan_iter(match=escaped(start) + b"*", count=1000):
            fields: dict[Any, Any] = database.hgetall(key)
            if b"data" in fields:
                function, unique = split_key(key.removeprefix(start))
                yield KeptJob(
                    fields.get(b"function", function),
                    fields.get(b"unique", unique),
                    int(fields.get(b"priority", b"1")),
                    fields[b"data"],
                    0,
                )


def escaped(text: bytes) -> bytes:
    """Write a text as a pattern of Redis that matches nothing else."""
    return re.sub(rb"([*?\[\]\\])", rb"\\\1", text)


def split_key(key: bytes) -> tuple[bytes, bytes]:
    """Tell the function from the unique id behind it; either may have the sign that is between them."""
    if len(key) > 37 and UUID.fullmatch(key, len(key) - 36) and key[-37:-36] == b"-":
        return key[:-37], key[-36:]
    function, _, unique = key.partition(b"-")
    return function, unique


def with_epoch(texts: str, columns: Iterable[str]) -> str:
    """Name the columns to be read."""
    return f"{texts}, {EPOCH if EPOCH in columns else '0'}"


def rows(found: Iterable[tuple[Any, ...]]) -> Iterator[KeptJob]:
    """Make jobs of rows."""
    for unique, function, priority, data, unix_time in found:
        yield KeptJob(as_bytes(function), as_bytes(unique), priority, as_bytes(data), unix_time or 0)


def as_bytes(value: Any) -> bytes:
    """Take what a driver gives for a text; an empty workload may be NULL."""
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else bytes(value)
