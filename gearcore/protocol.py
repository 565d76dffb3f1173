"""The packet table of the Gearman protocol: the one source for codec, broker, sessions, tests and docs.

A packet is a 12-byte header (magic, type and body size, the numbers as unsigned 32-bit big-endian) and a
body. The body holds the packet's arguments, divided by single NUL bytes; the last argument takes the rest
of the body and may hold NULs itself. The table follows the protocol text of gearmand and, where that text
and gearmand differ (the reduce packets have four arguments before the workload), gearmand.

This module imports nothing of gearcore, since everything else is made from it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

__all__ = [
    "DEFAULT_MAX_PACKET_SIZE",
    "DEFAULT_PORT",
    "HEADER_SIZE",
    "PACKETS",
    "REQUEST_MAGIC",
    "RESPONSE_MAGIC",
    "SUBMIT_PACKETS",
    "PacketSpec",
    "PacketType",
    "Party",
    "Priority",
]

DEFAULT_PORT: Final = 4730
"""The TCP port that IANA assigned to Gearman."""

HEADER_SIZE: Final = 12
"""Bytes of a packet before its body."""

REQUEST_MAGIC: Final = b"\0REQ"
"""First four bytes of a packet on its way to a job server."""

RESPONSE_MAGIC: Final = b"\0RES"
"""First four bytes of a packet on its way from a job server."""

DEFAULT_MAX_PACKET_SIZE: Final = 256 * 1024 * 1024
"""Largest body in bytes that a parser takes unless it is told otherwise."""


class Party(enum.Flag):
    """Who sends a packet. One connection may be client and worker at once."""

    NOBODY = 0
    CLIENT = enum.auto()
    WORKER = enum.auto()
    SERVER = enum.auto()


class Priority(enum.IntEnum):
    """The three queues that a function has, first served first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


class PacketType(enum.IntEnum):
    """The number of every packet, by name."""

    CAN_DO = 1
    CANT_DO = 2
    RESET_ABILITIES = 3
    PRE_SLEEP = 4
    UNUSED = 5
    NOOP = 6
    SUBMIT_JOB = 7
    JOB_CREATED = 8
    GRAB_JOB = 9
    NO_JOB = 10
    JOB_ASSIGN = 11
    WORK_STATUS = 12
    WORK_COMPLETE = 13
    WORK_FAIL = 14
    GET_STATUS = 15
    ECHO_REQ = 16
    ECHO_RES = 17
    SUBMIT_JOB_BG = 18
    ERROR = 19
    STATUS_RES = 20
    SUBMIT_JOB_HIGH = 21
    SET_CLIENT_ID = 22
    CAN_DO_TIMEOUT = 23
    ALL_YOURS = 24
    WORK_EXCEPTION = 25
    OPTION_REQ = 26
    OPTION_RES = 27
    WORK_DATA = 28
    WORK_WARNING = 29
    GRAB_JOB_UNIQ = 30
    JOB_ASSIGN_UNIQ = 31
    SUBMIT_JOB_HIGH_BG = 32
    SUBMIT_JOB_LOW = 33
    SUBMIT_JOB_LOW_BG = 34
    SUBMIT_JOB_SCHED = 35
    SUBMIT_JOB_EPOCH = 36
    SUBMIT_REDUCE_JOB = 37
    SUBMIT_REDUCE_JOB_BACKGROUND = 38
    GRAB_JOB_ALL = 39
    JOB_ASSIGN_ALL = 40
    GET_STATUS_UNIQUE = 41
    STATUS_RES_UNIQUE = 42


SUBMIT_PACKETS: Final = {
    (Priority.HIGH, False): PacketType.SUBMIT_JOB_HIGH,
    (Priority.NORMAL, False): PacketType.SUBMIT_JOB,
    (Priority.LOW, False): PacketType.SUBMIT_JOB_LOW,
    (Priority.HIGH, True): PacketType.SUBMIT_JOB_HIGH_BG,
    (Priority.NORMAL, True): PacketType.SUBMIT_JOB_BG,
    (Priority.LOW, True): PacketType.SUBMIT_JOB_LOW_BG,
}
"""The packet that submits a job of a priority, by that and by whether the job is a background one."""


@dataclass(frozen=True, slots=True)
class PacketSpec:
    """One row of the table.

    ``sender`` names every party that may originate the packet; a packet that a server passes on from a
    worker to a client has both ``WORKER`` and ``SERVER``. With ``payload_optional`` a body without the last
    argument's NUL is read as one with an empty last argument: Perl workers complete a job with an empty
    result so.
    """

    type: PacketType
    sender: Party
    arguments: tuple[str, ...]
    summary: str
    payload_optional: bool = False

    @property
    def number(self) -> int:
        """The packet's number on the wire."""
        return int(self.type)

    @property
    def name(self) -> str:
        """The packet's name in the protocol text."""
        return self.type.name


_NOBODY = Party.NOBODY
_CLIENT = Party.CLIENT
_WORKER = Party.WORKER
_SERVER = Party.SERVER
_ANY_PEER = Party.CLIENT | Party.WORKER
_RELAYED = Party.WORKER | Party.SERVER

_SUBMIT = ("function", "unique", "workload")
_REDUCE = ("function", "unique", "reducer", "aggregator", "workload")
_SCHEDULE = ("function", "unique", "minute", "hour", "day_of_month", "month", "day_of_week", "workload")

PACKETS: Final[tuple[PacketSpec, ...]] = (
    PacketSpec(PacketType.CAN_DO, _WORKER, ("function",), "Offer to run a function."),
    PacketSpec(PacketType.CANT_DO, _WORKER, ("function",), "Withdraw the offer for a function."),
    PacketSpec(PacketType.RESET_ABILITIES, _WORKER, (), "Withdraw every offer."),
    PacketSpec(PacketType.PRE_SLEEP, _WORKER, (), "Ask to be woken by a NOOP when there is a job."),
    PacketSpec(PacketType.UNUSED, _NOBODY, (), "A number that the protocol leaves unused."),
    PacketSpec(PacketType.NOOP, _SERVER, (), "Wake a sleeping worker."),
    PacketSpec(PacketType.SUBMIT_JOB, _CLIENT, _SUBMIT, "Submit a foreground job."),
    PacketSpec(PacketType.JOB_CREATED, _SERVER, ("handle",), "Acknowledge a job."),
    PacketSpec(PacketType.GRAB_JOB, _WORKER, (), "Ask for a job."),
    PacketSpec(PacketType.NO_JOB, _SERVER, (), "Answer a grab when no job waits."),
    PacketSpec(PacketType.JOB_ASSIGN, _SERVER, ("handle", "function", "workload"), "Hand out a job."),
    PacketSpec(
        PacketType.WORK_STATUS,
        _RELAYED,
        ("handle", "numerator", "denominator"),
        "Report how far a job has come.",
    ),
    PacketSpec(PacketType.WORK_COMPLETE, _RELAYED, ("handle", "result"), "End a job with its result.", True),
    PacketSpec(PacketType.WORK_FAIL, _RELAYED, ("handle",), "End a job as failed."),
    PacketSpec(PacketType.GET_STATUS, _CLIENT, ("handle",), "Ask how a job stands, by its handle."),
    PacketSpec(PacketType.ECHO_REQ, _ANY_PEER, ("data",), "Ask for the same bytes back."),
    PacketSpec(PacketType.ECHO_RES, _SERVER, ("data",), "Give the same bytes back."),
    PacketSpec(PacketType.SUBMIT_JOB_BG, _CLIENT, _SUBMIT, "Submit a background job."),
    PacketSpec(PacketType.ERROR, _SERVER, ("code", "text"), "Refuse a packet, and say why."),
    PacketSpec(
        PacketType.STATUS_RES,
        _SERVER,
        ("handle", "known", "running", "numerator", "denominator"),
        "Tell how a job stands.",
    ),
    PacketSpec(PacketType.SUBMIT_JOB_HIGH, _CLIENT, _SUBMIT, "Submit a foreground job of high priority."),
    PacketSpec(PacketType.SET_CLIENT_ID, _WORKER, ("client_id",), "Give the connection a name for humans."),
    PacketSpec(
        PacketType.CAN_DO_TIMEOUT,
        _WORKER,
        ("function", "timeout"),
        "Offer to run a function, within a time in milliseconds.",
    ),
    PacketSpec(PacketType.ALL_YOURS, _WORKER, (), "Say that the worker is tied to this server alone."),
    PacketSpec(
        PacketType.WORK_EXCEPTION,
        _RELAYED,
        ("handle", "exception"),
        "End a job with the text of an exception.",
        True,
    ),
    PacketSpec(PacketType.OPTION_REQ, _ANY_PEER, ("option",), "Set an option of the connection."),
    PacketSpec(PacketType.OPTION_RES, _SERVER, ("option",), "Confirm an option."),
    PacketSpec(PacketType.WORK_DATA, _RELAYED, ("handle", "data"), "Send a part of the result.", True),
    PacketSpec(PacketType.WORK_WARNING, _RELAYED, ("handle", "warning"), "Send a warning.", True),
    PacketSpec(PacketType.GRAB_JOB_UNIQ, _WORKER, (), "Ask for a job and its unique id."),
    PacketSpec(
        PacketType.JOB_ASSIGN_UNIQ,
        _SERVER,
        ("handle", "function", "unique", "workload"),
        "Hand out a job with its unique id.",
    ),
    PacketSpec(PacketType.SUBMIT_JOB_HIGH_BG, _CLIENT, _SUBMIT, "Submit a background job of high priority."),
    PacketSpec(PacketType.SUBMIT_JOB_LOW, _CLIENT, _SUBMIT, "Submit a foreground job of low priority."),
    PacketSpec(PacketType.SUBMIT_JOB_LOW_BG, _CLIENT, _SUBMIT, "Submit a background job of low priority."),
    PacketSpec(
        PacketType.SUBMIT_JOB_SCHED, _CLIENT, _SCHEDULE, "Submit a background job for a minute to come."
    ),
    PacketSpec(
        PacketType.SUBMIT_JOB_EPOCH,
        _CLIENT,
        ("function", "unique", "epoch", "workload"),
        "Submit a background job for a time in seconds since 1970.",
    ),
    PacketSpec(
        PacketType.SUBMIT_REDUCE_JOB, _CLIENT, _REDUCE, "Submit a foreground job that names a reducer."
    ),
    PacketSpec(
        PacketType.SUBMIT_REDUCE_JOB_BACKGROUND,
        _CLIENT,
        _REDUCE,
        "Submit a background job that names a reducer.",
    ),
    PacketSpec(PacketType.GRAB_JOB_ALL, _WORKER, (), "Ask for a job, its unique id and its reducer."),
    PacketSpec(
        PacketType.JOB_ASSIGN_ALL,
        _SERVER,
        ("handle", "function", "unique", "reducer", "workload"),
        "Hand out a job with its unique id and its reducer.",
    ),
    PacketSpec(PacketType.GET_STATUS_UNIQUE, _CLIENT, ("unique",), "Ask how a job stands, by its unique id."),
    PacketSpec(
        PacketType.STATUS_RES_UNIQUE,
        _SERVER,
        ("unique", "known", "running", "numerator", "denominator", "client_count"),
        "Tell how a job stands, and how many clients wait for it.",
    ),
)
