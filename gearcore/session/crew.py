"""The connections of one worker, still without I/O: which of them may grab, and how much."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from gearcore.session.worker import WorkerSession, WorkerState

__all__ = ["SOON", "Crew", "Lane"]

SOON: Final = 0.05
"""Seconds within which a job that is prefetched should start, as far as the jobs before it can tell."""

_MEMORY: Final = 8
"""How many jobs the mean duration of a job goes back over, roughly."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Functions that share connections of their own, and how many of their jobs may be in hand at once.

    A function with a limit needs its own: no packet says "of this function no more for now", and jobs that
    may not start would keep others from being grabbed.
    """

    functions: tuple[bytes, ...]
    limit: int | None = None


class Crew:
    """The sessions of a worker that runs ``slots`` jobs at a time.

    As many jobs are grabbed as can start at once. Beyond those each session may have ``prefetch`` jobs in
    hand, or fewer: no more than would start within ``SOON`` if they took as long as the last ones did.
    Grabs go round the sessions that are awake, so that no server is preferred.
    """

    def __init__(self, slots: int, prefetch: int) -> None:
        self._slots = slots
        self._prefetch = prefetch
        self._sessions: deque[WorkerSession] = deque()
        self._lanes: dict[WorkerSession, Lane] = {}
        self._duration: float | None = None

    def add(self, session: WorkerSession, lane: Lane) -> None:
        """A connection was made."""
        self._sessions.append(session)
        self._lanes[session] = lane

    def remove(self, session: WorkerSession) -> None:
        """A connection ended."""
        self._sessions.remove(session)
        del self._lanes[session]

    def note_duration(self, seconds: float, jobs: int) -> None:
        """So many jobs took so many seconds, one after the other."""
        mean = seconds / jobs
        if self._duration is None:
            self._duration = mean
        else:
            self._duration += (mean - self._duration) * min(jobs / _MEMORY, 1.0)

    @property
    def depth(self) -> int:
        """How many jobs a session may have in hand now beyond those that can start at once."""
        if not self._prefetch or self._duration is None:
            return 0
        if self._duration * self._prefetch <= SOON * self._slots:
            return self._prefetch
        return int(SOON * self._slots / self._duration)

    def grab(self, limit: int | None = None) -> None:
        """Grab as many jobs as there is room for; no more than ``limit`` in all are wanted still."""
        sessions = self._sessions
        if len(sessions) == 1:
            self._grab_alone(sessions[0], limit)
            return
        in_use = sum([session.in_use for session in sessions])
        depth = self.depth
        room = self._slots + depth * len(sessions) - in_use
        if limit is not None:
            room = min(room, limit - in_use)
        if room <= 0:
            return
        for _ in range(len(sessions)):
            session = sessions[0]
            sessions.rotate(-1)
            wanted = session.wanted
            if wanted:
                share = self._share(room)
                count = min(wanted, share, self._slots + depth - session.in_use)
                lane = self._lanes[session]
                if lane.limit is not None:
                    count = min(count, lane.limit - session.in_use)
                if count > 0:
                    session.grab(count)
                    room -= count
                    if not room:
                        return

    def _grab_alone(self, session: WorkerSession, limit: int | None) -> None:
        """The same for one session, which is the most common case, with less ado."""
        wanted = session.wanted
        if not wanted:
            return
        in_use = session.in_use
        room = self._slots - in_use
        if self._prefetch:
            room += self.depth
        if limit is not None and limit - in_use < room:
            room = limit - in_use
        bound = self._lanes[session].limit
        if bound is not None and bound - in_use < room:
            room = bound - in_use
        if room > 0:
            session.grab(room if room < wanted else wanted)

    def _share(self, room: int) -> int:
        """What the next session may have of the room, so that something is left for the others."""
        awake = sum([session.state is WorkerState.AWAKE for session in self._sessions])
        return -(-room // awake)
