"""gear's server: its arguments and what it shows, on gearcore's server in a thread."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from gearcore.broker import Connection
from gearcore.compat.gear import constants
from gearcore.compat.gear.acl import ACL
from gearcore.compat.gear.jobs import BinaryJob
from gearcore.compat.gear.serving import GearServer, subject_of
from gearcore.protocol import Priority
from gearcore.server import InheritedListener, Keepalive, TlsFiles
from gearcore.server.identity import identify

__all__ = ["Server", "ServerConnection", "ServerJob"]

T = TypeVar("T")


class ServerJob(BinaryJob):
    """A job of the server, as it was when somebody asked for it."""

    def __init__(self, handle: bytes, name: bytes, arguments: bytes, unique: bytes | None = None) -> None:
        super().__init__(name, arguments, unique)
        self.handle = handle


class ServerConnection:
    """A connection of the server, as it was when somebody asked for it."""

    def __init__(self, connection: Connection) -> None:
        peer = identify(connection.driver.transport)
        self.host = peer.address
        self.port = peer.port
        self.client_id = connection.client_id
        self.functions = set(connection.functions)
        self.ssl_subject = subject_of(peer)

    def __repr__(self) -> str:
        shown = f"name: {self.client_id!r} host: {self.host} port: {self.port}"
        return f"<gear.ServerConnection 0x{id(self):x} {shown}>"


class Server:
    """A job server, which listens from the moment that it is made, in a thread.

    ``port`` 0 lets the system choose; ``host`` is an address or a host name, None for every address of the
    machine. It is by TLS when the three files are given: every peer must show a certificate of an authority
    in ``ssl_ca``. ``acl`` says who may do what; without TLS it knows nobody. ``server_id`` is for the log.
    With ``keepalive`` the system asks a silent peer after ``tcp_keepidle`` seconds whether it is there, up to
    ``tcp_keepcnt`` times every ``tcp_keepintvl`` seconds; without, after a minute, three times every 20.

    With ``statsd_host``, and the package statsd, it sends to ``statsd_port`` how long each packet took and
    how many there were, and the number of jobs; the names begin with ``statsd_prefix``.

    Raises an OSError when it cannot listen there.
    """

    def __init__(
        self,
        port: int = 4730,
        ssl_key: str | None = None,
        ssl_cert: str | None = None,
        ssl_ca: str | None = None,
        statsd_host: str | None = None,
        statsd_port: int = 8125,
        statsd_prefix: str | None = None,
        server_id: str | None = None,
        acl: ACL | None = None,
        host: str | None = None,
        keepalive: bool = False,
        tcp_keepidle: int = 7200,
        tcp_keepintvl: int = 75,
        tcp_keepcnt: int = 9,
    ) -> None:
        self.client_id = server_id
        self.log = logging.getLogger("gear.Server" if server_id is None else f"gear.Server.{server_id}")
        self.ssl_key, self.ssl_cert, self.ssl_ca = ssl_key, ssl_cert, ssl_ca
        tls = None
        if ssl_key and ssl_cert and ssl_ca:
            tls = TlsFiles(certificate=ssl_cert, key=ssl_key, ca=ssl_ca)
        elif ssl_key or ssl_cert or ssl_ca:
            self.log.warning("the server is not by TLS: that takes ssl_key, ssl_cert and ssl_ca")
        self.use_ssl = tls is not None
        self.acl = acl
        self.statsd = self._make_statsd(statsd_host, statsd_port, statsd_prefix)
        listening = _listen(host, port)
        self.port: int = listening.getsockname()[1]
        self._server = GearServer(
            acl=acl,
            report=None if self.statsd is None else self.reportTimingStats,
            gauge=None if self.statsd is None else self._report_queue,
            host=[],
            listeners=[InheritedListener(listening.detach(), tls)],
            keepalive=Keepalive(tcp_keepidle, tcp_keepintvl, tcp_keepcnt) if keepalive else None,
            exceptions=True,
        )
        self._server.__enter__()
        self.running = True

    def _make_statsd(self, host: str | None, port: int, prefix: str | None) -> Any:
        if not host:
            return None
        try:
            import statsd
        except ImportError:
            self.log.warning(
                "nothing is sent to statsd at %s: that takes the package statsd;"
                " it comes with the extra: pip install 'gearcore-gearman[statsd]'",
                host,
            )
            return None
        return statsd.StatsClient(host, port, prefix)

    def reportTimingStats(self, ptype: int, duration: float) -> None:
        """A packet was dealt with in so many seconds: statsd is told."""
        if self.statsd is not None:
            key = f"packet.{constants.types.get(ptype, 'UNKNOWN')}"
            self.statsd.timing(key, duration * 1000)
            self.statsd.incr(key)

    def _report_queue(self, total: int, running: int) -> None:
        self.statsd.gauge("queue.total", total)
        self.statsd.gauge("queue.running", running)
        self.statsd.gauge("queue.waiting", total - running)

    def shutdown(self) -> None:
        """Stop the server, for good."""
        if not self.running:
            self.log.warning("Shutdown called when not currently running. Ignoring.")
            return
        self.running = False
        self._server.__exit__(None, None, None)
        if self.statsd is not None:
            self.statsd.close()

    @property
    def high_queue(self) -> list[ServerJob]:
        """The jobs of high priority that wait for a worker."""
        return self._ask(lambda: self._queue(Priority.HIGH))

    @property
    def normal_queue(self) -> list[ServerJob]:
        """The jobs of normal priority that wait for a worker."""
        return self._ask(lambda: self._queue(Priority.NORMAL))

    @property
    def low_queue(self) -> list[ServerJob]:
        """The jobs of low priority that wait for a worker."""
        return self._ask(lambda: self._queue(Priority.LOW))

    def getQueue(self) -> list[ServerJob]:
        """The jobs that wait for a worker: those of high priority, then normal, then low."""
        return self._ask(lambda: [job for priority in Priority for job in self._queue(priority)])

    @property
    def jobs(self) -> dict[bytes, ServerJob]:
        """All jobs by their handles."""
        return self._ask(lambda: {status.handle: self._job(status) for status in self._server.broker.jobs})

    @property
    def total_jobs(self) -> int:
        """How many jobs there are."""
        return self._ask(lambda: len(self._server.broker))

    @property
    def running_jobs(self) -> int:
        """How many jobs a worker has."""
        return self._ask(lambda: sum(function.running for function in self._server.broker.functions))

    @property
    def waiting_jobs(self) -> int:
        """How many jobs wait for a worker."""
        return self._ask(lambda: len(self._server.broker) - self.running_jobs)

    @property
    def functions(self) -> set[bytes]:
        """The functions that there is a worker for."""
        broker = self._server.broker
        return self._ask(lambda: {function.name for function in broker.functions if function.workers})

    @property
    def active_connections(self) -> list[ServerConnection]:
        """The connections that there are."""
        return self._ask(lambda: [ServerConnection(c) for c in self._server.broker.connections])

    def _queue(self, priority: Priority) -> list[ServerJob]:
        return [
            self._job(status)
            for status in self._server.broker.jobs
            if status.state == "queued" and status.priority == priority
        ]

    def _job(self, status: Any) -> ServerJob:
        workload = self._server.broker.workload(status.handle)
        return ServerJob(status.handle, status.function, workload or b"", status.unique or None)

    def _ask(self, question: Callable[[], T]) -> T:
        """Ask in the thread that the server's state belongs to; once that has ended, anywhere."""

        async def ask() -> T:
            return question()

        loop = self._server.event_loop
        try:
            if asyncio.get_running_loop() is loop:
                return question()
        except RuntimeError:  # there is none in this thread
            pass
        if not self.running:
            return question()
        return asyncio.run_coroutine_threadsafe(ask(), loop).result()

    def __repr__(self) -> str:
        return f"<gear.Server 0x{id(self):x}>"


def _listen(host: str | None, port: int) -> socket.socket:
    if host:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family)
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError:
            if port:
                raise
    return socket.create_server(("", port))
