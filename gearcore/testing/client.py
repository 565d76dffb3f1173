"""A blocking client whose server is a broker in the same thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gearcore._blocking import Deadline
from gearcore.client import Client
from gearcore.encoding import Encoding
from gearcore.errors import TimedOut
from gearcore.session import commands
from gearcore.session.batches import expire
from gearcore.session.client import ClientSession, JobRequest
from gearcore.session.fleet import Fleet, Place
from gearcore.session.requests import Request
from gearcore.session.submissions import TermsMaker
from gearcore.testing.switch import NAME, Switch

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from gearcore.testing.engine import Engine

__all__ = ["PairClient"]


class PairClient(Client):
    """A ``gearcore.Client`` of a pair."""

    def __init__(
        self,
        switch: Switch,
        engine: Engine,
        *,
        namespace: str | bytes,
        encoding: str | Encoding,
    ) -> None:
        # Not by super(), which makes what connects to servers.
        self._terms = TermsMaker(
            self, lambda: switch.unix_time, namespace=namespace, encoding=encoding, on_loss="report"
        )
        self._links = MemoryLinks(switch, engine)


class MemoryLinks:
    """What ``gearcore.client.links.Links`` is for a client of servers.

    Nothing happens here while somebody waits but what is done for the waiting: jobs that are queued are run.
    If that does not bring what is waited for, nothing will, so the wait is over.
    """

    name = NAME

    def __init__(self, switch: Switch, engine: Engine) -> None:
        self._switch = switch
        self._engine = engine
        self._fleet = Fleet([NAME])
        self._line: _Line | None = None
        self._closed = False

    def now(self) -> float:
        return self._switch.now

    def deadline(self, timeout: float | None) -> Deadline:
        return Deadline(timeout)

    def call(self, request: Request, deadline: Deadline, place: Place | None = None) -> None:
        self._connected().session.ask(request)
        self._switch.exchange()
        if request.error is not None:
            raise request.error
        self._engine.run_at_once()

    def start(self, jobs: list[Any], deadline: Deadline) -> None:
        self._connected().session.ask_all(jobs)
        self._switch.exchange()
        self._engine.run_at_once()

    def wait_for_all(self, jobs: list[Any], deadline: Deadline) -> None:
        pass  # they were answered when they were started

    def wait_until(self, done: Callable[[], bool], end: float) -> None:
        if not self._engine.run_until(done):
            raise TimedOut(f"there is nothing left to run that would end a job of {NAME}")

    def wait_for_job(self, job: JobRequest, done: Callable[[], bool], deadline: Deadline) -> None:
        if not done() and self._switch.now >= job.expires:
            expire(job)
        if done() or (not deadline.expired and self._engine.run_until(done)):
            return
        raise TimedOut(f"{job.what} is not there, and there is nothing left to run that would bring it")

    def places(self, route: bytes = b"") -> list[Place]:
        return list(self._fleet.places)

    def cancel(self, place: Place, handle: str, deadline: Deadline) -> bool:
        command = commands.cancel(handle)
        admin = _Admin(command)
        connection = self._switch.connect(admin)
        self._switch.exchange()
        self._switch.disconnect(connection)
        return admin.session.answer(command)

    def close(self) -> None:
        self._closed = True
        if self._line is not None:
            self._switch.disconnect(self._line.connection)
            self._line.lost(f"the client of {NAME} was closed")
            self._switch.exchange()

    def _connected(self) -> _Line:
        if self._closed:
            raise RuntimeError(f"the client of {NAME} is closed")
        if self._line is None or self._line.ended:
            self._line = _Line(self._switch, self._fleet)
        return self._line


class _Line:
    """A connection of a client's, with its session."""

    def __init__(self, switch: Switch, fleet: Fleet) -> None:
        self.place = fleet.places[0]
        self.session = ClientSession(NAME, self)
        self.connection = switch.connect(self)
        self.ended = False
        self._switch = switch
        self._fleet = fleet
        self.place.connected(self.session)

    def data_to_send(self) -> bytes:
        return self.session.data_to_send()

    def receive(self, data: Buffer) -> None:
        _tell(self.session.receive(data, self._switch.now))

    def lost(self, cause: str) -> None:
        self.ended = True
        again, ended = self._fleet.lost(self.place, cause, self._switch.now)
        for request, error in again:
            request.fail(error)
        _tell([*ended, *(request for request, _ in again)])


class _Admin:
    """A connection for one admin command."""

    def __init__(self, command: commands.Command[Any]) -> None:
        self.session = commands.AdminSession(NAME)
        self._unsent = self.session.ask(command)

    def data_to_send(self) -> bytes:
        unsent, self._unsent = self._unsent, b""
        return unsent

    def receive(self, data: Buffer) -> None:
        self.session.receive(data)

    def lost(self, cause: str) -> None:
        pass  # the answer is there before


def _tell(news: list[Request]) -> None:
    for request in news:
        if request.watcher is not None:
            request.watcher(request)
