"""A connection to one server."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any

from gearcore._blocking import Connection, Deadline, Watch
from gearcore.address import Address, ServerAddress, UnixAddress
from gearcore.compat.gearman.constants import DEFAULT_GEARMAN_PORT
from gearcore.compat.gearman.errors import (
    ConnectionError as ConnectionFailed,
)
from gearcore.compat.gearman.errors import (
    GearmanError,
    ServerUnavailable,
)
from gearcore.errors import ConnectionLost
from gearcore.errors import ServerUnavailable as Unreachable
from gearcore.tls import BadTlsFile, ClientTls

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["GearmanConnection"]


class GearmanConnection:
    """A connection to the server at ``host`` and ``port``, by TLS if there are the three files for it.

    It is not connected before ``connect()``, which may take ``connect_timeout`` seconds. One that failed is
    left alone for ``connect_cooldown_seconds`` as long as there is another server.
    """

    connect_cooldown_seconds = 1.0
    connect_timeout = 5.0

    def __init__(
        self,
        host: str | None = None,
        port: int | str | None = DEFAULT_GEARMAN_PORT,
        keyfile: str | None = None,
        certfile: str | None = None,
        ca_certs: str | None = None,
    ) -> None:
        if host is None:
            raise ServerUnavailable("a connection needs the name of a host")
        self.gearman_host = host
        self.gearman_port = int(port or DEFAULT_GEARMAN_PORT)
        self.keyfile = keyfile
        self.certfile = certfile
        self.ca_certs = ca_certs
        self.use_ssl = bool(keyfile and certfile and ca_certs)
        self.allowed_connect_time = 0.0
        self.handler: Any = None
        """The session of gearcore that goes by this connection, once it is established."""
        self._link: Connection | None = None
        self._watch: Watch | None = None
        self._tls: ssl.SSLContext | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._link is not None

    @property
    def cooling(self) -> bool:
        """Whether an attempt failed a moment ago."""
        return time.monotonic() < self.allowed_connect_time

    @property
    def tls(self) -> ssl.SSLContext | None:
        """How it connects by TLS, or None. Raises GearmanError for files that cannot be used."""
        if self.use_ssl and self._tls is None:
            files = ClientTls(ca=self.ca_certs, certificate=self.certfile, key=self.keyfile)
            try:
                self._tls = files.client_context()
            except BadTlsFile as error:
                raise GearmanError(str(error)) from error
        return self._tls

    def connect(self) -> None:
        """Connect. Raises `ConnectionError`, also when it is connected."""
        if self._link is not None:
            raise self.failure("it is connected already")
        try:
            self._link = Connection.open(self.address, Deadline(self.connect_timeout), tls=self.tls)
        except Unreachable as error:
            self.allowed_connect_time = time.monotonic() + self.connect_cooldown_seconds
            reason = str(error).removeprefix(f"no connection to {self.address}: ")
            raise self.failure(reason) from error

    def watch(self, watch: Watch) -> None:
        """Have ``watch`` wait for this connection, until it is closed."""
        assert self._link is not None, "it is connected"
        self._watch = watch
        watch.add(self._link)

    def close(self) -> None:
        """Close the connection, if there is one."""
        link, self._link = self._link, None
        watch, self._watch = self._watch, None
        if link is not None:
            if watch is not None:
                watch.remove(link)
            link.close()

    @property
    def link(self) -> Connection:
        """Gearcore's connection. Raises `ConnectionError` if there is none."""
        if self._link is None:
            raise self.failure("there is no connection")
        return self._link

    def send(self, data: Buffer = b"", more: bool = False) -> None:
        """Send this after what is unsent, as far as the system takes it. Raises `ConnectionError`.

        With ``more`` the system may wait a moment for what is sent next.
        """
        link = self._link or self.link
        try:
            link.send(data, more)
        except ConnectionLost as error:
            raise self.failure(error) from error

    def receive(self) -> Buffer:
        """What has come, or nothing. Raises `ConnectionError`."""
        link = self._link or self.link
        try:
            return link.receive()
        except ConnectionLost as error:
            raise self.failure(error) from error

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self.link.fileno()

    def readable(self) -> bool:
        """Whether something may come."""
        return self.connected

    def writable(self) -> bool:
        """Whether something waits to be sent."""
        return self._link is not None and self._link.unsent

    def get_address(self) -> tuple[str, int]:
        """The server's host and port."""
        return self.gearman_host, self.gearman_port

    def failure(self, reason: object) -> ConnectionFailed:
        """The error that says what is wrong with this connection."""
        return ConnectionFailed(f"<{self.address}> {reason}")

    @property
    def address(self) -> ServerAddress:
        """The server's address as the rest of gearcore has it: its text is ``host:port``."""
        if self.gearman_host.startswith("unix:"):
            return UnixAddress(self.gearman_host.removeprefix("unix:"))
        return Address(self.gearman_host, self.gearman_port)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address} connected={self.connected}>"
