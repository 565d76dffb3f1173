"""Making a connection to a job server in an event loop; see ``gearcore._connecting``."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeVar

from gearcore._connecting import explain, set_options
from gearcore.address import Address, ServerAddress, UnixAddress
from gearcore.errors import ServerUnavailable

__all__ = ["connect"]

P = TypeVar("P", bound=asyncio.BaseProtocol)

_FULL_QUEUE_PAUSE: Final = 0.01
"""Seconds between attempts to connect to a Unix socket whose queue is full."""


async def connect(
    make_protocol: Callable[[], P], address: ServerAddress, seconds: float, tls: ssl.SSLContext | None
) -> tuple[asyncio.Transport, P]:
    """Connect to the first of the addresses behind ``address`` that answers, by TLS if there is ``tls``.

    Raises ServerUnavailable, which names the address and the cause, when none does in so many seconds.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    error: OSError | None = None
    try:
        async with asyncio.timeout_at(end):
            found = await _resolve(loop, address)
    except TimeoutError:
        raise ServerUnavailable(
            f"no connection to {address}: its name was not resolved within {seconds:g} s"
        ) from None
    except OSError as reason:
        raise ServerUnavailable(f"no connection to {address}: {explain(reason)}") from reason
    for tried, (family, sockaddr) in enumerate(found):
        # One address that swallows packets must leave time for the others.
        share = max(end - loop.time(), 0.0) / (len(found) - tried)
        try:
            async with asyncio.timeout(share):
                return await _connect(loop, make_protocol, address, family, sockaddr, tls)
        except TimeoutError:
            error = TimeoutError(errno.ETIMEDOUT, f"no answer within {round(share, 2):g} s")
        except ssl.SSLError as reason:
            error = reason
        except OSError as reason:
            # asyncio has words of its own, which name the address once more.
            error = OSError(reason.errno, os.strerror(reason.errno)) if reason.errno else reason
    raise ServerUnavailable(f"no connection to {address}: {explain(error)}") from error


async def _resolve(
    loop: asyncio.AbstractEventLoop, address: ServerAddress
) -> list[tuple[socket.AddressFamily, Any]]:
    if isinstance(address, UnixAddress):
        if not hasattr(socket, "AF_UNIX"):
            raise OSError(errno.EAFNOSUPPORT, "this system has no Unix sockets")
        return [(socket.AF_UNIX, address.path)]
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        found = await loop.getaddrinfo(*address, type=socket.SOCK_STREAM)
    return [(family, sockaddr) for family, _, _, _, sockaddr in found]


async def _connect(
    loop: asyncio.AbstractEventLoop,
    make_protocol: Callable[[], P],
    address: ServerAddress,
    family: socket.AddressFamily,
    sockaddr: Any,
    tls: ssl.SSLContext | None,
) -> tuple[asyncio.Transport, P]:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if isinstance(address, Address):
            await loop.sock_connect(sock, sockaddr)
            set_options(sock)
            name = None if tls is None else address.host
            return await loop.create_connection(make_protocol, sock=sock, ssl=tls, server_hostname=name)
        # A Unix socket whose queue is full does not let anybody wait for it.
        while (code := sock.connect_ex(sockaddr)) == errno.EAGAIN:
            await asyncio.sleep(_FULL_QUEUE_PAUSE)
        if code:
            raise OSError(code, os.strerror(code))
        return await loop.create_unix_connection(make_protocol, sock=sock)
    except ssl.SSLError:
        sock.close()
        raise
    except ValueError as error:  # a host name that is none, for TLS
        sock.close()
        raise OSError(errno.EINVAL, str(error)) from error
    except BaseException:
        sock.close()
        raise
