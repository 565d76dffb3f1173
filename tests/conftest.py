"""Job servers to test against, and workers that run beside a test."""

import asyncio
import signal
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from authority import Authority
from fake_server import PATIENCE, free_port
from peers import gearmand_path

from gearcore import Client, Server, Worker


class JobServer(ABC):
    """A server under test. It starts and stops as a test likes, on a port that stays the same."""

    def __init__(self) -> None:
        self.address = ("127.0.0.1", free_port())

    @abstractmethod
    def start(self) -> None:
        """Start; returns when connections are accepted."""

    @abstractmethod
    def stop(self) -> None:
        """Stop, if it runs."""

    def admin(self, line: str) -> bytes:
        """The answer to an admin command: one line, or a list that ends with a full stop."""
        with socket.create_connection(self.address, PATIENCE) as sock, sock.makefile("rb") as lines:
            sock.sendall(line.encode() + b"\n")
            answer = b""
            for answered in lines:
                answer += answered
                if answered.startswith((b"OK", b"ERR", b".")):
                    break
            return answer

    def __str__(self) -> str:
        return "{}:{}".format(*self.address)


class Gearmand(JobServer):
    """Debian's gearmand, as a process of its own."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        path = gearmand_path()
        # gearmand deletes what has the name of its pid file, whatever it is.
        self._command = [path, "-L", "127.0.0.1", "-l", "none", "-P", str(directory / "gearmand.pid")]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [*self._command, "-p", str(self.address[1])]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(self.address).close()
                return
            except ConnectionRefusedError:
                assert self._process.poll() is None, "gearmand did not start"
                assert time.monotonic() < give_up, "gearmand does not listen"
                time.sleep(0.002)

    def stop(self) -> None:
        # At once, as in a power failure.
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Gearcore(JobServer):
    """gearcore's own server, in a thread."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._server: Server | None = None

    def start(self) -> None:
        host, port = self.address
        self._server = Server(host, port).__enter__()

    def stop(self) -> None:
        if self._server is not None:
            self._server.__exit__(None, None, None)
            self._server = None


SERVERS: dict[str, Callable[[Path], JobServer]] = {"gearcore": Gearcore, "gearmand": Gearmand}
"""What a test that asks for ``server`` runs against, each in turn, made of a directory for its files."""


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobServer]:
    server = SERVERS[request.param](tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def client(server: JobServer) -> Iterator[Client]:
    with Client(server.address, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def no_hang() -> Iterator[None]:
    """Have a test that hangs fail instead; on Windows, which has no alarm, it hangs."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def give_up(*_: object) -> None:
        raise AssertionError("the test hangs")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(int(6 * PATIENCE))  # a busy machine takes its time for many jobs
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


class WorkerThread:
    """A worker that runs beside a test until the end of a ``with`` statement, in an event loop if need be."""

    def __init__(self, worker: Worker, max_jobs: int | None = None) -> None:
        self.worker = worker
        self.error: BaseException | None = None
        self._max_jobs = max_jobs
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            running = self.worker.run(max_jobs=self._max_jobs)
            if running is not None:
                asyncio.run(running)
        except BaseException as error:
            self.error = error

    def join(self) -> None:
        """Wait for ``run()`` to return by itself; raises what it raised."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the worker does not end"
        if self.error is not None:
            raise self.error

    def __enter__(self) -> "WorkerThread":
        self._thread.start()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if self._thread.is_alive():
            self.worker.stop()
        self._thread.join(PATIENCE)
        if kind is None:
            self.join()


@pytest.fixture
def worker(server: JobServer) -> Worker:
    """A worker with functions that the tests share; ``running(worker)`` runs it."""
    worker = Worker(server.address, timeout=PATIENCE)

    @worker.function
    def reverse(job):
        return job.workload[::-1]

    @worker.function
    def nothing(job):
        return None

    @worker.function
    def chatter(job):
        for part in job.workload.split():
            job.send_data(part)
        job.send_warning(b"careful\0")
        job.send_status(1, 2)
        return b"end"

    @worker.function("raise")
    def _(job):
        raise LookupError(f"no such thing: {job.workload.decode()}")

    @worker.function
    def fail(job):
        job.fail("on request")

    return worker


@pytest.fixture
def running() -> type[WorkerThread]:
    return WorkerThread
