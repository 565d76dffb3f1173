"""What a blocking client needs of whatever carries its requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gearcore._blocking import Deadline
from gearcore.session.client import JobRequest
from gearcore.session.fleet import Place
from gearcore.session.requests import Request

__all__ = ["Exchange"]


class Exchange(Protocol):
    """Requests go to servers, and somebody waits for the answers: over sockets, or in memory for tests."""

    @property
    def name(self) -> str:
        """What the errors call the servers."""

    def now(self) -> float:
        """The time in seconds, of the clock that a job's ``expires`` goes by."""

    def deadline(self, timeout: float | None) -> Deadline:
        """When a call with this timeout gives up; None stands for the client's own timeout."""

    def call(self, request: Request, deadline: Deadline, place: Place | None = None) -> None:
        """Ask a server, of the client's choice or at this ``place``, and wait until it has answered.

        Raises the error if the answer is one, and TimedOut.
        """

    def start(self, jobs: list[Any], deadline: Deadline) -> None:
        """Submit jobs without waiting for their acknowledgements; those that find no server fail."""

    def wait_for_all(self, jobs: list[Any], deadline: Deadline) -> None:
        """Wait until each of the jobs is acknowledged or refused. Raises TimedOut."""

    def wait_until(self, done: Callable[[], bool], end: float) -> None:
        """Wait until ``done``, or until that time."""

    def wait_for_job(self, job: JobRequest, done: Callable[[], bool], deadline: Deadline) -> None:
        """Wait until ``done``, which is true once the job has ended. Raises TimedOut."""

    def places(self, route: bytes = b"") -> list[Place]:
        """The servers, in the order in which a request with this unique id tries them."""

    def cancel(self, place: Place, handle: str, deadline: Deadline) -> bool:
        """Have a server drop a job; returns whether it could."""

    def close(self) -> None:
        """Take no more requests. What is in flight ends with ConnectionLost."""
