"""The worker's end of a connection: when to grab, when to sleep, and which jobs are in hand."""

from __future__ import annotations

import enum
import heapq
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from gearcore._codec import Packet, Parser, pack_request, pack_request_head
from gearcore.errors import ProtocolError, ServerError
from gearcore.protocol import RESPONSE_MAGIC, PacketType
from gearcore.session.arguments import blame, decode_name, decode_text

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "TRANSITIONS",
    "Assignment",
    "Submitted",
    "WorkerEvent",
    "WorkerNews",
    "WorkerSession",
    "WorkerState",
]


class WorkerState(enum.Enum):
    """What a worker's connection is doing."""

    IDLE = enum.auto()
    """Nothing was sent yet."""
    AWAKE = enum.auto()
    """The worker may grab."""
    SLEEPING = enum.auto()
    """There was no job; the server owes a NOOP when there is one."""
    LEAVING = enum.auto()
    """The worker grabs no more, and waits for the grabs on their way and the jobs in hand to end."""
    STOPPED = enum.auto()
    """There is no job in hand, and the server will give none."""


class WorkerEvent(enum.Enum):
    """What moves a worker from one state to the next."""

    START = enum.auto()
    NO_JOB = enum.auto()
    """No job was there for the last of the grabs on their way."""
    NOOP = enum.auto()
    OVERSLEPT = enum.auto()
    STOP = enum.auto()
    EMPTY = enum.auto()
    """Nothing is in hand, and no answer is on its way."""


_SLEEP: Final = (PacketType.PRE_SLEEP,)
_LEAVE: Final = (PacketType.RESET_ABILITIES,)

_S = WorkerState
_E = WorkerEvent

TRANSITIONS: Final[dict[tuple[WorkerState, WorkerEvent], tuple[WorkerState, tuple[PacketType, ...]]]] = {
    # From a state, by an event: to a state, sending packets. What is not here must not happen.
    (_S.IDLE, _E.START): (_S.AWAKE, ()),
    (_S.IDLE, _E.STOP): (_S.STOPPED, ()),
    (_S.AWAKE, _E.NO_JOB): (_S.SLEEPING, _SLEEP),
    (_S.AWAKE, _E.STOP): (_S.LEAVING, ()),
    (_S.SLEEPING, _E.NOOP): (_S.AWAKE, ()),
    (_S.SLEEPING, _E.OVERSLEPT): (_S.AWAKE, ()),
    (_S.SLEEPING, _E.STOP): (_S.LEAVING, ()),
    (_S.LEAVING, _E.NO_JOB): (_S.LEAVING, ()),
    (_S.LEAVING, _E.STOP): (_S.LEAVING, ()),
    (_S.LEAVING, _E.EMPTY): (_S.STOPPED, _LEAVE),
    (_S.STOPPED, _E.STOP): (_S.STOPPED, ()),
    # A NOOP wakes a sleeper. Any other worker met it on its way, and is awake.
    **{(state, _E.NOOP): (state, ()) for state in _S if state not in (_S.IDLE, _S.SLEEPING)},
}

_BEHIND: Final = 1.1
"""Seconds that gearmand's clock, which it looks at once a second, may be behind."""

_GRAB: Final = pack_request(PacketType.GRAB_JOB_ALL)

# Plain numbers: what a packet's type is compared with for every job.
_ASSIGN: Final = int(PacketType.JOB_ASSIGN)
_ASSIGN_UNIQ: Final = int(PacketType.JOB_ASSIGN_UNIQ)
_ASSIGN_ALL: Final = int(PacketType.JOB_ASSIGN_ALL)
_LARGE: Final = 32 * 1024
"""Bytes of a payload that is sent from where it is."""

_COMPLETE: Final = int(PacketType.WORK_COMPLETE)


@dataclass(slots=True)  # not frozen, which costs more than all the rest of taking one
class Assignment:
    """A job that the server handed out, as bytes from the wire. ``unique`` and ``reducer`` may be empty."""

    handle: bytes
    function: bytes
    unique: bytes
    reducer: bytes
    workload: bytes


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a ``submit``: its ``token``, and the server's ``error`` where it refused."""

    token: object
    error: ServerError | None


WorkerNews = Assignment | Submitted | ServerError


class WorkerSession:
    """One connection of a worker for ``functions``. ``server`` is what the errors call the server.

    ``start()`` offers the functions; ``grab()`` asks for jobs, of which any number may be in hand. Every
    assignment is to be ended by ``complete``, ``fail`` or ``raised``, or is left to the server with
    ``give_back``.

    ``answered`` says whether the server has treated the connection as a worker's yet, ``grabs`` how many
    answers to grabs are on their way.
    """

    def __init__(self, server: str, functions: Iterable[bytes], client_id: bytes | None = None) -> None:
        self.server = server
        self.state = WorkerState.IDLE
        self.answered = False
        self.grabs = 0
        self._window = 1
        self._functions = list(functions)
        self._client_id = client_id
        self._parser = Parser(expect=RESPONSE_MAGIC)
        self._outgoing: list[bytes] = []
        self._is_large = False
        self._in_hand: set[bytes] = set()
        self._submitted: deque[object] = deque()
        self._delayed: list[float] = []

    @property
    def in_use(self) -> int:
        """How many jobs there are in hand and may be on their way."""
        return self.grabs + len(self._in_hand)

    @property
    def in_hand(self) -> int:
        """How many jobs there are in hand."""
        return len(self._in_hand)

    @property
    def wanted(self) -> int:
        """How many more grabs may be sent now.

        A worker that just woke tries one, and for every job that it gets one more than before: a job that
        wakes many workers is not worth many grabs of each.
        """
        return max(self._window - self.grabs, 0) if self.state is WorkerState.AWAKE else 0

    @property
    def expects(self) -> bool:
        """Whether the server owes an answer."""
        return bool(self.grabs or self._submitted)

    def start(self) -> None:
        """Say who the worker is and what it can do."""
        if self._client_id is not None:
            self._outgoing.append(pack_request(PacketType.SET_CLIENT_ID, self._client_id))
        # gearmand 1.1 looks for a job of the function that was offered last. As with libgearman, the one that
        # was registered first comes first.
        self._outgoing += [pack_request(PacketType.CAN_DO, name) for name in reversed(self._functions)]
        self._move(WorkerEvent.START)

    def identify(self, client_id: bytes) -> None:
        """Say who the worker is, on a connection that has started."""
        self._client_id = client_id
        self._outgoing.append(pack_request(PacketType.SET_CLIENT_ID, client_id))

    def offer(self, functions: Iterable[bytes]) -> None:
        """Offer these functions and no others from now on, on a connection that has started.

        A worker that sleeps wakes: there may be jobs already for what it offers now, and a server sends no
        NOOP for those. Jobs of the functions before may still be on their way, and those in hand of a
        function that is offered no more are given to another worker.
        """
        # Not by RESET_ABILITIES, which has the server take back the jobs in hand of all functions.
        before, self._functions = self._functions, list(functions)
        gone = [name for name in before if name not in self._functions]
        new = [name for name in self._functions if name not in before]
        self._outgoing += [pack_request(PacketType.CANT_DO, name) for name in gone]
        self._outgoing += [pack_request(PacketType.CAN_DO, name) for name in reversed(new)]
        if self.state is WorkerState.SLEEPING:
            self.oversleep()

    def has(self, handle: bytes) -> bool:
        """Whether a job is in hand."""
        return handle in self._in_hand

    def grab(self, count: int = 1) -> None:
        """Ask for so many jobs. Only while ``AWAKE``."""
        assert self.state is WorkerState.AWAKE
        self.grabs += count
        self._outgoing.append(_GRAB if count == 1 else _GRAB * count)

    def stop(self) -> None:
        """Take no more jobs: the session is ``STOPPED`` once it has none in hand and none on its way."""
        self._move(WorkerEvent.STOP)
        self._leave_if_empty()

    def oversleep(self) -> None:
        """Wake although there was no NOOP for a long time.

        A grab then shows whether the server is still there, and finds the jobs whose NOOP was lost or never
        sent (gearmand 1.1 sends none when the time of a delayed job comes). Only while ``SLEEPING``.
        """
        self._move(WorkerEvent.OVERSLEPT)

    def data_to_send(self) -> bytes:
        """What to send to the server now; it is given once."""
        outgoing = self._outgoing
        data = outgoing[0] if len(outgoing) == 1 else b"".join(outgoing)
        outgoing.clear()
        self._is_large = False
        return data

    def parts_to_send(self) -> list[bytes]:
        """The same in one or more pieces, or none: a large payload is a piece of its own, and not copied."""
        if not self._is_large:
            return [self.data_to_send()] if self._outgoing else []
        parts: list[bytes] = []
        for is_large, group in groupby(self._outgoing, lambda part: len(part) >= _LARGE):
            pieces = list(group)
            parts += pieces if is_large else [b"".join(pieces)]
        self._outgoing.clear()
        self._is_large = False
        return parts

    def receive(self, data: Buffer) -> list[WorkerNews]:
        """Take bytes from the server.

        Returned are jobs to do, what became of submissions, and complaints about jobs that were done:
        gearmand complains when a job that ends is no longer this worker's (JOB_NOT_FOUND). Raises ServerError
        when the server refuses to hand out jobs, and ProtocolError when it does not follow the protocol: in
        both cases the connection must be closed.
        """
        offence: ProtocolError | None = None
        packets: list[Packet]
        try:
            packets = self._parser.feed(data)  # type: ignore[assignment]  # lines are for who asks for text
        except ProtocolError as error:
            offence, packets = error, error.packets
        news: list[WorkerNews] = []
        try:
            for packet in packets:
                kind = packet.type
                if kind == _ASSIGN_UNIQ:
                    handle, function, unique, workload = packet.args
                    news.append(self._assign(packet, handle, function, unique, b"", workload))
                elif kind == _ASSIGN_ALL:
                    news.append(self._assign(packet, *packet.args))
                elif kind == _ASSIGN:
                    handle, function, workload = packet.args
                    news.append(self._assign(packet, handle, function, b"", b"", workload))
                else:
                    item = self._take(packet)
                    if item is not None:
                        news.append(item)
        except ProtocolError as error:
            offence = error
        if offence is not None:
            raise blame(self.server, offence) from offence
        return news

    def update(self, packet_type: PacketType, handle: bytes, *args: Buffer) -> None:
        """Send WORK_DATA, WORK_WARNING or WORK_STATUS for a job in hand."""
        self._check_in_hand(handle)
        if len(args) == 1 and type(args[0]) is bytes and len(args[0]) >= _LARGE:
            self._put_large(packet_type, handle, args[0])
        else:
            self._outgoing.append(pack_request(packet_type, handle, *args))

    def complete(self, handle: bytes, result: Buffer) -> None:
        """End a job with its result."""
        self._check_in_hand(handle)
        if type(result) is bytes and len(result) >= _LARGE:
            self._put_large(_COMPLETE, handle, result)
        else:
            self._outgoing.append(pack_request(_COMPLETE, handle, result))
        self._in_hand.remove(handle)
        if self.state is WorkerState.LEAVING:
            self._leave_if_empty()

    def fail(self, handle: bytes) -> None:
        """End a job as failed, without a reason."""
        self._end(PacketType.WORK_FAIL, handle)

    def raised(self, handle: bytes, text: bytes) -> None:
        """End a job with the text of an exception.

        The server tells it to the clients that asked for exceptions, and WORK_FAIL to the others. No
        WORK_FAIL may follow: the job has ended.
        """
        self._end(PacketType.WORK_EXCEPTION, handle, text)

    def give_back(self, handle: bytes) -> None:
        """Drop a job without an end: the server gives it to a worker again once the session is stopped."""
        self._check_in_hand(handle)
        self._in_hand.remove(handle)
        self._leave_if_empty()

    def submit(self, token: object, packet_type: PacketType, *args: Buffer) -> None:
        """Submit a background job over the worker's own connection. ``token`` comes back in ``Submitted``."""
        self._outgoing.append(pack_request(packet_type, *args))
        self._submitted.append(token)

    def delay(self, unix_time: float) -> None:
        """Have the session wake at that time, since a delayed job is due that it has submitted.

        gearmand 1.1 wakes nobody for it. Its clock may be behind by a second, so it is asked twice.
        """
        heapq.heappush(self._delayed, unix_time)
        heapq.heappush(self._delayed, unix_time + _BEHIND)

    @property
    def due(self) -> float:
        """The Unix time at which ``alarm`` is to be called, if any."""
        return self._delayed[0] if self._delayed else math.inf

    def alarm(self) -> None:
        """The time ``due`` has come."""
        heapq.heappop(self._delayed)
        if self.state is WorkerState.SLEEPING:
            self.oversleep()

    def _move(self, event: WorkerEvent) -> None:
        try:
            self.state, packet_types = TRANSITIONS[self.state, event]
        except KeyError:
            raise RuntimeError(f"a worker that is {self.state.name} cannot take {event.name}") from None
        self._outgoing += map(pack_request, packet_types)

    def _leave_if_empty(self) -> None:
        if self.state is WorkerState.LEAVING and not (self.grabs or self._in_hand or self._submitted):
            self._move(WorkerEvent.EMPTY)

    def _assign(
        self, packet: Packet, handle: bytes, function: bytes, unique: bytes, reducer: bytes, workload: bytes
    ) -> Assignment:
        if not self.grabs:
            raise self._unexpected(packet)
        self.grabs -= 1
        self._window += 1
        self.answered = True
        self._in_hand.add(handle)
        return Assignment(handle, function, unique, reducer, workload)

    def _take(self, packet: Packet) -> WorkerNews | None:
        packet_type = PacketType(packet.type)
        if packet_type is PacketType.ERROR:
            return self._take_error(*map(decode_text, packet.args))
        if packet_type is PacketType.JOB_CREATED and self._submitted:
            token = self._submitted.popleft()
            self._leave_if_empty()
            return Submitted(token, None)
        if packet_type is PacketType.NO_JOB:
            if not self.grabs:
                raise self._unexpected(packet)
            self.answered = True
            self.grabs -= 1
            self._window = 1
            if not self.grabs:
                self._move(WorkerEvent.NO_JOB)
                self._leave_if_empty()
        elif packet_type is PacketType.NOOP and self.state is not WorkerState.IDLE:
            self.answered = True
            self._move(WorkerEvent.NOOP)
        else:
            raise self._unexpected(packet)
        return None

    def _unexpected(self, packet: Packet) -> ProtocolError:
        grabs = f" and waits for {self.grabs} answers to grabs"
        return ProtocolError(f"{packet.name} came to a worker that is {self.state.name}{grabs}")

    def _take_error(self, code: str, text: str) -> WorkerNews:
        # A complaint about a job may come while a grab is on its way, since one write ends a job and grabs
        # the next. Anything else is the answer to a submission, or to the grab, and there will be no other.
        error = ServerError(code, text, f"from {self.server}")
        if code == "JOB_NOT_FOUND":
            return error
        if self._submitted:
            token = self._submitted.popleft()
            self._leave_if_empty()
            return Submitted(token, error)
        if self.grabs:
            raise error
        return error

    def _end(self, packet_type: PacketType, handle: bytes, *args: Buffer) -> None:
        self.update(packet_type, handle, *args)
        self._in_hand.remove(handle)
        self._leave_if_empty()

    def _put_large(self, packet_type: int, handle: bytes, payload: bytes) -> None:
        self._outgoing += pack_request_head(packet_type, len(payload), handle), payload
        self._is_large = True

    def _check_in_hand(self, handle: bytes) -> None:
        if handle not in self._in_hand:
            raise ValueError(f"job {decode_name(handle)} has ended")
