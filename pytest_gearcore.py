"""Fixtures for pytest: a job server in the test's process, clients and workers. See ``docs/testing.md``.

pytest imports this in every environment that has gearcore, used or not. So gearcore itself, which has
extensions to load, is imported by the fixtures only, and this module is not part of its package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import gearcore.aio
    import gearcore.testing

__all__ = [
    "gearman_aio_client",
    "gearman_aio_worker",
    "gearman_client",
    "gearman_pair",
    "gearman_server",
    "gearman_server_options",
    "gearman_worker",
]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "gearman_server(**options): the arguments of the gearcore.Server that the test is run with"
    )


@pytest.fixture
def gearman_server_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The arguments of the server: those of the marker ``gearman_server``. To be overridden."""
    marker = request.node.get_closest_marker("gearman_server")
    return {} if marker is None else dict(marker.kwargs)


@pytest.fixture
def gearman_server(gearman_server_options: dict[str, Any]) -> Iterator[gearcore.Server]:
    """A job server in a thread of the test's process, on a free port of 127.0.0.1."""
    import gearcore

    with gearcore.Server(**{"port": 0, **gearman_server_options}) as server:
        yield server


@pytest.fixture
def gearman_client(gearman_server: gearcore.Server) -> Iterator[gearcore.Client]:
    """A client of the server."""
    import gearcore

    with gearcore.Client(gearman_server.addresses) as client:
        yield client


@pytest.fixture
def gearman_worker(gearman_server: gearcore.Server) -> Iterator[Callable[..., gearcore.Worker]]:
    """Call it with a ``gearcore.Worker``, or functions by name, to have them work for the server.

    Each runs in a thread until the end of the test, which fails if the worker did, or does not end. Further
    arguments are those of the ``gearcore.Worker`` that is made for functions.
    """
    from gearcore.testing import worker_in_thread

    with ExitStack() as stack:

        def run(worker: Any, **options: Any) -> gearcore.Worker:
            return stack.enter_context(worker_in_thread(gearman_server.addresses, worker, **options))

        yield run


@pytest.fixture
def gearman_aio_client(gearman_server: gearcore.Server) -> gearcore.aio.Client:
    """An asyncio client of the server, for an ``async with`` statement."""
    from gearcore import aio

    return aio.Client(gearman_server.addresses)


@pytest.fixture
def gearman_aio_worker(
    gearman_server: gearcore.Server,
) -> Callable[..., AbstractAsyncContextManager[gearcore.aio.Worker]]:
    """Call it with a ``gearcore.aio.Worker``, or functions by name, for an ``async with`` statement.

    Within, they work for the server, as a task. For the rest see ``gearman_worker``.
    """
    from gearcore.testing import worker_as_task

    return partial(worker_as_task, gearman_server.addresses)


@pytest.fixture
def gearman_pair() -> Iterator[gearcore.testing.Pair]:
    """A client and a worker in memory."""
    from gearcore.testing import Pair

    with Pair() as pair:
        yield pair
