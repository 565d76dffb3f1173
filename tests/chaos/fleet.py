"""Servers and workers as processes, which are killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fake_server import free_port
from peers import gearmand_path

PATIENCE = 30.0
"""Seconds after which what has not come is taken not to come."""

WORKERS = ("prefetch", "threads", "processes", "asyncio")
"""The worker processes, by the kinds of ``workers_under_test``."""


class Victim(ABC):
    """A process that is killed with all that it started, and started again."""

    def __init__(self) -> None:
        self.kills = 0
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What to run."""

    def start(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(self.command(), stderr=subprocess.DEVNULL, start_new_session=True)

    def kill(self) -> None:
        """End it, as a power failure would. Fails if it has ended by itself."""
        assert self._process is not None
        assert self._process.poll() is None, f"{self} ended by itself: {self._process.returncode}"
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def close(self) -> None:
        """End it if it runs."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Server(Victim):
    """A server of a kind, ``gearcore`` or ``gearmand``, on a port that stays the same."""

    def __init__(self, kind: str, folder: Path) -> None:
        super().__init__()
        self.kind = kind
        self.address = f"127.0.0.1:{free_port()}"
        # gearmand deletes what has the name of its pid file, whatever it is.
        self._pid_file = folder / "pid"

    def command(self) -> list[str]:
        host, port = self.address.split(":")
        if self.kind == "gearmand":
            return [gearmand_path(), "-L", host, "-p", port, "-l", "none", "-P", str(self._pid_file)]
        program = "from gearcore.cli.gearcored import main; main()"
        return [sys.executable, "-P", "-c", program, "-L", host, "-p", port]

    def start(self) -> None:
        """Start it; returns when it accepts connections."""
        super().start()
        host, port = self.address.split(":")
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection((host, int(port))).close()
                return
            except ConnectionRefusedError:
                assert time.monotonic() < give_up, f"{self} does not listen"
                time.sleep(0.01)

    def __str__(self) -> str:
        return f"{self.kind} at {self.address}"


class Worker(Victim):
    """A worker of a kind, for all servers."""

    def __init__(self, kind: str, servers: list[str]) -> None:
        super().__init__()
        self.kind = kind
        self.servers = servers

    def command(self) -> list[str]:
        program = Path(__file__).parents[1] / "workers_under_test.py"
        return [sys.executable, "-P", str(program), self.kind, *self.servers]

    def __str__(self) -> str:
        return f"worker {self.kind!r}"


@contextmanager
def running_fleet(kind: str, folder: Path) -> Iterator[tuple[list[Server], list[Worker]]]:
    """Three servers, and a worker of each kind."""
    servers = []
    for number in range(3):
        (folder / str(number)).mkdir()
        servers.append(Server(kind, folder / str(number)))
    workers = [Worker(worker, [server.address for server in servers]) for worker in WORKERS]
    try:
        for victim in (*servers, *workers):
            victim.start()
        yield servers, workers
    finally:
        for victim in (*workers, *servers):
            victim.close()
