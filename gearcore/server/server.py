"""The asyncio driver of the broker."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Literal, Self

from gearcore._keeper import Keeper
from gearcore.broker import Admin, Broker, Connection, retain_memory
from gearcore.errors import CannotListen, StoreError
from gearcore.protocol import DEFAULT_PORT
from gearcore.server import loop as event_loops
from gearcore.server.access import AccessList
from gearcore.server.dead import DeadLetters
from gearcore.server.direct import Direct, DirectPeer
from gearcore.server.identity import Identity, identify
from gearcore.server.limits import Keepalive, Limits
from gearcore.server.listeners import Listener, Listening, TcpListener, open_listener
from gearcore.server.peer import Peer, PeerProtocol, RefusedProtocol
from gearcore.server.sockets import configure
from gearcore.server.thread import ServerThread
from gearcore.server.tls import TlsFiles
from gearcore.store import Store, StoreWriter

__all__ = ["Server"]

log = logging.getLogger("gearcore.server")

READ_SIZE = 256 * 1024
"""The most bytes that are read from a socket at once."""

CLOSE_TIMEOUT = 1.0
"""Seconds that peers get, when the server stops, to take what was already written for them."""


SWITCH_INTERVAL = 0.0001
"""Seconds after which the thread of a store gets its turn beside a busy event loop. A commit takes several,
for which Python's own 5 ms are too long."""


LONGEST_WAIT = 60.0
"""Seconds between looks at the clock: the time of day may be set meanwhile."""


class Server:
    """A Gearman job server.

    Run it in an event loop that is already there::

        async with gearcore.Server(port=0) as server:
            print(server.port)

    in a thread of a synchronous program::

        with gearcore.Server() as server:
            print(server.addresses)

    or as the whole of a process, until SIGTERM, SIGINT or SIGUSR1, by ``gearcore.Server().run()``.

    ``host`` is an address or a host name to listen on, or several; ``port`` 0 lets the system choose.
    ``backlog`` is how many connections may wait to be accepted. ``handle_prefix`` comes before each job's
    number in its handle, ``H:<host name>`` by default as with gearmand; it is at most 42 bytes long.
    ``limits`` say how much it takes from its peers, ``keepalive`` when a silent peer is taken for dead.

    ``job_retries`` is how many runs a job gets whose workers vanish or time out, before its clients get
    WORK_FAIL: -1 for any number, 0 for one as in gearmand 2.0. ``worker_wakeup`` is how many of the sleeping
    workers are woken for a job: -1 for as few as will do, without a job ever waiting while a worker for it
    sleeps; 0 for all, as gearmand does, and the default with ``compat="1.1"``. With ``exceptions`` every
    client gets the text of exceptions. ``allow_shutdown`` brings back the admin command ``shutdown``, which
    anyone can send who reaches the port; with an ``access`` list it is there for those whom the list lets.

    ``compat="1.1"`` is for those who count on how gearmand 1.1 hands out jobs: the function that a worker
    offered last comes first whatever the priorities, or functions take turns with ``round_robin``;
    ``job_retries`` 0 is without limit. Otherwise a worker gets the job of the highest priority among its
    functions, which take turns, as from gearmand 2.0, and ``round_robin`` makes no difference.

    ``tls`` has the port speak TLS only, with these certificates; a peer that does not finish its handshake in
    ``tls_handshake_timeout`` seconds is cut off. ``listeners`` is what to listen on beside ``host`` and
    ``port``, or instead of them when ``host`` is an empty list: more ports, with or without TLS, Unix
    sockets, ports for HTTP. ``access`` says who may do what; without it, everyone may do everything.

    ``store`` is where background jobs are kept: each is acknowledged once the store has it, and those that
    it kept are queued again at the start. While the store fails, background jobs are refused, or wait with
    ``store_down="wait"``. A job that has had its ``job_retries`` becomes a dead letter in the store; so do,
    for the functions in ``keep_failed``, background jobs that end in WORK_FAIL or WORK_EXCEPTION. The name
    ``"*"`` in it stands for every function.

    Starting raises `CannotListen` when an address cannot be had, or a certificate cannot be used, and
    `StoreError` when the store cannot be.
    """

    make_admin: Callable[..., Admin] = Admin
    """Makes what answers the admin commands."""

    def __init__(
        self,
        host: str | Sequence[str] = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        backlog: int = 1024,
        handle_prefix: str | None = None,
        limits: Limits | None = None,
        keepalive: Keepalive | None = None,
        job_retries: int = -1,
        worker_wakeup: int | None = None,
        exceptions: bool = False,
        allow_shutdown: bool = False,
        compat: Literal["1.1", "2.0"] = "2.0",
        round_robin: bool = False,
        tls: TlsFiles | ssl.SSLContext | None = None,
        tls_handshake_timeout: float = 10.0,
        listeners: Sequence[Listener] = (),
        access: AccessList | None = None,
        store: Store | None = None,
        store_down: Literal["refuse", "wait"] = "refuse",
        keep_failed: Collection[str | bytes] = (),
    ) -> None:
        if job_retries == 0:
            if compat == "1.1":
                job_retries = -1
            else:
                log.warning(
                    "job_retries 0 means one run and no retry, unlike in gearmand 1.1; -1 is without limit"
                )
        if worker_wakeup is None:
            worker_wakeup = 0 if compat == "1.1" else -1
        hosts = [host] if isinstance(host, str) else host
        self._listeners = [*(TcpListener(name, port, tls) for name in hosts), *listeners]
        self._access = access
        self._tls_handshake_timeout = tls_handshake_timeout
        self._backlog = backlog
        self.limits = Limits() if limits is None else limits
        self.keepalive = Keepalive() if keepalive is None else keepalive
        self.broker = Broker(
            self.make_admin(
                self.request_stop if allow_shutdown or access is not None else None,
                self._answer_dead if store is not None else None,
            ),
            handle_prefix=default_handle_prefix() if handle_prefix is None else handle_prefix,
            max_packet_size=self.limits.packet,
            max_output=self.limits.output,
            max_memory=self.limits.memory,
            max_functions=self.limits.functions,
            job_retries=job_retries,
            worker_wakeup=worker_wakeup,
            exceptions=exceptions,
            in_order_of_offer=compat == "1.1",
            round_robin=round_robin,
        )
        self._prefix = handle_prefix
        self._writer: StoreWriter | None = None
        self._dead: DeadLetters | None = None
        self._keeper: Keeper | None = None
        if store is not None:
            names = {name.encode() if isinstance(name, str) else name for name in keep_failed}
            self._keeper = Keeper(self.broker, True if b"*" in names else names)
            self._writer = StoreWriter(store, self._keeper, self.flush, store_down)
            self._dead = DeadLetters(self._keeper, self._writer)
        self.peers: set[Peer] = set()
        self.read_buffer = memoryview(bytearray(READ_SIZE))
        self._listening: list[Listening] = []
        self._running = False
        self._flush_is_due = False
        self._draining = False
        self._stopping = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._direct: Direct | None = None
        self._thread: ServerThread | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The address and port of every TCP socket that the server listens on, those of ``host`` first."""
        return [address for listening in self._listening for address in listening.addresses]

    @property
    def port(self) -> int:
        """The port that the server listens on: the first, if the system chose several."""
        return self.addresses[0][1]

    async def start(self) -> None:
        """Start to listen, in the running event loop. A server that was stopped can be started again."""
        if self._running:
            raise RuntimeError("the server is started already")
        self._loop = asyncio.get_running_loop()
        self._running = True
        self._flush_is_due = False
        self._tick()
        if self._writer is not None:
            try:
                await self._open_store(self._writer)
            except BaseException:
                self._running = False
                await self.stop()
                raise
        if self._has_direct_sockets:
            self._direct = Direct(self)
        try:
            for listener in self._listeners:
                plain = self._direct if is_plain(listener) else None
                speak = protocol_of(listener) if plain is None else partial(DirectPeer, direct=plain)
                self._listening.append(
                    await open_listener(
                        listener,
                        partial(self.new_peer, speak),
                        backlog=self._backlog,
                        handshake_timeout=self._tls_handshake_timeout,
                        direct=plain,
                    )
                )
        except BaseException:
            await self.stop()
            raise

    async def _open_store(self, writer: StoreWriter) -> None:
        """Queue what the store kept."""
        assert self._keeper is not None
        began = time.monotonic()
        wanted = default_handle_prefix() if self._prefix is None else self._prefix
        prefix, last_number = await writer.start(wanted)
        try:
            self._keeper.begin(prefix, last_number)
            count = await writer.load()
        except ValueError as error:
            raise StoreError(str(error)) from error
        if prefix != self._prefix is not None:
            log.warning("handles begin with %s, as those of the jobs in %s do", prefix, writer)
        log.info("%d jobs from %s, in %.2f s", count, writer, time.monotonic() - began)

    def _answer_dead(self, connection: Connection, words: list[bytes]) -> None:
        assert self._dead is not None
        self._dead(connection, words)

    async def stop(self) -> None:
        """Stop to listen, write what is there for the peers, and close their connections."""
        self._running = False
        listening = self._close_listeners()
        self.flush()
        if self._dead is not None:
            self._dead.stop()
        if self._writer is not None:
            await self._writer.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for peer in list(self.peers):
            peer.transport.close()
        if self.peers:
            await asyncio.wait([peer.closed for peer in self.peers], timeout=CLOSE_TIMEOUT)
        for peer in list(self.peers):
            peer.transport.abort()
        if self._direct is not None:
            self._direct.close()
            self._direct = None
        for one in listening:
            await one.wait_closed()
        self._draining = False
        self._stopping = asyncio.Event()  # an event is of one event loop, and the next may be another

    def _close_listeners(self) -> list[Listening]:
        closing, self._listening = self._listening, []
        for listening in closing:
            listening.close()
        return closing

    def request_stop(self, graceful: bool = False) -> None:
        """Have `wait_for_stop` return: at once, or, if ``graceful``, when the last job has ended.

        A graceful stop takes no new connection; those that are there go on, and may submit. To be called in
        the event loop's thread.
        """
        log.info("stopping%s", f" when the last of {len(self.broker)} jobs has ended" if graceful else "")
        if not graceful:
            self._stopping.set()
            return
        self._draining = True
        if self._direct is not None:
            self._direct.sockets.draining = True
        self._close_listeners()
        self.flush_soon()

    async def wait_for_stop(self) -> None:
        """Return when a signal, the admin command ``shutdown`` or `request_stop` asks the server to stop."""
        await self._stopping.wait()

    def new_peer(self, protocol: Callable[[Server], asyncio.BaseProtocol]) -> asyncio.BaseProtocol:
        """Make the protocol for a connection that was just accepted."""
        if len(self.peers) + sum(one.handshakes for one in self._listening) >= self.limits.connections:
            return RefusedProtocol(self.limits.connections)
        return protocol(self)

    def admit(self, peer: Peer, transport: asyncio.BaseTransport) -> tuple[Connection, Identity]:
        """Make the broker's connection for a peer whose transport is open, and say who the peer is."""
        sock = transport.get_extra_info("socket")
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            configure(sock, self.keepalive)
        identity = identify(transport)
        may = None if self._access is None else self._access.permissions(identity).may
        connection = self.broker.connect(identity.address, sock.fileno(), may)
        connection.driver = peer
        self.peers.add(peer)
        if not self._running:  # it was accepted before, and is told of only now
            peer.transport.abort()
        elif len(self.peers) > self.limits.connections:  # several were accepted at once
            log.warning("peer %s is refused: %d connections are open", identity, self.limits.connections)
            peer.transport.abort()
        return connection, identity

    def flush_soon(self) -> None:
        """Have the output of this turn of the event loop written after it, in one write for each peer."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what the broker has for its peers, and see to it that `Broker.tick` is called in time."""
        self._flush_is_due = False
        if self._direct is not None:
            self._direct.flush()
        for connection in self.broker.drain():
            try:
                connection.driver.flush()
            except Exception:  # the others are to get theirs all the same
                log.exception("a peer is cut off: what it was sent could not be written")
                connection.driver.transport.abort()
        if self._writer is not None:
            self._writer.advance()
        if self._running:
            deadline = self.broker.deadline
            if deadline is not None or self._timer is None:
                self._tick_at(math.inf if deadline is None else deadline)
        if self._draining and not len(self.broker):
            self._stopping.set()

    def _tick_at(self, deadline: float) -> None:
        deadline = min(deadline, self._loop.time() + LONGEST_WAIT)
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.broker.tick(time.monotonic(), time.time())
        self.flush()

    @property
    def _has_direct_sockets(self) -> bool:
        return event_loops.HAS_DIRECT_SOCKETS and any(map(is_plain, self._listeners))

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Make the event loop that suits this server best.

        Where there is TLS it is uvloop, also beside plain ports: a job costs a third to a half less over TLS,
        and a tenth more without.
        """
        has_tls = any(listener.tls is not None for listener in self._listeners)
        return event_loops.new_event_loop(self._has_direct_sockets and not has_tls)

    def run(self, on_ready: Callable[[Server], None] | None = None) -> None:
        """Serve in an event loop of its own until a signal.

        SIGTERM and SIGINT stop it at once, SIGUSR1 when the last job has ended. ``on_ready`` is called with
        the server once it listens. To be called from the main thread, of a process that does nothing else: it
        keeps up to 32 MB of memory that came free for the payloads to come.
        """
        retain_memory()
        if self._writer is not None:
            sys.setswitchinterval(SWITCH_INTERVAL)
        with asyncio.Runner(loop_factory=self.new_event_loop) as runner, suppress(KeyboardInterrupt):
            runner.run(self._serve(on_ready))

    async def _serve(self, on_ready: Callable[[Server], None] | None) -> None:
        self._loop = loop = asyncio.get_running_loop()
        # Before it says that it listens: who reads that may send a signal at once.
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError):  # Windows: SIGINT is a KeyboardInterrupt, which ends `run`
                loop.add_signal_handler(number, self.request_stop)
        if hasattr(signal, "SIGUSR1"):
            loop.add_signal_handler(signal.SIGUSR1, self.request_stop, True)
        async with self:
            if on_ready is not None:
                on_ready(self)
            await self.wait_for_stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        self._thread = ServerThread(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._thread is not None
        self._thread.stop()
        self._thread = None


def default_handle_prefix() -> str:
    """``H:`` and the host's name, cut to what leaves room for the job's number."""
    return f"H:{socket.gethostname()}".encode()[:42].decode(errors="ignore")


def is_plain(listener: Listener) -> bool:
    """Whether the peers of a listener speak Gearman's protocol over a socket as it is."""
    return listener.tls is None and not listener.http


def protocol_of(listener: Listener) -> Callable[[Server], asyncio.BaseProtocol]:
    """What speaks with the peers of a listener; raises `CannotListen` when it is not installed."""
    if not listener.http:
        return PeerProtocol
    try:
        from gearcore.server.http import HttpProtocol
    except ModuleNotFoundError as error:
        raise CannotListen(
            f"cannot listen on {listener}: HTTP needs the package {error.name};"
            " it comes with the extra: pip install 'gearcore-gearman[http]'"
        ) from error
    return HttpProtocol
