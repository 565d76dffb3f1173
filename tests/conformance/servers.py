"""The two servers as processes of their own, on free ports of the loopback interface."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HANDLE_PREFIX = "H:t"
"""Both servers name their jobs alike, so that one pattern finds the handles in a transcript."""

START_TIMEOUT = 20.0
MISSING = "gearmand is not installed: it comes with the Debian package gearman-job-server"
ROOT = Path(__file__).parents[2]


class CannotStart(Exception):
    """A server that does not accept connections."""


@dataclass(frozen=True)
class Options:
    """How a server is started; the names are those of gearmand's long options."""

    job_retries: int | None = None
    worker_wakeup: int = 0
    round_robin: bool = False
    exceptions: bool = False
    listen: str = "127.0.0.1"

    def arguments(self) -> list[str]:
        """The options on gearmand's command line."""
        words = [f"--listen={self.listen}", "--threads=1", f"--job-handle-prefix={HANDLE_PREFIX}"]
        if self.job_retries is not None:
            words.append(f"--job-retries={self.job_retries}")
        if self.worker_wakeup:
            words.append(f"--worker-wakeup={self.worker_wakeup}")
        if self.round_robin:
            words.append("--round-robin")
        if self.exceptions:
            words.append("--exceptions")
        return words


def find_gearmand() -> str | None:
    """Where gearmand is; Debian puts it into a directory that the PATH of most users leaves out."""
    return shutil.which("gearmand", path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")


def gearmand_command(options: Options, port: int, scratch: Path) -> list[str]:
    """The command that starts gearmand, which needs a pid file of its own: it removes the default one of any.

    With one thread it handles packets in the order in which they reach it.
    """
    gearmand = find_gearmand()
    if gearmand is None:
        raise CannotStart(MISSING)
    here = [f"--port={port}", f"--pid-file={scratch / 'pid'}", "--log-file=none"]
    return [gearmand, *here, *options.arguments()]


def gearcore_command(options: Options, port: int, scratch: Path, *mode: str) -> list[str]:
    """The command that starts the server under test, with gearmand's own options.

    Like gearmand it wakes every worker that sleeps, in either mode, and it tells of errors alone.
    """
    words = [f"--port={port}", "--log-file=stderr", "--verbose=ERROR", *options.arguments(), *mode]
    if not options.worker_wakeup:
        words.append("--worker-wakeup=0")
    return [sys.executable, "-c", "from gearcore.cli.gearcored import main; main()", *words]


GEARMAND, GEARCORE_1_1, GEARCORE = "gearmand", "gearcore --compat 1.1", "gearcore"

COMMANDS: dict[str, Callable[[Options, int, Path], list[str]]] = {
    GEARMAND: gearmand_command,
    GEARCORE_1_1: lambda *start: gearcore_command(*start, "--compat=1.1"),
    GEARCORE: gearcore_command,
}


@dataclass
class RunningServer:
    """A server that accepts connections."""

    name: str
    address: tuple[str, int]
    process: subprocess.Popen[bytes]
    scratch: tempfile.TemporaryDirectory[str]
    _complaints_told: int = 0

    @property
    def pid(self) -> int:
        """Its process, which the admin command `getpid` names."""
        return self.process.pid

    def is_running(self) -> bool:
        """Whether the process is still there."""
        return self.process.poll() is None

    def complaints(self) -> str:
        """What it has written to the standard error since the last call."""
        with Path(self.scratch.name, "stderr").open(errors="replace") as stderr:
            stderr.seek(self._complaints_told)
            said = stderr.read()
            self._complaints_told = stderr.tell()
        return said.strip()

    def answers(self) -> bool:
        """Whether it is this server, and no other, that listens at its address."""
        try:
            with socket.create_connection(self.address, timeout=1) as connection:
                connection.sendall(b"getpid\n")
                return connection.recv(100) == b"OK %d\n" % self.pid
        except OSError:
            return False

    def fate(self) -> str:
        """Say whether it is there, and if not, how it ended."""
        status = self.process.poll()
        return "the server runs" if status is None else f"the server has ended with status {status}"

    def stop(self) -> None:
        """End it, politely only for as long as a polite server needs."""
        self.process.terminate()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.scratch.cleanup()


def start(name: str, options: Options) -> RunningServer:
    """Start a server by its name, and return once it accepts connections."""
    address = (options.listen, free_port(options.listen))
    scratch = tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True)
    with Path(scratch.name, "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            COMMANDS[name](options, address[1], Path(scratch.name)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            cwd=ROOT,
        )
    server = RunningServer(name, address, process, scratch)
    deadline = time.monotonic() + START_TIMEOUT
    while server.is_running() and time.monotonic() < deadline:
        if server.answers():
            return server
        time.sleep(0.01)
    said = server.complaints() or server.fate()
    server.stop()
    raise CannotStart(f"{name} does not listen: {said}")


def free_port(host: str) -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(
        (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
    ) as listener:
        return listener.getsockname()[1]


def can_listen(host: str) -> bool:
    """Whether this machine has the address; some have no IPv6."""
    try:
        free_port(host)
    except OSError:
        return False
    return True


class Pool:
    """The running servers: one of each name for each set of options."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, Options], RunningServer] = {}

    @contextmanager
    def server(self, name: str, options: Options, *, own: bool) -> Iterator[RunningServer]:
        """A server for one case: shared with others, or its own and stopped behind it."""
        if own:
            server = start(name, options)
            try:
                yield server
            finally:
                server.stop()
            return
        shared = self._servers.get((name, options))
        if shared is not None and not shared.is_running():
            shared.stop()
            shared = None
        if shared is None:
            shared = self._servers[name, options] = start(name, options)
        yield shared

    def stop(self) -> None:
        """Stop every shared server."""
        for server in self._servers.values():
            server.stop()
        self._servers.clear()
