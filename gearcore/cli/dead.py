"""``gearcore dead``: jobs that a server keeps, and does not run any more."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

import click

from gearcore.admin import AdminClient
from gearcore.cli._common import complain, visible
from gearcore.cli._report import Listing, json_option, print_json, report
from gearcore.cli._servers import Target, server_options

__all__ = ["dead"]

LETTERS = Listing(
    "dead_letters",
    ("HANDLE", "FUNCTION", "TRIES", "DIED", "ERROR"),
    lambda row: (row.handle, row.function, row.tries, time_of(row.died_at), row.error),
    lambda row: f"{row.handle}\t{row.function}\t{row.tries}\t{row.died_at}\t{visible(row.error)}",
)

function_option = click.option("--function", metavar="FUNCTION", help="Only those of this function.")


def time_of(unix_time: int) -> str:
    """A time for a person."""
    return datetime.fromtimestamp(unix_time).isoformat(" ")


@click.group()
def dead() -> None:
    """See and treat the background jobs that failed for good.

    A server with a store keeps them: those that had all their runs (--job-retries), and those that a worker
    failed, of functions named by --keep-failed.
    """


@dead.command("list")
@function_option
@server_options
@json_option
def list_(target: Target, function: str | None, as_json: bool) -> None:
    """List them, oldest first."""
    report(target, lambda admin: admin.dead_letters(function), LETTERS, as_json)


@dead.command()
@click.argument("handle")
@server_options
@json_option
def show(target: Target, handle: str, as_json: bool) -> None:
    """Print one of them: its workload to the standard output, all else to the standard error.

    In JSON the workload is in base64.
    """
    for server in target.servers:
        with target.admin(server) as admin:
            job = admin.dead_letter(handle)
        if job is None:
            continue
        if as_json:
            print_json({**asdict(job), "workload": b64encode(job.workload).decode()})
            return
        for name, value in asdict(job).items():
            if name != "workload":
                shown = time_of(value) if name == "died_at" else visible(str(value))
                click.echo(f"{name}: {shown}", err=True)
        click.echo(job.workload, nl=sys.stdout.isatty())
        return
    raise unknown(target, handle)


@dead.command()
@click.argument("handles", metavar="[HANDLE...]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them.")
@function_option
@server_options
def retry(target: Target, handles: tuple[str, ...], everything: bool, function: str | None) -> None:
    """Queue them again, as new as when they were submitted."""
    change(target, handles, everything, function, AdminClient.retry_dead, AdminClient.retry_all_dead)


@dead.command()
@click.argument("handles", metavar="[HANDLE...]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them.")
@function_option
@server_options
def drop(target: Target, handles: tuple[str, ...], everything: bool, function: str | None) -> None:
    """Forget them."""
    change(target, handles, everything, function, AdminClient.drop_dead, AdminClient.drop_all_dead)


def change(
    target: Target,
    handles: tuple[str, ...],
    everything: bool,
    function: str | None,
    one: Callable[[AdminClient, str], bool],
    some: Callable[[AdminClient, str | None], int],
) -> None:
    """Do the same with those that are named, or with all, and print how many they were."""
    if bool(handles) == (everything or function is not None):
        raise click.UsageError("name handles, or --function, or --all")
    count = 0
    missing = set(handles)
    for server in target.servers:
        with target.admin(server) as admin:
            if not handles:
                count += some(admin, function)
            found = {handle for handle in missing if one(admin, handle)}
            count += len(found)
            missing -= found
    click.echo(count)
    for handle in sorted(missing):
        complain("gearcore", str(unknown(target, handle)))
    if missing:
        sys.exit(1)


def unknown(target: Target, handle: str) -> click.ClickException:
    """The error for a handle that nobody knows."""
    return click.ClickException(f"no such dead letter: {handle!r} on {' or '.join(map(str, target.servers))}")
