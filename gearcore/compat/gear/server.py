"""gear's server: its arguments and what it shows, on gearcore's server in a thread."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from gearcore.compat.gear import constants
from gearcore.compat.gear.acl import ACL
from gearcore.compat.gear.base import PacketHandlers
from gearcore.compat.gear.handling import ServerConnection, ServerJob, jobs_of
from gearcore.compat.gear.packet import Packet
from gearcore.compat.gear.serving import GearServer
from gearcore.protocol import Priority
from gearcore.server import InheritedListener, Keepalive, TlsFiles

__all__ = ["Server", "ServerConnection", "ServerJob"]

T = TypeVar("T")


class Server(PacketHandlers):
    """A job server, which listens from the moment that it is made, in a thread.

    ``port`` 0 lets the system choose; ``host`` is an address or a host name, None for every address of the
    machine. It is by TLS when the three files are given: every peer must show a certificate of an authority
    in ``ssl_ca``. ``acl`` says who may do what; without TLS it knows nobody. ``server_id`` is for the log.
    With ``keepalive`` the system asks a silent peer after ``tcp_keepidle`` seconds whether it is there, up to
    ``tcp_keepcnt`` times every ``tcp_keepintvl`` seconds; without, after a minute, three times every 20.

    With ``statsd_host``, and the package statsd, it sends to ``statsd_port`` how long each packet took and
    how many there were, and the number of jobs; the names begin with ``statsd_prefix``.

    The methods that begin with ``handle`` are called with each packet of the server's peers, in the server's
    thread, if a class that inherits this one has any of them: whoever overrides one calls it too, to have the
    server deal with the packet, or does not, and the server never hears of it. What one raises is logged, and
    the packet dropped. The packet's ``connection`` says who sent it, and can send that a packet.

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
            handle=self.handlePacket if self.statsd is not None or self._handles() else None,
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

    def _handles(self) -> bool:
        """Whether a method for packets is not that of this class."""
        mine = (name for name in dir(Server) if name.startswith("handle") or name == "reportTimingStats")
        return any(getattr(type(self), name) is not getattr(Server, name) for name in mine)

    def _unhandled(self, packet: Packet) -> None:
        """Have gearcore's server deal with a packet."""
        connection: Any = packet.connection
        connection.pass_on(packet.toBinary())

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
        return self._ask(lambda: {job.handle: job for job in jobs_of(self._server.broker)})

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
        return jobs_of(self._server.broker, lambda job: job.state == "queued" and job.priority == priority)

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
