"""Gearman for Python: a job server, a client and a worker, with a hot path compiled by Cython."""

from gearcore._version import __version__
from gearcore.accelerate import Accelerated, accelerate
from gearcore.admin import AdminClient
from gearcore.client import Client, Job, Submission
from gearcore.encoding import Encoding
from gearcore.errors import (
    CannotAccelerate,
    CannotListen,
    ConnectionLost,
    EncodingError,
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
from gearcore.session.answers import FunctionQueues, FunctionStatus, ListedJob, PeerStatus
from gearcore.session.events import JobData, JobEvent, JobProgress, JobStatus, JobWarning
from gearcore.tls import ClientTls
from gearcore.worker import DeadLetter, Retry, Worker, WorkerJob

__all__ = [
    "__version__",
    # client
    "Client",
    "Submission",
    "Job",
    "JobData",
    "JobEvent",
    "JobProgress",
    "JobStatus",
    "JobWarning",
    "Priority",
    # worker
    "DeadLetter",
    "Retry",
    "Worker",
    "WorkerJob",
    # client and worker
    "ClientTls",
    "Encoding",
    # server
    "Keepalive",
    "Limits",
    "Server",
    # admin client
    "AdminClient",
    "FunctionQueues",
    "FunctionStatus",
    "ListedJob",
    "PeerStatus",
    # other libraries
    "Accelerated",
    "accelerate",
    # errors
    "CannotAccelerate",
    "CannotListen",
    "ConnectionLost",
    "EncodingError",
    "GearcoreError",
    "JobError",
    "JobException",
    "JobFailed",
    "ProtocolError",
    "ServerError",
    "ServerUnavailable",
    "TimedOut",
]
