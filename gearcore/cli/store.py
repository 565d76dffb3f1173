"""``gearcore store``: take jobs over from gearmand's persistent queues."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import click

from gearcore.cli._servers import Target, server_options
from gearcore.client import Submission
from gearcore.protocol import Priority
from gearcore.store.gearmand import KeptJob, read_jobs

__all__ = ["store"]

PRIORITIES = (Priority.HIGH, Priority.NORMAL, Priority.LOW)
"""gearmand's priorities, by their number."""


@click.group()
def store() -> None:
    """Look after durable queues."""


@store.command("import")
@click.argument("source")
@click.option("--table", metavar="NAME", help="The table, if it has not gearmand's default name.")
@click.option("--prefix", metavar="TEXT", help="What Redis keys begin with.  [default: _gear_]")
@server_options
def import_(target: Target, source: str, table: str | None, prefix: str | None) -> None:
    """Submit the jobs of a gearmand's persistent queue to a server.

    SOURCE is sqlite:PATH for libsqlite3, or postgresql://USER@HOST/DATABASE, mysql://USER:PASSWORD@HOST/DATABASE,
    redis://HOST:PORT. Stop gearmand first. Each job is there for good when the server has acknowledged it, if
    that has a store; nothing is removed from the source.
    """
    count = 0
    with target.client() as client, closing(read_jobs(source, table, prefix)) as jobs:
        for _ in client.submit_many(submissions(jobs), background=True):
            count += 1
    click.echo(f"{count} jobs")


def submissions(jobs: Iterator[KeptJob]) -> Iterator[Submission]:
    """Make submissions of kept jobs. On the wire a delayed job is always of normal priority."""
    now = time.time()
    for job in jobs:
        delayed = job.unix_time > now
        yield Submission(
            job.function,
            job.workload,
            job.unique or None,
            priority=Priority.NORMAL if delayed else PRIORITIES[min(max(job.priority, 0), 2)],
            at=job.unix_time if delayed else None,
            encoding="bytes",
        )
