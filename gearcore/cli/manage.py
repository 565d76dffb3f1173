"""``gearcore cancel``, ``maxqueue``, ``shutdown`` and others: tell a server something."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from gearcore.address import ServerAddress
from gearcore.admin import AdminClient
from gearcore.cli._common import complain
from gearcore.cli._report import json_option, print_json, report
from gearcore.cli._servers import Target, server_options

__all__ = ["cancel", "create_function", "drop_function", "maxqueue", "shutdown"]


def tell(target: Target, command: Callable[[AdminClient], None], as_json: bool) -> None:
    """Have every server do something, and print that it did."""
    try:
        report(target, command, None, as_json)
    except ValueError as error:  # a name that no command can have
        raise click.UsageError(str(error)) from error


@click.command()
@click.argument("handles", metavar="HANDLE...", nargs=-1, required=True)
@server_options
@json_option
def cancel(target: Target, handles: tuple[str, ...], as_json: bool) -> None:
    """End jobs for their clients, by the handles that 'gearcore jobs' shows.

    A worker that has the job already is not told. With several servers, the one that knows the job is found.
    """
    try:
        found = {handle: cancel_somewhere(target, handle) for handle in handles}
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        print_json(
            [
                {"handle": handle, "cancelled": server is not None, "server": server and str(server)}
                for handle, server in found.items()
            ]
        )
    for handle, server in found.items():
        if server is None:
            complain("gearcore", f"no such job: {handle!r} on {' or '.join(map(str, target.servers))}")
        elif not as_json:
            click.echo("OK")
    if None in found.values():
        sys.exit(1)


def cancel_somewhere(target: Target, handle: str) -> ServerAddress | None:
    """Cancel a job on the server that knows it, which is returned."""
    for server in target.servers:
        with target.admin(server) as admin:
            if admin.cancel(handle):
                return server
    return None


@click.command()
@click.argument("function")
@click.argument("limits", metavar="N | HIGH NORMAL LOW", nargs=-1, required=True, type=click.IntRange(min=0))
@server_options
@json_option
def maxqueue(target: Target, function: str, limits: tuple[int, ...], as_json: bool) -> None:
    """Limit how many jobs FUNCTION may have.

    One number goes for each priority, three are for high, normal and low; 0 is no limit. Further jobs are
    refused with QUEUE_ERROR. gearmand ignores it for a function that it does not know.
    """
    tell(target, lambda admin: admin.maxqueue(function, *limits), as_json)


@click.command("create-function")
@click.argument("function")
@server_options
@json_option
def create_function(target: Target, function: str, as_json: bool) -> None:
    """Have FUNCTION listed, although there is no job and no worker for it."""
    tell(target, lambda admin: admin.create_function(function), as_json)


@click.command("drop-function")
@click.argument("function")
@server_options
@json_option
def drop_function(target: Target, function: str, as_json: bool) -> None:
    """Forget FUNCTION, which must have no workers.

    gearcore refuses while there are jobs; gearmand loses those that are queued.
    """
    tell(target, lambda admin: admin.drop_function(function), as_json)


@click.command()
@click.option(
    "--graceful", is_flag=True, help="Let the server do its jobs first, and take no new connections."
)
@server_options
@json_option
def shutdown(target: Target, graceful: bool, as_json: bool) -> None:
    """Stop a server.

    It must allow it: gearcore does with --allow-shutdown or by an access list, gearmand has not since 1.1.15.
    """
    tell(target, lambda admin: admin.shutdown(graceful), as_json)
