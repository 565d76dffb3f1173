"""A connection to a job server over a blocking socket: what the blocking client and worker share.

It moves bytes and waits; what the bytes mean is the session's affair.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import selectors
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from gearcore.errors import ConnectionLost, ServerUnavailable
from gearcore.protocol import DEFAULT_PORT

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Address", "Connection", "Deadline", "Waker", "explain", "parse_address"]

_RECEIVE_SIZE: Final = 256 * 1024

_LONGEST_WAIT: Final = 86400.0
"""Seconds of one wait at most. What the system calls take has a limit; who waits longer waits again."""

_IN_PROGRESS: Final = {
    errno.EINPROGRESS,
    errno.EWOULDBLOCK,
    getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK),
}

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 3}
"""Seconds, seconds (the name that macOS has for the first), seconds, and probes."""


class Address(NamedTuple):
    """Where a job server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(server: str | tuple[str, int]) -> Address:
    """The address that ``"host:port"``, ``"host"``, ``"[IPv6]:port"``, ``"IPv6"`` or ``(host, port)`` means.

    Without a port it is 4730. Raises ValueError for what is none of these, or a port outside 1 to 65535.
    """
    port: str | int
    if not isinstance(server, str):
        host, port = server
    elif server.startswith("["):
        host, bracket, rest = server[1:].partition("]")
        separator, port = rest[:1], rest[1:] or DEFAULT_PORT
        if not bracket or separator not in ("", ":"):
            raise ValueError(
                f"{server!r} is not the address of a server: an IPv6 one looks like '[::1]:4730'"
            )
    elif server.count(":") > 1:
        host, port = server, DEFAULT_PORT
    else:
        host, _, digits = server.partition(":")
        port = digits or DEFAULT_PORT
    try:
        number = int(port)
    except ValueError:
        number = 0
    if not host or not 0 < number < 65536:
        raise ValueError(f"{server!r} is not the address of a server, which looks like '127.0.0.1:4730'")
    return Address(host, number)


class Deadline:
    """When a call gives up. One deadline goes for all that the call waits for.

    ``seconds`` from now, or never for None. What is below 0 is as 0: do what can be done without waiting.
    """

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self.seconds = math.inf if seconds is None else max(seconds, 0.0)
        self._end = time.monotonic() + self.seconds

    def remaining(self) -> float:
        """Seconds that are left, no less than 0 and no more than a day."""
        return min(max(self._end - time.monotonic(), 0.0), _LONGEST_WAIT)

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._end

    def sooner(self, seconds: float) -> Deadline:
        """One in so many seconds if that is sooner, else the same."""
        return Deadline(seconds) if seconds < self._end - time.monotonic() else self


class Waker:
    """Ends a wait from another thread or a signal handler."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """What becomes readable when somebody wakes."""
        return self._reader.fileno()

    def wake(self) -> None:
        """End the wait that is going on, or the next one. Takes no lock, and does not mind a closed waker."""
        # The pipe may be full: then there is a wake in it.
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def rest(self) -> None:
        """Forget the wakes so far."""
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass

    def wait(self, seconds: float) -> None:
        """Wait to be woken, for so many seconds."""
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            if selector.select(seconds):
                self.rest()

    def close(self) -> None:
        """Give the file descriptors back."""
        self._reader.close()
        self._writer.close()


class Connection:
    """A TCP connection to the job server at ``address``.

    ``waker`` can end its waits. Only ``wait`` waits; ``send`` and ``receive`` do what can be done at once,
    and raise ConnectionLost when the connection has ended. While one thread waits another may send; apart
    from that they are not for several threads at a time.
    """

    def __init__(self, address: Address, sock: socket.socket, waker: Waker) -> None:
        self.address = address
        self._socket = sock
        self._waker = waker
        self._unsent: deque[memoryview] = deque()
        self._buffer = bytearray(_RECEIVE_SIZE)
        self._selector = selectors.DefaultSelector()
        self._interest = selectors.EVENT_READ
        self._selector.register(sock, self._interest)
        self._selector.register(waker, selectors.EVENT_READ)

    @classmethod
    def open(cls, address: Address, deadline: Deadline, waker: Waker) -> Connection:
        """Connect to the first of the addresses behind ``address`` that answers.

        Raises ServerUnavailable, which names the address and the cause, when none does by the deadline, or
        when the waker is woken.
        """
        error: OSError | None = None
        found = _resolve(address, deadline)
        for tried, (family, kind, protocol, _, sockaddr) in enumerate(found):
            # One address that swallows packets must leave time for the others.
            share = Deadline(deadline.remaining() / (len(found) - tried))
            try:
                return cls(
                    address, _connect(socket.socket(family, kind, protocol), sockaddr, share, waker), waker
                )
            except OSError as reason:
                error = reason
        raise ServerUnavailable(f"no connection to {address}: {explain(error)}") from error

    @property
    def unsent(self) -> bool:
        """Whether there is something that the system has not taken yet."""
        return bool(self._unsent)

    def send(self, data: bytes = b"") -> None:
        """Send this after all that was given before, as far as possible without waiting."""
        if data:
            self._unsent.append(memoryview(data))
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent[0])
            except BlockingIOError:
                return
            except OSError as error:
                raise self._lost(explain(error)) from error
            if sent < len(self._unsent[0]):
                self._unsent[0] = self._unsent[0][sent:]
            else:
                self._unsent.popleft()

    def receive(self) -> Buffer:
        """What has come so far: nothing, or some bytes that are good until the next call."""
        try:
            size = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost(explain(error)) from error
        if not size:
            raise self._lost("the server closed it")
        return memoryview(self._buffer)[:size]

    def wait(self, deadline: Deadline) -> None:
        """Wait until there is something to receive, or room for what is unsent, or a wake, or it is time."""
        interest = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        if interest != self._interest:
            self._selector.modify(self._socket, interest)
            self._interest = interest
        for key, _ in self._selector.select(deadline.remaining()):
            if key.fileobj is self._waker:
                self._waker.rest()

    def close(self) -> None:
        """Close the connection. What is unsent is dropped."""
        self._selector.close()
        self._socket.close()

    def _lost(self, cause: str) -> ConnectionLost:
        return ConnectionLost(f"the connection to {self.address} ended: {cause}")


_Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]


def _resolve(address: Address, deadline: Deadline) -> list[_Found]:
    try:
        return _look_up(address, socket.AI_NUMERICHOST)
    except OSError:
        pass
    # It is a name then. To ask for it may take any time and cannot be ended, but a thread can be left to it.
    answer: list[list[_Found] | OSError] = []

    def look_up() -> None:
        try:
            answer.append(_look_up(address, 0))
        except OSError as error:
            answer.append(error)

    thread = threading.Thread(target=look_up, name=f"resolve {address.host}", daemon=True)
    thread.start()
    thread.join(deadline.remaining())
    if not answer:
        raise ServerUnavailable(
            f"no connection to {address}: its name was not resolved within {deadline.seconds:g} s"
        )
    if isinstance(answer[0], OSError):
        raise ServerUnavailable(f"no connection to {address}: {explain(answer[0])}") from answer[0]
    return answer[0]


def _look_up(address: Address, flags: int) -> list[_Found]:
    return socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=flags)  # type: ignore[return-value]


def _connect(
    sock: socket.socket, sockaddr: tuple[object, ...], deadline: Deadline, waker: Waker
) -> socket.socket:
    try:
        sock.setblocking(False)
        code = sock.connect_ex(sockaddr)
        if code in _IN_PROGRESS:
            with selectors.DefaultSelector() as selector:
                selector.register(sock, selectors.EVENT_WRITE)
                selector.register(waker, selectors.EVENT_READ)
                ready = [key.fileobj for key, _ in selector.select(deadline.remaining())]
            if waker in ready:
                raise InterruptedError(errno.EINTR, "the attempt was ended")
            if not ready:
                raise TimeoutError(errno.ETIMEDOUT, f"no answer within {round(deadline.seconds, 2):g} s")
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        _set_options(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def _set_options(sock: socket.socket) -> None:
    # A packet is written whole, and its answer is awaited: to hold it back for more only costs time.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A server that went without a word would otherwise be waited for without an end.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def explain(error: OSError | None) -> str:
    """What went wrong, without the number of it."""
    return error.strerror or str(error) if error is not None else "it has no address"
