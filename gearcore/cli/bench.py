"""``gearcore bench``: how fast a Gearman server answers to clients and a worker in Python."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import click

from gearcore._blocking import Connection, Deadline, Waker
from gearcore.address import Address
from gearcore.cli._servers import read_address
from gearcore.client import Client
from gearcore.codec import Packet, Parser, pack_request
from gearcore.errors import GearcoreError, ProtocolError, ServerError, TimedOut
from gearcore.protocol import DEFAULT_PORT, RESPONSE_MAGIC, PacketType
from gearcore.session.arguments import decode_text
from gearcore.worker import Worker, WorkerJob

__all__ = ["bench"]

TIMEOUT = 20.0
"""Seconds that the server has for one answer."""

IN_FLIGHT = 64
"""Requests that a pipelined load has under way on each connection."""

Load = Callable[["Share"], None]


@dataclass
class Share:
    """What one of the clients does of a load, and what came of it so far."""

    server: Address
    function: str
    workload: bytes
    jobs: int
    stop: threading.Event
    started: float = 0.0

    def __post_init__(self) -> None:
        self.latencies: list[float] = []
        self.error: BaseException | None = None

    def left(self) -> Iterator[None]:
        """One turn for each job, until somebody stops it."""
        for _ in range(self.jobs):
            if self.stop.is_set():
                return
            yield

    def done(self, since: float) -> None:
        """Note that a job, which began at that time, is done."""
        self.latencies.append(time.perf_counter() - since)


class Pipe:
    """A connection on which many requests are under way, which the server answers in their order."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self._waker = Waker()
        try:
            self._connection = Connection.open(server, Deadline(TIMEOUT), self._waker)
        except BaseException:
            self._waker.close()
            raise
        self._parser = Parser(expect=RESPONSE_MAGIC, text=True)

    def send(self, data: bytes) -> None:
        """Send packets or a line; what the system does not take yet goes with the next wait."""
        self._connection.send(data)

    def receive(self) -> list[Packet | bytes]:
        """The packets and lines that came; waits for some."""
        deadline = Deadline(TIMEOUT)
        while True:
            self._connection.send()
            received = self._parser.feed(self._connection.receive())
            for packet in received:
                if isinstance(packet, Packet) and packet.type == PacketType.ERROR:
                    raise ServerError(*map(decode_text, packet.args))
            if received:
                return received
            if deadline.expired:
                raise TimedOut(f"{self._server} did not answer within {TIMEOUT:g} s")
            self._connection.wait(deadline)

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._waker.close()


def ping(share: Share) -> None:
    """One ECHO_REQ at a time."""
    with Client(share.server, timeout=TIMEOUT) as client:
        for _ in share.left():
            start = time.perf_counter()
            client.echo(share.workload)
            share.done(start)


def submit_one_by_one(share: Share) -> None:
    """One background job at a time."""
    with Client(share.server, timeout=TIMEOUT) as client:
        for _ in share.left():
            start = time.perf_counter()
            client.submit(share.function, share.workload, background=True)
            share.done(start)


def submit_pipelined(share: Share) -> None:
    """Background jobs, without waiting for each to be acknowledged."""
    job = pack_request(PacketType.SUBMIT_JOB_BG, share.function.encode(), b"", share.workload)
    turns = share.left()
    begun: list[float] = []
    with Pipe(share.server) as pipe:
        while True:
            room = IN_FLIGHT - (len(begun) - len(share.latencies))
            new = sum(1 for _ in islice(turns, room))
            begun += [time.perf_counter()] * new
            pipe.send(job * new)
            if len(begun) == len(share.latencies):
                return
            for _ in expect(pipe, PacketType.JOB_CREATED):
                share.done(begun[len(share.latencies)])


def run_foreground(share: Share) -> None:
    """One foreground job at a time, which the worker of this program answers."""
    with Client(share.server, timeout=TIMEOUT) as client:
        for _ in share.left():
            start = time.perf_counter()
            client.submit(share.function, share.workload).result(timeout=TIMEOUT)
            share.done(start)


def expect(pipe: Pipe, *types: PacketType) -> list[Packet]:
    """The next packets, which must be of these types."""
    packets = [packet for packet in pipe.receive() if isinstance(packet, Packet)]
    for packet in packets:
        if packet.type not in types:
            raise ProtocolError(f"{packet.name} came instead of {types[0].name}")
    return packets


def drain(server: Address, function: str, advance: Callable[[int], None] | None = None) -> int:
    """Take and complete the function's jobs until there is none; returns how many there were."""
    count = 0
    grab = pack_request(PacketType.GRAB_JOB)
    with Pipe(server) as pipe:
        pipe.send(pack_request(PacketType.CAN_DO, function.encode()) + grab * IN_FLIGHT)
        open_grabs = IN_FLIGHT
        empty = False
        while open_grabs:
            answers = bytearray()
            for packet in expect(pipe, PacketType.JOB_ASSIGN, PacketType.NO_JOB):
                if packet.type == PacketType.NO_JOB:
                    empty = True
                    open_grabs -= 1
                    continue
                answers += pack_request(PacketType.WORK_COMPLETE, packet.args[0], b"")
                count += 1
                if advance is not None:
                    advance(1)
                if empty:
                    open_grabs -= 1
                else:
                    answers += grab
            pipe.send(bytes(answers))
        # The answer says that the server has taken the last results.
        pipe.send(pack_request(PacketType.ECHO_REQ, b""))
        expect(pipe, PacketType.ECHO_RES)
    return count


@contextlib.contextmanager
def nothing_left_behind(server: Address, function: str) -> Iterator[None]:
    """Take the function away at the end, with the jobs that were not run because something went wrong."""
    try:
        yield
    except TimedOut:  # a server that does not answer would have us wait once more
        raise
    except BaseException:
        with contextlib.suppress(GearcoreError):
            forget(server, function)
        raise
    forget(server, function)


def forget(server: Address, function: str) -> None:
    """Take away what is left of a function: its jobs, and its line in the server's status."""
    drain(server, function)
    give_up = Deadline(TIMEOUT)
    with Pipe(server) as pipe:
        while True:
            pipe.send(f"drop function {function}\n".encode())
            (answer,) = pipe.receive()
            if answer == b"OK" or give_up.expired:
                return
            if isinstance(answer, bytes) and b"still connected" not in answer:
                click.echo(
                    f"the server keeps function {function}, without jobs: {decode_text(answer)}", err=True
                )
                return
            time.sleep(0.01)  # it takes a moment to see that the workers have left


@contextlib.contextmanager
def working(server: Address, function: str) -> Iterator[None]:
    """A worker for the function, which returns what it gets."""
    worker = Worker(server, timeout=TIMEOUT)

    @worker.function(function)
    def give_back(job: WorkerJob) -> bytes:
        return bytes(job.workload)

    errors: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except GearcoreError as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="worker of the benchmark", daemon=True)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(TIMEOUT)
    if errors:
        raise errors[0]


@contextlib.contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, for a person only; yields what advances it."""
    file = sys.stderr if sys.stderr.isatty() else io.StringIO()
    with click.progressbar(length=length, label=f"{label:<24}", file=file) as shown:
        yield shown.update


def put(load: Load, label: str, shares: Sequence[Share]) -> float:
    """Have all clients do their share at the same time; returns the seconds that it took."""

    def run(share: Share) -> None:
        try:
            load(share)
        except GearcoreError as error:
            share.error = error
            share.stop.set()  # the others would only say the same

    threads = [threading.Thread(target=run, args=(share,), name=label) for share in shares]
    with progress(label, sum(share.jobs for share in shares)) as advance:
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        try:
            shown = 0
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.1)
                    done = sum(len(share.latencies) for share in shares)
                    advance(done - shown)
                    shown = done
        except BaseException:
            shares[0].stop.set()
            for thread in threads:
                thread.join()
            raise
        seconds = time.perf_counter() - start
    for share in shares:
        if share.error is not None:
            raise share.error
    return seconds


def row(label: str, jobs: int, seconds: float, latencies: Sequence[float] = ()) -> str:
    """One line of the table."""
    figures = ["", ""]
    if latencies:
        ordered = sorted(latencies)
        figures = [f"{ordered[len(ordered) * part // 100] * 1e6:,.0f}" for part in (50, 99)]
    return f"{label:<24}{jobs / seconds:>12,.0f}{figures[0]:>12}{figures[1]:>12}"


@click.command()
@click.option(
    "--server",
    metavar="HOST:PORT",
    callback=read_address,
    default=f"127.0.0.1:{DEFAULT_PORT}",
    show_default=True,
    help="The job server.",
)
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="Jobs of each load.",
)
@click.option(
    "--size", metavar="BYTES", type=click.IntRange(0), default=32, show_default=True, help="A job's workload."
)
@click.option(
    "--clients",
    metavar="N",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Clients, each with a connection and a thread of its own.",
)
def bench(server: Address, jobs: int, size: int, clients: int) -> None:
    """Measure how fast a Gearman server answers to clients and a worker in Python.

    The jobs are for a function of the program's own, and none is left behind. With a fast server it is Python
    that sets the limit: compare figures from one machine with each other, not with those of other programs.
    """
    function = f"gearcore-bench-{os.getpid()}"
    workload = b"x" * size

    def measure(label: str, load: Load) -> None:
        stop = threading.Event()
        parts = [jobs // clients + (number < jobs % clients) for number in range(clients)]
        shares = [Share(server, function, workload, part, stop) for part in parts if part]
        seconds = put(load, label, shares)
        click.echo(row(label, jobs, seconds, [latency for share in shares for latency in share.latencies]))

    with Client(server, timeout=TIMEOUT) as client:
        client.ping()  # a server that is not there is nothing to print a table for
    click.echo(f"{'load':<24}{'per second':>12}{'p50 µs':>12}{'p99 µs':>12}")
    with nothing_left_behind(server, function):
        measure("ping", ping)
        measure("background", submit_one_by_one)
        measure("background, pipelined", submit_pipelined)
        with progress("drain, pipelined", 2 * jobs) as advance:
            start = time.perf_counter()
            drained = drain(server, function, advance)
            seconds = time.perf_counter() - start
        click.echo(row("drain, pipelined", drained, seconds))
        with working(server, function):
            measure("foreground", run_foreground)
