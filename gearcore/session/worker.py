"""The worker's end of a connection: when to grab, when to sleep, and which jobs are in hand."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from gearcore._codec import Packet, Parser, pack_request
from gearcore.errors import ProtocolError, ServerError
from gearcore.protocol import RESPONSE_MAGIC, PacketType
from gearcore.session.arguments import blame, check_payload, decode_name, decode_text

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["TRANSITIONS", "Assignment", "WorkerEvent", "WorkerSession", "WorkerState"]


class WorkerState(enum.Enum):
    """What a worker's connection is doing."""

    IDLE = enum.auto()
    """Nothing was sent yet."""
    GRABBING = enum.auto()
    """A grab is on its way, and the server owes an answer."""
    SLEEPING = enum.auto()
    """The server owes a NOOP when there is a job."""
    WORKING = enum.auto()
    """There is a job in hand, and the server owes nothing."""
    LAST_GRAB = enum.auto()
    """As GRABBING, but the worker wants to stop. The server may be giving it a job already."""
    LAST_JOB = enum.auto()
    """As WORKING, but the worker wants to stop."""
    STOPPED = enum.auto()
    """There is no job in hand, and the server will give none."""


class WorkerEvent(enum.Enum):
    """What moves a worker from one state to the next."""

    START = enum.auto()
    NO_JOB = enum.auto()
    NOOP = enum.auto()
    ASSIGNED = enum.auto()
    ENDED = enum.auto()
    OVERSLEPT = enum.auto()
    STOP = enum.auto()


_GRAB: Final = (PacketType.GRAB_JOB_ALL,)
_SLEEP: Final = (PacketType.PRE_SLEEP,)
_LEAVE: Final = (PacketType.RESET_ABILITIES,)

_S = WorkerState
_E = WorkerEvent

TRANSITIONS: Final[dict[tuple[WorkerState, WorkerEvent], tuple[WorkerState, tuple[PacketType, ...]]]] = {
    # From a state, by an event: to a state, sending packets. What is not here must not happen.
    (_S.IDLE, _E.START): (_S.GRABBING, _GRAB),
    (_S.IDLE, _E.STOP): (_S.STOPPED, ()),
    (_S.GRABBING, _E.NO_JOB): (_S.SLEEPING, _SLEEP),
    (_S.GRABBING, _E.ASSIGNED): (_S.WORKING, ()),
    (_S.GRABBING, _E.STOP): (_S.LAST_GRAB, ()),
    (_S.SLEEPING, _E.NOOP): (_S.GRABBING, _GRAB),
    (_S.SLEEPING, _E.OVERSLEPT): (_S.GRABBING, _GRAB),
    (_S.SLEEPING, _E.STOP): (_S.STOPPED, _LEAVE),
    (_S.WORKING, _E.ENDED): (_S.GRABBING, _GRAB),
    (_S.WORKING, _E.STOP): (_S.LAST_JOB, ()),
    (_S.LAST_GRAB, _E.NO_JOB): (_S.STOPPED, _LEAVE),
    (_S.LAST_GRAB, _E.ASSIGNED): (_S.LAST_JOB, ()),
    (_S.LAST_GRAB, _E.STOP): (_S.LAST_GRAB, ()),
    (_S.LAST_JOB, _E.ENDED): (_S.STOPPED, _LEAVE),
    (_S.LAST_JOB, _E.STOP): (_S.LAST_JOB, ()),
    (_S.STOPPED, _E.STOP): (_S.STOPPED, ()),
    # A NOOP wakes a sleeper. Any other worker met it on its way, and is awake.
    **{(state, _E.NOOP): (state, ()) for state in _S if state not in (_S.IDLE, _S.SLEEPING)},
}


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job that the server handed out, as bytes from the wire. ``unique`` and ``reducer`` may be empty."""

    handle: bytes
    function: bytes
    unique: bytes
    reducer: bytes
    workload: bytes


class WorkerSession:
    """One connection of a worker for ``functions``. ``server`` is what the errors call the server.

    ``start()`` offers the functions and grabs; after that it is enough to give the session what it receives,
    and to end every assignment by ``complete``, ``fail`` or ``raised``, which grabs the next.

    ``answered`` says whether the server has treated the connection as a worker's yet.
    """

    def __init__(self, server: str, functions: Iterable[bytes], client_id: bytes | None = None) -> None:
        self.server = server
        self.state = WorkerState.IDLE
        self.answered = False
        self._functions = list(functions)
        self._client_id = client_id
        self._parser = Parser(expect=RESPONSE_MAGIC)
        self._outgoing: list[bytes] = []
        self._in_hand: set[bytes] = set()

    def start(self) -> None:
        """Say who the worker is and what it can do, and grab."""
        if self._client_id is not None:
            self._outgoing.append(pack_request(PacketType.SET_CLIENT_ID, self._client_id))
        # gearmand 1.1 looks for a job of the function that was offered last. As with libgearman, the one that
        # was registered first comes first.
        self._outgoing += [pack_request(PacketType.CAN_DO, name) for name in reversed(self._functions)]
        self._move(WorkerEvent.START)

    def stop(self) -> None:
        """Take no more jobs: the session is ``STOPPED`` once it has none in hand and none on its way."""
        self._move(WorkerEvent.STOP)

    def oversleep(self) -> None:
        """Grab although there was no NOOP for a long time.

        It shows whether the server is still there, and finds the jobs whose NOOP was lost or never sent
        (gearmand 1.1 sends none when the time of a delayed job comes). Only while ``SLEEPING``.
        """
        self._move(WorkerEvent.OVERSLEPT)

    def data_to_send(self) -> bytes:
        """What to send to the server now; it is given once."""
        data = self._outgoing[0] if len(self._outgoing) == 1 else b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def receive(self, data: Buffer) -> list[Assignment | ServerError]:
        """Take bytes from the server; jobs to do are returned, and complaints about jobs that were done.

        gearmand complains when a job that ends is no longer this worker's (JOB_NOT_FOUND). Raises ServerError
        when the server refuses to hand out jobs, and ProtocolError when it does not follow the protocol: in
        both cases the connection must be closed.
        """
        offence: ProtocolError | None = None
        try:
            packets = cast("list[Packet]", self._parser.feed(data))
        except ProtocolError as error:
            offence, packets = error, error.packets
        events: list[Assignment | ServerError] = []
        try:
            for packet in packets:
                event = self._take(packet)
                if event is not None:
                    events.append(event)
        except ProtocolError as error:
            offence = error
        if offence is not None:
            raise blame(self.server, offence) from offence
        return events

    def send_data(self, handle: bytes, data: Buffer) -> None:
        """Send a part of a job's result."""
        self._update(PacketType.WORK_DATA, handle, check_payload(data, "data"))

    def send_warning(self, handle: bytes, warning: Buffer) -> None:
        """Send a warning."""
        self._update(PacketType.WORK_WARNING, handle, check_payload(warning, "warning"))

    def send_status(self, handle: bytes, numerator: int, denominator: int) -> None:
        """Say how far a job has come."""
        self._update(PacketType.WORK_STATUS, handle, b"%d" % numerator, b"%d" % denominator)

    def complete(self, handle: bytes, result: Buffer) -> None:
        """End a job with its result."""
        self._end(PacketType.WORK_COMPLETE, handle, check_payload(result, "result"))

    def fail(self, handle: bytes) -> None:
        """End a job as failed, without a reason."""
        self._end(PacketType.WORK_FAIL, handle)

    def raised(self, handle: bytes, text: bytes) -> None:
        """End a job with the text of an exception.

        The server tells it to the clients that asked for exceptions, and WORK_FAIL to the others. No
        WORK_FAIL may follow: the job has ended.
        """
        self._end(PacketType.WORK_EXCEPTION, handle, text)

    def _move(self, event: WorkerEvent) -> None:
        try:
            self.state, packet_types = TRANSITIONS[self.state, event]
        except KeyError:
            raise RuntimeError(f"a worker that is {self.state.name} cannot take {event.name}") from None
        self._outgoing += map(pack_request, packet_types)

    def _take(self, packet: Packet) -> Assignment | ServerError | None:
        packet_type = PacketType(packet.type)
        if packet_type is PacketType.ERROR:
            return self._take_error(*map(decode_text, packet.args))
        event = _EVENTS.get(packet_type)
        if event is None or (self.state, event) not in TRANSITIONS:
            raise ProtocolError(f"{packet_type.name} came to a worker that is {self.state.name}")
        self.answered = True
        self._move(event)
        if event is not WorkerEvent.ASSIGNED:
            return None
        handle, function, *more, workload = packet.args
        unique, reducer = (*more, b"", b"")[:2]
        self._in_hand.add(handle)
        return Assignment(handle, function, unique, reducer, workload)

    def _take_error(self, code: str, text: str) -> ServerError:
        # A complaint about a job may come while a grab is on its way, since one write ends a job and grabs
        # the next. Anything else then is the answer to the grab, and there will be no other.
        error = ServerError(code, text, f"from {self.server}")
        if code != "JOB_NOT_FOUND" and self.state in (WorkerState.GRABBING, WorkerState.LAST_GRAB):
            raise error
        return error

    def _update(self, packet_type: PacketType, handle: bytes, *args: Buffer) -> None:
        self._check_in_hand(handle)
        self._outgoing.append(pack_request(packet_type, handle, *args))

    def _end(self, packet_type: PacketType, handle: bytes, *args: Buffer) -> None:
        self._update(packet_type, handle, *args)
        self._in_hand.remove(handle)
        self._move(WorkerEvent.ENDED)

    def _check_in_hand(self, handle: bytes) -> None:
        if handle not in self._in_hand:
            raise ValueError(f"job {decode_name(handle)} has ended")


_EVENTS: Final = {
    PacketType.NOOP: WorkerEvent.NOOP,
    PacketType.NO_JOB: WorkerEvent.NO_JOB,
    PacketType.JOB_ASSIGN: WorkerEvent.ASSIGNED,
    PacketType.JOB_ASSIGN_UNIQ: WorkerEvent.ASSIGNED,
    PacketType.JOB_ASSIGN_ALL: WorkerEvent.ASSIGNED,
}
