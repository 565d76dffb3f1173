"""The connections of an asyncio client: to which server a request goes, and how it is connected."""

from __future__ import annotations

import asyncio
import math
import ssl
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

from gearcore._connecting import explain
from gearcore.address import ServerAddress
from gearcore.aio.connecting import connect
from gearcore.aio.vigil import LoopVigil
from gearcore.errors import ConnectionLost, ProtocolError, ServerUnavailable, TimedOut
from gearcore.session.client import ClientSession
from gearcore.session.fleet import Fleet, Place, State
from gearcore.session.requests import Request

__all__ = ["Connections", "Link", "wake"]


class Link(asyncio.Protocol):
    """One connection of a client, with what is in flight on it. ``heard`` is when something came last."""

    def __init__(self, links: Connections, place: Place) -> None:
        self.place = place
        self.session = ClientSession(place.name, self)
        self.heard = 0.0
        self.transport: asyncio.Transport | None = None
        self._links = links
        self._loop = asyncio.get_running_loop()
        self._flushes = False
        self._vigil = LoopVigil(self._loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a connection."""
        self.transport = cast("asyncio.Transport", transport)
        self.heard = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the server."""
        self.heard = self._loop.time()
        self._vigil.end()
        if self.place.state is State.SILENT:
            self.place.state = State.LIVE
        try:
            news = self.session.receive(data, self.heard)
        except ProtocolError as error:
            self._links.lose(self, error)
            return
        for request in news:
            if request.watcher is not None:
                request.watcher(request)
        if self.place.state is State.PROBED:
            self._links.change()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection ended."""
        cause = "the server closed it"
        if error is not None:
            cause = explain(error) if isinstance(error, OSError) else str(error)
        self._links.lose(self, ConnectionLost(f"the connection to {self.place.name} ended: {cause}"))

    def ask(self, request: Request) -> None:
        """Ask the server: at once, or where others are under way with what else is asked in this turn."""
        self.session.ask(request)
        if self.session.in_flight[0] == 1:
            self.send()
        elif not self._flushes:
            self._flushes = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushes = False
        self.send()

    def expect(self) -> None:
        """Somebody waits for what comes next."""
        if self.session.awaited == 1:
            self._vigil.begin()

    def send(self) -> None:
        """Send what there is to send."""
        parts = self.session.parts_to_send()
        if parts and self.transport is not None and not self.transport.is_closing():
            for part in parts:  # more than one where a workload is large, and better not copied
                self.transport.write(part)

    def close(self) -> None:
        """Close the connection. What is unsent is dropped."""
        if self.transport is not None:
            self.transport.abort()


class Connections(ABC):
    """Connections to any of some servers, in one event loop. ``name`` is what the errors call the servers.

    A task that needs one makes it if need be, while the others that want it too wait for that; servers that
    failed are tried again beside the rest.
    """

    def __init__(
        self, addresses: Sequence[ServerAddress], tls: ssl.SSLContext | None, connect_timeout: float
    ) -> None:
        self.name = ", ".join(map(str, addresses))
        self._addresses = addresses
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._closed = False
        self._begin(None)

    def _begin(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop
        self._fleet = Fleet([str(address) for address in self._addresses])
        self._alone = self._fleet.places[0] if len(self._addresses) == 1 else None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: list[asyncio.Future[None]] = []

    @abstractmethod
    def lose(self, link: Link, cause: object) -> None:
        """A connection ended."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that runs. The connections of an earlier one are forgotten."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            for place in self._fleet.places:
                if place.session is not None:
                    place.session.connection_lost(f"the event loop of the connection to {place.name} is gone")
            self._begin(loop)
        return loop

    def places(self, route: bytes = b"") -> list[Place]:
        """The servers, in the order in which a request with this unique id tries them."""
        return list(self._fleet.order(route))

    def address_of(self, place: Place) -> ServerAddress:
        """Where a server listens."""
        return self._addresses[place.index]

    async def open(self, place: Place, seconds: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection beside the others, for the caller alone."""
        reader = asyncio.StreamReader()
        transport, protocol = await connect(
            lambda: asyncio.StreamReaderProtocol(reader),
            self.address_of(place),
            min(seconds, self._connect_timeout),
            self._tls,
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())

    def change(self) -> None:
        """Wake who waits for a connection."""
        turns, self._turns = self._turns, []
        for turn in turns:
            wake(turn)

    async def _wait(self, future: asyncio.Future[None], end: float) -> bool:
        """Wait for a future until that time; returns whether it came."""
        if end == math.inf:
            await future
            return True
        loop = future.get_loop()
        timer = loop.call_at(end, future.cancel)
        try:
            await future
        except asyncio.CancelledError:
            if loop.time() < end or _is_cancelled():
                raise
            return False
        finally:
            timer.cancel()
        return True

    async def _route(self, route: bytes, end: float, wanted: Place | None = None) -> Link:
        """A connection for a request. Raises ServerUnavailable when no server can be reached."""
        search = self._fleet.search(route, wanted)
        while True:
            if self._closed:
                raise RuntimeError(f"the client of {self.name} is closed")
            self._probe()
            place = search.next()
            if place.session is not None:
                link: Link = place.session.link
                return link
            if place.state in (State.CONNECTING, State.PROBED):
                if not await self._turn(end) and place.session is None:
                    raise TimedOut(f"waited for a connection to {place.name}, in vain")
            else:
                try:
                    await self._connect(place, end)
                except ServerUnavailable as reason:
                    search.failed(place, reason)

    async def _turn(self, end: float) -> bool:
        turn = self.loop.create_future()
        self._turns.append(turn)
        return await self._wait(turn, end)

    async def _connect(self, place: Place, end: float) -> None:
        place.state = State.CONNECTING
        try:
            link = await self._open(place, end - self.loop.time())
        except BaseException:
            place.failed(self.loop.time())
            raise
        else:
            self._attach(link)
        finally:
            self.change()

    async def _open(self, place: Place, seconds: float) -> Link:
        limit = min(max(seconds, 0.0), self._connect_timeout)
        _, link = await connect(lambda: Link(self, place), self._addresses[place.index], limit, self._tls)
        return link

    def _attach(self, link: Link) -> None:
        if self._closed:
            link.close()
            raise RuntimeError(f"the client of {self.name} is closed")
        link.place.connected(link.session)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _probe(self) -> None:
        """Try again to reach the servers that are due, beside the others, which are used meanwhile."""
        for place in self._fleet.due(self.loop.time()):
            place.state = State.PROBED
            self._spawn(self._run_probe(place))

    async def _run_probe(self, place: Place) -> None:
        link = None
        end = self.loop.time() + self._connect_timeout
        try:
            link = await self._open(place, self._connect_timeout)
            # A server that takes connections and says nothing is no better than one that takes none.
            link.send()
            while not link.session.accepted and link.transport is not None:
                if link.transport.is_closing() or not await self._turn(end):
                    break
        except ServerUnavailable:
            pass
        finally:
            if link is not None and link.session.accepted and not self._closed:
                self._attach(link)
            else:
                place.failed(self.loop.time())
                if link is not None:
                    link.close()
            self.change()


def wake(future: asyncio.Future[None], _: Request | None = None) -> None:
    """End the wait for a future, if it goes on."""
    if not future.done():
        future.set_result(None)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
