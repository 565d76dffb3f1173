"""The API of OpenStack's gear 0.16 on gearcore, for programs that say ``import gear``.

What a program can see of gear is the packets themselves: a method for each of them that may be overridden,
and what is known of a connection, in attributes that may be read and changed. So the client and the worker
deal with packets here as there, over gearcore's codec and connections, and keep in those attributes what
gearcore's sessions keep by themselves. The server is gearcore's own.
"""

from __future__ import annotations

from gearcore.compat.gear import acl, constants
from gearcore.compat.gear.acl import ACL, ACLEntry, ACLError
from gearcore.compat.gear.base import BaseClient
from gearcore.compat.gear.client import PRECEDENCE_HIGH, PRECEDENCE_LOW, PRECEDENCE_NORMAL, Client
from gearcore.compat.gear.connection import Connection
from gearcore.compat.gear.errors import (
    ConfigurationError,
    ConnectionError,
    DisconnectError,
    GearmanError,
    InterruptedError,
    InvalidDataError,
    NoConnectedServersError,
    RetryIOError,
    TimeoutError,
    UnknownJobError,
)
from gearcore.compat.gear.jobs import (
    BaseJob,
    BinaryJob,
    BinaryWorkerJob,
    FunctionRecord,
    Job,
    TextJob,
    TextList,
    TextWorkerJob,
    WorkerJob,
    convert_to_bytes,
)
from gearcore.compat.gear.nonblocking import NonBlockingConnection
from gearcore.compat.gear.packet import Packet
from gearcore.compat.gear.requests import (
    AdminRequest,
    CancelJobAdminRequest,
    ShowJobsAdminRequest,
    ShowUniqueJobsAdminRequest,
    StatusAdminRequest,
    VersionAdminRequest,
    WorkersAdminRequest,
)
from gearcore.compat.gear.server import Server
from gearcore.compat.gear.worker import TextWorker, Worker

__all__ = [
    "acl",
    "constants",
    # client and worker
    "PRECEDENCE_HIGH",
    "PRECEDENCE_LOW",
    "PRECEDENCE_NORMAL",
    "BaseClient",
    "Client",
    "Connection",
    "FunctionRecord",
    "NonBlockingConnection",
    "Packet",
    "TextWorker",
    "Worker",
    # jobs
    "BaseJob",
    "BinaryJob",
    "BinaryWorkerJob",
    "Job",
    "TextJob",
    "TextList",
    "TextWorkerJob",
    "WorkerJob",
    "convert_to_bytes",
    # admin commands
    "AdminRequest",
    "CancelJobAdminRequest",
    "ShowJobsAdminRequest",
    "ShowUniqueJobsAdminRequest",
    "StatusAdminRequest",
    "VersionAdminRequest",
    "WorkersAdminRequest",
    # server
    "Server",
    "ACL",
    "ACLEntry",
    "ACLError",
    # errors
    "ConfigurationError",
    "ConnectionError",
    "DisconnectError",
    "GearmanError",
    "InterruptedError",
    "InvalidDataError",
    "NoConnectedServersError",
    "RetryIOError",
    "TimeoutError",
    "UnknownJobError",
]
