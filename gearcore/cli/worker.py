"""``gearcore worker``: run the worker that a module defines."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from functools import partial
from pathlib import Path

import click

import gearcore.aio
from gearcore.cli.logs import log_options, start_log
from gearcore.cli.reload import run_again_on_change, same_command_without
from gearcore.server.loop import new_event_loop

__all__ = ["worker"]


@click.command()
@click.argument("place", metavar="MODULE:OBJECT")
@click.option(
    "--threads", metavar="N", type=click.IntRange(min=1), help="Run so many jobs at a time, in threads."
)
@click.option(
    "--processes", metavar="N", type=click.IntRange(min=1), help="Run so many jobs at a time, in processes."
)
@click.option(
    "--max-jobs", metavar="N", type=click.IntRange(min=1), help="End after so many jobs. Default: never."
)
@click.option("--reload", is_flag=True, help="Start again when a Python file below this directory changes.")
@log_options
def worker(
    place: str,
    threads: int | None,
    processes: int | None,
    max_jobs: int | None,
    reload: bool,
    log_level: str,
    log_format: str,
) -> None:
    """Run the gearcore.Worker or gearcore.aio.Worker that MODULE has as OBJECT.

    The module is looked for in this directory first. OBJECT may also be a function that returns the worker.
    --threads and --processes stand for what the worker was made with; one of gearcore.aio has tasks instead.

    SIGTERM and SIGINT end it when the jobs that run have ended, and at once the second time.
    """
    if threads and processes:
        raise click.UsageError("a worker has threads or processes: not both --threads and --processes")
    start_log(log_level, log_format)
    if reload:
        sys.exit(run_again_on_change(same_command_without("--reload"), Path.cwd()))
    found = load(place)
    if isinstance(found, gearcore.aio.Worker):
        if threads or processes:
            raise click.UsageError(f"{place!r} is a worker of asyncio, which has no threads or processes")
        with asyncio.Runner(loop_factory=partial(new_event_loop, direct=False)) as runner:
            runner.run(found.run(max_jobs=max_jobs, install_signals=True))
        return
    if threads or processes:
        found.set_concurrency(threads=threads, processes=processes)
    found.run(max_jobs=max_jobs, install_signals=True)


def load(place: str) -> gearcore.Worker | gearcore.aio.Worker:
    """Import the worker at ``module:object``. What goes wrong inside of the module keeps its traceback."""
    name, colon, path = place.partition(":")
    if not (name and colon and path):
        raise click.UsageError(f"{place!r} does not look like module:object")
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise click.UsageError(f"there is no module {error.name!r}") from None
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise click.UsageError(f"module {name!r} has no {path!r}") from None
    made = found() if callable(found) else found
    if not isinstance(made, gearcore.Worker | gearcore.aio.Worker):
        raise click.UsageError(f"{place!r} is no gearcore.Worker, but of type {type(made).__name__}")
    return made
