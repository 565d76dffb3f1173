"""The connections of a blocking client: to which server a request goes, and how it is connected."""

from __future__ import annotations

import ssl
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from gearcore._blocking import Connection, Deadline, Waker, Watch
from gearcore.address import ServerAddress
from gearcore.client.admin import cancel_job
from gearcore.errors import GearcoreError, ServerUnavailable, TimedOut
from gearcore.session.client import ClientSession
from gearcore.session.fleet import Fleet, Place, State

__all__ = ["Connections", "Link"]


class Link:
    """One connection of a client, with what is in flight on it."""

    __slots__ = ("connection", "place", "session")

    def __init__(self, place: Place, connection: Connection) -> None:
        self.place = place
        self.connection = connection
        self.session = ClientSession(place.name, self)


class Connections(ABC):
    """Connections to any of some servers, for any number of threads.

    A thread that needs one makes it if need be, while the others that want it too wait for that; servers that
    failed are tried again beside the rest. ``name`` is what the errors call the servers.
    """

    def __init__(
        self, addresses: Sequence[ServerAddress], tls: ssl.SSLContext | None, connect_timeout: float
    ) -> None:
        self.name = ", ".join(map(str, addresses))
        self._addresses = addresses
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        # The lock guards everything below.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._followers = 0
        self._led = False
        self._fleet = Fleet([str(address) for address in self._addresses])
        self._alone = self._fleet.places[0] if len(self._addresses) == 1 else None
        self._waker: Waker | None = None
        self._watch: Watch | None = None
        self._links: dict[Connection, Link] = {}
        self._attempts: set[Waker] = set()
        self._probes: list[threading.Thread] = []

    @abstractmethod
    def _receive(self, link: Link) -> bool:
        """Take what has come over a connection; returns whether there was anything."""

    def places(self, route: bytes = b"") -> list[Place]:
        """The servers, in the order in which a request with this unique id tries them."""
        return list(self._fleet.order(route))

    def cancel(self, place: Place, handle: str, deadline: Deadline) -> bool:
        """Have a server drop a job, on a connection of its own; returns whether it could."""
        waker = Waker()
        try:
            connection = self.connect(self._addresses[place.index], deadline, waker)
            try:
                return cancel_job(connection, handle, deadline)
            finally:
                connection.close()
        finally:
            waker.close()

    def connect(self, address: ServerAddress, deadline: Deadline, waker: Waker) -> Connection:
        """A connection beside the others, for the caller alone."""
        return Connection.open(address, deadline.sooner(self._connect_timeout), waker, self._tls)

    # What follows needs the lock, and gives it up while it waits.

    def _follow(self, deadline: Deadline) -> None:
        self._followers += 1
        try:
            self._changed.wait(deadline.remaining())
        finally:
            self._followers -= 1

    def _make_watch(self) -> Watch:
        if self._watch is None:
            self._waker = Waker()
            self._watch = Watch(self._waker)
        return self._watch

    def _wake(self) -> None:
        """Have the thread that leads look again, and those that follow."""
        if self._led and self._waker is not None:
            self._waker.wake()
        if self._followers:
            self._changed.notify_all()

    def _route(self, route: bytes, deadline: Deadline, wanted: Place | None = None) -> Link:
        """A connection for a request. Raises ServerUnavailable when no server can be reached."""
        only = wanted or self._alone
        if only is not None and only.session is not None and not self._closed:
            there: Link = only.session.link
            if self._is_there(there, deadline):
                return there
        return self._search(route, deadline, wanted)

    def _search(self, route: bytes, deadline: Deadline, wanted: Place | None) -> Link:
        search = self._fleet.search(route, wanted)
        while True:
            if self._closed:
                raise RuntimeError(f"the client of {self.name} is closed")
            self._probe()
            place = search.next()
            if place.session is not None:
                link: Link = place.session.link
                if self._is_there(link, deadline):
                    return link
            elif place.state in (State.CONNECTING, State.PROBED):
                self._follow(deadline)
                if deadline.expired and place.session is None:
                    raise TimedOut(f"waited {deadline.seconds:g} s for a connection to {place.name}")
            else:
                try:
                    self._connect(place, deadline)
                except ServerUnavailable as reason:
                    search.failed(place, reason)

    def _is_there(self, link: Link, deadline: Deadline) -> bool:
        # The connection may have ended while nobody looked. Now is the time to notice: once the request is
        # sent there is no telling whether the server took it.
        if self._led or link.connection.idle:
            return True
        while link.place.session is link.session and self._receive(link) and not deadline.expired:
            pass
        return link.place.session is link.session

    def _connect(self, place: Place, deadline: Deadline) -> None:
        place.state = State.CONNECTING
        waker = Waker()
        self._attempts.add(waker)
        self._lock.release()
        try:
            connection = self.connect(self._addresses[place.index], deadline, waker)
        except BaseException:
            self._lock.acquire()
            place.failed(time.monotonic())
            raise
        else:
            self._lock.acquire()
            self._attach(Link(place, connection))
        finally:
            self._attempts.discard(waker)
            waker.close()
            self._wake()

    def _attach(self, link: Link) -> None:
        if self._closed:
            link.connection.close()
            raise RuntimeError(f"the client of {self.name} is closed")
        link.place.connected(link.session)
        self._links[link.connection] = link
        self._make_watch().add(link.connection)

    def _probe(self) -> None:
        """Try again to reach the servers that are due, beside the others, which are used meanwhile."""
        for place in self._fleet.due(time.monotonic()):
            place.state = State.PROBED
            waker = Waker()
            self._attempts.add(waker)
            thread = threading.Thread(
                target=self._run_probe, args=(place, waker), name=f"connect {place.name}", daemon=True
            )
            self._probes = [probe for probe in self._probes if probe.is_alive()]
            self._probes.append(thread)
            thread.start()

    def _run_probe(self, place: Place, waker: Waker) -> None:
        link = None
        try:
            deadline = Deadline(self._connect_timeout)
            link = Link(place, self.connect(self._addresses[place.index], deadline, waker))
            # A server that takes connections and says nothing is no better than one that takes none.
            link.connection.send(link.session.data_to_send())
            while not link.session.accepted and not deadline.expired and not self._closed:
                link.connection.wait(deadline)
                link.session.receive(link.connection.receive())
        except GearcoreError:
            if link is not None:
                link.connection.close()
                link = None
        with self._lock:
            self._attempts.discard(waker)
            waker.close()
            if link is not None and (self._closed or not link.session.accepted):
                link.connection.close()
                link = None
            if link is None:
                place.failed(time.monotonic())
            else:
                self._attach(link)
            self._wake()
