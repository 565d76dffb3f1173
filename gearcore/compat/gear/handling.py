"""Peers of gear's server whose packets pass a method of the program's before they reach gearcore's broker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from gearcore._broker import Broker, Connection, JobStatus
from gearcore.codec import Packet as WirePacket
from gearcore.codec import unpack_arguments
from gearcore.compat.gear.jobs import BinaryJob
from gearcore.compat.gear.packet import Packet
from gearcore.errors import ProtocolError
from gearcore.protocol import DEFAULT_MAX_PACKET_SIZE, HEADER_SIZE, REQUEST_MAGIC
from gearcore.server import Server
from gearcore.server.identity import Identity, identify
from gearcore.server.peer import PeerProtocol

__all__ = ["HandledPeer", "ServerConnection", "ServerJob", "jobs_of", "subject_of"]

log = logging.getLogger("gear.Server")

_NUL: Final = 0


def subject_of(peer: Identity) -> str | None:
    """The common name in a peer's certificate."""
    return peer.certificate[0] if peer.certificate else None


class ServerJob(BinaryJob):
    """A job of the server, as it was when somebody asked for it."""

    handle: bytes

    def __init__(self, handle: bytes, name: bytes, arguments: bytes, unique: bytes | None = None) -> None:
        super().__init__(name, arguments, unique)
        self.handle = handle


def jobs_of(broker: Broker, wanted: Callable[[JobStatus], bool] = lambda job: True) -> list[ServerJob]:
    """The jobs of a broker, or those that are wanted, each before those that came after it."""
    return [
        ServerJob(job.handle, job.function, broker.workload(job.handle) or b"", job.unique or None)
        for job in broker.jobs
        if wanted(job)
    ]


class ServerConnection:
    """A connection of the server: who is at its other end, and what that has said of itself.

    ``client_id`` and ``functions`` are as they were when somebody asked for the connection; in a method that
    handles a packet, as they were when it came.
    """

    def __init__(self, connection: Connection) -> None:
        peer = identify(connection.driver.transport)
        self.host = peer.address
        self.port = peer.port
        self.ssl_subject = subject_of(peer)
        self._connection = connection
        self.look()

    def look(self) -> None:
        """Note what the peer has said of itself so far."""
        self.client_id = self._connection.client_id
        self.functions = set(self._connection.functions)

    @property
    def related_jobs(self) -> dict[bytes, ServerJob]:
        """The server's jobs by their handles, where ``Packet.getJob`` looks for one."""
        return {job.handle: job for job in jobs_of(self._connection.broker)}

    def pass_on(self, data: bytes | bytearray) -> None:
        """Give bytes from the peer to the server. For the methods that handle a packet."""
        self._connection.receive(data, time.monotonic())

    def sendPacket(self, packet: Packet) -> None:
        """Send the peer a packet, after all that the server has sent. For the methods that handle one."""
        self.sendRaw(packet.toBinary())

    def sendRaw(self, data: bytes | bytearray) -> None:
        """Send the peer bytes in the same way."""
        peer = self._connection.driver
        peer.flush()
        peer.transport.write(data)

    def __repr__(self) -> str:
        shown = f"name: {self.client_id!r} host: {self.host} port: {self.port}"
        return f"<gear.ServerConnection 0x{id(self):x} {shown}>"


class HandledPeer(PeerProtocol):
    """A peer whose packets go to ``handle``, one at a time; admin commands go to the broker as they are.

    So does what is no packet that a peer may send, of which the broker tells it.
    """

    __slots__ = ("_came", "_handle", "_in_line", "_seen", "_through")

    def __init__(self, server: Server, handle: Callable[[Packet], object]) -> None:
        super().__init__(server)
        self._handle = handle
        self._came = bytearray()
        self._seen: ServerConnection | None = None
        self._in_line = False  # the broker has the beginning of an admin command
        self._through = False  # the place in the stream is lost: all that comes is the broker's

    def buffer_updated(self, nbytes: int) -> None:
        self._came += self._server.read_buffer[:nbytes]
        try:
            while self._came and self._take():
                pass
        except Exception:
            log.exception("peer %s is cut off: what it sent could not be handled", self.peer)
            self.transport.abort()
        self._server.flush_soon()

    def _take(self) -> bool:
        """Deal with what stands first; returns whether it was all there."""
        came = self._came
        if self._through:
            size = len(came)
        elif self._in_line or came[0] != _NUL:
            size = came.find(b"\n") + 1 or len(came)
            self._in_line = came[size - 1] != ord("\n")
        elif len(came) < HEADER_SIZE:
            return False
        else:
            size = HEADER_SIZE + int.from_bytes(came[8:HEADER_SIZE], "big")
            self._through = came[:4] != REQUEST_MAGIC or size > HEADER_SIZE + DEFAULT_MAX_PACKET_SIZE
            if self._through:
                return True
            if len(came) < size:
                return False
            if packet := self._packet(bytes(came[4:8]), bytes(came[HEADER_SIZE:size])):
                del came[:size]
                self._give(packet)
                return True
        data = bytes(came[:size])
        del came[:size]
        self.connection.receive(data, time.monotonic())
        return True

    def _packet(self, number: bytes, body: bytes) -> Packet | None:
        cmd = int.from_bytes(number, "big")
        try:
            found = WirePacket(cmd, unpack_arguments(cmd, body))
        except (ProtocolError, ValueError):
            return None
        if self._seen is None:
            self._seen = ServerConnection(self.connection)
        else:
            self._seen.look()
        connection: Any = self._seen  # in the place of a client's
        return Packet.received(found, connection)

    def _give(self, packet: Packet) -> None:
        try:
            self._handle(packet)
        except Exception:
            log.exception("Exception while handling %s of peer %s:", packet, self.peer)
