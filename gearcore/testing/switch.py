"""A broker without sockets: what sessions have to send goes in, and what it says to them comes out."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final, Protocol, cast

from gearcore.broker import Admin, Broker, Connection

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["NAME", "Peer", "Switch"]

NAME: Final = "memory"
"""What stands for the server's address."""

_STEP: Final = 0.001
"""Seconds that time moves on at least when it is to come to a deadline: floats may fall just short of it."""


class Peer(Protocol):
    """One end of a connection to the broker."""

    def data_to_send(self) -> bytes:
        """What to send now; it is given once."""

    def receive(self, data: Buffer) -> None:
        """Take bytes from the broker."""

    def lost(self, cause: str) -> None:
        """The broker has closed the connection."""


class Switch:
    """Carries packets between peers and a broker, in the thread that calls.

    Time stands still: ``now`` counts the seconds that were passed, on top of the Unix time at the start.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._start = float(math.ceil(time.time()))
        self.broker = Broker(Admin(), handle_prefix=f"H:{NAME}")
        self.broker.tick(self.now, self._start)

    @property
    def unix_time(self) -> float:
        """The time of day, in seconds since 1970."""
        return self._start + self.now

    @property
    def deadline(self) -> float:
        """When the broker has something to do by itself."""
        deadline = self.broker.deadline
        return math.inf if deadline is None else deadline

    def moment(self, unix_time: float) -> float:
        """The time of day as ``now`` counts it."""
        return unix_time - self._start

    def connect(self, peer: Peer) -> Connection:
        """Connect a peer to the broker, until ``disconnect``."""
        connection = self.broker.connect(NAME)
        connection.driver = peer
        return connection

    def disconnect(self, connection: Connection) -> None:
        """End a connection."""
        self.broker.disconnect(connection)

    def exchange(self) -> None:
        """Carry packets until nobody has any to send."""
        while True:
            for connection in self.broker.connections:
                while data := cast(Peer, connection.driver).data_to_send():
                    connection.receive(data, self.now)
            ready = self.broker.drain()
            if not ready:
                return
            for connection in ready:
                peer: Peer = connection.driver
                output = connection.take_output()
                if output:
                    peer.receive(output)
                if connection.closing:
                    self.broker.disconnect(connection)
                    peer.lost("the server closed it")

    def move(self, target: float) -> None:
        """Have it be that time, or a little later if it is that already."""
        self.now = max(target, self.now + _STEP)
        self.broker.tick(self.now, self.unix_time)
        self.exchange()
