"""What a client can hear of a job."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["JobData", "JobEvent", "JobProgress", "JobStatus", "JobWarning"]


@dataclass(frozen=True, slots=True)
class JobData:
    """A part of a job's data, sent while it runs (WORK_DATA)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class JobWarning:
    """A warning that a job sent while it runs (WORK_WARNING)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job says that it has come (WORK_STATUS): ``numerator`` of ``denominator``."""

    numerator: int
    denominator: int


JobEvent = JobData | JobWarning | JobProgress


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What the server knows of a job (STATUS_RES).

    ``known`` is false for a job that has ended as for one that never was; ``numerator`` and ``denominator``
    are the progress that its worker last reported, 0 and 0 before. ``clients`` is how many clients wait for
    its result: None when the server was not asked by the job's unique id, for then it does not say.
    """

    known: bool
    running: bool
    numerator: int
    denominator: int
    clients: int | None = None
