"""What client, worker and admin client have in common: connections, and one loop that waits for all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gearcore._blocking import Watch
from gearcore.address import UnixAddress, parse_address
from gearcore.compat.gearman.connection import GearmanConnection
from gearcore.compat.gearman.encoding import DataEncoder, NoopEncoder, name_from_wire, to_wire
from gearcore.compat.gearman.errors import (
    ConnectionError as ConnectionFailed,
)
from gearcore.compat.gearman.errors import (
    GearmanError,
    ProtocolError,
    ServerUnavailable,
)
from gearcore.compat.gearman.job import GearmanJob, GearmanJobRequest
from gearcore.errors import ProtocolError as Offence

__all__ = ["DataEncoder", "GearmanConnectionManager", "NoopEncoder"]

log = logging.getLogger("gearman.connection_manager")

_TLS_KEYS = ("host", "port", "keyfile", "certfile", "ca_certs")

_LONGEST_WAIT = 3600.0

Connections = set[GearmanConnection]


class GearmanConnectionManager:
    """The base of `GearmanClient`, `GearmanWorker` and `GearmanAdminClient`.

    ``host_list`` has for each server a ``"host:port"``, ``"[IPv6]:port"``, ``"unix:/path"``, ``(host,
    port)``, or a dict with ``host``, ``port``, ``keyfile``, ``certfile`` and ``ca_certs``; the port is 4730
    unless it is given. Raises GearmanError for anything else.

    It is made to be inherited, and the attributes of the class to be replaced. With ``text``, what comes from
    the wire is ``str``: handles, tasks, unique ids, and data unless there is a ``data_encoder``. Bytes that
    are not UTF-8 are in it as surrogates, and are the same bytes again when they are sent. Without ``text``
    it is bytes. Either may be sent in any case.
    """

    connection_class: type[GearmanConnection] = GearmanConnection
    job_class: type[GearmanJob] = GearmanJob
    job_request_class: type[GearmanJobRequest] = GearmanJobRequest
    data_encoder: Any = NoopEncoder
    text: bool = True

    def __init__(self, host_list: Iterable[Any] | None = None) -> None:
        self.connection_list: list[GearmanConnection] = []
        self.handler_to_connection_map: dict[Any, GearmanConnection] = {}
        self.connection_to_handler_map: dict[GearmanConnection, Any] = {}
        self.handler_initial_state: dict[str, Any] = {}
        self._watch = Watch()
        if isinstance(host_list, str | bytes):
            raise GearmanError(f"host_list is a list of servers: [{host_list!r}]")
        for entry in host_list or ():
            if isinstance(entry, Mapping):
                self._add_with_tls(entry)
            else:
                self.add_connection(entry)

    def __del__(self) -> None:
        # Programs that make a client for each request leave it to the reference count to close it.
        for connection in getattr(self, "connection_list", ()):
            connection.close()

    def shutdown(self) -> None:
        """Close the connections. They are made again when there is use for them."""
        for connection in self.connection_list:
            self._drop(connection)

    def add_connection(self, hostport: str | tuple[str, int]) -> GearmanConnection:
        """Add a server, without connecting to it."""
        try:
            address = parse_address(hostport)
        except (ValueError, TypeError) as error:
            raise GearmanError(f"{hostport!r} is no server: {error}") from error
        if isinstance(address, UnixAddress):
            connection = self.connection_class(str(address))
        else:
            connection = self.connection_class(address.host, address.port)
        self.connection_list.append(connection)
        return connection

    def add_ssl_connection(
        self, host: str, port: int, keyfile: str | None, certfile: str | None, ca_certs: str | None
    ) -> GearmanConnection:
        """Add a server that is spoken to by TLS, without connecting to it."""
        connection = self.connection_class(host, port, keyfile=keyfile, certfile=certfile, ca_certs=ca_certs)
        self.connection_list.append(connection)
        return connection

    def establish_connection(self, current_connection: GearmanConnection) -> GearmanConnection:
        """Connect, unless that was done. Raises `ConnectionError`."""
        assert current_connection in self.connection_list, "it is one of this object's connections"
        if not current_connection.connected:
            self._drop(current_connection)
            current_connection.connect()
        if current_connection.handler is None:
            handler = self._make_handler(current_connection)
            current_connection.handler = handler
            current_connection.watch(self._watch)
            self.connection_to_handler_map[current_connection] = handler
            self.handler_to_connection_map[handler] = current_connection
        return current_connection

    def poll_connections_once(
        self,
        submitted_connections: Any,
        connection_map: Mapping[int, GearmanConnection] | float | None = None,
        timeout: float | None = None,
    ) -> tuple[Connections, Connections, Connections]:
        """Send what there is to send, and wait, for so many seconds, until something has happened.

        Either ``(connections, timeout)``, or ``(poller, connection_map, timeout)`` as after 2.0.2: then they
        are the values of ``connection_map``, and what the poller is does not matter.

        Returns the connections that have something to read, those that have room to write, and those that
        failed.
        """
        if isinstance(connection_map, Mapping):
            submitted_connections = connection_map.values()
        elif connection_map is not None:
            timeout = connection_map
        failed: Connections = set()
        for connection in submitted_connections:
            if connection.handler is not None:
                try:
                    self._flush(connection)
                except ConnectionFailed as error:
                    log.debug("%s", error)
                    failed.add(connection)
        readable: Connections = set()
        if failed:
            return readable, set(), failed
        ready = self._watch.wait_seconds(_LONGEST_WAIT if timeout is None else timeout, self._waits_for_one())
        for connection in self.connection_list if ready else ():
            if connection._link in ready:
                readable.add(connection)
        return readable, set(), failed

    def handle_connection_activity(
        self, rd_connections: Connections, wr_connections: Connections, ex_connections: Connections
    ) -> tuple[Connections, Connections, Connections]:
        """Deal with what `poll_connections_once` found. Returns the same, with those that failed since."""
        failed = ex_connections
        for connection in rd_connections:
            try:
                self.handle_read(connection)
            except ConnectionFailed as error:
                log.debug("%s", error)
                failed = failed | {connection}
        for connection in wr_connections:
            try:
                self.handle_write(connection)
            except ConnectionFailed as error:
                log.debug("%s", error)
                failed = failed | {connection}
        for connection in failed:
            self.handle_error(connection)
        return rd_connections, wr_connections, failed

    def poll_connections_until_stopped(
        self,
        submitted_connections: Iterable[GearmanConnection],
        callback_fxn: Callable[[bool], Any],
        timeout: float | None = None,
    ) -> bool:
        """Read and write until ``callback_fxn`` returns something false, or for ``timeout`` seconds.

        It is called with whether something has happened: once at the beginning, and after each wait. Returns
        whether the time is over. Raises `ServerUnavailable` when none of the connections is left.
        """
        end = None if timeout is None else time.monotonic() + timeout
        left = None
        go_on = callback_fxn(False)
        while go_on:
            for connection in submitted_connections:
                if connection._link is not None:
                    break
            else:
                raise ServerUnavailable(f"no server is connected: {list(submitted_connections)!r}")
            if end is not None:
                left = max(end - time.monotonic(), 0.0)
            found = self.poll_connections_once(submitted_connections, timeout=left)
            readable, writable, failed = self.handle_connection_activity(*found)
            go_on = callback_fxn(bool(readable or writable or failed))
            if go_on and end is not None and time.monotonic() >= end:
                return True
        return False

    def handle_read(self, current_connection: GearmanConnection) -> None:
        """Take what a server has sent. Raises `ConnectionError`, and `ProtocolError`."""
        data = current_connection.receive()
        if data and current_connection.handler is not None:
            try:
                self._take(current_connection, data)
            except Offence as error:
                self._drop(current_connection)
                raise ProtocolError(str(error)) from error

    def handle_write(self, current_connection: GearmanConnection) -> None:
        """Send what there is to send. Raises `ConnectionError`."""
        self._flush(current_connection)

    def handle_error(self, current_connection: GearmanConnection) -> None:
        """A connection has failed: close it."""
        self._drop(current_connection)

    def on_gearman_error(self, error_code: str, error_text: str) -> bool:
        """A server sent an ERROR. Here it is logged."""
        log.error("a server complains: %s: %s", error_code, error_text)
        return False

    def encode(self, data: Any) -> bytes:
        """The data of a job as it is sent. Raises what the encoder raises, and TypeError."""
        if type(data) is str and self.data_encoder is NoopEncoder:
            return data.encode("utf-8", "surrogateescape")
        return to_wire(self.data_encoder.encode(data))

    def decode(self, raw: bytes) -> Any:
        """The data of a job as the program gets it. Raises what the encoder raises."""
        if self.data_encoder is NoopEncoder:
            return raw.decode("utf-8", "surrogateescape") if self.text else raw
        return self.data_encoder.decode(raw)

    def name(self, raw: bytes) -> str | bytes:
        """A handle, a task or a unique id as the program gets it."""
        return name_from_wire(raw, self.text)

    # Client and worker have a session for each connection. In the admin client, whose commands go over
    # connections of their own, a connection is only there.

    def _make_handler(self, connection: GearmanConnection) -> Any:
        """A session for a new connection."""
        return object()

    def _take(self, connection: GearmanConnection, data: Any) -> None:
        """Take bytes from a server."""

    def _flush(self, connection: GearmanConnection) -> None:
        """Send what there is to send."""

    def _waits_for_one(self) -> bool:
        """Whether one answer is all that is due."""
        return True

    def _drop(self, connection: GearmanConnection) -> None:
        """Close a connection, and forget its session."""
        handler = connection.handler
        connection.handler = None
        connection.close()
        if handler is not None:
            del self.connection_to_handler_map[connection], self.handler_to_connection_map[handler]
            self._lost(handler)

    def _lost(self, handler: Any) -> None:
        """A session has ended with its connection."""

    def _add_with_tls(self, entry: Mapping[str, Any]) -> None:
        missing = [key for key in _TLS_KEYS if key not in entry]
        if missing:
            raise GearmanError(f"a server that is a dict must have {', '.join(missing)} too")
        self.add_ssl_connection(*(entry[key] for key in _TLS_KEYS))
