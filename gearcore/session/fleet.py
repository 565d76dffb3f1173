"""Several servers: which of them live, which one a request goes to, and what becomes of what was in flight.

Without I/O: the drivers say what happened to connections, and when; times are seconds of any clock that does
not jump.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Collection, Sequence
from typing import Final

from gearcore._requests import JobRequest, Request
from gearcore._session import ClientSession
from gearcore.errors import GearcoreError, ServerUnavailable
from gearcore.session.pauses import Pauses
from gearcore.session.routing import Ring

__all__ = ["RESUBMISSIONS", "Fleet", "Place", "Search", "State"]

RESUBMISSIONS: Final = 5
"""How often one request is made again, at most, because its connection was lost.

A request that brings down every server that gets it must not go round for ever.
"""


class State(enum.Enum):
    """How a server stands, as far as the client knows."""

    NEW = enum.auto()
    """Nobody has tried to connect."""
    CONNECTING = enum.auto()
    """Somebody is trying to, for the first time or because no server lives."""
    LIVE = enum.auto()
    """There is a connection."""
    SILENT = enum.auto()
    """There is a connection, but an answer did not come in time. It may be late."""
    DEAD = enum.auto()
    """The last attempt failed, or the connection was lost. There is a pause before the next attempt."""
    PROBED = enum.auto()
    """Somebody is trying to connect again, while other servers are used."""


_USABLE: Final = (State.LIVE, State.NEW)
_RESORTS: Final = (State.LIVE, State.NEW, State.SILENT, State.CONNECTING, State.PROBED, State.DEAD)


class Place:
    """One server, as a client sees it. ``name`` is its address; ``session`` is there while it lives."""

    __slots__ = ("_pauses", "index", "name", "retry_at", "session", "state")

    def __init__(self, index: int, name: str, chance: Callable[[], float]) -> None:
        self.index = index
        self.name = name
        self.state = State.NEW
        self.session: ClientSession | None = None
        self.retry_at = 0.0
        self._pauses = Pauses(chance)

    def connected(self, session: ClientSession) -> None:
        """There is a connection."""
        self.session = session
        self.state = State.LIVE

    def failed(self, now: float) -> None:
        """An attempt to connect failed."""
        self.state = State.DEAD
        self.retry_at = now + self._pauses.next()

    def ended(self, now: float) -> None:
        """The connection ended. A server that had answered is worth a try soon."""
        if self.session is not None and self.session.accepted:
            self._pauses.reset()
        self.session = None
        self.failed(now)

    def __repr__(self) -> str:
        return f"<Place {self.name} {self.state.name}>"


class Fleet:
    """The servers of a client, by the texts of their addresses, each once.

    ``chance`` gives a number from 0 to 1, as ``random.random`` does.
    """

    def __init__(self, names: Sequence[str], chance: Callable[[], float] = random.random) -> None:
        self.places = [Place(index, name, chance) for index, name in enumerate(names)]
        self._chance = chance
        self._ring = Ring(names) if len(names) > 1 else None

    def order(self, route: bytes) -> Sequence[Place]:
        """All servers in the order in which a request tries them: by its unique id, or else as they are."""
        if self._ring is None or not route:
            return self.places
        return [self.places[index] for index in self._ring.order(route)]

    def choose(self, route: bytes, failed: Collection[Place] = ()) -> Place | None:
        """The server for a request with this unique id, or without one if it is empty.

        It is one that lives, or that nobody has tried yet; without those one that may, whatever its state,
        and None when there is none but those that ``failed`` this request.
        """
        order = self.order(route)
        usable = [place for place in order if place.state in _USABLE and place not in failed]
        if usable:
            return usable[0] if route else usable[int(self._chance() * len(usable)) % len(usable)]
        rest = [place for place in order if place not in failed]
        return min(rest, key=lambda place: _RESORTS.index(place.state), default=None)

    def search(self, route: bytes, wanted: Place | None = None) -> Search:
        """Begin to look for a server for a request; ``wanted`` if it can be only that one."""
        return Search(self, route, wanted or (None if len(self.places) > 1 else self.places[0]))

    def due(self, now: float) -> list[Place]:
        """The dead servers that it is time to try again, as long as others can be used meanwhile."""
        if self._ring is None or not any(place.state is State.LIVE for place in self.places):
            return []
        return [place for place in self.places if place.state is State.DEAD and place.retry_at <= now]

    def next_try(self) -> float:
        """When the first of the dead servers may be tried again."""
        return min((place.retry_at for place in self.places if place.state is State.DEAD), default=0.0)

    def silent(self, place: Place) -> None:
        """An answer did not come in time, and nothing else did: leave it alone if there are others."""
        if place.state is State.LIVE and self._ring is not None:
            place.state = State.SILENT

    def lost(
        self, place: Place, cause: object, now: float
    ) -> tuple[list[tuple[Request, GearcoreError]], list[Request]]:
        """A server's connection ended, by a ProtocolError or another ``cause``, with all that was in flight.

        Returns what is to be asked again elsewhere, with the error for where there is no elsewhere; and what
        has come to its end by this.
        """
        session = place.session
        assert session is not None, "a connection that ended was there"
        again: list[tuple[Request, GearcoreError]] = []
        ended: list[Request] = []
        for request in session.release():
            error = session.loss_of(request, cause)
            if self._may_move(request):
                request.losses += 1
                if isinstance(request, JobRequest):
                    request.again()
                again.append((request, error))
            else:
                request.fail(error)
                ended.append(request)
        place.ended(now)
        return again, ended

    def _may_move(self, request: Request) -> bool:
        if request.abandoned or request.losses >= RESUBMISSIONS:
            return False
        if isinstance(request, JobRequest) and request.acknowledged:
            return request.resubmit
        return self._ring is not None


class Search:
    """The servers that one request tries, until it has found one."""

    def __init__(self, fleet: Fleet, route: bytes, only: Place | None) -> None:
        self._fleet = fleet
        self._route = route
        self._only = only
        self._failed: list[Place] = []
        self._error: ServerUnavailable | None = None

    def next(self) -> Place:
        """The server to try now, maybe the one from before. Raises the last error when none is left."""
        place = self._fleet.choose(self._route, self._failed) if self._only is None else self._only
        if place is None or place in self._failed:
            assert self._error is not None, "a server that was not chosen has failed"
            raise self._error
        return place

    def failed(self, place: Place, error: ServerUnavailable) -> None:
        """The server cannot be reached: the request does not try it again."""
        self._failed.append(place)
        self._error = error
