"""Options of accepted sockets."""

from __future__ import annotations

import socket
from functools import cache

from gearcore.server.limits import Keepalive

__all__ = ["acknowledge_at_once", "configure"]

KEEPALIVE_OPTIONS = {
    "idle": ("TCP_KEEPIDLE", "TCP_KEEPALIVE"),
    "interval": ("TCP_KEEPINTVL",),
    "count": ("TCP_KEEPCNT",),
}
"""Their names on the systems that have them; macOS has one of its own for the first."""

MOST = {"idle": 32767, "interval": 32767, "count": 127}
"""The largest values that Linux takes. None takes 0."""


def configure(sock: socket.socket, keepalive: Keepalive) -> None:
    """Have an accepted TCP socket send at once, and find out when its peer is gone."""
    for level, option, value in options_for(keepalive):
        sock.setsockopt(level, option, value)


@cache
def options_for(keepalive: Keepalive) -> list[tuple[int, int, int]]:
    """Return level, number and value of each option that this system knows."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for field, names in KEEPALIVE_OPTIONS.items():
        value = getattr(keepalive, field)
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if value >= 0 and option is not None:
            options.append((socket.IPPROTO_TCP, option, min(max(value, 1), MOST[field])))
    unacknowledged = getattr(socket, "TCP_USER_TIMEOUT", None)
    if unacknowledged is not None and min(keepalive.idle, keepalive.interval, keepalive.count) > 0:
        # a peer that vanished while something was on its way to it is found out in the same time
        milliseconds = 1000 * (keepalive.idle + keepalive.interval * keepalive.count)
        options.append((socket.IPPROTO_TCP, unacknowledged, min(milliseconds, 2**31 - 1)))
    return options


def acknowledge_at_once(sock: socket.socket) -> None:
    """Have what was received acknowledged now; where the system can, which forgets it after a while.

    A peer with a small send buffer, and libgearman's is 32 KB, waits for the acknowledgement before it sends
    the rest of a large packet: 40 ms each time, if the system waits for an answer to carry it.
    """
    option = getattr(socket, "TCP_QUICKACK", None)
    if option is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, option, 1)
