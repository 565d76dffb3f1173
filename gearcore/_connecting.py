"""Making a connection to a job server: names, addresses, TLS, and the options of the socket."""

from __future__ import annotations

import errno
import math
import os
import re
import socket
import ssl
import threading
import time
from typing import Final

from gearcore._waiting import READ, WRITE, Deadline, Waker, make_poll, wait_for
from gearcore.address import Address, ServerAddress, UnixAddress
from gearcore.errors import ServerUnavailable

__all__ = ["connect", "explain", "set_options"]

_FULL_QUEUE_PAUSE: Final = 0.01
"""Seconds between attempts to connect to a Unix socket whose queue is full."""

_PLACE_IN_SSL: Final = re.compile(r" \(_ssl\.c:[0-9]+\)$")

_IN_PROGRESS: Final = {
    errno.EINPROGRESS,
    errno.EWOULDBLOCK,
    getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK),
}

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 3}
"""Seconds, seconds (the name that macOS has for the first), seconds, and probes."""


_SocketAddress = tuple[object, ...] | str
_Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, _SocketAddress]


def connect(
    address: ServerAddress, deadline: Deadline, waker: Waker | None, tls: ssl.SSLContext | None
) -> socket.socket:
    """A connected socket; for what may go wrong see ``Connection.open``."""
    error: OSError | None = None
    found = _resolve(address, deadline)
    for tried, (family, kind, protocol, _, sockaddr) in enumerate(found):
        # One address that swallows packets must leave time for the others.
        share = Deadline(deadline.remaining() / (len(found) - tried))
        try:
            sock = _connect(socket.socket(family, kind, protocol), sockaddr, share, waker)
            if tls is not None and isinstance(address, Address):
                return _secure(sock, address, tls, share, waker)
            return sock
        except OSError as reason:
            error = reason
    raise ServerUnavailable(f"no connection to {address}: {explain(error)}") from error


def _resolve(address: ServerAddress, deadline: Deadline) -> list[_Found]:
    if isinstance(address, UnixAddress):
        if not hasattr(socket, "AF_UNIX"):
            raise ServerUnavailable(f"no connection to {address}: this system has no Unix sockets")
        return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", address.path)]
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
    sock: socket.socket, sockaddr: _SocketAddress, deadline: Deadline, waker: Waker | None
) -> socket.socket:
    try:
        sock.setblocking(False)
        code = sock.connect_ex(sockaddr)
        if isinstance(sockaddr, str):
            # A Unix socket whose queue is full does not let anybody wait for it.
            while code == errno.EAGAIN and not deadline.expired:
                _pause(_FULL_QUEUE_PAUSE, deadline, waker)
                code = sock.connect_ex(sockaddr)
        elif code in _IN_PROGRESS:
            _wait_for(sock, WRITE, deadline, waker)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        set_options(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def _secure(
    sock: socket.socket, address: Address, tls: ssl.SSLContext, deadline: Deadline, waker: Waker | None
) -> socket.socket:
    try:
        secured = tls.wrap_socket(sock, server_hostname=address.host, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise
    try:
        while True:
            try:
                secured.do_handshake()
                return secured
            except ssl.SSLWantReadError:
                _wait_for(secured, READ, deadline, waker)
            except ssl.SSLWantWriteError:
                _wait_for(secured, WRITE, deadline, waker)
            except ssl.SSLError:
                raise
            except ValueError as error:  # a host name that is none
                raise OSError(errno.EINVAL, str(error)) from error
    except BaseException:
        secured.close()
        raise


def _wait_for(sock: socket.socket, interest: int, deadline: Deadline, waker: Waker | None) -> None:
    """Wait for a socket that is no connection yet. Raises OSError when the time is over, or by a wake."""
    poll = make_poll()
    poll.register(sock.fileno(), interest)
    if waker is not None:
        poll.register(waker.fileno(), READ)
    ready = [number for number, _ in poll.poll(math.ceil(deadline.remaining() * 1000))]
    if waker is not None and waker.fileno() in ready:
        raise InterruptedError(errno.EINTR, "the attempt was ended")
    if not ready:
        raise TimeoutError(errno.ETIMEDOUT, f"no answer within {round(deadline.seconds, 2):g} s")


def _pause(seconds: float, deadline: Deadline, waker: Waker | None) -> None:
    if waker is None:
        time.sleep(min(seconds, deadline.remaining()))
    elif wait_for(waker.fileno(), READ, min(seconds, deadline.remaining())):
        raise InterruptedError(errno.EINTR, "the attempt was ended")


def set_options(sock: socket.socket) -> None:
    """Set what a connection to a job server needs, on a socket of any kind."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    # A packet is written whole, and its answer is awaited: to hold it back for more only costs time.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A server that went without a word would otherwise be waited for without an end.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def explain(error: OSError | None) -> str:
    """What went wrong, without the number of it."""
    if error is None:
        return "it has no address"
    text = error.strerror or str(error)
    if isinstance(error, ssl.SSLError):
        return _PLACE_IN_SSL.sub("", text)
    return text
