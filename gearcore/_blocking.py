"""A connection to a job server over a blocking socket: what the blocking client and worker share.

It moves bytes and waits; what the bytes mean is the session's affair.
"""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from gearcore._connecting import connect, explain
from gearcore._waiting import READ, WRITE, Deadline, Vigil, Waker, make_poll
from gearcore.address import ServerAddress
from gearcore.errors import ConnectionLost

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Connection", "Deadline", "Waker", "Watch"]

_RECEIVE_SIZE: Final = 256 * 1024

_JUST_NOW: Final = 0.0001
"""Seconds for which a connection is taken to live on when something was heard of it: no more than a request
takes to get there, while it could end as well, and less than a server takes to end and start again."""

_MORE: Final = getattr(socket, "MSG_MORE", 0)


class Connection:
    """A connection to the job server at ``address``: TCP, TLS over it, or a Unix socket.

    ``waker``, if there is one, can end its waits. Only ``wait`` waits; ``send`` and ``receive`` do what can
    be done at once, and raise ConnectionLost when the connection has ended. ``heard`` is the time, of the
    monotonic clock, when something came last. While one thread waits another
    may send; apart from that they are not for several threads at a time. To wait for several connections see
    ``Watch``.
    """

    def __init__(self, address: ServerAddress, sock: socket.socket, waker: Waker | None = None) -> None:
        self.address = address
        self.heard = time.monotonic()
        self._socket = sock
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self._unsent: deque[memoryview] = deque()
        self._buffer = memoryview(bytearray(_RECEIVE_SIZE))
        # Of TLS, which at times must read before it can send: room in the socket is no help then.
        self._stalled = False
        self._waker = waker
        self._watch: Watch | None = None
        self._look = make_poll()
        self._look.register(sock.fileno(), READ)

    @classmethod
    def open(
        cls,
        address: ServerAddress,
        deadline: Deadline,
        waker: Waker | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Connection:
        """Connect to the first of the addresses behind ``address`` that answers, by TLS if there is ``tls``.

        A Unix socket is on this machine: it is plain in any case. Raises ServerUnavailable, which names the
        address and the cause, when no connection is made by the deadline, or when the waker is woken.
        """
        return cls(address, connect(address, deadline, waker, tls), waker)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    @property
    def unsent(self) -> bool:
        """Whether there is something that the system has not taken yet."""
        return bool(self._unsent)

    @property
    def interest(self) -> int:
        """What to wait for on the socket: ``READ``, or ``READ | WRITE`` while there is something unsent."""
        return READ | WRITE if self._unsent and not self._stalled else READ

    def send(self, data: Buffer = b"", more: bool = False) -> None:
        """Send this after all that was given before, as far as possible without waiting.

        What the system does not take at once is kept without a copy: it must not change. With ``more`` the
        system may wait for what is sent next, for a fifth of a second at most, and put both into one segment;
        ``push`` ends that.
        """
        if not self._unsent:
            if not data:
                return
            sent = self._try_to_send(data, _MORE if more and self._tls is None else 0)
            if type(data) is bytes and sent == len(data):
                return
            view = memoryview(data)
            if sent == len(view):
                return
            self._unsent.append(view[sent:])
            if not sent:
                return
        elif data:
            self._unsent.append(memoryview(data))
        while self._unsent:
            sent = self._try_to_send(self._unsent[0])
            if not sent:
                return
            if sent < len(self._unsent[0]):
                self._unsent[0] = self._unsent[0][sent:]
            else:
                self._unsent.popleft()

    def push(self) -> None:
        """Have the system send at once what it waited with: see ``send``."""
        if self._socket.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):  # whoever sends or receives next will hear of it
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self) -> Buffer:
        """What has come so far: nothing, or some bytes that are good until the next call.

        There is nothing left to receive when a call returned nothing; a TLS connection must be read until
        then before it is waited for.
        """
        self._stalled = False
        try:
            size = self._socket.recv_into(self._buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        except OSError as error:
            raise self._lost(explain(error)) from error
        if not size:
            raise self._lost("the server closed it")
        self.heard = time.monotonic()
        return self._buffer[:size]

    @property
    def ready(self) -> bool:
        """Whether there is something to receive, or the connection has ended. Cheaper than to try."""
        return bool(self._look.poll(0)) or self.readable

    @property
    def idle(self) -> bool:
        """Whether it lives on, with nothing to receive; it is taken to for a moment after something came."""
        return time.monotonic() < self.heard + _JUST_NOW or not self.ready

    @property
    def readable(self) -> bool:
        """Whether TLS has taken bytes off the socket already that ``receive`` will give."""
        return self._tls is not None and self._tls.pending() > 0

    def wait(self, deadline: Deadline) -> None:
        """Wait until there is something to receive, or room for what is unsent, or a wake, or it is time."""
        if self._watch is None:
            self._watch = Watch(self._waker)
            self._watch.add(self)
        self._watch.wait(deadline)

    def shut_down(self) -> None:
        """End the connection for every process that has it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection. What is unsent is dropped."""
        self._socket.close()

    def _try_to_send(self, data: Buffer, flags: int = 0) -> int:
        try:
            return self._socket.send(data, flags)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        except ssl.SSLWantReadError:
            self._stalled = True
            return 0
        except OSError as error:
            raise self._lost(explain(error)) from error

    def _lost(self, cause: str) -> ConnectionLost:
        return ConnectionLost(f"the connection to {self.address} ended: {cause}")


class Watch:
    """Waits for any of several connections. Whoever wakes the ``waker``, if there is one, ends the wait."""

    def __init__(self, waker: Waker | None = None) -> None:
        self._waker = waker
        self._poll = make_poll()
        if waker is not None:
            self._poll.register(waker.fileno(), READ)
        self._connections: dict[int, Connection] = {}
        # The same, which no other thread changes while one looks at them; and those with something unsent.
        self._members: tuple[tuple[int, Connection], ...] = ()
        self._sending: set[int] = set()
        self._vigil = Vigil()

    def add(self, connection: Connection) -> None:
        """Wait for this one too, until ``remove``."""
        number = connection.fileno()
        self._poll.register(number, READ)
        self._connections[number] = connection
        self._members = tuple(self._connections.items())
        self._sending.discard(number)

    def remove(self, connection: Connection) -> None:
        """Wait for this one no more. To be called before it is closed."""
        number = connection.fileno()
        self._poll.unregister(number)
        self._sending.discard(number)
        del self._connections[number]
        self._members = tuple(self._connections.items())

    def wait(self, deadline: Deadline, for_one: bool = False) -> list[Connection]:
        """Wait until one of the connections has something to receive, or room for what it has not sent, or
        has ended; or for a wake, or until it is time. Returns the connections that are ready.

        ``for_one`` says that one answer is due, no more: see ``Vigil``.
        """
        return self.wait_seconds(deadline.remaining(), for_one)

    def wait_seconds(self, seconds: float, for_one: bool = False) -> list[Connection]:
        """The same, for so many seconds."""
        ready: list[Connection] = []
        for number, connection in self._members:
            if connection._unsent or self._sending:
                self._wait_for_room(number, connection)
            if connection._tls is not None and connection.readable:
                ready.append(connection)
        timeout = 0 if ready else math.ceil(seconds * 1000)
        for number, _ in self._vigil.poll(self._poll, timeout) if for_one else self._poll.poll(timeout):
            found = self._connections.get(number)
            if found is None:
                assert self._waker is not None, "it is the only other thing that is waited for"
                self._waker.rest()
            elif found not in ready:
                ready.append(found)
        return ready

    def _wait_for_room(self, number: int, connection: Connection) -> None:
        interest = connection.interest
        if (interest != READ) != (number in self._sending):
            with contextlib.suppress(OSError):  # another thread has removed it
                self._poll.modify(number, interest)
                self._sending ^= {number}
