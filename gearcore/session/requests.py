"""What a client asks of a job server apart from jobs, and how the answers are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gearcore._requests import JobRequest, Question, Request
from gearcore.protocol import PacketType
from gearcore.session.arguments import check_payload, decode_name, encode_name, read_number
from gearcore.session.events import JobData, JobEvent, JobProgress, JobStatus, JobWarning

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "JobData",
    "JobEvent",
    "JobProgress",
    "JobRequest",
    "JobStatus",
    "JobWarning",
    "Question",
    "Request",
    "ask_echo",
    "ask_status",
    "ask_status_of_unique",
    "read_status",
]

MAX_NAME_SIZE: Final = 63
"""Bytes that a handle or a unique id can have: gearmand does not answer at all when asked about a longer one.
"""


def ask_echo(data: Buffer) -> Question:
    """Ask for the same bytes back. Raises TypeError for what is not bytes-like."""
    raw = bytes(memoryview(check_payload(data, "data")))
    return Question(PacketType.ECHO_REQ, (raw,), PacketType.ECHO_RES, "an echo")


def ask_status(handle: str | bytes) -> Question:
    """Ask how a job stands. Raises ValueError for a handle of more than 63 bytes."""
    raw = _short(handle, "handle")
    what = f"the status of job {decode_name(raw)}"
    return Question(PacketType.GET_STATUS, (raw,), PacketType.STATUS_RES, what)


def ask_status_of_unique(unique: str | bytes) -> Question:
    """Ask how the job with a unique id stands. Raises ValueError for one of more than 63 bytes."""
    raw = _short(unique, "unique")
    what = f"the status of the job with the unique id {decode_name(raw)}"
    return Question(PacketType.GET_STATUS_UNIQUE, (raw,), PacketType.STATUS_RES_UNIQUE, what, raw)


def read_status(question: Question) -> JobStatus:
    """What the server said of a job. Raises the question's ``error`` if there is one."""
    known, running, numerator, denominator, *clients = map(read_number, question.answer[1:])
    return JobStatus(bool(known), bool(running), numerator, denominator, *clients)


def _short(name: str | bytes, what: str) -> bytes:
    raw = encode_name(name, what)
    if len(raw) > MAX_NAME_SIZE:
        raise ValueError(f"{what} {decode_name(raw)!r} has more than {MAX_NAME_SIZE} bytes")
    return raw
