"""What a case is written with: peers that send, and the transcript of what they receive.

No case sleeps to be sure that a server is done. A server handles the packets of one connection in their
order, so after each step every peer in turn sends an ECHO_REQ of the harness's own: what precedes its answer
is all that the step caused there. The peer that made the step comes first, since the others' turn tells
nothing before the step was handled.
"""

from __future__ import annotations

import itertools
import re
import socket
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress

from gearcore.protocol import HEADER_SIZE, PACKETS, REQUEST_MAGIC, RESPONSE_MAGIC
from gearcore.protocol import PacketType as P

from .servers import HANDLE_PREFIX, RunningServer

UNKNOWN_HANDLE = f"{HANDLE_PREFIX}:999999999".encode()
"""A handle that a server might have made, but has not."""

NO_HANDLE = b"(no job)"
"""What a step returns that was to give a job and did not; the transcripts show why."""

CONTROL_ID = b"the-harness"
SHOWN_BYTES = 100

HANDLE = re.compile(re.escape(HANDLE_PREFIX.encode()) + rb":[0-9]+")
ARGUMENT_COUNTS = {spec.number: len(spec.arguments) for spec in PACKETS}


def pack(type: int, *args: bytes, magic: bytes = REQUEST_MAGIC) -> bytes:
    """A packet of any type with any arguments, right or wrong."""
    body = b"\0".join(args)
    return magic + struct.pack(">II", type & 0xFFFFFFFF, len(body)) + body


class Script:
    """One playing of a case: its peers at one server, and the transcript."""

    def __init__(self, server: RunningServer, tag: str, *, alone: bool, patience: float) -> None:
        self.server = server
        self.tag = tag.encode()
        self.alone = alone
        self.patience = patience
        self.transcript: list[str] = []
        self.peers: list[Peer] = []
        self._handles: dict[bytes, int] = {}
        self._tokens = itertools.count(1)
        self._control = Peer(self, "control")
        self._control.exchange(pack(P.SET_CLIENT_ID, CONTROL_ID))

    def connect(self, name: str) -> Peer:
        """Open a connection, and return once the server knows it."""
        peer = Peer(self, name)
        self.peers.append(peer)
        peer.exchange(b"")
        return peer

    def name(self, name: str) -> bytes:
        """A name of a function, or a unique id, that no other case uses; the transcript shows it bare."""
        return name.encode() + self.tag

    def run_and_vanish(self, function: bytes, times: int) -> None:
        """Have so many workers, one after the other, grab a job and leave with it in hand."""
        for number in range(1, times + 1):
            worker = self.connect(f"worker{number}")
            worker.can_do(function)
            worker.grab()
            worker.close()

    def wait(self, seconds: float) -> None:
        """Let time pass, and take down what it brought."""
        self.transcript.append(f"... {seconds} seconds pass")
        time.sleep(seconds)
        self.settle()

    def settle(self, first: Peer | None = None) -> None:
        """Take down all that was caused by now, beginning with the peer that caused it."""
        for peer in sorted(self.peers, key=lambda peer: peer is not first):
            peer.synchronise()

    def pass_control(self) -> None:
        """Return once the server has gone through its event loop."""
        self._control.exchange(b"")

    def await_departure(self) -> None:
        """Return once the server knows of no more connections than are open."""
        expected = sum(peer.is_open for peer in self.peers)
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline and self._control.is_open:
            connections = self._control.exchange(b"workers\n").splitlines()[:-1]
            if sum(CONTROL_ID not in line for line in connections) <= expected:
                return
        self.transcript.append("! the server still knows a connection that is closed")

    def token(self) -> bytes:
        """The payload of an ECHO_REQ that tells its answer from any other."""
        return b"settled %d %d" % (id(self), next(self._tokens))

    def bare(self, data: bytes) -> bytes:
        """Replace what differs from one run to the next: a handle by the order of its appearance."""
        data = HANDLE.sub(lambda found: b"J%d" % self.number_of(found[0]), data)
        return data.replace(self.tag, b"")

    def normalise_list(self, command: bytes, answer: bytes) -> bytes:
        """Put the answer of a list command into an order, without what is not of this case's making."""
        words = command.lower().split()
        for count in (1, 2, 3):
            normalise = LISTS.get(b" ".join(words[:count]))
            if normalise and answer.endswith(b".\n"):
                *lines, end = answer.splitlines(keepends=True)
                return b"".join([*normalise(self, lines), end])
        return answer

    def number_of(self, handle: bytes) -> int:
        """Which of the case's jobs has this handle: 1 for the first one that was mentioned."""
        return self._handles.setdefault(handle, len(self._handles) + 1)

    def owns(self, handle: bytes) -> bool:
        """Whether the handle was mentioned in this case."""
        return self.alone or handle in self._handles

    def show(self, data: bytes) -> str:
        """Bytes for a reader: words as they are, all else as Python writes it."""
        data = self.bare(data)
        if len(data) > SHOWN_BYTES:
            return f"{self.show(data[:20])}... ({len(data)} bytes, checksum {zlib.crc32(data):08x})"
        text = repr(data)[1:]
        return text[1:-1] if re.fullmatch(rb"[!-~]+", data) else text

    def close(self) -> None:
        """Close every connection, and see that the next case finds none of them."""
        for peer in self.peers:
            peer.is_open = False
            peer.socket.close()
        self.await_departure()
        self._control.socket.close()


class Peer:
    """A connection with a name."""

    def __init__(self, script: Script, name: str) -> None:
        self.script = script
        self.name = name
        self.socket = socket.create_connection(script.server.address, timeout=script.patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_open = True
        self._is_unfinished = False
        self._is_stuck = False
        self._unread = b""
        self._told = False

    def send(self, type: int, *args: bytes, magic: bytes = REQUEST_MAGIC) -> list[bytes]:
        """Send a packet; returns the bodies of the packets that this peer receives for it."""
        self._note(">", type, args)
        return self._step(pack(type, *args, magic=magic))

    def pipeline(self, *packets: tuple[int | bytes, ...]) -> list[bytes]:
        """Send several packets in one write."""
        for number, *args in packets:
            self._note(">", number, args)
        return self._step(b"".join(pack(*packet) for packet in packets))

    def raw(self, data: bytes) -> list[bytes]:
        """Send bytes, up to the end of a message."""
        self._say(">", self.script.show(data))
        return self._step(data)

    def part(self, data: bytes) -> None:
        """Send bytes that end inside a message, and see that the server has read them."""
        self._say(">", self.script.show(data) + " and no more")
        self._is_unfinished = True
        self._write(data)
        self.script.pass_control()
        self.script.settle()

    def rest(self, data: bytes) -> list[bytes]:
        """Send what a message lacked."""
        self._is_unfinished = False
        return self.raw(data)

    def drip(self, data: bytes) -> list[bytes]:
        """Send bytes one at a time, each after the server has read the one before."""
        self._say(">", self.script.show(data) + " byte by byte")
        for at in range(len(data) - 1):
            self._write(data[at : at + 1])
            self.script.pass_control()
        return self._step(data[-1:])

    def line(self, text: bytes, end: bytes = b"\n", hide: bytes = b"") -> None:
        """Send a line of the admin protocol; what matches `hide` differs from one server to the other."""
        self._say(">", self.script.show(text + end))
        data = self.exchange(text + end)
        if hide:
            data = re.sub(hide, b"(hidden)", data)
        self._take_down(self.script.normalise_list(text, data))
        self.script.settle(self)

    def can_do(self, *functions: bytes) -> None:
        """Offer functions, in this order."""
        for function in functions:
            self.send(P.CAN_DO, function)

    def sleep(self) -> None:
        """Ask to be woken for a job."""
        self.send(P.PRE_SLEEP)

    def submit(
        self, function: bytes, unique: bytes = b"", workload: bytes = b"", *, type: int = P.SUBMIT_JOB
    ) -> bytes:
        """Submit a job, and return its handle."""
        return self._handle_in(self.send(type, function, unique, workload))

    def background(self, function: bytes, unique: bytes = b"", workload: bytes = b"") -> bytes:
        """Submit a background job, and return its handle."""
        return self.submit(function, unique, workload, type=P.SUBMIT_JOB_BG)

    def grab(self, type: int = P.GRAB_JOB_UNIQ) -> bytes:
        """Ask for a job, and return its handle."""
        return self._handle_in(self.send(type))

    def close(self) -> None:
        """Leave, and see that the server knows it."""
        self._say(">", "close")
        self._leave()

    def abort(self) -> None:
        """Leave as a process does that is killed with data unread."""
        self._say(">", "abort")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._leave()

    def _leave(self) -> None:
        self.is_open = False
        self._told = True
        self.socket.close()
        self.script.await_departure()
        self.script.settle()

    def half_close(self) -> None:
        """Say that no more will be sent, and go on reading."""
        self._say(">", "close for writing")
        self.socket.shutdown(socket.SHUT_WR)
        self._is_stuck = not self._receive(lambda: not self.is_open)
        data, self._unread = self._unread, b""
        self._take_down(data)
        self.script.await_departure()
        self.script.settle()

    def await_answer(self, within: float = 5.0) -> None:
        """Return once the server sends something of its own accord, or that long has passed."""
        self.socket.settimeout(within)
        with suppress(TimeoutError):
            self._unread += self._read()
        self.socket.settimeout(self.script.patience)
        self.script.settle(self)

    def synchronise(self) -> None:
        """Take down what came by now."""
        self._take_down(self.exchange(b""))

    def exchange(self, data: bytes) -> bytes:
        """Send bytes, and return all that the server answers before an echo that follows them."""
        if not self.is_open:
            return b""
        if self._is_unfinished or self._is_stuck:
            self._write(data)
            self._receive_at_hand()
            data, self._unread = self._unread, b""
            return data
        token = self.script.token()
        self._write(data + pack(P.ECHO_REQ, token))
        echo = pack(P.ECHO_RES, token, magic=RESPONSE_MAGIC)
        answered = self._receive(lambda: echo in self._unread)
        if not answered and self.is_open:
            self._is_stuck = True
        data, _, self._unread = self._unread.partition(echo)
        return data

    def _step(self, data: bytes) -> list[bytes]:
        received = self._take_down(self.exchange(data))
        self.script.settle(self)
        return received

    def _write(self, data: bytes) -> None:
        # What the server sent before it closed is still there to be read.
        with suppress(ConnectionError):
            self.socket.sendall(data)

    def _read(self) -> bytes:
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            self.is_open = False
            self.socket.close()
        return data

    def _receive(self, enough: Callable[[], bool]) -> bool:
        """Read until there is enough; False if it did not come in time or at all."""
        try:
            while self.is_open and not enough():
                self._unread += self._read()
        except TimeoutError:
            return False
        return enough()

    def _receive_at_hand(self) -> None:
        self.socket.setblocking(False)
        with suppress(BlockingIOError):
            while self.is_open:
                self._unread += self._read()
        if self.is_open:
            self.socket.settimeout(self.script.patience)

    def _take_down(self, data: bytes) -> list[bytes]:
        """Write what was received into the transcript, and return the bodies of the packets."""
        bodies = []
        while data:
            if data.startswith(RESPONSE_MAGIC) and len(data) >= HEADER_SIZE:
                number, size = struct.unpack(">II", data[4:HEADER_SIZE])
                body, data = data[HEADER_SIZE : HEADER_SIZE + size], data[HEADER_SIZE + size :]
                self._note("<", number, self._split(number, body))
                bodies.append(body)
            else:
                end = data.find(RESPONSE_MAGIC, 1)
                text, data = (data, b"") if end < 0 else (data[:end], data[end:])
                for line in text.splitlines(keepends=True):
                    self._say("<", self.script.show(line))
        if not self._told and (self._is_stuck or not self.is_open):
            self._say("<", "(no answer)" if self.is_open else "(closed)")
            self._told = True
        return bodies

    def _split(self, type: int, body: bytes) -> list[bytes]:
        count = ARGUMENT_COUNTS.get(type, 1)
        return body.split(b"\0", max(count - 1, 0)) if body or count else []

    def _note(self, direction: str, type: int | bytes, args: object) -> None:
        try:
            shown = P(type).name
        except ValueError:
            shown = f"type {type:#x}"
        self._say(direction, " ".join([shown, *(self.script.show(arg) for arg in args)]))

    def _say(self, direction: str, what: str) -> None:
        self.script.transcript.append(f"{self.name} {direction} {what}")

    @staticmethod
    def _handle_in(bodies: list[bytes]) -> bytes:
        found = [HANDLE.match(body) for body in bodies]
        return next((match[0] for match in found if match), NO_HANDLE)


# The lists of the admin commands: in the order of no hash table, and of no other case's making.


def _status(script: Script, lines: list[bytes]) -> list[bytes]:
    return sorted(line for line in lines if script.alone or script.tag in line)


def _workers(script: Script, lines: list[bytes]) -> list[bytes]:
    """The descriptors are the server's own affair, and the harness is no part of a case."""
    return [re.sub(rb"^[0-9]+ ", b"FD ", line) for line in lines if CONTROL_ID not in line]


def _jobs(script: Script, lines: list[bytes]) -> list[bytes]:
    handles = {handle: line for line in lines if script.owns(handle := line.partition(b"\t")[0])}
    return [handles[handle] for handle in sorted(handles, key=script.number_of)]


LISTS: dict[bytes, Callable[[Script, list[bytes]], list[bytes]]] = {
    b"status": _status,
    b"prioritystatus": _status,
    b"workers": _workers,
    b"show jobs": _jobs,
    b"show unique jobs": _status,
}
