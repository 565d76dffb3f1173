"""The servers that are compared, as processes of their own on free ports of the loopback interface."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FLOOR", "GEARCORE", "GEARMANDS", "SERVERS", "CannotStart", "Server", "find_gearmand", "start"]

GEARMAND_1, GEARMAND_4, GEARCORE, FLOOR = "gearmand -t 1", "gearmand -t 4", "gearcore", "floor"
GEARMANDS = (GEARMAND_1, GEARMAND_4)
SERVERS = (*GEARMANDS, GEARCORE, FLOOR)

PATIENCE = 20.0
"""Seconds that a server has to listen, and to end."""

BACKLOG = 1024
"""Connections that may wait to be accepted. gearmand's default of 32 is less than what some shapes open."""

GEARCORED = "from gearcore.cli.gearcored import main; main()"


class CannotStart(Exception):
    """A server that does not listen."""


@dataclass(frozen=True)
class Server:
    """A server that accepts connections."""

    name: str
    port: int
    pid: int


def find_gearmand() -> str | None:
    """Where gearmand is; Debian puts it into a directory that the PATH of most users leaves out."""
    return shutil.which("gearmand", path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")


def command_of(name: str, port: int, scratch: str, floor: Path | None, floor_wakes: int) -> Sequence[str]:
    """The command that starts a server."""
    common = ["-L", "127.0.0.1", "-p", str(port), "-l", "none"]
    if name == GEARCORE:
        return [sys.executable, "-c", GEARCORED, *common]
    if name == FLOOR:
        return [str(floor), str(port), str(floor_wakes)]
    gearmand = find_gearmand()
    if gearmand is None:
        raise CannotStart("gearmand is not installed")
    # It removes what has the name of its pid file, whatever that is: it needs one of its own.
    own = ["-P", str(Path(scratch, "pid")), "-b", str(BACKLOG)]
    return [gearmand, *common, *own, *name.split()[1:]]


@contextmanager
def start(name: str, *, floor: Path | None = None, floor_wakes: int = 0) -> Iterator[Server]:
    """A server that runs as long as the context."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as scratch:
        process = subprocess.Popen(
            command_of(name, port, scratch, floor, floor_wakes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=scratch,
        )
        try:
            wait_until_it_listens(name, port, process)
            yield Server(name, port, process.pid)
        finally:
            process.kill()  # an orderly end would only free the memory of millions of jobs one by one
            process.communicate(timeout=PATIENCE)


def wait_until_it_listens(name: str, port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once a server accepts connections."""
    give_up = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    if process.poll() is None:
        process.kill()
    said = process.communicate()[1].decode(errors="replace").strip().splitlines()
    raise CannotStart(f"{name} does not listen: {said[-1] if said else f'status {process.returncode}'}")
