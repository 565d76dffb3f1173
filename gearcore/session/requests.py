"""What a client asks of a job server, and what it can hear of a job."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from gearcore.errors import GearcoreError, JobError
from gearcore.protocol import PacketType
from gearcore.session.arguments import decode_name, read_number

__all__ = [
    "EchoRequest",
    "JobData",
    "JobEvent",
    "JobProgress",
    "JobRequest",
    "JobStatus",
    "JobWarning",
    "OptionRequest",
    "Request",
    "StatusRequest",
]

T = TypeVar("T")


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
    are the progress that its worker last reported, 0 and 0 before.
    """

    known: bool
    running: bool
    numerator: int
    denominator: int


class Request(ABC, Generic[T]):
    """Something asked of the server, which answers with one packet: a ``reply``, or an ERROR.

    Once ``answered``, there is either an ``error`` or an ``answer``.
    """

    __slots__ = ("_answer", "answered", "error")

    reply: ClassVar[PacketType]

    def __init__(self) -> None:
        self.answered = False
        self.error: GearcoreError | None = None
        self._answer: T

    @property
    @abstractmethod
    def what(self) -> str:
        """What is being waited for, in words, for the text of an error."""

    @property
    def answer(self) -> T:
        """The server's answer. Raises ``error`` if there is one. Only for a request that is answered."""
        if self.error is not None:
            raise self.error
        return self._answer

    @abstractmethod
    def read(self, args: tuple[bytes, ...]) -> T:
        """The answer that the arguments of a ``reply`` packet hold."""

    def take_answer(self, args: tuple[bytes, ...]) -> None:
        """The server answered with a ``reply`` packet of these arguments."""
        self._answer = self.read(args)
        self.answered = True

    def fail(self, error: GearcoreError) -> None:
        """There will be no answer."""
        self.error = error
        self.answered = True


class OptionRequest(Request[str]):
    """OPTION_REQ, answered with the name of the option."""

    __slots__ = ()

    reply = PacketType.OPTION_RES

    @property
    def what(self) -> str:
        return "the confirmation of an option"

    def read(self, args: tuple[bytes, ...]) -> str:
        return decode_name(args[0])


class EchoRequest(Request[bytes]):
    """ECHO_REQ, answered with the same bytes."""

    __slots__ = ()

    reply = PacketType.ECHO_RES

    @property
    def what(self) -> str:
        return "an echo"

    def read(self, args: tuple[bytes, ...]) -> bytes:
        return args[0]


class StatusRequest(Request[JobStatus]):
    """GET_STATUS, answered with how a job stands."""

    __slots__ = ("handle",)

    reply = PacketType.STATUS_RES

    def __init__(self, handle: str) -> None:
        super().__init__()
        self.handle = handle

    @property
    def what(self) -> str:
        return f"the status of job {self.handle}"

    def read(self, args: tuple[bytes, ...]) -> JobStatus:
        known, running, numerator, denominator = map(read_number, args[1:])
        return JobStatus(bool(known), bool(running), numerator, denominator)


class JobRequest(Request[str]):
    """A submission, of any kind. It is answered with the job's handle; the job ends later.

    ``events`` are the data, warnings and progress that came so far. Once ``ended``, there is either a
    ``failure`` or a ``result``. A background job has a failure from the start: nobody will hear of its end.
    """

    __slots__ = ("background", "ended", "events", "failure", "function", "result", "unique")

    reply = PacketType.JOB_CREATED

    def __init__(self, function: str, unique: str, background: bool) -> None:
        super().__init__()
        self.function = function
        self.unique = unique
        self.background = background
        self.ended = False
        self.events: list[JobEvent] = []
        self.failure: GearcoreError | None = None
        self.result = b""

    @property
    def handle(self) -> str:
        """The job's handle. Only for a job that the server acknowledged."""
        return self._answer

    @property
    def what(self) -> str:
        if self.answered:
            return f"the result of job {self.handle} of function {self.function!r}"
        return f"the acknowledgement of a job for function {self.function!r}"

    def read(self, args: tuple[bytes, ...]) -> str:
        return decode_name(args[0])

    def take_answer(self, args: tuple[bytes, ...]) -> None:
        super().take_answer(args)
        if self.background:
            self.fail(
                JobError(
                    f"job {self.handle} of function {self.function!r} is a background job: "
                    "the server sends its result to nobody",
                    function=self.function,
                    handle=self.handle,
                )
            )

    def fail(self, error: GearcoreError) -> None:
        """There will be no handle, or no result."""
        if not self.answered:
            super().fail(error)
        self.failure = error
        self.ended = True

    def complete(self, result: bytes) -> None:
        """The job ended with a result."""
        self.result = result
        self.ended = True
