"""What gear's client and worker share: connections that are kept up, and a method for each packet."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from gearcore.compat.gear import constants, errors
from gearcore.compat.gear.connection import Connection
from gearcore.compat.gear.jobs import convert_to_bytes
from gearcore.compat.gear.packet import Packet
from gearcore.compat.gear.pump import Pump
from gearcore.compat.gear.requests import AdminRequest
from gearcore.errors import GearcoreError
from gearcore.session.pauses import Pauses

__all__ = ["BaseClient", "PacketHandlers"]

_LONGEST_PAUSE: Final = 2.0
"""Seconds between attempts to connect, at the most."""


class PacketHandlers:
    """A method for each packet that may come, to be overridden: each leaves it to ``_unhandled``."""

    log: logging.Logger

    def handlePacket(self, packet: Packet) -> None:
        """Call the method for a packet, and report how long that took."""
        begun = time.perf_counter()
        getattr(self, _HANDLERS.get(packet.ptype, "_defaultPacketHandler"))(packet)
        self.reportTimingStats(packet.ptype, time.perf_counter() - begun)

    def reportTimingStats(self, ptype: int, duration: float) -> None:
        """A packet was dealt with in so many seconds. Does nothing."""

    def _defaultPacketHandler(self, packet: Packet) -> Any:
        return self._unhandled(packet)

    def _unhandled(self, packet: Packet) -> Any:
        """Deal with a packet that no method was made for: here it is logged."""
        self.log.error("Received unhandled packet: %s", packet)

    handleJobCreated = _defaultPacketHandler
    handleWorkComplete = _defaultPacketHandler
    handleWorkFail = _defaultPacketHandler
    handleWorkException = _defaultPacketHandler
    handleWorkData = _defaultPacketHandler
    handleWorkWarning = _defaultPacketHandler
    handleWorkStatus = _defaultPacketHandler
    handleStatusRes = _defaultPacketHandler
    handleGetStatus = _defaultPacketHandler
    handleJobAssignUnique = _defaultPacketHandler
    handleJobAssign = _defaultPacketHandler
    handleNoJob = _defaultPacketHandler
    handleNoop = _defaultPacketHandler
    handleSubmitJob = _defaultPacketHandler
    handleSubmitJobBg = _defaultPacketHandler
    handleSubmitJobHigh = _defaultPacketHandler
    handleSubmitJobHighBg = _defaultPacketHandler
    handleSubmitJobLow = _defaultPacketHandler
    handleSubmitJobLowBg = _defaultPacketHandler
    handleSubmitJobSched = _defaultPacketHandler
    handleSubmitJobEpoch = _defaultPacketHandler
    handleGrabJobUniq = _defaultPacketHandler
    handleGrabJob = _defaultPacketHandler
    handlePreSleep = _defaultPacketHandler
    handleSetClientID = _defaultPacketHandler
    handleCanDo = _defaultPacketHandler
    handleCanDoTimeout = _defaultPacketHandler
    handleCantDo = _defaultPacketHandler
    handleResetAbilities = _defaultPacketHandler
    handleEchoReq = _defaultPacketHandler
    handleEchoRes = _defaultPacketHandler
    handleError = _defaultPacketHandler
    handleAllYours = _defaultPacketHandler
    handleOptionReq = _defaultPacketHandler
    handleOptionRes = _defaultPacketHandler


_OTHERWISE: Final = {"JOB_ASSIGN_UNIQ": "handleJobAssignUnique", "SET_CLIENT_ID": "handleSetClientID"}

_HANDLERS: Final = {
    number: handler
    for number, name in constants.types.items()
    if hasattr(PacketHandlers, handler := _OTHERWISE.get(name, f"handle{name.title().replace('_', '')}"))
}


class BaseClient(PacketHandlers):
    """Connections to any number of servers, which are connected again whenever they end.

    ``active_connections`` are those that there are, ``inactive_connections`` those that are tried. The
    methods that begin with ``handle`` are called in one thread at a time: one of the client's own, or one
    that waits in a method of it.
    """

    def __init__(self, client_id: Any = "unknown") -> None:
        self.client_id = convert_to_bytes(client_id)
        self.log = logging.getLogger(f"gear.{type(self).__name__}.{client_id}")
        self.running = True
        self.active_connections: list[Connection] = []
        self.inactive_connections: list[Connection] = []
        self.connection_index = -1
        self.connections_condition = threading.Condition(threading.RLock())
        self.broadcast_lock = threading.RLock()
        self._ended = threading.Event()
        self._pump = Pump(self._read, self._expects, f"gear {type(self).__name__} {client_id}")
        self._connectors: set[threading.Thread] = set()

    def addServer(
        self,
        host: str,
        port: int | str = 4730,
        ssl_key: str | None = None,
        ssl_cert: str | None = None,
        ssl_ca: str | None = None,
        keepalive: bool = False,
        tcp_keepidle: int = 7200,
        tcp_keepintvl: int = 75,
        tcp_keepcnt: int = 9,
    ) -> None:
        """Have a connection to a server, from now on; does not wait for it.

        See ``Connection`` for the arguments. Raises ConfigurationError for a server that there is already.
        """
        self.log.debug("Adding server %s port %s", host, port)
        with self.connections_condition:
            for connection in (*self.active_connections, *self.inactive_connections):
                if (connection.host, connection.port) == (host, port):
                    raise errors.ConfigurationError(f"Host/port already specified: {host}, {port}")
            connection = Connection(
                host,
                port,
                ssl_key,
                ssl_cert,
                ssl_ca,
                self.client_id,
                keepalive=keepalive,
                tcp_keepidle=tcp_keepidle,
                tcp_keepintvl=tcp_keepintvl,
                tcp_keepcnt=tcp_keepcnt,
            )
            self._bring_up(connection)

    def waitForServer(self, timeout: float | None = None) -> None:
        """Wait until there is a connection, for so many seconds. Raises TimeoutError."""
        with self.connections_condition:
            self.connections_condition.wait_for(lambda: self.active_connections or not self.running, timeout)
            if not self.active_connections and self.running:
                raise errors.TimeoutError(f"no server could be reached in {timeout:g} s")

    def getConnection(self) -> Connection:
        """The next connection, each in its turn. Raises NoConnectedServersError if there is none."""
        with self.connections_condition:
            if not self.active_connections:
                raise errors.NoConnectedServersError("No connected Gearman servers")
            self.connection_index = (self.connection_index + 1) % len(self.active_connections)
            return self.active_connections[self.connection_index]

    def broadcast(self, packet: Packet) -> None:
        """Send a packet to all servers that are connected."""
        with self.broadcast_lock:
            for connection in list(self.active_connections):
                try:
                    self.sendPacket(packet, connection)
                except OSError as error:
                    self.log.error("%s could not be sent to %s: %s", packet, connection, error)

    def sendPacket(self, packet: Packet, connection: Connection) -> None:
        """Send a packet over a connection; one that fails is given up, and the reason is raised."""
        try:
            connection.sendPacket(packet)
        except OSError as error:
            self._lost(connection, error)
            raise

    def handleEchoRes(self, packet: Packet) -> None:
        """ECHO_RES: has ``Connection.echo`` return."""
        assert packet.connection is not None
        packet.connection.handleEchoRes(packet.getArgument(0, True))

    def handleError(self, packet: Packet) -> None:
        """ERROR: is logged, and ends what was asked for first of all that has no answer yet."""
        code, text = (part.decode(errors="backslashreplace") for part in _error(packet))
        self.log.error("Received ERROR packet: %s: %s", code, text)
        connection = packet.connection
        if connection is not None and connection.pending_tasks:
            task = connection.pending_tasks.pop(0)
            task.error = f"{code}: {text}"
            task.setComplete()

    def handleAdminRequest(self, request: AdminRequest) -> None:
        """An admin command was answered."""
        self.log.debug("Received admin response to %s", request)
        request.setComplete()

    def handleDisconnect(self, job: Any) -> None:
        """The connection of a job has ended. Does nothing."""

    def shutdown(self) -> None:
        """Close all connections, for good."""
        with self.connections_condition:
            if not self.running:
                self.log.warning("Shutdown called when not currently running. Ignoring.")
                return
            self.running = False
            self._ended.set()
            connections = (*self.active_connections, *self.inactive_connections)
            for connection in connections:
                connection.give_up()
            self.connections_condition.notify_all()
        self._shutdown()
        self._pump.stop()
        for thread in list(self._connectors):
            if thread is not threading.current_thread():
                thread.join()
        with self.connections_condition:
            for connection in connections:
                connection.disconnect()
            self.active_connections = []
            self.inactive_connections = []

    def _shutdown(self) -> None:
        """What else is to end when the client does."""

    def _expects(self) -> bool:
        """Whether something is on its way that nobody waits for."""
        return False

    def _onConnect(self, conn: Connection) -> None:
        """A connection was made, over which nothing was sent yet."""

    def _onActiveConnection(self, conn: Connection) -> None:
        """A connection can be used."""

    def _bring_up(self, connection: Connection) -> None:
        with self.connections_condition:
            self.inactive_connections.append(connection)
            if self.running:
                name = f"connect {connection.host}:{connection.port}"
                thread = threading.Thread(target=self._connect, args=(connection,), name=name, daemon=True)
                self._connectors.add(thread)
                thread.start()

    def _connect(self, connection: Connection) -> None:
        """Connect, however long it takes."""
        pauses = Pauses(random.random)
        try:
            while self.running:
                try:
                    connection.connect()
                    self._activate(connection)
                    return
                except (errors.ConnectionError, OSError, GearcoreError) as error:
                    self.log.warning("Unable to connect to %s: %s", connection, error)
                except Exception:
                    self.log.exception("Exception while connecting to %s:", connection)
                connection.disconnect()
                self._ended.wait(min(pauses.next(), _LONGEST_PAUSE))
        finally:
            self._connectors.discard(threading.current_thread())

    def _activate(self, connection: Connection) -> None:
        # What is broadcast meanwhile is not to miss a connection that has been told all but that.
        with self.broadcast_lock:
            self._onConnect(connection)
            with self.connections_condition:
                if not self.running:
                    return
                self.inactive_connections.remove(connection)
                self.active_connections.append(connection)
                connection.attach(self._pump, self.handleAdminRequest)
                self.connections_condition.notify_all()
        self.log.debug("Connected to %s", connection)
        self._call(self._onActiveConnection, connection)

    def _lostConnection(self, conn: Connection) -> None:
        """A connection has ended: its jobs are told, and another is made."""
        with self.connections_condition:
            if conn not in self.active_connections:
                return
            self.active_connections.remove(conn)
            jobs = list(conn.related_jobs.values())
            conn.disconnect()
            self._bring_up(conn)
        for job in jobs:
            self._call(self.handleDisconnect, job)

    def _lost(self, connection: Connection, error: Exception) -> None:
        if self.running:
            self.log.warning("%s: %s", connection, error)
            self._lostConnection(connection)

    def _read(self, connection: Connection) -> None:
        """Deal with what has come over a connection."""
        ended: Exception | None = None
        try:
            connection.fill()
        except (OSError, GearcoreError) as error:
            ended = error
        while (packet := connection.next_packet()) is not None:
            self._call(self.handlePacket, packet)
        if ended is not None:
            self._lost(connection, ended)

    def _call(self, handler: Callable[[Any], object], argument: Any) -> None:
        """Call what may be the user's: what it raises must not end the thread that reads."""
        try:
            handler(argument)
        except errors.UnknownJobError as error:
            # As when it was submitted by another client with the same unique id, or forgotten meanwhile.
            self.log.debug("%s", error)
        except Exception:
            self.log.exception("Exception in %s:", handler.__name__)


def _error(packet: Packet) -> tuple[bytes, bytes]:
    code, _, text = bytes(packet.data).partition(b"\0")
    return code, text.rstrip(b"\0")  # geard ends the text by a NUL
