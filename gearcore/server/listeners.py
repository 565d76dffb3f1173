"""What a server listens on: TCP ports, Unix sockets, and sockets that somebody else opened."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
import stat
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from gearcore.errors import CannotListen
from gearcore.protocol import DEFAULT_PORT
from gearcore.server.direct import Direct, DirectAcceptor
from gearcore.server.handshake import TlsAcceptor
from gearcore.server.tls import BadTlsFile, TlsFiles

__all__ = [
    "InheritedListener",
    "Listener",
    "Listening",
    "TcpListener",
    "UnixListener",
    "activated_descriptors",
    "open_listener",
]

log = logging.getLogger("gearcore.server")

Tls = TlsFiles | ssl.SSLContext | None

NOT_ON_THIS_MACHINE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""How an address fails that the machine does not have, as when a name stands for an IPv6 address too."""

LEAVE_THE_FILE: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""Event loops would remove the file of a Unix socket, also when it was inherited and belongs to another."""

FIRST_ACTIVATED = 3
"""The first descriptor that systemd passes on, behind the three standard ones."""


@dataclass(frozen=True, slots=True)
class TcpListener:
    """A TCP port: ``port`` of the address or host name ``host``, all its addresses if it has several.

    An empty ``host`` is every address of the machine; ``port`` 0 lets the system choose. With ``tls`` the
    port speaks TLS only. With ``http`` it speaks gearmand's HTTP, otherwise Gearman's own protocol.
    """

    host: str
    port: int = DEFAULT_PORT
    tls: Tls = None
    http: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"a port is a number from 0 to 65535, not {self.port}")

    def __str__(self) -> str:
        return join_address(self.host, self.port)

    async def open(self) -> list[socket.socket]:
        """Return a bound socket for each address."""
        found = await asyncio.get_running_loop().getaddrinfo(
            self.host or None, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        sockets: list[socket.socket] = []
        absent: OSError | None = None
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                sockets.append(bound_tcp_socket(family, kind, protocol, address))
            except OSError as error:
                if error.errno not in NOT_ON_THIS_MACHINE:
                    close_all(sockets)
                    raise
                absent = error
        if absent is not None and not sockets:
            raise absent
        return sockets


@dataclass(frozen=True, slots=True)
class UnixListener:
    """A Unix socket at ``path``, which those can use whom ``mode``, the permissions of the file, lets write.

    A socket that a dead server left behind is replaced; the file is removed when the server stops.
    """

    path: str
    mode: int = 0o660
    tls: Tls = None
    http: bool = False

    def __str__(self) -> str:
        return f"unix:{self.path}"

    async def open(self) -> list[socket.socket]:
        """Return a bound socket."""
        if not hasattr(socket, "AF_UNIX"):
            raise OSError(errno.EAFNOSUPPORT, "this system has no Unix sockets")
        remove_stale(self.path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(self.path)
            os.chmod(self.path, self.mode)  # nobody can have connected before: it does not listen yet
        except BaseException:
            sock.close()
            raise
        return [sock]


@dataclass(frozen=True, slots=True)
class InheritedListener:
    """A socket that listens already, by its file descriptor: see `activated_descriptors`.

    It belongs to the server from then on, and is closed when the server stops.
    """

    fd: int
    tls: Tls = None
    http: bool = False

    def __str__(self) -> str:
        return f"file descriptor {self.fd}"

    async def open(self) -> list[socket.socket]:
        """Return the socket."""
        sock = socket.socket(fileno=self.fd)
        if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.detach()  # whatever it is, it is not the server's to close
            raise OSError(errno.EINVAL, "it is not a listening stream socket")
        return [sock]


Listener = TcpListener | UnixListener | InheritedListener


def activated_descriptors(
    environment: MutableMapping[str, str] = os.environ,
) -> list[tuple[int, str]]:
    """Take the listening sockets that systemd, or what works like it, opened for this process.

    Returns the descriptor of each and the name that the socket unit gives it, ``unknown`` without one. The
    variables LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES are removed, so that no child takes them for its own.
    """
    pid, count, names = (environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    descriptors = range(FIRST_ACTIVATED, FIRST_ACTIVATED + int(count))
    for fd in descriptors:
        os.set_inheritable(fd, False)
    named = dict(zip(descriptors, filter(None, names.split(":")), strict=False))
    return [(fd, named.get(fd, "unknown")) for fd in descriptors]


class Listening:
    """The open sockets of one listener."""

    def __init__(self, listener: Listener, sockets: list[socket.socket]) -> None:
        self.listener = listener
        self.sockets = sockets
        self._acceptors: list[asyncio.AbstractServer | TlsAcceptor | DirectAcceptor] = []
        self._file = (
            (listener.path, file_identity(listener.path)) if isinstance(listener, UnixListener) else None
        )

    async def start(
        self,
        new_peer: Callable[[], asyncio.BaseProtocol],
        context: ssl.SSLContext | None,
        backlog: int,
        handshake_timeout: float,
        direct: Direct | None,
    ) -> None:
        """Accept connections from now on, with a protocol of ``new_peer`` for each."""
        loop = asyncio.get_running_loop()
        for sock in self.sockets:
            sock.setblocking(False)
            acceptor: asyncio.AbstractServer | TlsAcceptor | DirectAcceptor
            if context is not None:
                sock.listen(backlog)
                acceptor = TlsAcceptor(sock, context, handshake_timeout, new_peer)
            elif direct is not None:
                sock.listen(backlog)
                acceptor = DirectAcceptor(sock, direct, new_peer)
            elif is_tcp(sock):
                acceptor = await loop.create_server(new_peer, sock=sock, backlog=backlog)
            else:
                acceptor = await loop.create_unix_server(
                    new_peer, sock=sock, backlog=backlog, **LEAVE_THE_FILE
                )
            self._acceptors.append(acceptor)

    @property
    def handshakes(self) -> int:
        """How many connections are in their TLS handshake."""
        return sum(a.handshakes for a in self._acceptors if isinstance(a, TlsAcceptor))

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Address and port of each TCP socket."""
        return [sock.getsockname()[:2] for sock in self.sockets if is_tcp(sock)]

    def __str__(self) -> str:
        names = [join_address(*address) for address in self.addresses] or [str(self.listener)]
        kinds = [kind for kind, on in (("HTTP", self.listener.http), ("TLS", self.listener.tls)) if on]
        return ", ".join(names) + (f" ({' over '.join(kinds)})" if kinds else "")

    def close(self) -> None:
        """Accept no more connections, and give up those that are in their TLS handshake."""
        if self._file is not None:
            path, identity = self._file
            with suppress(OSError):
                if file_identity(path) == identity:  # and not that of the next server, which replaced it
                    os.unlink(path)
        for acceptor in self._acceptors:
            acceptor.close()
        close_all(self.sockets[len(self._acceptors) :])  # the others belong to their acceptors

    async def wait_closed(self) -> None:
        """Return when what `close` gave up is closed, but for connections whose handshake was done."""
        for acceptor in self._acceptors:
            if isinstance(acceptor, TlsAcceptor):
                await acceptor.wait_closed()


async def open_listener(
    listener: Listener,
    new_peer: Callable[[], asyncio.BaseProtocol],
    *,
    backlog: int = 1024,
    handshake_timeout: float = 10.0,
    direct: Direct | None = None,
) -> Listening:
    """Start to listen in the running event loop.

    ``new_peer`` makes the protocol of a connection; ``backlog`` is how many connections may wait to be
    accepted, and ``handshake_timeout`` how many seconds a peer has for its TLS handshake. With ``direct``,
    which goes without TLS, ``new_peer`` makes direct peers. Raises `CannotListen`, with the cause in one
    line.
    """
    with said_in_one_line(listener):
        context = listener.tls.server_context() if isinstance(listener.tls, TlsFiles) else listener.tls
        listening = Listening(listener, await listener.open())
        try:
            await listening.start(new_peer, context, backlog, handshake_timeout, direct)
        except BaseException:
            listening.close()
            raise
    log.info("listening on %s", listening)
    return listening


@contextmanager
def said_in_one_line(listener: Listener) -> Iterator[None]:
    """Turn what keeps a listener from opening into `CannotListen`."""
    try:
        yield
    except BadTlsFile as error:
        raise CannotListen(f"cannot listen on {listener}: {error}") from error
    except OSError as error:
        raise CannotListen(f"cannot listen on {listener}: {cause_of(error)}") from error


def bound_tcp_socket(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    """Make a socket and bind it, without a wait for old connections to its address to time out."""
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share an address
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def is_tcp(sock: socket.socket) -> bool:
    """Whether a stream socket has an address and a port, rather than a path."""
    return sock.family in (socket.AF_INET, socket.AF_INET6)


def remove_stale(path: str) -> None:
    """Remove a Unix socket that nobody listens on; raises OSError for one in use, and for any other file."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "there is a file of that name, which is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a server whose backlog is full is alive, and would hold this one up
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def file_identity(path: str) -> tuple[int, int]:
    """What tells a file from another one that later has its name."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


def close_all(sockets: list[socket.socket]) -> None:
    """Close sockets."""
    for sock in sockets:
        sock.close()


def cause_of(error: OSError) -> str:
    """The system's own words, without the path or the number that Python adds to them."""
    return error.strerror or str(error)


def join_address(host: str, port: int) -> str:
    """``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
