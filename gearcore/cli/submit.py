"""``gearcore submit``: send one job, and print what comes back."""

from __future__ import annotations

import os
import socket
import sys

import click

from gearcore.address import Address, parse_address
from gearcore.client import Client
from gearcore.errors import ConnectionLost, ServerUnavailable
from gearcore.protocol import DEFAULT_PORT
from gearcore.session.requests import JobData, JobWarning

__all__ = ["submit"]

STATUS_TIMEOUT = 10.0
"""Seconds that the server gets to say who offers what. It answers at once, unless it is no job server."""


def read_address(context: click.Context, option: click.Parameter, text: str) -> Address:
    """Read ``--server`` as the client does."""
    try:
        address = parse_address(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if not isinstance(address, Address):
        raise click.BadParameter(f"{text!r} is a Unix socket, and not a host and a port")
    return address


@click.command()
@click.argument("function")
@click.argument("data", required=False)
@click.option(
    "--server",
    metavar="HOST:PORT",
    callback=read_address,
    default=f"127.0.0.1:{DEFAULT_PORT}",
    show_default=True,
    help="The job server.",
)
@click.option("--background", is_flag=True, help="Do not wait for the result; print the job's handle.")
@click.option("--wait", is_flag=True, help="Wait for a worker where none offers the function yet.")
@click.option(
    "--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="How long to wait for the result."
)
def submit(
    function: str, data: str | None, server: Address, background: bool, wait: bool, timeout: float | None
) -> None:
    """Submit a job for FUNCTION and print its result.

    The job's workload is DATA or, without it, the standard input.
    """
    # A job for a mistyped name would be queued, and waited for without an end.
    if not (background or wait or is_offered(function, server)):
        raise click.ClickException(f"no worker offers function {function!r} on {server}")
    workload = sys.stdin.buffer.read() if data is None else os.fsencode(data)
    with Client(server) as client:
        job = client.submit(function, workload, background=background)
        if background:
            click.echo(job.handle)
            return
        for event in job.events(timeout):
            if isinstance(event, JobData):
                click.echo(event.data, nl=False)
            elif isinstance(event, JobWarning):
                click.echo(event.data, nl=False, err=True)
        # To a program exactly what the worker sent, to a person a prompt on a line of its own.
        click.echo(job.result(), nl=sys.stdout.isatty())


def is_offered(function: str, server: Address) -> bool:
    """Ask the server, by the admin command ``status``, whether a worker offers a function."""
    name = function.encode("utf-8", "surrogateescape")
    try:
        connection = socket.create_connection(server, STATUS_TIMEOUT)
    except OSError as error:
        raise ServerUnavailable(f"no connection to {server}: {error.strerror or error}") from error
    try:
        with connection, connection.makefile("rwb") as lines:
            lines.write(b"status\n")
            lines.flush()
            for line in lines:
                if line == b".\n":
                    return False
                match line.removesuffix(b"\n").rsplit(b"\t", 3):
                    case [listed, _, _, workers] if listed == name:
                        return workers != b"0"
            cause = "the connection ended"
    except OSError as error:
        cause = error.strerror or str(error)
    raise ConnectionLost(f"{server} did not answer the admin command 'status': {cause}")
