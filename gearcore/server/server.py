"""The asyncio driver of the broker."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from gearcore.broker import Broker, answer_line
from gearcore.errors import CannotListen
from gearcore.protocol import DEFAULT_MAX_PACKET_SIZE, DEFAULT_PORT
from gearcore.server.loop import new_event_loop
from gearcore.server.peer import PeerProtocol

__all__ = ["Server"]

log = logging.getLogger("gearcore.server")

READ_SIZE = 256 * 1024
"""The most bytes that are read from a socket at once."""

CLOSE_TIMEOUT = 1.0
"""Seconds that peers get, when the server stops, to take what was already written for them."""


class Server:
    """A Gearman job server.

    Run it in an event loop that is already there::

        async with gearcore.Server(port=0) as server:
            print(server.port)

    in a thread of a synchronous program::

        with gearcore.Server() as server:
            print(server.addresses)

    or as the whole of a process, until SIGTERM or SIGINT, by ``gearcore.Server().run()``.

    ``host`` is an address or a host name to listen on, or several; ``port`` 0 lets the system choose.
    ``backlog`` is how many connections may wait to be accepted. ``handle_prefix`` comes before each job's
    number in its handle, ``H:<host name>`` by default as with gearmand; it is at most 42 bytes long.
    ``max_packet_size`` bounds the body of a packet, in bytes: a larger one is answered with an ERROR.

    Starting raises `CannotListen` when an address cannot be had.
    """

    def __init__(
        self,
        host: str | Sequence[str] = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        backlog: int = 1024,
        handle_prefix: str | None = None,
        max_packet_size: int = DEFAULT_MAX_PACKET_SIZE,
    ) -> None:
        if not 0 <= port <= 65535:
            raise ValueError(f"a port is a number from 0 to 65535, not {port}")
        self._hosts = [host] if isinstance(host, str) else list(host)
        self._port = port
        self._backlog = backlog
        self.broker = Broker(
            answer_line,
            handle_prefix=default_handle_prefix() if handle_prefix is None else handle_prefix,
            max_packet_size=max_packet_size,
        )
        self.peers: set[PeerProtocol] = set()
        self.read_buffer = memoryview(bytearray(READ_SIZE))
        self._listeners: list[asyncio.Server] = []
        self._flush_is_due = False
        self._thread: _ServerThread | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The address and port of every socket that the server listens on."""
        return [s.getsockname()[:2] for listener in self._listeners for s in listener.sockets]

    @property
    def port(self) -> int:
        """The port that the server listens on: the first, if the system chose several."""
        return self.addresses[0][1]

    async def start(self) -> None:
        """Start to listen, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        for host in self._hosts:
            try:
                listener = await self._loop.create_server(
                    lambda: PeerProtocol(self), host, self._port, backlog=self._backlog, reuse_address=True
                )
            except OSError as error:
                await self.stop()
                address = join_address(host, self._port)
                raise CannotListen(f"cannot listen on {address}: {cause_of(error)}") from error
            self._listeners.append(listener)
        for host, port in self.addresses:
            log.info("listening on %s", join_address(host, port))

    async def stop(self) -> None:
        """Stop to listen, write what is there for the peers, and close their connections."""
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        self._flush()
        for peer in self.peers:
            peer.transport.close()
        if self.peers:
            await asyncio.wait([peer.closed for peer in self.peers], timeout=CLOSE_TIMEOUT)
        for peer in self.peers:
            peer.transport.abort()

    def flush_soon(self) -> None:
        """Have the output of this turn of the event loop written after it, in one write for each peer."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        for connection in self.broker.drain():
            connection.driver.flush()

    def run(self, on_ready: Callable[[Server], None] | None = None) -> None:
        """Serve in an event loop of its own, uvloop's where there is one, until SIGTERM or SIGINT.

        ``on_ready`` is called with the server once it listens. To be called from the main thread.
        """
        with asyncio.Runner(loop_factory=new_event_loop) as runner, suppress(KeyboardInterrupt):
            runner.run(self._serve(on_ready))

    async def _serve(self, on_ready: Callable[[Server], None] | None) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError):  # on Windows, where SIGINT is a KeyboardInterrupt
                loop.add_signal_handler(number, stopped.set)
        async with self:
            if on_ready is not None:
                on_ready(self)
            await stopped.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        self._thread = _ServerThread(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._thread is not None
        self._thread.stop()
        self._thread = None


class _ServerThread:
    """A server in a thread with an event loop of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gearcore-server", daemon=True)

    def start(self) -> None:
        """Return once the server listens; raise what kept it from that."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        try:
            await self._server.start()
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        await self._stopped.wait()
        await self._server.stop()


def default_handle_prefix() -> str:
    """``H:`` and the host's name, cut to what leaves room for the job's number."""
    return f"H:{socket.gethostname()}".encode()[:42].decode(errors="ignore")


def cause_of(error: OSError) -> str:
    """The system's own words: event loops wrap them in a repetition of the address."""
    is_system_error = error.errno is not None and error.errno > 0  # name look-ups have negative numbers
    return os.strerror(error.errno) if is_system_error else error.strerror or str(error)


def join_address(host: str, port: int) -> str:
    """``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
