"""Gearman for Python: a job server, a client and a worker, with a hot path compiled by Cython."""

from gearcore._version import __version__
from gearcore.client import Client, Job
from gearcore.errors import (
    CannotListen,
    ConnectionLost,
    GearcoreError,
    JobError,
    JobException,
    JobFailed,
    ProtocolError,
    ServerError,
    ServerUnavailable,
    TimedOut,
)
from gearcore.protocol import Priority
from gearcore.server import Keepalive, Limits, Server
from gearcore.session.requests import JobData, JobEvent, JobProgress, JobStatus, JobWarning
from gearcore.worker import Worker, WorkerJob

__all__ = [
    "__version__",
    # client
    "Client",
    "Job",
    "JobData",
    "JobEvent",
    "JobProgress",
    "JobStatus",
    "JobWarning",
    "Priority",
    # worker
    "Worker",
    "WorkerJob",
    # server
    "Keepalive",
    "Limits",
    "Server",
    # errors
    "CannotListen",
    "ConnectionLost",
    "GearcoreError",
    "JobError",
    "JobException",
    "JobFailed",
    "ProtocolError",
    "ServerError",
    "ServerUnavailable",
    "TimedOut",
]
