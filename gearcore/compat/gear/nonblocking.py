"""A connection that waits for nothing: for programs that wait for its socket by themselves."""

from __future__ import annotations

from gearcore.compat.gear.connection import Connection
from gearcore.compat.gear.errors import RetryIOError
from gearcore.compat.gear.packet import Packet
from gearcore.errors import ConnectionLost, ProtocolError

__all__ = ["NonBlockingConnection"]


class NonBlockingConnection(Connection):
    """A connection whose socket, ``conn``, the program waits for: to read, and to write while it is told to.

    Not for the connections of a client or worker. For the arguments see `Connection`; ``connect()`` waits.
    """

    def readPacket(self) -> Packet | None:
        """A packet, or None when the server has closed the connection.

        Raises RetryIOError when there is none: to be called again when the socket can be read, not before.
        """
        if not self._received:
            try:
                self.fill()
            except (ConnectionLost, ProtocolError) as error:
                if not self._received:
                    self.log.info("%s ended: %s", self, error)
                    return None
        if not self._received:
            raise RetryIOError
        return self._received.popleft()

    def sendRaw(self, data: bytes | bytearray) -> None:
        """Send bytes after those that wait, as far as the system takes them: see ``sendQueuedData``.

        Raises an OSError when the connection has ended.
        """
        self._send_what_can_be(bytes(data))

    def sendQueuedData(self) -> None:
        """Send what waits, as far as the system takes it: to be called when the socket can be written."""
        self._send_what_can_be(b"")

    @property
    def send_queue(self) -> list[memoryview]:
        """What waits to be sent. To change the list changes nothing."""
        return [] if self._incoming is None else list(self._incoming.stream._unsent)

    def _send_what_can_be(self, data: bytes) -> None:
        with self.send_lock:
            stream = self._connected().stream
            with self._stream_lock:
                stream.send(data)
