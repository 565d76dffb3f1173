"""Running jobs in processes: the side of the worker, which has the connections to the servers."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Final

from gearcore._blocking import Connection, Waker
from gearcore._codec import Packet, Parser, pack_response
from gearcore.address import UnixAddress
from gearcore.errors import GearcoreError
from gearcore.protocol import REQUEST_MAGIC, PacketType
from gearcore.worker.endings import GIVEN_BACK, Completed, Failed, Outcome, Raised, describe
from gearcore.worker.executor import MARGIN, Executor, Shop
from gearcore.worker.job import WorkerJob
from gearcore.worker.running import Runner, name, timed_out

__all__ = ["Processes"]

log = logging.getLogger("gearcore.worker")

_CLOSING: Final = 1.0
"""Seconds that processes have to end when they are told to."""


class Processes(Executor):
    """Runs jobs in so many processes, each forked from this one, and one job at a time in each.

    A process that ends while it runs a job fails that job, and is replaced; so is one that has had its time
    for a job, after it was killed, and one that says that it has done or grown enough.
    """

    def __init__(
        self, shop: Shop, runner: Runner, count: int, serve: Callable[[socket.socket], None]
    ) -> None:
        self.slots = count
        self._shop = shop
        self._runner = runner
        self._serve = serve
        self._waker = Waker()
        self._processes: dict[Connection, _Process] = {}
        self._dying: list[int] = []
        self._closed = False
        # Now, while there is no connection that they would inherit.
        for _ in range(self.slots):
            self._add()

    def start(self) -> bool:
        for process in self._processes.values():
            if process.job is None and not process.retiring:
                job = self._shop.next_job()
                if job is None:
                    break
                process.begin(job)
                if process.broken or process.deadline < math.inf:
                    self._shop.wake()
        return False

    def deadline(self) -> float:
        return min((process.deadline for process in self._processes.values()), default=math.inf)

    def look(self, now: float) -> None:
        for process in list(self._processes.values()):
            if now >= process.deadline:
                process.timed_out = True
                process.kill()
            if process.broken:
                self._replace(process)
        self._dying = [pid for pid in self._dying if not _reap(pid)]

    def receive(self, connection: Connection) -> None:
        process = self._processes[connection]
        try:
            while data := connection.receive():
                for packet in process.parser.feed(data):
                    assert isinstance(packet, Packet)
                    self._take(process, packet)
        except GearcoreError:  # it has ended
            self._replace(process)
            return
        connection.send()  # what is left of a job

    def close(self) -> None:
        self._closed = True
        processes = list(self._processes.values())
        for process in processes:
            self._shop.unwatch(process.connection)
            if process.job is not None:
                process.kill()
            process.connection.close()
        give_up = time.monotonic() + _CLOSING
        for pid in [process.pid for process in processes] + self._dying:
            while not _reap(pid):
                if time.monotonic() > give_up:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.001)
        self._waker.close()

    def _add(self) -> None:
        inherited = [process.connection.fileno() for process in self._processes.values()]
        process = _Process(self._serve, self._waker, inherited + self._shop.descriptors())
        self._processes[process.connection] = process
        self._shop.watch(process.connection)

    def _replace(self, process: _Process) -> None:
        self._shop.unwatch(process.connection)
        del self._processes[process.connection]
        process.connection.close()
        status = _wait_for_end(process.pid)
        if status is None:
            self._dying.append(process.pid)
        job, process.job = process.job, None
        if job is not None:
            self._fail(process, job, status)
        if not self._closed:
            self._add()
            self._shop.wake()

    def _fail(self, process: _Process, job: WorkerJob, status: int | None) -> None:
        error: Exception
        if process.timed_out:
            assert job._function is not None
            error = timed_out(job._function.timeout or 0.0)
        else:
            error = ProcessEnded(f"its process {process.pid} {_in_words(status)} while it ran")
        log.error("%s: %s: %s; another process takes its place", job._outlet, name(job), error)
        self._runner.tell_failure(job, error)
        self._shop.ended(job, Raised(describe(error)))

    def _take(self, process: _Process, packet: Packet) -> None:
        if packet.type == PacketType.RESET_ABILITIES:
            process.retiring = True
            return
        job = process.job
        assert job is not None
        args = packet.args
        outcome: Outcome
        if packet.type == PacketType.WORK_COMPLETE:
            outcome = Completed(args[1])
        elif packet.type == PacketType.WORK_FAIL:
            outcome = Failed(args[0].decode("utf-8", "surrogateescape"))
        elif packet.type == PacketType.WORK_EXCEPTION:
            outcome = Raised(args[1].decode("utf-8", "surrogateescape"))
        elif packet.type == PacketType.CANT_DO:
            outcome = GIVEN_BACK
        else:
            self._shop.forward(job, PacketType(packet.type), args[1:])
            return
        process.end()
        self._shop.ended(job, outcome)


class ProcessEnded(GearcoreError):
    """A process ended while it ran a job."""


class _Process:
    """A process, the job that it runs, and what it said of itself."""

    def __init__(
        self,
        serve: Callable[[socket.socket], None],
        waker: Waker,
        inherited: list[int],
    ) -> None:
        self.job: WorkerJob | None = None
        self.deadline = math.inf
        self.timed_out = False
        self.retiring = False
        self.broken = False
        self.parser = Parser(expect=REQUEST_MAGIC)
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            _be_child(serve, theirs, [ours.fileno(), *inherited])
        theirs.close()
        ours.setblocking(False)
        self.connection = Connection(UnixAddress(f"process {self.pid}"), ours, waker)

    def begin(self, job: WorkerJob) -> None:
        """Have it run a job."""
        self.job = job
        timeout = None if job._function is None else job._function.timeout
        if timeout is not None:
            self.deadline = time.monotonic() + timeout + MARGIN * job._known.is_async
        a = job._assignment
        try:
            self.connection.send(
                pack_response(
                    PacketType.JOB_ASSIGN_ALL, a.handle, a.function, a.unique, a.reducer, a.workload
                )
            )
        except GearcoreError:
            self.broken = True

    def end(self) -> None:
        """It told how its job ended."""
        self.job = None
        self.deadline = math.inf

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)


def _be_child(serve: Callable[[socket.socket], None], sock: socket.socket, inherited: list[int]) -> None:
    """Serve, and exit: the program that was forked is not to go on twice."""
    code = 1
    try:
        # What belongs to the parent: a connection that is open here too would not end with it.
        for number in inherited:
            os.close(number)
        # It is the parent that decides what a signal to all of them means.
        # (Handlers, since what is ignored would be ignored by the programs that functions start.)
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: None)
        serve(sock)
        code = 0
    except BaseException:
        log.exception("a process of the worker ends")
    finally:
        logging.shutdown()
        os._exit(code)


def _wait_for_end(pid: int) -> int | None:
    """The status of a process that has just closed its connection, or None when it does not end."""
    give_up = time.monotonic() + 0.2
    while time.monotonic() < give_up:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    return None


def _reap(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] != 0


def _in_words(status: int | None) -> str:
    if status is None:
        return "closed its connection"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"exited with status {status}"
