"""The exceptions of gearcore. This module imports nothing of gearcore.

Every one is a ``GearcoreError``::

    GearcoreError
    ├── ProtocolError              the bytes are not Gearman's
    │   ├── BadMagic
    │   ├── UnknownPacketType
    │   ├── TooFewArguments
    │   └── PacketTooLarge
    ├── CannotListen               a server could not take its address
    ├── CannotAccelerate           a library that the codec cannot be put into
    ├── StoreError                 a server could not open its store, or use it
    │   ├── StoreFailed
    │   └── BatchRefused
    ├── ServerUnavailable          no connection could be made
    ├── ConnectionLost             a connection ended while something was expected from it
    ├── ServerError                the server answered with an ERROR packet
    ├── TimedOut                   also a TimeoutError
    ├── EncodingError              a value that an encoding does not take, or bytes that it cannot read
    └── JobError                   a job did not end with a result
        ├── JobFailed
        └── JobException           with the text that the worker sent
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "GearcoreError",
    "ProtocolError",
    "BadMagic",
    "UnknownPacketType",
    "TooFewArguments",
    "PacketTooLarge",
    "CannotListen",
    "CannotAccelerate",
    "StoreError",
    "StoreFailed",
    "BatchRefused",
    "ServerUnavailable",
    "ConnectionLost",
    "ServerError",
    "TimedOut",
    "EncodingError",
    "JobError",
    "JobFailed",
    "JobException",
]


class GearcoreError(Exception):
    """Base of every exception that gearcore raises on purpose."""


class ProtocolError(GearcoreError):
    """Bytes that do not follow the Gearman protocol.

    ``packets`` are the packets that were complete before the offence. ``recoverable`` says whether the
    parser stands behind the offending packet and can go on, or has lost its place in the stream for good.
    """

    recoverable = False

    def __init__(self, message: str, packets: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.packets = list(packets)


class BadMagic(ProtocolError):
    """A packet that starts with neither of the two magics, or with the one that was not expected."""


class UnknownPacketType(ProtocolError):
    """A packet whose type is not in the packet table."""

    recoverable = True


class TooFewArguments(ProtocolError):
    """A packet whose body has fewer arguments than its type asks for."""

    recoverable = True


class PacketTooLarge(ProtocolError):
    """A packet whose header announces a body over the limit."""


class CannotListen(GearcoreError, OSError):
    """A job server could not listen on its address. The text names the address and the cause."""


class CannotAccelerate(GearcoreError):
    """A Gearman library or a version of one that is not known or not there. The text says which are known."""


class StoreError(GearcoreError):
    """A store of jobs cannot be opened or read. The text is one line that names it and the cause."""


class StoreFailed(StoreError):
    """A store could not do what it was asked, and may do it later: its disk is full, say."""


class BatchRefused(StoreError):
    """A store will never take this batch of jobs; it takes others."""


class ServerUnavailable(GearcoreError, ConnectionError):
    """No connection to a job server could be made. The text names the address and the cause."""


class ConnectionLost(GearcoreError, ConnectionError):
    """The connection to a job server ended. The text names the address and what was being waited for."""


class ServerError(GearcoreError):
    """The job server refused a request with an ERROR packet.

    ``code`` is the server's error code (``QUEUE_ERROR`` when a queue is full, for example) and ``text`` its
    explanation, both as the server sent them.
    """

    def __init__(self, code: str, text: str, context: str = "") -> None:
        super().__init__((f"{code}: {text}" if text else code) + (f" ({context})" if context else ""))
        self.code = code
        self.text = text


class TimedOut(GearcoreError, TimeoutError):
    """Something did not happen within its timeout. The text says what, where, and how long it was given."""


class EncodingError(GearcoreError, ValueError):
    """A value that an encoding cannot make bytes of, or bytes that are no value in it."""


class JobError(GearcoreError):
    """A job that did not end with a result. ``function`` and ``handle`` say which one."""

    def __init__(self, message: str, *, function: str, handle: str) -> None:
        super().__init__(message)
        self.function = function
        self.handle = handle


class JobFailed(JobError):
    """The job ended with WORK_FAIL: the worker, or the server for it, gave no reason."""


class JobException(JobError):
    """The job ended with WORK_EXCEPTION. ``data`` is what the worker sent, as bytes."""

    def __init__(self, message: str, *, function: str, handle: str, data: bytes) -> None:
        super().__init__(message, function=function, handle=handle)
        self.data = data
