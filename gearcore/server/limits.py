"""How much a server takes from its peers before it says no."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field

from gearcore.protocol import DEFAULT_MAX_PACKET_SIZE

__all__ = ["Keepalive", "Limits"]

SPARE_DESCRIPTORS = 64
"""File descriptors that are left for listeners, logs and stores."""


def default_memory() -> int:
    """Half of the machine's memory, in bytes; 4 GiB where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return 4 << 30


def default_connections() -> int:
    """As many as the process may have file descriptors, less a few."""
    if sys.platform == "win32":
        return 10_000
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else max(soft - SPARE_DESCRIPTORS, 16)


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a server. Whoever hits one is told, by an ERROR packet or a line in the log.

    ``packet`` bounds a packet's body, in bytes: a larger one is refused, and the connection goes on.

    ``output`` bounds what one peer leaves unread, in bytes, without the last packet: a peer that stops to
    read is cut off, and its jobs are kept.

    ``memory`` bounds the bytes that jobs, functions, workers' offers and unfinished packets take together:
    beyond it submissions and offers are refused, and nothing that is queued is touched. Half of the
    machine's memory by default.

    ``functions`` bounds their number.

    ``connections`` bounds their number: more are closed when they are made. By default it is what the
    limit of file descriptors allows.
    """

    packet: int = DEFAULT_MAX_PACKET_SIZE
    output: int = 128 << 20
    memory: int = field(default_factory=default_memory)
    functions: int = 1_000_000
    connections: int = field(default_factory=default_connections)


@dataclass(frozen=True, slots=True)
class Keepalive:
    """When the system finds out that a peer is gone which never said so, and its jobs go back to the queue.

    After ``idle`` seconds of silence it asks every ``interval`` seconds, and gives up after ``count`` asks
    without an answer: two minutes by default. -1 leaves one to the system, which commonly means two hours.
    """

    idle: int = 60
    interval: int = 20
    count: int = 3
