"""What runs a worker's functions: the engine gives it jobs, and hears how they ended."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Final, Protocol

from gearcore._blocking import Connection
from gearcore.protocol import PacketType
from gearcore.worker.endings import Outcome
from gearcore.worker.job import WorkerJob

__all__ = ["MARGIN", "Executor", "Shop"]

MARGIN: Final = 1.0
"""Seconds beyond its timeout that an async function has to end, which was told to by then."""


class Shop(Protocol):
    """What an executor sees of the engine. Everything needs the engine's lock but ``wake``."""

    def next_job(self) -> WorkerJob | None:
        """The job that is to start next, or None when none waits."""

    def ended(self, job: WorkerJob, outcome: Outcome) -> None:
        """A job ended; what is to be sent for it is in its session."""

    def send(self) -> None:
        """Grab what there is room for, and send all that there is to send."""

    def note_duration(self, seconds: float, jobs: int) -> None:
        """So many jobs took so long, one after the other."""

    def watch(self, connection: Connection) -> None:
        """Call the executor's ``receive`` when this connection is ready."""

    def unwatch(self, connection: Connection) -> None:
        """Do so no more."""

    def forward(self, job: WorkerJob, packet_type: PacketType, args: tuple[bytes, ...]) -> None:
        """Send an update that a process has sent for its job."""

    def descriptors(self) -> list[int]:
        """What a process that is forked now must close: it belongs to the engine."""

    def wake(self) -> None:
        """Have the engine look at everything again. From any thread."""


class Executor(ABC):
    """Runs jobs, ``slots`` at a time. All methods are called with the engine's lock, unless they say so."""

    slots = 1
    stands_still = False
    """Whether nothing runs here while the worker waits for what a server says."""

    @abstractmethod
    def start(self) -> bool:
        """Start as many jobs as can start now; returns whether it can start more at once."""

    def deadline(self) -> float:
        """When a job that runs has had its time, as ``time.monotonic()`` tells it."""
        return math.inf

    def look(self, now: float) -> None:  # noqa: B027
        """Fail the jobs that have had their time."""

    def receive(self, connection: Connection) -> None:  # noqa: B027
        """A connection that the shop was asked to ``watch`` is ready."""

    def halt(self) -> None:  # noqa: B027
        """Raise Halt if there is no other way to end what runs. In the main thread, without the lock."""

    @abstractmethod
    def close(self) -> None:
        """Run no more jobs; those that run are left alone, or ended. Without the lock."""
