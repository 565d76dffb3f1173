"""Peers whose sockets the server reads and writes itself, in C, past the event loop's transports.

They are those of plain listeners on Linux. To the rest of the server they look as all others do: a protocol,
`DirectPeer`, and a transport, `DirectTransport`, which the event loop does not know.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from gearcore._broker import Connection
from gearcore.server.loop import DirectEventLoop, DirectSockets
from gearcore.server.peer import PeerProtocol

if TYPE_CHECKING:
    from gearcore.server.server import Server

__all__ = ["Direct", "DirectAcceptor", "DirectPeer", "DirectTransport"]

log = logging.getLogger("gearcore.server")

ACCEPTED_AT_ONCE = 64
"""Connections that are accepted before anything else is looked at."""

PAUSE = 1.0
"""Seconds without a further attempt after a connection could not be accepted, for want of descriptors say."""


class Direct:
    """The direct sockets of one server, in the event loop that runs."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.sockets = DirectSockets(server.broker)
        self._loop = asyncio.get_running_loop()
        self._waits = isinstance(self._loop, DirectEventLoop) and self._loop.serve_while_waiting(
            self.sockets, self._after
        )
        if not self._waits:
            self._loop.add_reader(self.sockets.fileno(), self._turn)

    def close(self) -> None:
        """Leave the sockets alone."""
        if self._waits:
            cast(DirectEventLoop, self._loop).leave_alone()
        else:
            self._loop.remove_reader(self.sockets.fileno())

    def _turn(self) -> None:
        self._lose(self.sockets.serve(0))
        self._server.flush_soon()

    def _after(self, gone: list[tuple[Connection, Exception | None]]) -> None:
        self._lose(gone)
        self._server.flush()

    def flush(self) -> None:
        """Write what the broker has for the direct peers."""
        self._lose(self.sockets.write_all())

    def flush_one(self, connection: Connection) -> None:
        """Write what the broker has for one direct peer."""
        self._lose(self.sockets.write(connection))

    def _lose(self, gone: list[tuple[Connection, Exception | None]]) -> None:
        for connection, fault in gone:
            peer = connection.driver
            if fault is not None:
                log.error("peer %s is cut off: what it sent could not be handled", peer.peer, exc_info=fault)
            elif connection.overflowed:
                log.warning("peer %s is cut off: it does not read what it is sent", peer.peer)
            peer.transport.abort()


class DirectTransport(asyncio.Transport):
    """A socket of `Direct`, as far as the server asks for a transport."""

    def __init__(
        self, direct: Direct, sock: socket.socket, peername: Any, protocol: asyncio.BaseProtocol
    ) -> None:
        super().__init__({"socket": sock, "peername": peername})
        self._direct = direct
        self._socket = sock
        self._protocol = protocol
        self._connection: Connection | None = None
        protocol.connection_made(self)
        if isinstance(protocol, DirectPeer) and not self.is_closing():
            try:
                direct.sockets.add(protocol.connection, sock.fileno())
            except (OSError, MemoryError) as error:
                log.error("peer %s is cut off: %s", protocol.peer, error)
                self.abort()
            else:
                self._connection = protocol.connection

    def is_closing(self) -> bool:
        """Whether the socket is closed."""
        return self._socket.fileno() < 0

    def close(self) -> None:
        """Close the socket when what is there for the peer is written."""
        if self._connection is not None:
            self._direct.sockets.finish(self._connection)
            self._direct.flush_one(self._connection)

    def abort(self) -> None:
        """Close the socket now, and have the protocol told soon."""
        if self.is_closing():
            return
        if self._connection is not None:
            self._direct.sockets.remove(self._connection)
            self._connection = None
        self._socket.close()
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


class DirectPeer(PeerProtocol):
    """The protocol of a peer on a `DirectTransport`."""

    __slots__ = ("_direct",)

    def __init__(self, server: Server, direct: Direct) -> None:
        super().__init__(server)
        self._direct = direct

    def flush(self) -> None:
        """Write what the broker has for this peer."""
        if not self.transport.is_closing():
            self._direct.flush_one(self.connection)


class DirectAcceptor:
    """Accepts the connections of a listening socket, for direct peers."""

    def __init__(
        self, sock: socket.socket, direct: Direct, new_peer: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._socket = sock
        self._direct = direct
        self._new_peer = new_peer
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, peername = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("no connection is accepted for %g s: %s", PAUSE, error.strerror)
                self._loop.remove_reader(self._socket.fileno())
                self._loop.call_later(PAUSE, self._resume)
                return
            sock.setblocking(False)
            DirectTransport(self._direct, sock, peername, self._new_peer())

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
