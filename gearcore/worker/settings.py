"""What a worker was made with, blocking or not."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from gearcore.address import ServerAddress
from gearcore.session.crew import Lane
from gearcore.tls import ClientTls, client_context
from gearcore.worker.functions import Function

__all__ = ["Settings", "make_lanes", "make_settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker was made with, as far as its engine needs it."""

    servers: tuple[ServerAddress, ...]
    client_id: bytes | None
    timeout: float
    connect_timeout: float
    tls: ssl.SSLContext | None
    prefetch: int
    grace: float
    namespace_size: int


def make_settings(
    servers: tuple[ServerAddress, ...],
    *,
    client_id: str | None,
    timeout: float,
    connect_timeout: float,
    tls: ssl.SSLContext | ClientTls | None,
    prefetch: int,
    grace: float,
    namespace: bytes,
) -> Settings:
    """Check what a worker is made with. Raises ValueError."""
    if client_id is not None and (" " in client_id or not client_id.isprintable()):
        raise ValueError(f"client_id {client_id!r} has a space or a character that cannot be shown")
    if prefetch < 0:
        raise ValueError(f"prefetch must be at least 0, and is {prefetch}")
    return Settings(
        servers,
        None if client_id is None else client_id.encode(),
        timeout,
        connect_timeout,
        client_context(tls),
        prefetch,
        grace,
        len(namespace),
    )


def make_lanes(functions: Mapping[bytes, Function]) -> list[Lane]:
    """Functions with a limit of their own get lanes of their own; the others share one."""
    shared = tuple(f.name for f in functions.values() if f.concurrency is None)
    limited = [Lane((f.name,), f.concurrency) for f in functions.values() if f.concurrency is not None]
    return ([Lane(shared)] if shared else []) + limited
