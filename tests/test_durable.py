"""A server with a store as a process of its own: what it says of bad files, and when its disk fails."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import threading
from base64 import b64decode
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from commands import PATIENCE, assert_one_line, listening, run, running
from records import numbers, read, record, records

from gearcore import Client, Worker
from gearcore.admin import AdminClient
from gearcore.errors import GearcoreError, ServerError
from gearcore.store import Batch, SqliteStore

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
NEEDS_CC = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


class Served:
    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process = process
        self.address = f"127.0.0.1:{port}"
        self.client = Client(self.address, timeout=PATIENCE)

    def submit(self, workload: bytes = b"w") -> str:
        return self.client.submit("f", workload, background=True).handle

    def try_to_submit(self) -> None:
        with suppress(GearcoreError):
            self.submit()

    def jobs(self) -> list[str]:
        with AdminClient(self.address) as admin:
            return [job.handle for job in admin.jobs()]

    def next_line(self, *parts: str) -> str:
        """The next line of the log that holds all of these."""
        while line := self.process.stderr.readline():
            if all(part in line for part in parts):
                return line
        raise AssertionError(f"the log has no line with {parts}")

    def submit_when_it_works(self) -> str:
        self.next_line("works again")
        return self.submit()


@contextmanager
def serving(path: Path, *options: str, **popen):
    command = ["-p", "0", "--job-handle-prefix", "H:t", "--store", f"sqlite:{path}", *options]
    with running("gearcored", *command, **popen) as process:
        assert "jobs from sqlite:" in process.stderr.readline()
        served = Served(process, listening(process.stderr.readline().rstrip("\n")))
        with served.client:
            yield served
        process.terminate()
        assert process.wait() == 0


def stored(path: Path, *some: int) -> Path:
    """A store with those jobs."""
    store = SqliteStore(path)
    store.open("H:t")
    store.commit(Batch(1, added=records(*some), last_number=max(some)))
    store.close()
    return path


def start_fails(path: Path, pattern: str) -> None:
    result = run("gearcored", "-p", "0", "--store", f"sqlite:{path}")
    assert_one_line(result, 1, rf"gearcored: sqlite:{path}: {pattern}")


def test_jobs_outlive_the_server(tmp_path):
    with serving(tmp_path / "queue") as served:
        handles = [served.submit(b"%d" % number) for number in range(3)]
    with serving(tmp_path / "queue") as served:
        assert served.jobs() == handles
        run_in_order = []
        worker = Worker(served.address, timeout=PATIENCE)
        worker.register("f", lambda job: run_in_order.append(job.workload))
        worker.run(max_jobs=3)
        assert run_in_order == [b"0", b"1", b"2"]
    with serving(tmp_path / "queue") as served:
        assert served.jobs() == []
        assert served.submit() == "H:t:4"


def test_gearmands_options_name_the_same_store(tmp_path):
    stored(tmp_path / "queue", 1, 2)
    options = ["-q", "libsqlite3", "--libsqlite3-db", str(tmp_path / "queue"), "--libsqlite3-table", "any"]
    with running("gearcored", "-p", "0", *options) as process:
        assert "2 jobs from sqlite:" in process.stderr.readline()


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (["-q", "libsqlite3"], "--queue-type libsqlite3 needs --libsqlite3-db .*"),
        (["-q", "libsqlite3", "--store", "sqlite:x"], "--store and --queue-type do not go together .*"),
        (["--store", "redis:x"], "argument --store: not sqlite:PATH: 'redis:x' .*"),
        (["--store", "sqlite:"], "argument --store: not sqlite:PATH: 'sqlite:' .*"),
        (["--store-down", "hope"], "argument --store-down: not refuse or wait: 'hope' .*"),
    ],
)
def test_options_that_make_no_sense(options, pattern):
    assert_one_line(run("gearcored", *options), 2, f"gearcored: {pattern}")


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "queue").write_bytes(b"no database" * 1000)
    start_fails(tmp_path / "queue", "it is not a database")


def test_a_database_of_another_program(tmp_path):
    with sqlite3.connect(tmp_path / "queue") as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")
    database.close()
    start_fails(tmp_path / "queue", "it is a database of another program")


def test_a_queue_of_gearmands(tmp_path):
    with sqlite3.connect(tmp_path / "queue") as database:
        database.execute(
            "CREATE TABLE gearman_queue (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB,"
            " when_to_run INTEGER, PRIMARY KEY (unique_key, function_name))"
        )
    database.close()
    start_fails(tmp_path / "queue", "it is a queue of gearmand's: .*'gearcore store import'")


def test_a_newer_version(tmp_path):
    with sqlite3.connect(stored(tmp_path / "queue", 1)) as database:
        database.execute("PRAGMA user_version=2")
    database.close()
    start_fails(tmp_path / "queue", "it is from a newer gearcore: version 2, not 1")


def test_a_directory(tmp_path):
    start_fails(tmp_path, "it cannot be opened")


def test_a_directory_that_is_not_there(tmp_path):
    start_fails(tmp_path / "none" / "queue", "it cannot be made there")


def test_a_store_that_another_server_has(tmp_path):
    with serving(tmp_path / "queue") as served:
        start_fails(tmp_path / "queue", "it is in use by another process")
        served.submit()


def test_a_lot_that_was_changed(tmp_path):
    with sqlite3.connect(stored(tmp_path / "queue", 1, 2)) as database:
        database.execute("UPDATE lot SET records = zeroblob(length(records))")
    database.close()
    start_fails(tmp_path / "queue", "it is damaged: the jobs from number 1 on are not as they were")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM state", "it has no state"),
        ("INSERT INTO forgotten SELECT 1, 1, zeroblob(3 * 8)", "more is forgotten than was kept"),
        ("UPDATE lot SET first = 9", r"a lot of 9\.\.2 is out of order"),
        ("UPDATE lot SET last = -1", "can't convert negative value to .*"),
    ],
)
def test_a_store_that_contradicts_itself(tmp_path, change, said):
    with sqlite3.connect(stored(tmp_path / "queue", 1, 2)) as database:
        database.execute(change)
    database.close()
    start_fails(tmp_path / "queue", f"it is damaged: {said}")


def test_pages_that_were_lost(tmp_path):
    path = stored(tmp_path / "queue", *range(1, 2000))
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    start_fails(path, "it is damaged.*")


@AS_ROOT
def test_a_file_system_that_is_read_only(tmp_path):
    stored(tmp_path / "queue", 1)
    subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", tmp_path], check=True)
        start_fails(tmp_path / "queue", "it cannot be written to")
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def fill(ballast: Path) -> None:
    """Leave no space on a disk."""
    with suppress(OSError), ballast.open("ab", 0) as file:
        while True:
            file.write(b"x" * 4096)


@AS_ROOT
def test_a_disk_that_is_full(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], check=True)
    try:
        with serving(tmp_path / "queue") as served:
            first = served.submit(b"w" * 1000)
            assert (tmp_path / "queue-wal").stat().st_size < 100_000  # it takes no room that is scarce
            ballast = tmp_path / "ballast"
            fill(ballast)
            with pytest.raises(ServerError, match=r"QUEUE_ERROR.*the disk is full"):
                served.submit(b"w" * 100_000)
            assert "background jobs are refused" in served.next_line("the disk is full")
            ballast.unlink()
            second = served.submit_when_it_works()
        with serving(tmp_path / "queue") as served:
            assert served.jobs() == [first, second]
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


class Disk:
    """What the disk of a server is to do."""

    def __init__(self, directory: Path) -> None:
        library = directory / "faulty.so"
        source = Path(__file__).parent / "faulty.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self.path = directory / "fault"
        self.env = {**os.environ, "LD_PRELOAD": str(library), "GEARCORE_FAULT": str(self.path)}

    def fails(self, how: str) -> None:
        self.path.write_text(how)

    def works(self) -> None:
        self.path.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@NEEDS_CC
@pytest.mark.parametrize(("how", "said"), [("full", "the disk is full"), ("fsync", "the disk fails")])
def test_jobs_are_refused_while_the_disk_fails(tmp_path, disk, how, said):
    with serving(tmp_path / "queue", env=disk.env) as served:
        first = served.submit()
        disk.fails(how)
        for _ in range(3):
            with pytest.raises(ServerError, match=f"QUEUE_ERROR.*{said}"):
                served.submit()
        assert "ERROR" in served.next_line(said)
        assert served.jobs() == [first]
        assert served.client.submit("g", b"").handle
        disk.works()
        last = served.submit_when_it_works()
    with serving(tmp_path / "queue") as served:
        assert served.jobs() == [first, last]


@NEEDS_CC
@pytest.mark.parametrize("how", ["full", "fsync"])
def test_jobs_wait_while_the_disk_fails(tmp_path, disk, how):
    with serving(tmp_path / "queue", "--store-down", "wait", env=disk.env) as served:
        disk.fails(how)
        handles: list[str] = []
        waiting = threading.Thread(target=lambda: handles.append(served.submit()))
        waiting.start()
        assert "background jobs wait" in served.next_line("ERROR")
        assert waiting.is_alive()
        disk.works()
        waiting.join(PATIENCE)
        assert handles == ["H:t:1"]
        assert "works again" in served.next_line("WARNING")
    with serving(tmp_path / "queue") as served:
        assert served.jobs() == handles


@NEEDS_CC
def test_a_server_can_be_stopped_while_the_disk_fails(tmp_path, disk):
    with serving(tmp_path / "queue", "--store-down", "wait", env=disk.env) as served:
        first = served.submit()
        disk.fails("fsync")
        peer = threading.Thread(target=served.try_to_submit)
        peer.start()
        served.next_line("background jobs wait")
        served.process.terminate()
        assert served.process.wait() == 0
        peer.join(PATIENCE)
    disk.works()
    with serving(tmp_path / "queue") as served:
        assert first in served.jobs()


def test_jobs_are_refused_while_the_file_is_away(tmp_path):
    with serving(tmp_path / "queue") as served:
        first = served.submit()
        for name in ("queue", "queue-wal"):
            (tmp_path / name).rename(tmp_path / f"{name}.away")
        with pytest.raises(ServerError, match="the file is not there any more"):
            served.submit()
        for name in ("queue", "queue-wal"):
            (tmp_path / f"{name}.away").rename(tmp_path / name)
        last = served.submit_when_it_works()
    with serving(tmp_path / "queue") as served:
        assert served.jobs() == [first, last]


def test_the_log_is_written_over_where_it_is(tmp_path):
    store = SqliteStore(tmp_path / "queue")
    store.open("H:t")
    assert list(store.claim()) == [b""]
    log = tmp_path / "queue-wal"
    length = log.stat().st_size
    for number in range(1, 201):
        store.commit(Batch(number, added=record(number, b"w" * 50_000)))
        while store.tidy():
            pass
        assert log.stat().st_size == length
    for name in ("queue", "queue-wal"):  # as after a crash
        shutil.copy(tmp_path / name, tmp_path / name.replace("queue", "copy"))
    store.close()
    copy = SqliteStore(tmp_path / "copy")
    assert copy.open("H:t").commits == 200
    assert [number for part in copy.claim() for number, _ in read(part)] == list(range(1, 201))
    copy.close()


class Interrupted(SqliteStore):
    """Reports failures of commits that were none: nobody can know."""

    fails = False

    def commit(self, batch: Batch) -> None:
        super().commit(batch)
        if self.fails:
            self._let_go()
            self._commits = self._confirmed = batch.number - 1
            raise OSError("who knows")


def test_what_a_failed_commit_did_is_not_done_twice(tmp_path):
    store = Interrupted(tmp_path / "queue")
    store.open("H:t")
    list(store.claim())
    store.commit(Batch(1, added=records(1, 2, 3, 4)))
    store.fails = True
    with pytest.raises(OSError, match="who knows"):
        store.commit(Batch(2, added=record(5), forgotten=numbers(1)))
    store.fails = False
    # refused: its jobs are forgotten, and what it forgot comes again
    store.commit(Batch(3, forgotten=numbers(1, 5)))
    store.commit(Batch(4, forgotten=numbers(2)))
    store.close()
    again = SqliteStore(tmp_path / "queue")
    assert again.open("H:t").jobs == 2
    assert b"".join(again.claim()) == records(3, 4)
    again.close()


def dead(served: Served, *arguments: str) -> subprocess.CompletedProcess:
    return run("gearcore", "dead", *arguments, "--server", served.address)


def test_dead_letters_from_the_command_line(tmp_path):
    with serving(tmp_path / "queue", "--keep-failed", "f", "-j", "1") as served:
        handle, other = served.submit(b"\0work"), served.submit(b"other")
        worker = Worker(served.address, timeout=PATIENCE)

        @worker.function
        def f(job):
            job.fail("no reason")

        worker.run(max_jobs=2)
    with serving(tmp_path / "queue", "--keep-failed", "f") as served:
        assert served.jobs() == []
        listed = dead(served, "list")
        (first, second) = [line.split("\t") for line in listed.stdout.splitlines()]
        assert first[:3] == [handle, "f", "1"]
        assert first[4].startswith("WORK_")
        assert second[0] == other
        assert dead(served, "list", "--function", "g").stdout == ""
        shown = dead(served, "show", handle)
        assert shown.stdout == "\0work"
        assert f"handle: {handle}\n" in shown.stderr
        as_json = json.loads(dead(served, "show", handle, "--json").stdout)
        assert (as_json["handle"], as_json["function"], as_json["tries"]) == (handle, "f", 1)
        assert b64decode(as_json["workload"]) == b"\0work"
        for nothing_named in (["drop"], ["retry", handle, "--all"]):
            assert_one_line(dead(served, *nothing_named), 2, ".*name handles, or --function, or --all.*")
        assert dead(served, "show", "H:t:99").returncode == 1
        assert dead(served, "retry", handle).stdout == "1\n"
        assert served.jobs() == [handle]
        missing = dead(served, "drop", handle, other)
        assert missing.returncode == 1
        assert f"no such dead letter: '{handle}'" in missing.stderr
        assert dead(served, "list").stdout == ""
    with serving(tmp_path / "queue", "--keep-failed", "f", "-j", "1") as served:
        assert served.jobs() == [handle]
        for _ in range(300):
            served.submit()
        worker = Worker(served.address, timeout=PATIENCE)
        worker.register("f", lambda job: job.fail("again"))
        worker.run(max_jobs=301)
        with AdminClient(served.address) as admin:
            assert len(admin.dead_letters("f")) == 301
            assert admin.dead_letter(handle).workload == b"\0work"
            assert dead(served, "drop", "--function", "g").stdout == "0\n"
            assert dead(served, "retry", "--function", "f").stdout == "301\n"
            assert len(admin.jobs()) == 301
            assert (admin.retry_all_dead("f"), admin.drop_all_dead()) == (0, 0)


def test_dead_letters_take_a_store(tmp_path):
    with running("gearcored", "-p", "0") as process:
        port = listening(process.stderr.readline().rstrip("\n"))
        result = run("gearcore", "dead", "list", "--server", f"127.0.0.1:{port}")
        assert result.returncode == 1
        assert "UNKNOWN_COMMAND" in result.stderr
