"""Jobs that are submitted time and again, once for each time, however many workers do so.

Every worker submits the job of a time before that time comes, as a delayed job with a unique id that is made
of the function and the time. The server takes them for one job, since the first still waits when the last
comes. A worker that is too late leaves it to the others. No I/O here, and no clock.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from gearcore.protocol import PacketType
from gearcore.session.arguments import decode_name
from gearcore.session.worker import WorkerSession
from gearcore.worker.functions import Periodic

__all__ = ["Scheduler"]

log = logging.getLogger("gearcore.worker")

_LEAD: Final = 30.0
"""Seconds before its time that a job is submitted; less where the times follow each other closely."""

_MARGIN: Final = 0.2
"""Seconds before its time after which a job is not submitted any more: elsewhere it may run already."""

_LONGEST_UNIQUE: Final = 63


@dataclass
class _Turn:
    """The next time of one periodic job, in Unix time, and how far it has got."""

    periodic: Periodic
    time: float
    lead: float
    session: WorkerSession | None = None

    def __str__(self) -> str:
        return f"the periodic job of {decode_name(self.periodic.function)!r} for {self.time:.0f}"


class Scheduler:
    """Submits periodic jobs over a worker's own connections. Times are Unix times."""

    def __init__(self, periodic: Sequence[Periodic], now: float) -> None:
        self._turns = [_next_turn(entry, now) for entry in periodic]

    def __bool__(self) -> bool:
        return bool(self._turns)

    def deadline(self, connected: bool) -> float:
        """When there is something to do next: to give up a time or, if ``connected``, to submit its job."""
        return min(
            turn.time - turn.lead if connected and turn.session is None else turn.time for turn in self._turns
        )

    def look(self, now: float, sessions: Sequence[WorkerSession]) -> None:
        """Submit what is to be submitted now, on one of the sessions, which are of different servers.

        A job whose connection was lost, or was not there in time, goes to another.
        """
        for i, turn in enumerate(self._turns):
            if turn.session is not None and turn.session not in sessions:
                turn.session = None
            late = now > turn.time - _MARGIN
            if turn.session is None and not late and now >= turn.time - turn.lead and sessions:
                _submit(turn, sessions)
            elif turn.session is None and late:
                log.warning("%s was not submitted: there was no server", turn)
            if late and (turn.session is None or now >= turn.time):
                self._turns[i] = _next_turn(turn.periodic, max(now, turn.time))


def _next_turn(periodic: Periodic, now: float) -> _Turn:
    time = periodic.timetable.next(now + _MARGIN)
    return _Turn(periodic, time, min(_LEAD, (periodic.timetable.next(time) - time) / 2))


def _submit(turn: _Turn, sessions: Sequence[WorkerSession]) -> None:
    function, workload = turn.periodic.function, turn.periodic.workload
    epoch = math.ceil(turn.time)
    unique = b"periodic:%s:%d" % (function, epoch)
    if len(unique) > _LONGEST_UNIQUE:
        unique = b"periodic:%s" % blake2b(unique, digest_size=16).hexdigest().encode()
    # All workers should choose the same server: of those there are, the one that goes best with
    # the unique id.
    turn.session = max(sessions, key=lambda session: _rank(unique, session.server))
    turn.session.delay(epoch)
    turn.session.submit(str(turn), PacketType.SUBMIT_JOB_EPOCH, function, unique, b"%d" % epoch, workload)


def _rank(unique: bytes, server: str) -> bytes:
    return blake2b(unique + b"\0" + server.encode(), digest_size=8).digest()
