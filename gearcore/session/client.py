"""The client's end of a connection: requests in flight, and jobs by handle."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from gearcore._codec import Packet, Parser, pack_request
from gearcore.errors import (
    ConnectionLost,
    GearcoreError,
    JobException,
    JobFailed,
    ProtocolError,
    ServerError,
)
from gearcore.protocol import RESPONSE_MAGIC, PacketType, Priority
from gearcore.session.arguments import (
    blame,
    check_payload,
    decode_name,
    decode_text,
    encode_name,
    read_number,
)
from gearcore.session.requests import (
    EchoRequest,
    JobData,
    JobProgress,
    JobRequest,
    JobWarning,
    OptionRequest,
    Request,
    StatusRequest,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ClientSession"]

R = TypeVar("R", bound="Request[Any]")

MAX_HANDLE_SIZE: Final = 63
"""Bytes that a handle can have: gearmand does not answer at all when it is asked about a longer one."""

_SUBMIT: Final = {
    (Priority.HIGH, False): PacketType.SUBMIT_JOB_HIGH,
    (Priority.NORMAL, False): PacketType.SUBMIT_JOB,
    (Priority.LOW, False): PacketType.SUBMIT_JOB_LOW,
    (Priority.HIGH, True): PacketType.SUBMIT_JOB_HIGH_BG,
    (Priority.NORMAL, True): PacketType.SUBMIT_JOB_BG,
    (Priority.LOW, True): PacketType.SUBMIT_JOB_LOW_BG,
}


class ClientSession:
    """One connection's requests and jobs. ``server`` is what the errors call the server.

    The server answers the requests of a connection in order and each with one packet, so answers belong to
    the oldest request that has none. WORK_* packets belong to the job whose handle they carry, in any order.

    Foreground submissions with the same function and unique id share a job, hence a handle, and each gets
    all that the job sends. gearmand sends every packet once for each of them, the copies one after the
    other; so the first goes to all, and the copies that are still due to none. A server that sends no
    copies is understood too, as long as no packet of such a job equals the one before.

    ``ignored`` counts the WORK_* packets for jobs that this session does not know, or no more.
    """

    def __init__(self, server: str) -> None:
        self.server = server
        self.ignored = 0
        self._parser = Parser(expect=RESPONSE_MAGIC)
        self._outgoing: list[bytes] = []
        self._unanswered: deque[Request[Any]] = deque()
        self._jobs: dict[bytes, list[JobRequest]] = {}
        self._copied: Packet | None = None
        self._copies = 0
        # Without this option gearmand turns an exception into a failure without a text. A server that does
        # not know the option says so with an ERROR, which is as good an answer to this as any.
        self._ask(OptionRequest(), pack_request(PacketType.OPTION_REQ, b"exceptions"))

    def submit(
        self,
        function: str | bytes,
        workload: Buffer,
        *,
        unique: str | bytes | None = None,
        priority: Priority = Priority.NORMAL,
        background: bool = False,
    ) -> JobRequest:
        """Submit a job."""
        name = encode_name(function, "function")
        unique_id = encode_name(unique or b"", "unique")
        packet_type = _SUBMIT[Priority(priority), background]
        packet = pack_request(packet_type, name, unique_id, check_payload(workload, "workload"))
        return self._ask(JobRequest(decode_name(name), decode_name(unique_id), background), packet)

    def status(self, handle: str | bytes) -> StatusRequest:
        """Ask how a job stands. Raises ValueError for a handle of more than 63 bytes."""
        raw = encode_name(handle, "handle")
        if len(raw) > MAX_HANDLE_SIZE:
            raise ValueError(f"handle {decode_name(raw)!r} has more than {MAX_HANDLE_SIZE} bytes")
        return self._ask(StatusRequest(decode_name(raw)), pack_request(PacketType.GET_STATUS, raw))

    def echo(self, data: Buffer) -> EchoRequest:
        """Ask for the same bytes back."""
        return self._ask(EchoRequest(), pack_request(PacketType.ECHO_REQ, check_payload(data, "data")))

    def data_to_send(self) -> bytes:
        """What to send to the server now; it is given once."""
        data = self._outgoing[0] if len(self._outgoing) == 1 else b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def receive(self, data: Buffer) -> list[Request[Any]]:
        """Take bytes from the server; the requests and jobs that they changed are returned.

        Raises ProtocolError, which also becomes the error of all that was in flight: the place in the
        stream is lost then, and the connection must be closed.
        """
        changed: list[Request[Any]] = []
        offence: ProtocolError | None = None
        try:
            packets = cast("list[Packet]", self._parser.feed(data))
        except ProtocolError as error:
            offence, packets = error, error.packets
        try:
            for packet in packets:
                changed += self._take(packet)
        except ProtocolError as error:
            offence = error
        if offence is not None:
            self._fail_all(lambda request: blame(self.server, offence))
            raise blame(self.server, offence) from offence
        return changed

    def connection_lost(self, cause: object) -> None:
        """The connection ended, and with it all requests and jobs in flight, by ConnectionLost.

        The text of ``cause`` names the connection and says why it ended.
        """
        if self._parser.buffered:
            cause = f"{cause}, in the middle of a packet"
        self._fail_all(lambda request: ConnectionLost(f"{cause}, while waiting for {request.what}"))

    def _ask(self, request: R, packet: bytes) -> R:
        self._outgoing.append(packet)
        self._unanswered.append(request)
        return request

    def _take(self, packet: Packet) -> list[Request[Any]]:
        handler = _JOB_HANDLERS.get(packet.type)
        if handler is not None:
            return self._take_for_job(packet, handler)
        self._copies = 0
        if not self._unanswered:
            raise ProtocolError(f"{_name(packet)} answers nothing that was asked")
        request = self._unanswered[0]
        if packet.type == PacketType.ERROR:
            code, text = map(decode_text, packet.args)
            request.fail(ServerError(code, text, f"from {self.server}, instead of {request.what}"))
        elif packet.type == request.reply:
            request.take_answer(packet.args)
            if isinstance(request, JobRequest) and not request.background:
                self._jobs.setdefault(packet.args[0], []).append(request)
        else:
            raise ProtocolError(f"{_name(packet)} came instead of {request.reply.name}")
        self._unanswered.popleft()
        return [request]

    def _take_for_job(self, packet: Packet, handler: JobHandler) -> list[Request[Any]]:
        if self._copies and packet == self._copied:
            self._copies -= 1
            return []
        # gearmand ends the handle by a NUL in a WORK_FAIL that it made of an exception.
        handle = packet.args[0].removesuffix(b"\0")
        jobs = self._jobs.get(handle)
        if jobs is None:
            self.ignored += 1
            return []
        self._copies = len(jobs) - 1
        self._copied = packet if self._copies else None
        for job in jobs:
            handler(self, job, packet.args)
        if jobs[0].ended:
            del self._jobs[handle]
        return list(jobs)

    def _take_data(self, job: JobRequest, args: tuple[bytes, ...]) -> None:
        job.events.append(JobData(args[1]))

    def _take_warning(self, job: JobRequest, args: tuple[bytes, ...]) -> None:
        job.events.append(JobWarning(args[1]))

    def _take_progress(self, job: JobRequest, args: tuple[bytes, ...]) -> None:
        job.events.append(JobProgress(read_number(args[1]), read_number(args[2])))

    def _take_result(self, job: JobRequest, args: tuple[bytes, ...]) -> None:
        job.complete(args[1])

    def _take_failure(self, job: JobRequest, args: tuple[bytes, ...]) -> None:
        job.fail(
            JobFailed(
                f"job {job.handle} of function {job.function!r} failed on a worker of {self.server}",
                function=job.function,
                handle=job.handle,
            )
        )

    def _take_exception(self, job: JobRequest, args: tuple[bytes, ...]) -> None:
        job.fail(
            JobException(
                f"job {job.handle} of function {job.function!r} raised {decode_text(args[1])}",
                function=job.function,
                handle=job.handle,
                data=args[1],
            )
        )

    def _fail_all(self, make_error: Callable[[Request[Any]], GearcoreError]) -> None:
        # One exception each: whoever raises it adds a traceback to it.
        for request in self._unanswered:
            request.fail(make_error(request))
        for jobs in self._jobs.values():
            for job in jobs:
                job.fail(make_error(job))
        self._unanswered.clear()
        self._jobs.clear()


JobHandler = Callable[[ClientSession, JobRequest, tuple[bytes, ...]], None]

_JOB_HANDLERS: Final[dict[int, JobHandler]] = {
    PacketType.WORK_DATA: ClientSession._take_data,
    PacketType.WORK_WARNING: ClientSession._take_warning,
    PacketType.WORK_STATUS: ClientSession._take_progress,
    PacketType.WORK_COMPLETE: ClientSession._take_result,
    PacketType.WORK_FAIL: ClientSession._take_failure,
    PacketType.WORK_EXCEPTION: ClientSession._take_exception,
}


def _name(packet: Packet) -> str:
    return PacketType(packet.type).name
