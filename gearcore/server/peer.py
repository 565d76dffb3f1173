"""One accepted socket: what comes in goes to the broker, what the broker has for it goes out."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from gearcore._broker import Connection
from gearcore.server.sockets import configure

if TYPE_CHECKING:
    from gearcore.server.server import Server

__all__ = ["PeerProtocol", "RefusedProtocol"]

log = logging.getLogger("gearcore.server")


class PeerProtocol(asyncio.BufferedProtocol):
    """Joins one transport to one `Connection` of the broker.

    All protocols of a server read into the same buffer, since the broker has taken what it needs when
    `buffer_updated` returns. Output stays in the broker while the transport cannot take more.
    """

    __slots__ = ("_loop", "_paused", "_server", "closed", "connection", "peer", "transport")

    transport: asyncio.Transport
    connection: Connection
    closed: asyncio.Future[None]

    def __init__(self, server: Server) -> None:
        self._server = server
        self._paused = False
        self._loop = asyncio.get_running_loop()
        self.closed = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        configure(sock, self._server.keepalive)
        self.peer = peer_name(transport)
        self.connection = self._server.broker.connect(self.peer.rpartition(":")[0], sock.fileno())
        self.connection.driver = self
        self._server.peers.add(self)
        log.debug("peer %s connected", self.peer)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._server.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self.connection.receive(self._server.read_buffer[:nbytes], self._loop.time())
        except Exception:
            log.exception("peer %s is cut off: what it sent could not be handled", self.peer)
            self.transport.abort()
        self._server.flush_soon()

    def flush(self) -> None:
        """Write what the broker has for this peer, all at once."""
        if self.connection.overflowed:
            log.warning("peer %s is cut off: it does not read what it is sent", self.peer)
            self.transport.abort()
            return
        if self._paused:
            return
        output = self.connection.take_output()
        if output:
            self.transport.write(output)
        if self.connection.closing:
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
        log.warning("peer %s is refused: %d connections are open", peer_name(transport), self._limit)
        cast(asyncio.Transport, transport).abort()


def peer_name(transport: asyncio.BaseTransport) -> str:
    """The address and port at the other end, for the log."""
    host, port, *_ = transport.get_extra_info("peername") or ("-", 0)
    return f"{host}:{port}"
