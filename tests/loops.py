"""The event loops that a server may find itself in."""

import asyncio
from functools import partial

import pytest

from gearcore.server.loop import HAS_DIRECT_SOCKETS, new_event_loop

needs_direct_sockets = pytest.mark.skipif(
    not HAS_DIRECT_SOCKETS, reason="this system has no direct sockets: they stand on epoll"
)

LOOPS = pytest.mark.parametrize(
    "factory",
    [
        pytest.param(asyncio.new_event_loop, id="asyncio"),
        pytest.param(partial(new_event_loop, False), id="uvloop"),
        pytest.param(partial(new_event_loop, True), id="direct", marks=needs_direct_sockets),
    ],
)
