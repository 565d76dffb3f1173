"""The command ``gearcore``: one module for each subcommand. ``gearcored`` has its own, and its own entry."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from gearcore._version import __version__
from gearcore.cli._common import one_line_errors
from gearcore.cli.bench import bench
from gearcore.cli.completion import completion
from gearcore.cli.dead import dead
from gearcore.cli.demo import demo
from gearcore.cli.listings import info, jobs, status, workers
from gearcore.cli.manage import cancel, create_function, drop_function, maxqueue, shutdown
from gearcore.cli.ping import ping
from gearcore.cli.run import run
from gearcore.cli.server import server
from gearcore.cli.store import store
from gearcore.cli.submit import submit
from gearcore.cli.top import top
from gearcore.cli.worker import worker

__all__ = ["gearcore", "main"]


@click.group(no_args_is_help=False)
@click.version_option(__version__, prog_name="gearcore", message="%(prog)s %(version)s")
def gearcore() -> None:
    """Run a Gearman job server, send jobs to one, work for it, and look after it."""


for command in (
    server,
    demo,
    submit,
    worker,
    run,
    bench,
    status,
    workers,
    jobs,
    info,
    ping,
    cancel,
    dead,
    store,
    maxqueue,
    create_function,
    drop_function,
    shutdown,
    top,
    completion,
):
    gearcore.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``gearcore`` with the arguments of the command line."""
    with one_line_errors("gearcore"):
        # Not standalone: click itself would print an error as three lines.
        sys.exit(gearcore.main(arguments, prog_name="gearcore", standalone_mode=False))
