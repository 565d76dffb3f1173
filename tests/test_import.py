"""Jobs out of gearmand's own queues: those that a gearmand wrote itself, where it is there to do so."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import PATIENCE, run
from fake_server import free_port
from peers import gearmand_path, missing_peer

from gearcore import Client, Priority, Server
from gearcore.errors import GearcoreError, StoreError
from gearcore.store import MemoryStore, SqliteStore
from gearcore.store.gearmand import KeptJob, read_jobs, split_key

LATER = int(time.time()) + 100_000


@contextmanager
def gearmand(directory: Path, *options: str) -> Iterator[str]:
    """A gearmand with a persistent queue."""
    port = free_port()
    command = [gearmand_path(), "-L", "127.0.0.1", "-p", str(port), "-P", str(directory / "gearmand.pid")]
    log = directory / "gearmand.log"
    process = subprocess.Popen([*command, "-l", str(log), *options], stderr=subprocess.DEVNULL)
    address = f"127.0.0.1:{port}"
    try:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                with Client(address) as client:
                    client.echo(b"x")
                break
            except GearcoreError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < give_up
                time.sleep(0.02)
        yield address
    finally:
        process.kill()
        process.wait()


def submit_some(address: str, *, delayed: bool = True) -> None:
    with Client(address, timeout=PATIENCE) as client:
        client.submit("f", b"normal", unique="u1", background=True)
        client.submit("f", b"high \xff", unique="u2", background=True, priority=Priority.HIGH)
        client.submit("g h", b"low", unique="u3", background=True, priority=Priority.LOW)
        if delayed:
            client.submit("f", b"later", unique="u4", at=LATER)


SOME = [
    KeptJob(b"f", b"u1", 1, b"normal", 0),
    KeptJob(b"f", b"u2", 0, b"high \xff", 0),
    KeptJob(b"g h", b"u3", 2, b"low", 0),
]
DELAYED = KeptJob(b"f", b"u4", 1, b"later", LATER)


def test_a_file_of_sqlite(tmp_path):
    path = tmp_path / "gearmand.db"
    with gearmand(tmp_path, "-q", "libsqlite3", f"--libsqlite3-db={path}") as address:
        submit_some(address)
    assert list(read_jobs(f"sqlite:{path}")) == [*SOME, DELAYED]
    with pytest.raises(StoreError, match="a queue of gearmand's"):
        SqliteStore(path).open("H:t")

    store = MemoryStore()
    with Server(port=0, store=store) as server:
        result = run("gearcore", "store", "import", f"sqlite:{path}", "--server", f"127.0.0.1:{server.port}")
        assert (result.stdout, result.stderr) == ("4 jobs\n", "")
        jobs = {job.unique: (job.function, job.state) for job in server.broker.jobs}
        assert jobs == {
            b"u1": (b"f", "queued"),
            b"u2": (b"f", "queued"),
            b"u3": (b"g h", "queued"),
            b"u4": (b"f", "delayed"),
        }
        status = {row.name: row for row in server.broker.functions}
        assert (status[b"f"].high, status[b"f"].normal, status[b"g h"].low) == (1, 2, 1)


def test_an_old_table_and_an_empty_workload(tmp_path):
    with sqlite3.connect(tmp_path / "old.db") as database:
        database.execute(
            'CREATE TABLE "my queue" (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB)'
        )
        database.execute("""INSERT INTO "my queue" VALUES ('', 'f', 1, NULL)""")
    database.close()
    assert list(read_jobs(f"sqlite:{tmp_path / 'old.db'}", "my queue")) == [KeptJob(b"f", b"", 1, b"", 0)]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("oracle:x", "not sqlite:PATH, nor a URL"),
        ("sqlite:/nowhere/x", "there is no such file"),
        ("sqlite:" + __file__, "not a database"),
        ("postgresql://u:secret@127.0.0.1:1/x", r"postgresql://u:\.\.\.@127"),
        ("redis://127.0.0.1:1", "refused"),
        ("mysql://u:secret@127.0.0.1:1/x", "Can't connect"),
    ],
)
def test_what_cannot_be_read_says_so_in_one_line(source, said):
    with pytest.raises(StoreError, match=said) as raised:
        list(read_jobs(source))
    assert "secret" not in str(raised.value)
    result = run("gearcore", "store", "import", source, "--server", "127.0.0.1:1")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1


@pytest.fixture
def redis_port(tmp_path: Path) -> Iterator[int]:
    if shutil.which("redis-server") is None:
        missing_peer("redis-server is not installed: it is in Debian's package redis-server")
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    while "Ready to accept" not in process.stdout.readline():
        assert process.poll() is None
    yield port
    process.terminate()
    process.communicate()


def test_keys_of_redis(tmp_path, redis_port):
    options = ("-q", "redis", "--redis-server=127.0.0.1", f"--redis-port={redis_port}")
    with gearmand(tmp_path, *options) as address:
        submit_some(address, delayed=False)
    assert sorted(read_jobs(f"redis://127.0.0.1:{redis_port}")) == sorted(SOME)
    assert list(read_jobs(f"redis://127.0.0.1:{redis_port}", prefix="other*")) == []


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        (b"f-u", (b"f", b"u")),
        (b"f-u-v", (b"f", b"u-v")),
        (b"my-f-01234567-89ab-cdef-0123-456789abcdef", (b"my-f", b"01234567-89ab-cdef-0123-456789abcdef")),
        (b"f-", (b"f", b"")),
    ],
)
def test_functions_are_told_from_uniques(key, parts):
    assert split_key(key) == parts


@pytest.fixture
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        missing_peer("PostgreSQL is not installed: it is in Debian's package postgresql")
    directory = tmp_path_factory.mktemp("pg")
    for parent in (directory, *directory.parents[:2]):
        parent.chmod(0o755)
    as_postgres = {}
    if not Path("/proc/self").stat().st_uid:  # it does not run as root
        shutil.chown(directory, "postgres")
        as_postgres = {"user": "postgres", "group": "postgres", "extra_groups": []}
    data = directory / "data"
    command = [programs[-1], "-D", data, "-U", "gearman", "-A", "trust", "-N"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=directory, **as_postgres)
    port = free_port()
    server = [programs[-1].parent / "postgres", "-D", data, "-p", str(port), "-k", directory]
    process = subprocess.Popen(
        [*server, "-c", "listen_addresses=127.0.0.1"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        **as_postgres,
    )
    while "ready to accept connections" not in (line := process.stderr.readline()):
        assert line, "PostgreSQL does not start"
    yield port
    process.terminate()
    process.communicate()


def test_a_table_of_postgresql(tmp_path, postgresql):
    info = f"host=127.0.0.1 port={postgresql} user=gearman dbname=postgres"
    with gearmand(tmp_path, "-q", "Postgres", f"--libpq-conninfo={info}") as address:
        submit_some(address)
    url = f"postgresql://gearman@127.0.0.1:{postgresql}/postgres"
    assert sorted(read_jobs(url)) == sorted([*SOME, DELAYED])


@pytest.fixture
def mysql_port(tmp_path: Path) -> Iterator[int]:
    """A MariaDB that lets everybody in, with a database of the name that gearmand's lives in."""
    program = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        missing_peer("mariadbd is not installed: it is in Debian's package mariadb-server-core")
    (tmp_path / "data" / "gearman").mkdir(parents=True)
    port = free_port()
    options = ["--skip-grant-tables", "--bind-address=127.0.0.1", f"--port={port}", f"--socket={tmp_path}/s"]
    as_root = [] if os.geteuid() else ["--user=root"]
    process = subprocess.Popen(
        [program, "--no-defaults", *as_root, f"--datadir={tmp_path / 'data'}", *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    while "ready for connections" not in (line := process.stderr.readline()):
        assert line, "MariaDB does not start"
    yield port
    process.kill()
    process.communicate()


def test_a_table_of_mysql(tmp_path, mysql_port):
    options = ("--mysql-host=127.0.0.1", f"--mysql-port={mysql_port}", "--mysql-user=u", "--mysql-db=gearman")
    with gearmand(tmp_path, "-q", "MySQL", *options) as address:
        submit_some(address)
    assert sorted(read_jobs(f"mysql://u@127.0.0.1:{mysql_port}/gearman")) == sorted([*SOME, DELAYED])
