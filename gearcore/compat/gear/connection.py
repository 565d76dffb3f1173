"""A connection to one server: packets out and in, echoes, and admin commands."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from gearcore._blocking import Connection as Stream
from gearcore._blocking import Deadline, Waker
from gearcore._connecting import connect
from gearcore._waiting import WRITE, wait_for
from gearcore.address import Address
from gearcore.codec import Parser
from gearcore.compat.gear import constants, errors
from gearcore.compat.gear.jobs import convert_to_bytes
from gearcore.compat.gear.packet import Packet
from gearcore.compat.gear.requests import AdminRequest
from gearcore.compat.gear.tasks import RelatedJobs, Task
from gearcore.errors import ConnectionLost, GearcoreError, ProtocolError
from gearcore.protocol import DEFAULT_PORT
from gearcore.tls import ClientTls

if TYPE_CHECKING:
    from gearcore.compat.gear.pump import Pump

__all__ = ["Connection"]

_CONNECT_TIMEOUT: Final = 5.0
"""Seconds that a connection may take."""


class _Incoming:
    """What comes over one socket: a connection that ends and is made anew has another."""

    def __init__(self, stream: Stream, received: deque[Packet]) -> None:
        self.stream = stream
        self.parser = Parser()
        self.received = received


class Connection:
    """A connection to the server at ``host`` and ``port``.

    It is by TLS when the three files are given: the server must show a certificate of an authority in
    ``ssl_ca``; whose name is in it does not matter. With ``keepalive`` the system asks a silent server after
    ``tcp_keepidle`` seconds whether it is there, up to ``tcp_keepcnt`` times every ``tcp_keepintvl`` seconds;
    without, after a minute, three times every 20 seconds. ``client_id`` is for the log.

    ``related_jobs`` are the jobs by their handles, ``pending_tasks`` what the server owes an answer to, in
    its order, ``options`` what it has confirmed. ``state`` is what a worker does with the connection: INIT,
    IDLE, GRAB_WAIT or SLEEP, since ``state_time``.
    """

    def __init__(
        self,
        host: str,
        port: int | str,
        ssl_key: str | None = None,
        ssl_cert: str | None = None,
        ssl_ca: str | None = None,
        client_id: Any = "unknown",
        keepalive: bool = False,
        tcp_keepidle: int = 7200,
        tcp_keepintvl: int = 75,
        tcp_keepcnt: int = 9,
    ) -> None:
        self.log = logging.getLogger(f"gear.Connection.{client_id}")
        self.host = host
        self.port = port
        self.ssl_key = ssl_key
        self.ssl_cert = ssl_cert
        self.ssl_ca = ssl_ca
        self.keepalive = keepalive
        self.tcp_keepidle = tcp_keepidle
        self.tcp_keepintvl = tcp_keepintvl
        self.tcp_keepcnt = tcp_keepcnt
        files = (ssl_key, ssl_cert, ssl_ca)
        self.use_ssl = all(files)
        if any(files) and not self.use_ssl:
            self.log.warning("%s is not by TLS: that takes ssl_key, ssl_cert and ssl_ca", self)
        # Packets of a connection are sent one after the other, with what is noted of them.
        self.send_lock = threading.RLock()
        self._stream_lock = threading.Lock()
        self._pump: Pump | None = None
        self._admin_answered: Callable[[AdminRequest], object] | None = None
        self._incoming: _Incoming | None = None
        self._waker: Waker | None = None
        self._changed = threading.Condition()
        self._reset()

    def _reset(self) -> None:
        self.conn: socket.socket | None = None
        self.connected = False
        self.connect_time: float | None = None
        self.related_jobs = RelatedJobs()
        self.pending_tasks: list[Task] = []
        self.admin_requests: list[AdminRequest] = []
        self.options: set[bytes] = set()
        self._echoes: list[tuple[bytes, Task]] = []
        self._received: deque[Packet] = deque()
        self.changeState("INIT")

    def changeState(self, state: str) -> None:
        """Note what a worker does with the connection."""
        self.state = state
        self.state_time = time.time()

    def connect(self) -> None:
        """Connect. Raises ConnectionError, which says why not."""
        waker = Waker()
        self._waker = waker
        try:
            self.conn, stream = self._open(Deadline(_CONNECT_TIMEOUT), waker)
        except (GearcoreError, ValueError) as error:
            self._waker = None
            waker.close()
            raise errors.ConnectionError(f"Unable to open socket: {error}") from error
        self._incoming = _Incoming(stream, self._received)
        self.connected = True
        self.connect_time = time.time()

    def _open(self, deadline: Deadline, waker: Waker) -> tuple[socket.socket, Stream]:
        address = Address(self.host or "localhost", int(self.port or DEFAULT_PORT))
        sock = connect(address, deadline, waker, self._context() if self.use_ssl else None)
        if self.keepalive:
            for name, value in (
                ("TCP_KEEPIDLE", self.tcp_keepidle),
                ("TCP_KEEPINTVL", self.tcp_keepintvl),
                ("TCP_KEEPCNT", self.tcp_keepcnt),
            ):
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return sock, Stream(address, sock, waker)

    def _context(self) -> ssl.SSLContext:
        context = ClientTls(ca=self.ssl_ca, certificate=self.ssl_cert, key=self.ssl_key).client_context()
        context.check_hostname = False  # as in gear, whose servers are known by their authority alone
        return context

    def give_up(self) -> None:
        """End an attempt to connect that another thread makes."""
        waker = self._waker
        if waker is not None:
            waker.wake()

    def disconnect(self) -> None:
        """Close the connection, and forget all that was noted of it."""
        incoming, self._incoming = self._incoming, None
        waker, self._waker = self._waker, None
        tasks, echoes = self.pending_tasks, self._echoes
        self._reset()
        for task in (*tasks, *(task for _, task in echoes)):
            task.setComplete()
        if incoming is not None:
            if self._pump is not None:
                self._pump.drop(incoming.stream)
            else:
                incoming.stream.close()
        if waker is not None:
            waker.close()
        self._tell()

    def reconnect(self) -> None:
        """Close the connection and open another."""
        self.disconnect()
        self.connect()

    def sendRaw(self, data: bytes | bytearray) -> None:
        """Send bytes as they are, and wait until the system has taken them.

        Raises an OSError when the connection has ended.
        """
        with self.send_lock:
            stream = self._connected().stream
            with self._stream_lock:
                stream.send(data)
            while stream.unsent:
                try:
                    wait_for(stream.fileno(), stream.interest | WRITE, 1.0)
                except ValueError:  # it was closed meanwhile
                    raise ConnectionLost(f"{self} ended while something was sent") from None
                with self._stream_lock:
                    stream.send()

    def sendPacket(self, packet: Packet) -> None:
        """Send a packet."""
        self.sendRaw(packet.toBinary())

    def readPacket(self) -> Packet | None:
        """Wait for a packet; None when the server has closed the connection.

        Not for the connections of a client or worker, which reads them itself.
        """
        while not self._received:
            try:
                stream = self._connected().stream
                if not stream.ready:
                    stream.wait(Deadline(None))
                self.fill()
            except (ConnectionLost, ProtocolError) as error:
                if not self._received:
                    self.log.info("%s ended: %s", self, error)
                    return None
        return self._received.popleft()

    def hasPendingData(self) -> bool:
        """Whether something has come that ``readPacket`` has not given."""
        return bool(self._received) or (self._incoming is not None and self._incoming.parser.buffered > 0)

    def next_packet(self) -> Packet | None:
        """The next of the packets that have come."""
        return self._received.popleft() if self._received else None

    def fill(self) -> None:
        """Take what has come. Raises ConnectionLost or ProtocolError; what came before them is there."""
        incoming = self._connected()  # another thread may connect anew meanwhile
        stream = incoming.stream
        while True:
            with self._stream_lock:
                data = stream.receive()
            if not data:
                return
            self._take(data, incoming)
            if not stream.readable:
                return

    def _take(self, data: Any, incoming: _Incoming) -> None:
        received = incoming.received
        while True:
            try:
                found = incoming.parser.feed(data)
            except ProtocolError as error:
                received.extend(Packet.received(packet, self) for packet in error.packets)
                if not error.recoverable:
                    raise
                self.log.error("%s: %s", self, error)
                data = b""
            else:
                received.extend(Packet.received(packet, self) for packet in found)  # type: ignore[arg-type]
                return

    def sendAdminRequest(self, request: AdminRequest, timeout: float | None = 90) -> None:
        """Give an admin command, on a connection of its own, and wait for the answer, which the request has.

        ``timeout`` is in seconds, None for no limit. Raises TimeoutError, and ConnectionError when there is
        no connection to be had, or when it ends first.
        """
        deadline = Deadline(timeout)
        requests = self.admin_requests
        requests.append(request)
        waker = Waker()
        try:
            _, stream = self._open(deadline.sooner(_CONNECT_TIMEOUT), waker)
            try:
                self._ask(stream, request, deadline)
            finally:
                stream.close()
        except GearcoreError as error:
            raise errors.ConnectionError(f"{request!r}: {error}") from error
        finally:
            requests.remove(request)
            waker.close()
        if self._admin_answered is None:
            request.setComplete()
        else:
            self._admin_answered(request)

    def _ask(self, stream: Stream, request: AdminRequest, deadline: Deadline) -> None:
        stream.send(request.getCommand())
        came = b""
        while not request.isComplete(came)[0]:
            if deadline.expired:
                raise errors.TimeoutError(
                    f"waited {deadline.seconds:g} s for the answer to {request!r} from {self}"
                )
            stream.wait(deadline)
            stream.send()
            came += bytes(memoryview(stream.receive()))

    def echo(self, data: Any = None, timeout: float | None = 30) -> bytes:
        """Have the server send bytes back, random ones by default, and return them.

        ``timeout`` is in seconds, None for no limit. Raises TimeoutError, and ConnectionError when the
        connection ends first.
        """
        wanted = uuid.uuid4().hex.encode() if data is None else bytes(convert_to_bytes(data))
        task = Task()
        self._echoes.append((wanted, task))
        echoes = self._echoes
        self.sendEchoReq(wanted)
        if not self.wait(lambda: task.ended, timeout):
            if (wanted, task) in echoes:
                echoes.remove((wanted, task))
            raise errors.TimeoutError(f"waited {timeout:g} s for an echo from {self}")
        if (wanted, task) in echoes:
            raise errors.ConnectionError(f"{self} ended, and the echo had not come")
        return wanted

    def sendEchoReq(self, data: bytes) -> None:
        """Ask the server to send bytes back."""
        self.sendPacket(Packet(constants.REQ, constants.ECHO_REQ, data))

    def handleEchoRes(self, data: bytes) -> None:
        """The server sent bytes back."""
        for echo in self._echoes:
            if echo[0] == data:
                self._echoes.remove(echo)
                echo[1].setComplete()
                self._tell()
                return

    def handleOptionRes(self, option: bytes) -> None:
        """The server confirmed an option."""
        self.options.add(option)

    def wait(self, done: Callable[[], bool], seconds: float | None) -> bool:
        """Wait until ``done``, for so many seconds; returns whether it was."""
        if self._pump is not None:
            return self._pump.wait(done, seconds)
        with self._changed:
            return self._changed.wait_for(done, seconds)

    def attach(self, pump: Pump, admin_answered: Callable[[AdminRequest], object]) -> None:
        """Have somebody else read what comes from now on, and be told when an admin command is answered."""
        self._pump = pump
        self._admin_answered = admin_answered
        pump.add(self._connected().stream, self)

    def _tell(self) -> None:
        if self._pump is not None:
            self._pump.poke()
        else:
            with self._changed:
                self._changed.notify_all()

    def _connected(self) -> _Incoming:
        incoming = self._incoming
        if incoming is None:
            raise ConnectionLost(f"{self} is not connected")
        return incoming

    def __repr__(self) -> str:
        return f"<gear.Connection 0x{id(self):x} host: {self.host} port: {self.port}>"
