"""One accepted socket: what comes in goes to the broker, what the broker has for it goes out."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Protocol, cast

from gearcore._broker import Connection
from gearcore.server.identity import identify
from gearcore.server.sockets import acknowledge_at_once

if TYPE_CHECKING:
    from gearcore.server.server import Server

__all__ = ["Peer", "PeerProtocol", "RefusedProtocol"]

log = logging.getLogger("gearcore.server")


class Peer(Protocol):
    """What the server needs to know of a peer, whatever protocol it speaks."""

    transport: asyncio.Transport
    closed: asyncio.Future[None]

    def flush(self) -> None:
        """Write what the broker has for this peer."""


class PeerProtocol(asyncio.BufferedProtocol):
    """Joins one transport to one `Connection` of the broker.

    All protocols of a server read into the same buffer, since the broker has taken what it needs when
    `buffer_updated` returns. Output stays in the broker while the transport cannot take more.
    """

    __slots__ = ("_paused", "_server", "closed", "connection", "peer", "transport")

    transport: asyncio.Transport
    connection: Connection
    closed: asyncio.Future[None]

    def __init__(self, server: Server) -> None:
        self._server = server
        self._paused = False
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.connection, identity = self._server.admit(self, transport)
        self.peer = str(identity)
        log.debug("peer %s connected", self.peer)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._server.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            if self.connection.receive(self._server.read_buffer[:nbytes], time.monotonic()):
                acknowledge_at_once(self.transport.get_extra_info("socket"))
        except Exception:
            log.exception("peer %s is cut off: what it sent could not be handled", self.peer)
            self.transport.abort()
        self._server.flush_soon()

    def flush(self) -> None:
        """Write what the broker has for this peer, all at once."""
        connection = self.connection
        closing = connection.closing
        if closing and connection.overflowed:
            log.warning("peer %s is cut off: it does not read what it is sent", self.peer)
            self.transport.abort()
            return
        if self._paused:
            return
        output = connection.take_output()
        if output:
            self.transport.write(output)
        if closing:
            self.transport.close()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.broker.disconnect(self.connection)
        self._server.peers.discard(self)
        self.closed.set_result(None)
        self._server.flush_soon()
        log.debug("peer %s disconnected%s", self.peer, f": {exc}" if exc else "")


class RefusedProtocol(asyncio.Protocol):
    """Closes a connection for which there is no room."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        log.warning("peer %s is refused: %d connections are open", identify(transport), self._limit)
        cast(asyncio.Transport, transport).abort()
