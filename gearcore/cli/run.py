"""``gearcore run``: a worker that runs a program for each job."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

import click

from gearcore.cli._servers import Target, server_options
from gearcore.cli.logs import log_options, start_log
from gearcore.worker import Worker, WorkerJob

__all__ = ["run"]


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("arguments", metavar="[FUNCTION] [PROGRAM] [ARGUMENT]...", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "-f",
    "--function",
    "functions",
    metavar="NAME",
    multiple=True,
    help="A function, in the place of the argument; give it again for another one as well.",
)
@click.option("-n", "--lines", is_flag=True, help="Send each line of the output at once, as data.")
@click.option("-N", "--stripped-lines", is_flag=True, help="The same, without the newline.")
@click.option(
    "-c",
    "--max-jobs",
    metavar="N",
    type=click.IntRange(min=1),
    help="End after so many jobs. Default: never.",
)
@click.option("--threads", metavar="N", type=click.IntRange(min=1), help="Run so many programs at a time.")
@log_options
@server_options
def run(
    target: Target,
    arguments: tuple[str, ...],
    functions: tuple[str, ...],
    lines: bool,
    stripped_lines: bool,
    max_jobs: int | None,
    threads: int | None,
    log_level: str,
    log_format: str,
) -> None:
    """Work for FUNCTION by running PROGRAM for each job.

    The program has the workload as its standard input, and its standard output is the result. A job whose
    program ends with another status than 0 has failed. Without PROGRAM the workload is printed.

    Options come before FUNCTION. SIGTERM and SIGINT end it when the programs that run have ended, and at once
    the second time.
    """
    if not functions:
        functions, arguments = arguments[:1], arguments[1:]
    if not functions:
        raise click.UsageError("Missing argument 'FUNCTION'.")
    if arguments and shutil.which(arguments[0]) is None:
        raise click.UsageError(f"there is no program {arguments[0]!r}")
    start_log(log_level, log_format)
    worker = Worker(target.servers, tls=target.tls, timeout=target.timeout, threads=threads)
    program = Program(arguments, lines or stripped_lines, stripped_lines)
    for name in functions:
        worker.register(name, program if arguments else print_workload)
    try:
        worker.run(max_jobs=max_jobs, install_signals=True)
    finally:
        program.kill()


class Program:
    """A function for a worker: a program that is run for each job.

    With ``by_line`` each line of what it prints is sent as data as it comes, with ``strip`` without its
    newline, and the result is empty.
    """

    def __init__(self, command: Sequence[str], by_line: bool, strip: bool) -> None:
        self._command = command
        self._by_line = by_line
        self._strip = strip
        self._running: set[subprocess.Popen[bytes]] = set()

    def __call__(self, job: WorkerJob) -> bytes:
        """Run it. The job fails by a status that is not 0, after all that the program has printed."""
        # In a group of its own: a terminal's Ctrl-C lets what runs come to its end.
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )
        assert process.stdin is not None, "there is a pipe"
        assert process.stdout is not None, "there is a pipe"
        feeder = threading.Thread(target=feed, args=(process.stdin, job.workload), daemon=True)
        self._running.add(process)
        with process:
            try:
                feeder.start()
                output = self._send_lines(job, process.stdout) if self._by_line else process.stdout.read()
            except BaseException:
                kill(process)
                raise
            finally:
                feeder.join()
                self._running.discard(process)
        if process.returncode:
            if output:
                job.send_data(output)
            job.fail(f"{self._command[0]} ended with status {process.returncode}")
        return output

    def kill(self) -> None:
        """End what still runs: its jobs are given to other workers."""
        for process in self._running.copy():
            kill(process)

    def _send_lines(self, job: WorkerJob, output: IO[bytes]) -> bytes:
        for line in output:
            job.send_data(line.removesuffix(b"\n") if self._strip else line)
        return b""


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program, and what it has started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def feed(stdin: IO[bytes], workload: bytes) -> None:
    """Give a program its input, as far as it takes it."""
    with suppress(BrokenPipeError), stdin:
        stdin.write(workload)


def print_workload(job: WorkerJob) -> None:
    """Print what a job has to work on."""
    sys.stdout.buffer.write(job.workload)
    sys.stdout.buffer.flush()
