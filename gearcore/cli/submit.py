"""``gearcore submit``: send jobs, and print what comes back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from typing import IO

import click

from gearcore import GearcoreError, Priority
from gearcore.cli._servers import Target, server_options
from gearcore.cli.sending import Plan, Printer, progress_bar, read_lines, send

__all__ = ["submit"]

PRIORITIES = {"high": Priority.HIGH, "normal": Priority.NORMAL, "low": Priority.LOW}

LONGEST = 1e10
"""Seconds, of a time or a delay: three hundred years and a bit."""


def read_time(context: click.Context, option: click.Parameter, text: str | None) -> datetime | float | None:
    """Read a time: a date, in this machine's time zone unless it has its own, or seconds since 1970."""
    if text is None:
        return None
    try:
        time = float(text)
    except ValueError:
        try:
            return datetime.fromisoformat(text).astimezone()
        except ValueError:
            raise click.BadParameter(f"{text!r} is no date like 2030-12-24T18:00, and no number") from None
    if not 0 <= time <= LONGEST:
        raise click.BadParameter(f"{text!r} is not a number of seconds since 1970")
    return time


@click.command()
@click.argument("arguments", metavar="[FUNCTION] [DATA]...", nargs=-1)
@click.option(
    "-f",
    "--function",
    "functions",
    metavar="NAME",
    multiple=True,
    help="A function, in the place of the argument; give it again for a job of another one as well.",
)
@click.option("-b", "--background", is_flag=True, help="Do not wait for results; print the jobs' handles.")
@click.option("-n", "--lines", is_flag=True, help="Make a job of each line of the input.")
@click.option("-N", "--stripped-lines", is_flag=True, help="The same, without the newline.")
@click.option(
    "-F", "--file", "stream", metavar="FILE", type=click.File("rb"), help="Read the input from a file."
)
@click.option("-s", "--no-input", is_flag=True, help="Send an empty workload, and read no input.")
@click.option("-u", "--unique", metavar="ID", help="The unique id of the jobs.")
@click.option("-I", "--high", "priority", flag_value="high", help="High priority.")
@click.option("-L", "--low", "priority", flag_value="low", help="Low priority.")
@click.option("--priority", type=click.Choice(list(PRIORITIES)), help="The priority. Default: normal.")
@click.option(
    "--at",
    metavar="TIME",
    callback=read_time,
    help="Run the job then, in the background: 2030-12-24T18:00 or seconds since 1970.",
)
@click.option(
    "--delay",
    metavar="SECONDS",
    type=click.FloatRange(0, LONGEST),
    help="Run the job that much later, in the background.",
)
@click.option("-P", "--prefix", is_flag=True, help="Put the function's name in front of what a job sends.")
@click.option("-v", "--verbose", is_flag=True, help="Show the handles of foreground jobs, on stderr.")
@click.option("--wait", is_flag=True, help="Wait for a worker where none offers the function yet.")
@server_options
def submit(
    target: Target,
    arguments: tuple[str, ...],
    functions: tuple[str, ...],
    background: bool,
    lines: bool,
    stripped_lines: bool,
    stream: IO[bytes] | None,
    no_input: bool,
    unique: str | None,
    priority: str | None,
    at: datetime | float | None,
    delay: float | None,
    prefix: bool,
    verbose: bool,
    wait: bool,
) -> None:
    """Submit jobs for FUNCTION and print their results.

    Each DATA is the workload of a job; without DATA it is the input: a file or the standard input, as a
    whole or, with --lines, line by line. Jobs of lines are submitted ahead while others run, and answered in
    their order.

    The exit status is 1 if a job failed. --timeout also goes for how long a job may take.
    """
    if not functions:
        functions, arguments = arguments[:1], arguments[1:]
    if not functions:
        raise click.UsageError("Missing argument 'FUNCTION'.")
    by_line = lines or stripped_lines
    if arguments and (by_line or stream or no_input):
        raise click.UsageError(
            "there is DATA: no input is read, so --lines, --file and --no-input are too much"
        )
    if no_input and (by_line or stream):
        raise click.UsageError("--no-input reads no input: not with --lines or --file")
    if at is not None and delay is not None:
        raise click.UsageError("a job has a time or a delay: not both --at and --delay")
    delayed = at is not None or delay is not None
    if delayed and priority not in (None, "normal"):
        raise click.UsageError("the protocol has no delayed jobs of other priorities than normal")
    # A job for a mistyped name would be queued, and waited for without an end.
    if not (background or delayed or wait):
        must_be_offered(functions, target)

    source = stream or sys.stdin.buffer
    batches: Iterator[list[bytes]]
    if arguments or no_input:
        batches = iter([[os.fsencode(argument) for argument in arguments] or [b""]])
    elif by_line:
        batches = read_lines(source, strip=stripped_lines)
    else:
        batches = ([source.read()] for _ in range(1))
    plan = Plan(functions, unique, PRIORITIES[priority or "normal"], background, at, delay)
    with (
        target.client() as client,
        progress_bar(source, stripped_lines) if by_line else nullcontext() as count,
    ):
        printer = Printer(prefix, handles=verbose, quiet=count is not None, timeout=target.limit)
        send(client, plan, batches, printer, count)
    if printer.failed:
        sys.exit(1)


def must_be_offered(functions: tuple[str, ...], target: Target) -> None:
    """Ask the servers whether a worker offers each function. Those that cannot be asked do not count."""
    offered: set[str] = set()
    errors = []
    for server in target.servers:
        with target.admin(server) as admin:
            try:
                offered.update(row.function for row in admin.status() if row.workers > 0)
            except GearcoreError as error:
                errors.append(error)
    if len(errors) == len(target.servers):
        raise errors[0]
    for function in functions:
        if function not in offered:
            servers = " or ".join(map(str, target.servers))
            raise click.ClickException(f"no worker offers function {function!r} on {servers}")
