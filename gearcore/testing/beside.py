"""Workers that run beside a test, in a thread or as a task, and end with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, Final

import gearcore.aio
from gearcore.address import Servers, parse_servers
from gearcore.worker import Worker

__all__ = ["worker_as_task", "worker_in_thread"]

PATIENCE: Final = 10.0
"""Seconds that a worker has to end after the test."""

Functions = Mapping[str, Callable[..., Any]]
"""Functions by their names."""


@contextmanager
def worker_in_thread(servers: Servers, worker: Worker | Functions, **options: Any) -> Iterator[Worker]:
    """Run a worker for these servers, in a thread, until the end of the ``with`` statement.

    ``worker`` is a ``gearcore.Worker``, which works for these servers instead of its own meanwhile, or the
    functions of a new one, by their names; ``options`` are then the arguments of ``gearcore.Worker``. At the
    end it is stopped and waited for. What its ``run`` raised is raised again, and RuntimeError when it does
    not end.
    """
    runnable = _make(Worker, servers, worker, options)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            runnable.run()
        except BaseException as error:
            failures.append(error)

    with _working_for(servers, runnable):
        thread = threading.Thread(target=run, name="gearcore worker under test", daemon=True)
        thread.start()
        try:
            yield runnable
        finally:
            if thread.is_alive():
                runnable.stop()
            thread.join(PATIENCE)
            late = thread.is_alive()
    if late:
        raise RuntimeError(
            f"a worker did not end within {PATIENCE:g} s: one of its functions does not return"
        )
    for error in failures:
        if isinstance(error, Exception):
            raise error
        # As it is, a KeyboardInterrupt would end all tests.
        raise RuntimeError(f"a worker was ended by {error!r}") from error


@asynccontextmanager
async def worker_as_task(
    servers: Servers, worker: gearcore.aio.Worker | Functions, **options: Any
) -> AsyncIterator[gearcore.aio.Worker]:
    """Run a ``gearcore.aio.Worker`` for these servers, as a task, until the end of the ``async with``.

    For the rest see ``worker_in_thread``.
    """
    runnable = _make(gearcore.aio.Worker, servers, worker, options)
    with _working_for(servers, runnable):
        task = asyncio.create_task(runnable.run())
        try:
            yield runnable
        finally:
            if not task.done():
                # One that has not begun to run yet is stopped when it does.
                runnable.stop()
            await asyncio.wait([task], timeout=PATIENCE)
            late = not task.done()
            if late:
                task.cancel()
                await asyncio.wait([task])
    if late:
        raise RuntimeError(
            f"a worker did not end within {PATIENCE:g} s: one of its functions does not return"
        )
    task.result()


def _make(kind: Any, servers: Servers, worker: Any, options: Mapping[str, Any]) -> Any:
    if isinstance(worker, Mapping):
        made = kind(servers, **options)
        for name, function in worker.items():
            made.register(name, function)
        return made
    if not isinstance(worker, kind):
        raise TypeError(f"a {kind.__module__}.{kind.__name__} or functions by name, not {worker!r}")
    if options:
        raise TypeError(f"{', '.join(options)}: a worker that is there has its options already")
    return worker


@contextmanager
def _working_for(servers: Servers, worker: Any) -> Iterator[None]:
    """Have the worker work for these servers, whatever its own are."""
    before = worker._settings
    worker._settings = replace(before, servers=parse_servers(servers))
    try:
        yield
    finally:
        worker._settings = before
