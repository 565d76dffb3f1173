"""``gearcore status``, ``workers``, ``jobs`` and ``info``: what a server is doing."""

from __future__ import annotations

from dataclasses import dataclass

import click

from gearcore.admin import AdminClient
from gearcore.cli._report import Listing, json_option, report
from gearcore.cli._servers import Target, server_options

__all__ = ["info", "jobs", "status", "workers"]

FUNCTIONS = Listing(
    "functions",
    ("FUNCTION", "JOBS", "RUNNING", "WORKERS"),
    lambda row: (row.function, row.jobs, row.running, row.workers),
    lambda row: f"{row.function}\t{row.jobs}\t{row.running}\t{row.workers}",
)
QUEUES = Listing(
    "functions",
    ("FUNCTION", "HIGH", "NORMAL", "LOW", "WORKERS"),
    lambda row: (row.function, row.high, row.normal, row.low, row.workers),
    lambda row: f"{row.function}\t{row.high}\t{row.normal}\t{row.low}\t{row.workers}",
)
PEERS = Listing(
    "workers",
    ("FD", "ADDRESS", "CLIENT ID", "FUNCTIONS"),
    lambda row: (row.descriptor, row.address, row.client_id, " ".join(row.functions)),
    lambda row: " ".join((f"{row.descriptor} {row.address} {row.client_id} :", *row.functions)),
)
JOBS = Listing(
    "jobs",
    ("HANDLE", "RETRIES", "IGNORED", "QUEUED"),
    lambda row: (row.handle, row.retries, yes_or_no(row.ignored), yes_or_no(row.queued)),
    lambda row: f"{row.handle}\t{row.retries}\t{row.ignored:d}\t{row.queued:d}",
)
UNIQUES = Listing("unique_jobs", ("UNIQUE",), lambda row: (row,), lambda row: row)


@dataclass(frozen=True)
class About:
    """What a server says of itself."""

    version: str
    pid: int
    log_level: str


ABOUT = Listing(
    None,
    ("VERSION", "PID", "LOG LEVEL"),
    lambda row: (row.version, str(row.pid), row.log_level),
    lambda row: f"{row.version}\t{row.pid}\t{row.log_level}",
)


def yes_or_no(value: bool) -> str:
    """A flag for a person."""
    return "yes" if value else "no"


@click.command()
@click.option("--priorities", is_flag=True, help="Show the queued jobs by priority instead.")
@server_options
@json_option
def status(target: Target, priorities: bool, as_json: bool) -> None:
    """Show the functions, with their jobs and workers.

    JOBS counts those that are queued and those that run, RUNNING the latter alone, and WORKERS who offers the
    function. To a pipe go the lines of 'gearadmin --status' or '--priority-status', without the dot.
    """
    if priorities:
        report(target, AdminClient.priority_status, QUEUES, as_json)
    else:
        report(target, AdminClient.status, FUNCTIONS, as_json)


@click.command()
@server_options
@json_option
def workers(target: Target, as_json: bool) -> None:
    """Show the connections, with the functions that they offer.

    Clients and this command itself are listed too: they offer none. To a pipe go the lines of
    'gearadmin --workers', without the dot.
    """
    report(target, AdminClient.workers, PEERS, as_json)


@click.command()
@click.option("--unique", is_flag=True, help="Show the unique ids of the jobs instead.")
@server_options
@json_option
def jobs(target: Target, unique: bool, as_json: bool) -> None:
    """Show the jobs, queued and running.

    RETRIES is how many workers left the job unfinished. A job that is IGNORED is of interest to nobody any
    more. QUEUED are background jobs, which outlive their client. To a pipe go the lines of
    'gearadmin --show-jobs' or '--show-unique-jobs', without the dot.
    """
    if unique:
        report(target, AdminClient.unique_jobs, UNIQUES, as_json)
    else:
        report(target, AdminClient.jobs, JOBS, as_json)


@click.command()
@server_options
@json_option
def info(target: Target, as_json: bool) -> None:
    """Show the version, the process id and the log level of a server."""
    report(
        target,
        lambda admin: [About(admin.version(), admin.getpid(), admin.verbose())],
        ABOUT,
        as_json,
    )
