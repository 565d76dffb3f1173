"""A job in hand, as the function that runs it sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from gearcore.protocol import PacketType
from gearcore.session.arguments import decode_name
from gearcore.session.worker import Assignment
from gearcore.worker.functions import Function
from gearcore.worker.retry import read_unique

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["BaseJob", "Failure", "Outlet", "WorkerJob"]


class Outlet(Protocol):
    """Where the updates of a job go."""

    def send(self, packet_type: PacketType, handle: bytes, *args: Buffer) -> None:
        """Send an update. Raises ConnectionLost, TimedOut, or ValueError for a job that has ended."""


class BaseJob:
    """What a job is, without a way to send anything for it."""

    __slots__ = ("_assignment", "_function", "_namespace_size", "_value")

    def __init__(self, assignment: Assignment, function: Function | None, namespace_size: int) -> None:
        self._assignment = assignment
        self._function = function
        self._namespace_size = namespace_size

    @property
    def handle(self) -> str:
        """The name that the server gave the job."""
        return decode_name(self._assignment.handle)

    @property
    def function(self) -> str:
        """The function that the job was submitted to, without the worker's namespace."""
        return decode_name(self._assignment.function[self._namespace_size :])

    @property
    def unique(self) -> str:
        """The unique id that the job was submitted with, or an empty one."""
        return decode_name(read_unique(self._assignment.unique)[1])

    @property
    def tries(self) -> int:
        """Which try this is: 1 for a job that did not fail before. See ``Retry``."""
        return read_unique(self._assignment.unique)[0]

    @property
    def reducer(self) -> str:
        """The function that the client named to reduce the results with, or an empty one."""
        namespace = self._assignment.function[: self._namespace_size]
        return decode_name(self._assignment.reducer.removeprefix(namespace))

    @property
    def workload(self) -> bytes:
        """What the client gave the job to work on, as bytes."""
        return self._assignment.workload

    @property
    def data(self) -> Any:
        """The workload as the value that it is in the function's encoding. Raises EncodingError.

        An empty one, as of a job that was submitted without a workload, is None where the encoding has no
        value that is no bytes: in JSON and msgpack.
        """
        try:
            return self._value
        except AttributeError:
            self._value: Any = self._known.encoding.unpack(self._assignment.workload, "workload")
            return self._value

    def fail(self, reason: str = "") -> NoReturn:
        """End the function, and the job as failed (WORK_FAIL). The reason is logged; clients get none."""
        raise Failure(reason)

    @property
    def _known(self) -> Function:
        if self._function is None:
            raise LookupError(f"this worker does not offer {self.function!r}")
        return self._function

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.handle} {self.function!r}>"


class WorkerJob(BaseJob):
    """A job in hand, given to the function that runs it. Its methods may be called from any thread.

    What they send goes to the clients that wait for the job; a background job has none. They raise
    ConnectionLost or TimedOut when it cannot be sent (the server then gives the job to another worker), and
    ValueError once the job has ended.
    """

    __slots__ = ("_outlet",)

    def __init__(
        self, outlet: Outlet, assignment: Assignment, function: Function | None, namespace_size: int
    ) -> None:
        # Not by super(): this runs once for every job.
        self._assignment = assignment
        self._function = function
        self._namespace_size = namespace_size
        self._outlet = outlet

    def send_data(self, data: Any) -> None:
        """Send a part of the result (WORK_DATA), in the function's encoding."""
        packed = self._known.encoding.pack(data, "data")
        self._outlet.send(PacketType.WORK_DATA, self._assignment.handle, packed)

    def send_warning(self, warning: Buffer) -> None:
        """Send a warning (WORK_WARNING), which is bytes-like in any encoding."""
        self._outlet.send(PacketType.WORK_WARNING, self._assignment.handle, warning)

    def send_status(self, numerator: int, denominator: int) -> None:
        """Say that ``numerator`` of ``denominator`` is done (WORK_STATUS)."""
        handle = self._assignment.handle
        self._outlet.send(PacketType.WORK_STATUS, handle, b"%d" % numerator, b"%d" % denominator)


class Failure(Exception):  # not a JobFailed: that is what a client is told
    """What ``WorkerJob.fail`` raises."""
