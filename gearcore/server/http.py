"""gearmand's HTTP protocol: a request is a job, and its reply the result. `docs/http.md` describes it.

An HTTP connection is a peer of the broker like any other: a request becomes a packet, and the packets that
answer it become the response. Needs the package h11, of the extra ``http``.
"""

from __future__ import annotations

import asyncio
import logging
import re
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

import h11

from gearcore._broker import Connection
from gearcore._codec import Packet, Parser
from gearcore._version import __version__
from gearcore.protocol import REQUEST_MAGIC, RESPONSE_MAGIC, SUBMIT_PACKETS, PacketType, Priority

if TYPE_CHECKING:
    from gearcore.server.server import Server

__all__ = ["HttpProtocol"]

log = logging.getLogger("gearcore.server")

MAX_HEAD_SIZE = 8192
"""Bytes of the request line and the header together, as in gearmand."""

MAX_AHEAD = 64 * 1024
"""Bytes that a client may send behind a request that is not answered yet."""

REQUEST_TIMEOUT = 60.0
"""Seconds that a client has for the header of its next request, and for each part of a workload."""

LINGER = 2.0
"""Seconds in which what a client still sends is thrown away, behind a response that ends the connection.

To close at once would have the system drop the response as well.
"""

WITH_WORKLOAD = (b"POST", b"PUT")
METHODS = (b"GET", b"HEAD", *WITH_WORKLOAD)

PRIORITIES = {priority.name.lower().encode(): priority for priority in Priority}

STATUS_OF_ERROR = {b"PERMISSION_DENIED": 403, b"QUEUE_ERROR": 503}
"""The HTTP status for the codes of ERROR packets; 400 for others, which blame the request."""

REASONS = {
    200: b"OK",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    411: b"Length Required",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}

END_OF_HEAD = re.compile(rb"\n\r?\n")
HOST = re.compile(rb"\nhost:", re.IGNORECASE)

Headers = list[tuple[bytes, bytes]]


class Refusal(Exception):
    """A request that does not become a job: the status of the response, and a line for its body."""

    def __init__(self, status: int, text: str, headers: Headers | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers or []


@dataclass(frozen=True, slots=True)
class Request:
    """A request that becomes a job: the start of its packet, which the workload follows."""

    packet_head: bytes
    has_workload: bool
    in_background: bool

    @classmethod
    def of(cls, request: h11.Request, max_packet: int) -> Self:
        """Read a request's line and header; raises `Refusal` when it cannot become a job.

        ``max_packet`` bounds the body of the packet that it becomes, in bytes.
        """
        if request.method not in METHODS:
            raise Refusal(
                405, "a job is submitted by GET, HEAD, POST or PUT", [(b"Allow", b", ".join(METHODS))]
            )
        if request.http_version not in (b"1.0", b"1.1"):
            raise Refusal(505, "this server speaks HTTP/1.0 and HTTP/1.1")
        # As it is, like gearmand: nothing in it is decoded, and a query is a part of the name.
        function = request.target.lstrip(b"/")
        if not function:
            raise Refusal(404, "the path is the name of a function")
        headers = dict(request.headers)
        if b"transfer-encoding" in headers:
            raise Refusal(411, "a workload needs a Content-Length")
        has_workload = request.method in WITH_WORKLOAD
        size = int(headers.get(b"content-length", 0)) if has_workload else 0
        unique = headers.get(b"x-gearman-unique", b"-")
        if len(function) + 1 + len(unique) + 1 + size > max_packet:
            raise Refusal(413, f"function, unique id and workload are limited to {max_packet} bytes")
        in_background = headers.get(b"x-gearman-background", b"").lower() == b"true"
        priority = headers.get(b"x-gearman-priority", b"").lower()
        number = SUBMIT_PACKETS[PRIORITIES.get(priority, Priority.NORMAL), in_background]
        arguments = function + b"\0" + unique + b"\0"
        packet_head = struct.pack(">4sII", REQUEST_MAGIC, number, len(arguments) + size) + arguments
        return cls(packet_head, has_workload, in_background)


class HttpProtocol(asyncio.Protocol):
    """Joins an HTTP connection to one `Connection` of the broker. Requests are answered one after another."""

    transport: asyncio.Transport
    connection: Connection

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._max_packet = server.limits.packet
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_SIZE)
        self._head = bytearray()
        self._parser = Parser(expect=RESPONSE_MAGIC, max_packet_size=self._max_packet)
        self._paused = False
        self._lingering = False
        self._timeout: asyncio.TimerHandle | None = None
        self._forget_request()

    def _forget_request(self) -> None:
        self._request: Request | None = None
        self._is_head = False
        self._is_whole = False
        self._ahead = 0
        self._handle = b""
        self._result = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.connection, identity = self._server.admit(self, transport)
        self.peer = str(identity)
        self._start_timeout()
        log.debug("peer %s connected by HTTP", self.peer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timeout()
        self._server.broker.disconnect(self.connection)
        self._server.peers.discard(self)
        self.closed.set_result(None)
        self._server.flush_soon()
        log.debug("peer %s disconnected%s", self.peer, f": {exc}" if exc else "")

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._read_requests()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        if self._is_whole or self._paused:
            self._ahead += len(data)
            if self._ahead > MAX_AHEAD:
                log.warning("peer %s is cut off: it sends requests and reads no responses", self.peer)
                self.transport.abort()
                return
        elif self._request is not None:
            self._start_timeout()  # a workload may take its time, as long as it comes
        if data := self._hold_back(data):
            self._http.receive_data(data)
            self._read_requests()

    def _hold_back(self, data: bytes) -> bytes:
        """Keep a request until its header is whole; then return it with a line that h11 would find missing.

        HTTP/1.1 demands a Host; gearmand does not, and its users have scripts that send none.
        """
        if self._http.their_state is not h11.IDLE or self._http.trailing_data[0]:
            return data
        self._head += data if self._head else data.lstrip(b"\r\n")
        end = END_OF_HEAD.search(self._head)
        if (len(self._head) if end is None else end.end()) > MAX_HEAD_SIZE:
            self._refuse(Refusal(431, f"request line and header are limited to {MAX_HEAD_SIZE} bytes"))
            return b""
        if end is None and self._head[:1] > b" ":  # and not the start of a packet, which is refused at once
            return b""
        head, self._head = bytes(self._head), bytearray()
        if end is None or HOST.search(head, 0, end.end()):
            return head
        request_line, newline, rest = head.partition(b"\n")
        return request_line + newline + b"Host: -\r\n" + rest

    def _read_requests(self) -> None:
        """Take what has come of a request, as long as no other waits for its response."""
        while not (self._is_whole or self._paused or self._lingering or self.transport.is_closing()):
            try:
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    self._is_head = event.method == b"HEAD"
                    self._request = Request.of(event, self._max_packet)
                    self._submit(self._request.packet_head)
                elif isinstance(event, h11.Data):
                    assert self._request is not None
                    if self._request.has_workload:
                        self._submit(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    self._stop_timeout()
                    self._is_whole = True
                    self._ahead = len(self._http.trailing_data[0])
                else:
                    self._continue_if_asked()
                    return
            except h11.RemoteProtocolError as error:
                self._refuse(Refusal(error.error_status_hint, str(error)))
            except Refusal as refusal:
                self._refuse(refusal)

    def _submit(self, data: bytes) -> None:
        """Give the broker a part of a request's packet: it counts and bounds what unfinished ones take."""
        try:
            self.connection.receive(data, time.monotonic())
        except Exception:
            log.exception("peer %s is cut off: what it sent could not be handled", self.peer)
            self.transport.abort()
        self._server.flush_soon()

    def _continue_if_asked(self) -> None:
        if self._http.they_are_waiting_for_100_continue:
            response = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
            self.transport.write(self._http.send(response) or b"")

    def flush(self) -> None:
        """Answer the request, when what the broker has for it ends it."""
        if self.connection.overflowed:
            log.warning("peer %s is cut off: its job sends more than it can be sent", self.peer)
            self.transport.abort()
            return
        for packet in self._parser.feed(self.connection.take_output()):
            if isinstance(packet, Packet) and self._request is not None and not self.transport.is_closing():
                self._take(packet, self._request)
        if self.connection.closing:
            self.transport.close()
        self._read_requests()

    def _take(self, packet: Packet, request: Request) -> None:
        """Take a packet of the broker that is about the job of the request."""
        if packet.type == PacketType.ERROR:
            code, text = packet.args
            refusal = Refusal(STATUS_OF_ERROR.get(code, 400), f"{code.decode()}: {text.decode()}")
            refusal.headers = [(b"X-Gearman-Command", b"ERROR")]
            self._refuse(refusal)
        elif packet.type == PacketType.JOB_CREATED:
            self._handle = packet.args[0]
            if request.in_background:
                self._answer(packet)
        elif packet.type == PacketType.WORK_DATA:
            self._result += packet.args[1]
            if len(self._result) > self._max_packet:
                too_large = f"the parts of the job's result are larger than {self._max_packet} bytes"
                self._refuse(Refusal(500, too_large), close=True)
        elif packet.type == PacketType.WORK_COMPLETE:
            self._result += packet.args[1]
            self._answer(packet)
        elif packet.type in (PacketType.WORK_FAIL, PacketType.WORK_EXCEPTION):
            self._result[:] = b"".join(packet.args[1:])  # parts of what failed are no result
            self._answer(packet)

    def _answer(self, packet: Packet) -> None:
        headers = [(b"X-Gearman-Job-Handle", self._handle), (b"X-Gearman-Command", packet.name.encode())]
        self._respond(200, headers, bytes(self._result))

    def _refuse(self, refusal: Refusal, close: bool = False) -> None:
        headers = [*refusal.headers, (b"Content-Type", b"text/plain; charset=utf-8")]
        self._respond(refusal.status, headers, f"{refusal}\n".encode(), close)

    def _respond(self, status: int, headers: Headers, body: bytes, close: bool = False) -> None:
        """Write the response, and make way for the next request, or for none."""
        server = b"gearcore/" + __version__.encode()
        headers = [*headers, (b"Content-Length", b"%d" % len(body)), (b"Server", server)]
        if close or self._http.their_state not in (h11.DONE, h11.MUST_CLOSE):
            close = True  # what is left of the request is not read
            headers.append((b"Connection", b"close"))
        reason = REASONS.get(status, b"")
        events: list[h11.Event] = [h11.Response(status_code=status, reason=reason, headers=headers)]
        if not self._is_head:
            events.append(h11.Data(data=body))
        events.append(h11.EndOfMessage())
        self.transport.write(b"".join(self._http.send(event) or b"" for event in events))
        self._forget_request()
        if not close and self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
            self._start_timeout()
        else:
            self._linger()

    def _linger(self) -> None:
        self._lingering = True
        self._stop_timeout()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._timeout = self._loop.call_later(LINGER, self.transport.close)
        else:
            self.transport.close()

    def _start_timeout(self) -> None:
        self._stop_timeout()
        self._timeout = self._loop.call_later(REQUEST_TIMEOUT, self.transport.close)

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
