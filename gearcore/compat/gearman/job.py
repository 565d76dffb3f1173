"""Jobs, and requests for jobs."""

from __future__ import annotations

from collections import deque
from typing import Any

from gearcore.compat.gearman.constants import (
    JOB_COMPLETE,
    JOB_CREATED,
    JOB_FAILED,
    JOB_UNKNOWN,
    PRIORITY_NONE,
)

__all__ = ["GearmanJob", "GearmanJobRequest"]


class GearmanJob:
    """A job, for the client as for the worker. ``connection`` is that to its server, or None."""

    def __init__(self, connection: Any, handle: Any, task: Any, unique: Any, data: Any) -> None:
        self.connection = connection
        self.handle = handle
        self.task = task
        self.unique = unique
        self.data = data

    def to_dict(self) -> dict[str, Any]:
        """What there is of it besides the connection."""
        return {"task": self.task, "job_handle": self.handle, "unique": self.unique, "data": self.data}

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} connection={self.connection!r}, handle={self.handle!r}, "
            f"task={self.task!r}, unique={self.unique!r}, data={self.data!r}>"
        )


class GearmanJobRequest:
    """A job that a client submits, and what becomes of it.

    ``state`` is one of the constants ``JOB_...``. ``result`` and ``exception`` are the worker's, or None;
    ``data_updates`` and ``warning_updates`` what it sent meanwhile, in order. ``status`` is empty, or a dict
    of what the worker or the server said last of its progress. ``timed_out`` is set by what waits for it.
    """

    def __init__(
        self,
        gearman_job: GearmanJob,
        initial_priority: str | None = PRIORITY_NONE,
        background: bool = False,
        max_attempts: int = 1,
    ) -> None:
        self.gearman_job = gearman_job
        self.priority = initial_priority
        self.background = background
        self.max_connection_attempts = max_attempts
        self.initialize_request()

    def initialize_request(self) -> None:
        """Forget all that became of it."""
        self.connection_attempts = 0
        self.state = JOB_UNKNOWN
        self.timed_out = False
        self.result: Any = None
        self.exception: Any = None
        self.status: dict[str, Any] = {}
        self.data_updates: deque[Any] = deque()
        self.warning_updates: deque[Any] = deque()

    def reset(self) -> None:
        """Forget all that became of it, and where it was."""
        self.initialize_request()
        self.connection = None
        self.handle = None

    @property
    def job(self) -> GearmanJob:
        """The job itself."""
        return self.gearman_job

    @property
    def complete(self) -> bool:
        """Whether there is nothing more to wait for: a background job has no more than a handle."""
        return self.state in _ENDED or (self.background and self.state == JOB_CREATED)

    @property
    def status_updates(self) -> deque[tuple[int, int]]:
        """What became ``status``: the last progress, if any."""
        if not self.status:
            return deque()
        return deque([(self.status["numerator"], self.status["denominator"])])

    @property
    def server_status(self) -> dict[str, Any]:
        """What became ``status``."""
        return self.status

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} task={self.job.task!r}, unique={self.job.unique!r}, "
            f"priority={self.priority!r}, background={self.background!r}, state={self.state!r}, "
            f"timed_out={self.timed_out!r}>"
        )


_ENDED = (JOB_COMPLETE, JOB_FAILED)
