"""What ``gearcore submit`` does with its jobs: lines of input become jobs, and their events output."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from queue import Queue
from typing import IO

import click

from gearcore import Client, Job, JobData, JobError, JobProgress, JobWarning, Priority, Submission
from gearcore.cli._common import complain

__all__ = ["Plan", "Printer", "progress_bar", "read_lines", "send"]

CHUNK = 1 << 20
"""Bytes of input to read at once, at most: what is there is submitted before more is waited for."""

IN_FLIGHT = 1000
"""Jobs that are submitted ahead of those that were acknowledged, or of the one that is printed next."""


@dataclass(frozen=True)
class Plan:
    """What becomes of each workload: one job for each function, as `Client.submit` has it."""

    functions: tuple[str, ...]
    unique: str | None = None
    priority: Priority = Priority.NORMAL
    background: bool = False
    at: datetime | float | None = None
    delay: float | None = None

    def submit(self, client: Client, workloads: Iterable[bytes]) -> Iterator[Job]:
        """Submit the jobs for some workloads; gives each once it is acknowledged."""
        if self.at is None and self.delay is None:
            # What is a tuple takes the fast path.
            tuples = ((f, workload, self.unique) for workload in workloads for f in self.functions)
            return client.submit_many(
                tuples, window=IN_FLIGHT, priority=self.priority, background=self.background
            )
        delayed = (
            Submission(f, workload, self.unique, at=self.at, delay=self.delay)
            for workload in workloads
            for f in self.functions
        )
        return client.submit_many(delayed, window=IN_FLIGHT, background=True)


def read_lines(stream: IO[bytes], strip: bool) -> Iterator[list[bytes]]:
    """The lines of a stream, as many at a time as there are, with their newlines or without."""
    begun: list[bytes] = []
    while chunk := stream.read1(CHUNK):  # type: ignore[attr-defined]
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            begun.append(chunk)
            continue
        lines = b"".join((*begun, head)).split(b"\n")
        yield lines if strip else [line + b"\n" for line in lines]
        begun = [tail] if tail else []
    if begun:
        yield [b"".join(begun)]


Count = Callable[[Sequence[bytes]], object]
"""Is told of workloads that are through."""


@contextmanager
def progress_bar(stream: IO[bytes], stripped: bool) -> Iterator[Count | None]:
    """A bar on stderr for the lines of a stream, if there is somebody to see it; yields what moves it.

    There is none where the output goes to the same terminal.
    """
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield None
        return
    status = os.fstat(stream.fileno())
    length = status.st_size - stream.tell() if stat.S_ISREG(status.st_mode) else None
    least = (length or 1 << 20) // 200  # each update is drawn, which may take longer than the job
    counted = 0

    def count(workloads: Sequence[bytes]) -> None:
        nonlocal counted
        counted += sum(map(len, workloads)) + stripped * len(workloads)
        if counted >= least:
            bar.update(counted)
            counted = 0

    with click.progressbar(iter(()), length=length, label="Submitting", file=sys.stderr) as bar:
        yield count
        bar.update(counted)


@dataclass
class Printer:
    """Prints what jobs send, as they send it: data and results on stdout, the rest on stderr.

    ``prefix`` puts the name of the function in front, ``handles`` shows the handles of foreground jobs, and
    ``quiet`` leaves the progress of jobs out. ``timeout`` is how many seconds a job has from its turn on.
    """

    prefix: bool
    handles: bool
    quiet: bool
    timeout: float | None
    failed: bool = False

    def created(self, jobs: Iterable[Job]) -> None:
        """Print the handles of background jobs: nothing else is heard of them."""
        click.echo(b"".join(os.fsencode(job.handle) + b"\n" for job in jobs), nl=False)

    def result(self, job: Job) -> None:
        """Wait for a job, and print all that it sends."""
        before = os.fsencode(f"{job.function}: ") if self.prefix else b""
        if self.handles:
            click.echo(f"Task created: {job.handle}", err=True)
        try:
            for event in job.events(self.timeout):
                if isinstance(event, JobData):
                    click.echo(before + event.data, nl=False)
                elif isinstance(event, JobWarning):
                    click.echo(before + event.data, nl=False, err=True)
                elif isinstance(event, JobProgress) and not self.quiet:
                    click.echo(before + in_percent(event), err=True)
            # To a program exactly what the worker sent, to a person a prompt on a line of its own.
            click.echo(before + job.result(), nl=sys.stdout.isatty())
        except JobError as error:
            self.failed = True
            complain("gearcore", str(error))


def in_percent(progress: JobProgress) -> bytes:
    """The progress of a job in words."""
    if progress.denominator <= 0:
        return b"%d of %d complete" % (progress.numerator, progress.denominator)
    return b"%d%% complete" % (100 * progress.numerator // progress.denominator)


def send(
    client: Client, plan: Plan, batches: Iterable[list[bytes]], printer: Printer, count: Count | None
) -> None:
    """Submit the jobs for the workloads of every batch, and print what is to be heard of them, in order."""
    if plan.background or plan.at is not None or plan.delay is not None:
        for batch in batches:
            printer.created(plan.submit(client, batch))
            if count:
                count(batch)
    else:
        for job, through in ahead(plan, client, batches):
            printer.result(job)
            if count:
                count(through)


def ahead(
    plan: Plan, client: Client, batches: Iterable[list[bytes]]
) -> Iterator[tuple[Job, Sequence[bytes]]]:
    """Submit jobs ahead of the one that is waited for; gives each, and the workload if it is the last of it.

    A thread reads and submits, so that what comes slowly is answered as it comes.
    """
    submitted: Queue[tuple[Job, Sequence[bytes]] | BaseException | None] = Queue(IN_FLIGHT)

    def submit() -> None:
        try:
            for batch in batches:
                for number, job in enumerate(plan.submit(client, batch), 1):
                    index, more = divmod(number, len(plan.functions))
                    submitted.put((job, () if more else batch[index - 1 : index]))
        except BaseException as error:
            submitted.put(error)
        else:
            submitted.put(None)

    # A daemon: a read that waits for a terminal does not end.
    threading.Thread(target=submit, name="submit", daemon=True).start()
    while (item := submitted.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item
