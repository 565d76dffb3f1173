"""Jobs: as a client submits them, and as a worker gets them; with bytes, with text, or with bytes only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, SupportsIndex

from gearcore.compat.gear import constants
from gearcore.compat.gear.packet import Packet

if TYPE_CHECKING:
    from gearcore.compat.gear.connection import Connection

__all__ = [
    "BaseJob",
    "BinaryJob",
    "BinaryWorkerJob",
    "FunctionRecord",
    "Job",
    "TextJob",
    "TextList",
    "TextWorkerJob",
    "WorkerJob",
    "convert_to_bytes",
]


def convert_to_bytes(data: Any) -> Any:
    """A text as UTF-8; anything else as it is."""
    return data.encode("utf-8") if isinstance(data, str) else data


def _name_bytes(value: Any, what: str) -> Any:
    value = convert_to_bytes(value)
    if not isinstance(value, bytes | bytearray):
        raise TypeError(f"{what} must be str or bytes, not {type(value).__name__}")
    return value


class BaseJob:
    """What is common to all jobs: a name, arguments, perhaps a unique id, a handle, and its connection.

    ``name`` is a text, ``arguments`` are bytes, ``unique`` is bytes or None. What is a text in them is kept
    as UTF-8: ``binary_name``, ``binary_arguments`` and ``binary_unique`` are what goes over the wire.
    """

    def __init__(self, name: Any, arguments: Any, unique: Any = None, handle: bytes | None = None) -> None:
        self._name = _name_bytes(name, "name")
        self._validate_arguments(arguments)
        self._arguments = convert_to_bytes(arguments)
        self._unique = None if unique is None else _name_bytes(unique, "unique")
        self.handle = handle
        self.connection: Connection | None = None

    def _validate_arguments(self, arguments: Any) -> None:
        if not isinstance(arguments, bytes | bytearray):
            raise TypeError(f"arguments must be of type bytes or bytearray, not {type(arguments).__name__}")

    @property
    def name(self) -> Any:
        """The name of the function."""
        return self._name.decode("utf-8")

    @name.setter
    def name(self, name: Any) -> None:
        self._name = _name_bytes(name, "name")

    @property
    def arguments(self) -> Any:
        """The workload."""
        return self._arguments

    @arguments.setter
    def arguments(self, arguments: Any) -> None:
        self._arguments = _name_bytes(arguments, "arguments")

    @property
    def unique(self) -> Any:
        """The unique id, or None."""
        return self._unique

    @unique.setter
    def unique(self, unique: Any) -> None:
        self._unique = None if unique is None else _name_bytes(unique, "unique")

    @property
    def binary_name(self) -> bytes:
        """The name as bytes."""
        return self._name  # type: ignore[no-any-return]

    @property
    def binary_arguments(self) -> bytes:
        """The arguments as bytes."""
        return self._arguments  # type: ignore[no-any-return]

    @property
    def binary_unique(self) -> bytes | None:
        """The unique id as bytes, or None."""
        return self._unique

    def __repr__(self) -> str:
        shown = f"handle: {self.handle!r} name: {self.name} unique: {self.unique}"
        return f"<gear.Job 0x{id(self):x} {shown}>"


class Job(BaseJob):
    """A job for ``Client.submitJob``.

    ``data`` is a list of what WORK_DATA, WORK_WARNING and WORK_COMPLETE brought, each packet an element,
    without the empty ones. ``complete`` says whether it has ended, ``failure`` whether that was a failure,
    ``exception`` holds what the worker sent as one. ``numerator`` and ``denominator`` are the progress as it
    came, and ``fraction_complete`` is the one divided by the other, where that can be done. ``known`` and
    ``running`` are what the last STATUS_RES said.
    """

    data_type: type[list[Any]] = list

    def __init__(self, name: Any, arguments: Any, unique: Any = None) -> None:
        super().__init__(name, arguments, unique)
        self._data = self.data_type()
        self._exception: bytes | None = None
        self.warning = False
        self.complete = False
        self.failure = False
        self.numerator: bytes | None = None
        self.denominator: bytes | None = None
        self.fraction_complete: float | None = None
        self.known: bool | None = None
        self.running: bool | None = None

    @property
    def data(self) -> list[Any]:
        """What has come so far."""
        return self._data

    @data.setter
    def data(self, data: Iterable[Any]) -> None:
        self._data = self.data_type()
        self._data.extend(data)

    @property
    def binary_data(self) -> Iterator[bytes]:
        """The same as bytes, one after the other."""
        return (convert_to_bytes(data) for data in self._data)

    @property
    def exception(self) -> Any:
        """What the worker sent as an exception, or None."""
        return self._exception

    @exception.setter
    def exception(self, exception: Any) -> None:
        self._exception = convert_to_bytes(exception)


class WorkerJob(BaseJob):
    """A job that a worker got from ``Worker.getJob``, and is to end by one of the methods.

    They raise an OSError when the connection has ended; the server then gives the job to another worker.
    """

    def __init__(self, handle: bytes, name: Any, arguments: Any, unique: Any = None) -> None:
        super().__init__(name, arguments, unique, handle)

    def sendWorkData(self, data: Any = b"") -> None:
        """Send a part of the result."""
        self._send(constants.WORK_DATA, data)

    def sendWorkWarning(self, data: Any = b"") -> None:
        """Send a warning."""
        self._send(constants.WORK_WARNING, data)

    def sendWorkStatus(self, numerator: Any, denominator: Any) -> None:
        """Say that so much of so much is done."""
        parts = (n if isinstance(n, bytes | bytearray) else str(n).encode() for n in (numerator, denominator))
        self._send(constants.WORK_STATUS, b"\0".join(parts))

    def sendWorkComplete(self, data: Any = b"") -> None:
        """End the job with its result."""
        self._send(constants.WORK_COMPLETE, data)

    def sendWorkFail(self) -> None:
        """End the job as failed."""
        assert self.handle is not None
        self._send_packet(Packet(constants.REQ, constants.WORK_FAIL, self.handle))

    def sendWorkException(self, data: Any = b"") -> None:
        """End the job with an exception."""
        self._send(constants.WORK_EXCEPTION, data)

    def _send(self, ptype: int, data: Any) -> None:
        if not isinstance(data, bytes | bytearray):
            raise TypeError(f"data must be of type bytes or bytearray, not {type(data).__name__}")
        assert self.handle is not None
        self._send_packet(Packet(constants.REQ, ptype, b"\0".join((self.handle, data))))

    def _send_packet(self, packet: Packet) -> None:
        if self.connection is None:
            raise ValueError(f"{self!r} came over no connection: there is nobody to send this to")
        self.connection.sendPacket(packet)


class _TextArguments:
    """Arguments and a unique id that are texts."""

    _arguments: bytes
    _unique: bytes | None

    def _validate_arguments(self, arguments: Any) -> None:
        if not isinstance(arguments, str | bytes | bytearray):
            raise TypeError(f"arguments must be str or bytes, not {type(arguments).__name__}")

    @property
    def arguments(self) -> str:
        """The workload as a text. Raises UnicodeDecodeError if it is not UTF-8."""
        return self._arguments.decode("utf-8")

    @arguments.setter
    def arguments(self, arguments: Any) -> None:
        self._arguments = _name_bytes(arguments, "arguments")

    @property
    def unique(self) -> str | None:
        """The unique id as a text, or None."""
        return None if self._unique is None else self._unique.decode("utf-8")

    @unique.setter
    def unique(self, unique: Any) -> None:
        self._unique = None if unique is None else _name_bytes(unique, "unique")


class TextList(list[Any]):
    """A list of texts, which takes UTF-8 too."""

    def append(self, x: Any) -> None:
        """Add one."""
        super().append(_text(x))

    def extend(self, iterable: Iterable[Any]) -> None:
        """Add several."""
        super().extend(map(_text, iterable))

    def insert(self, i: SupportsIndex, x: Any) -> None:
        """Add one at a place."""
        super().insert(i, _text(x))


def _text(data: Any) -> Any:
    return data.decode("utf-8") if isinstance(data, bytes | bytearray) else data


class TextJob(_TextArguments, Job):
    """A job whose arguments, unique id, data and exception are texts, which travel as UTF-8."""

    data_type = TextList

    @property
    def exception(self) -> Any:
        """What the worker sent as an exception, or None."""
        return _text(self._exception)

    @exception.setter
    def exception(self, exception: Any) -> None:
        self._exception = convert_to_bytes(exception)


class TextWorkerJob(_TextArguments, WorkerJob):
    """A worker's job whose arguments and unique id are texts, and that is ended with texts."""

    def sendWorkData(self, data: Any = "") -> None:
        """Send a part of the result."""
        super().sendWorkData(convert_to_bytes(data))

    def sendWorkWarning(self, data: Any = "") -> None:
        """Send a warning."""
        super().sendWorkWarning(convert_to_bytes(data))

    def sendWorkComplete(self, data: Any = "") -> None:
        """End the job with its result."""
        super().sendWorkComplete(convert_to_bytes(data))

    def sendWorkException(self, data: Any = "") -> None:
        """End the job with an exception."""
        super().sendWorkException(convert_to_bytes(data))


class _BinaryName:
    """A name that stays bytes."""

    _name: bytes

    @property
    def name(self) -> bytes:
        """The name of the function."""
        return self._name

    @name.setter
    def name(self, name: Any) -> None:
        self._name = _name_bytes(name, "name")


class BinaryJob(_BinaryName, Job):
    """A job whose name stays bytes, which need not be UTF-8."""


class BinaryWorkerJob(_BinaryName, WorkerJob):
    """A worker's job whose name stays bytes, which need not be UTF-8."""


class FunctionRecord:
    """A function for ``Worker.setFunctions``; ``timeout`` is in seconds, or None."""

    def __init__(self, name: Any, timeout: Any = None) -> None:
        self.name = name
        self.timeout = timeout

    def __repr__(self) -> str:
        return f"<gear.FunctionRecord 0x{id(self):x} name: {self.name} timeout: {self.timeout}>"
