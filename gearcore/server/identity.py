"""Who is at the other end of a connection, as far as the connection itself shows it."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Any

__all__ = ["Identity", "identify"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A peer's address, and the names that were proved for it.

    ``address`` is the IP address, ``unix`` for a Unix socket. ``certificate`` holds the common name and the
    DNS names and URIs of its TLS certificate, where the server asked for one. ``user`` is the user that a
    process runs as which came over a Unix socket: the name, or the number of a user without one.
    """

    address: str
    port: int | None = None
    certificate: tuple[str, ...] = ()
    user: str | None = None

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing is known of the peer but where it comes from."""
        return not self.certificate and self.user is None

    def __str__(self) -> str:
        address = self.address if self.port is None else f"{self.address}:{self.port}"
        name = self.certificate[0] if self.certificate else self.user
        return address if name is None else f"{address} ({printable(name)})"


def identify(transport: asyncio.BaseTransport) -> Identity:
    """Ask an open connection, past its TLS handshake, who is at the other end."""
    tls = transport.get_extra_info("ssl_object")
    certificate = () if tls is None else names_in(tls.getpeercert() or {})
    sock = transport.get_extra_info("socket")
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        address, port, *_ = transport.get_extra_info("peername") or ("-", 0)
        return Identity(address, port, certificate)
    return Identity("unix", None, certificate, user_of(sock))


def names_in(certificate: dict[str, Any]) -> tuple[str, ...]:
    """The names in a certificate, as `ssl.SSLObject.getpeercert` gives it, the common name first."""
    subject = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    others = [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "URI")]
    return tuple(dict.fromkeys(subject + others))


def user_of(sock: socket.socket) -> str | None:
    """The user of the process that connected to a Unix socket; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    import pwd

    _, uid, _ = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("iII")))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def printable(name: str) -> str:
    """A name for a line of the log, which a line break in it must not end."""
    return "".join(c if c.isprintable() else "?" for c in name)
