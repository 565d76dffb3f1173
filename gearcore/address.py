"""Where job servers listen, and the texts that say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gearcore.protocol import DEFAULT_PORT

__all__ = ["Address", "ServerAddress", "Servers", "UnixAddress", "parse_address", "parse_servers"]

_UNIX = "unix:"


class Address(NamedTuple):
    """The host and port that a job server listens on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixAddress(NamedTuple):
    """The path of the Unix socket that a job server listens on."""

    path: str

    def __str__(self) -> str:
        return f"{_UNIX}{self.path}"


ServerAddress = Address | UnixAddress

Servers = str | tuple[str, int] | ServerAddress | Sequence[str | tuple[str, int] | ServerAddress]
"""What a client or worker may be given as its ``servers``: one address, or a sequence of them."""


def parse_address(server: str | tuple[str, int] | ServerAddress) -> ServerAddress:
    """The address that ``"host:port"``, ``"host"``, ``"[IPv6]:port"``, ``"IPv6"``, ``"unix:/path"`` or
    ``(host, port)`` means.

    Without a port it is 4730. Raises ValueError for what is none of these, or a port outside 1 to 65535.
    """
    port: str | int
    if isinstance(server, UnixAddress):
        return server
    if not isinstance(server, str):
        host, port = server
    elif server.startswith(_UNIX):
        path = server.removeprefix(_UNIX)
        if not path or "\0" in path:
            raise ValueError(
                f"{server!r} is not the address of a server: a Unix socket looks like 'unix:/run/g.sock'"
            )
        return UnixAddress(path)
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


def parse_servers(servers: Servers) -> tuple[ServerAddress, ...]:
    """The addresses of ``servers``, which is one address or a sequence of them, each once, in their order.

    Raises ValueError for what is not an address, and when there is none.
    """
    if isinstance(servers, str | Address | UnixAddress) or _is_pair(servers):
        addresses = [parse_address(servers)]  # type: ignore[arg-type]
    else:
        addresses = [parse_address(server) for server in servers]  # type: ignore[arg-type]
    if not addresses:
        raise ValueError("there must be at least one server")
    return tuple(dict.fromkeys(addresses))


def _is_pair(servers: object) -> bool:
    """Whether it is one ``(host, port)``, and not two addresses."""
    return isinstance(servers, tuple) and len(servers) == 2 and isinstance(servers[1], int)
