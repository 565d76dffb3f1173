"""gearmand's HTTP protocol: what is the same as in gearmand, what is better, and what hostile clients get."""

import asyncio
import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager, suppress

import pytest
from authority import Authority
from fake_server import PATIENCE, Peer, free_port
from loops import LOOPS
from peers import gearmand_path

from gearcore._codec import pack_request
from gearcore.errors import CannotListen
from gearcore.protocol import PacketType as P
from gearcore.server import Limits, Server
from gearcore.server import http as http_module
from gearcore.server.access import AccessEntry, AccessList
from gearcore.server.listeners import TcpListener


class Ports:
    """Where a server speaks Gearman's own protocol, and where HTTP."""

    def __init__(self, gearman: int, http: int) -> None:
        self.gearman = gearman
        self.http = http

    def admin(self, line: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.gearman), PATIENCE) as sock:
            sock.sendall(line)
            with sock.makefile("rb") as answer:
                return answer.readline()

    def jobs(self, function: bytes) -> int | None:
        """How many jobs of a function there are."""
        with socket.create_connection(("127.0.0.1", self.gearman), PATIENCE) as sock:
            sock.sendall(b"status\n")
            with sock.makefile("rb") as answer:
                for line in iter(answer.readline, b".\n"):
                    if line.startswith(function + b"\t"):
                        return int(line.split(b"\t")[1])
        return None

    @contextmanager
    def worker(self, function: bytes):
        peer = Peer.connect(("127.0.0.1", self.gearman))
        with closing(peer):
            peer.send(P.CAN_DO, function)
            yield peer

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.http), PATIENCE)

    def ask(self, request: bytes) -> bytes:
        """All that comes back for a request until the connection ends."""
        with self.connect() as sock:
            sock.sendall(request)
            return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while part := sock.recv(65536):
        data += part
    return data


@contextmanager
def serving(**options):
    with Server(port=0, listeners=[TcpListener("127.0.0.1", 0, http=True)], **options) as server:
        yield Ports(*(port for _, port in server.addresses))


@contextmanager
def gearmand():
    path = gearmand_path()
    ports = Ports(free_port(), free_port())
    # gearmand deletes what has the name of its pid file when it ends.
    pid_file = os.path.join(tempfile.gettempdir(), f"gearmand-{ports.gearman}.pid")
    command = [path, "-L", "127.0.0.1", "-p", str(ports.gearman), "-l", "none", "-P", pid_file]
    http = ["-r", "http", "--http-port", str(ports.http)]
    with subprocess.Popen([*command, *http], stderr=subprocess.DEVNULL) as process:
        for port in (ports.gearman, ports.http):
            eventually(lambda port=port: accepts(port))
        yield ports
        process.kill()


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


def eventually(condition) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, "it does not happen"
        time.sleep(0.005)


@pytest.fixture
def ports():
    with serving() as ports:
        yield ports


def answer_with(ports: Ports, request: bytes, *answers, function: bytes = b"f") -> tuple[bytes, tuple]:
    """Send a request, have a worker answer the job with packets, and return the response and the job.

    ``answers`` are packet types with the arguments behind the handle.
    """
    with ports.connect() as sock, ports.worker(function) as worker:
        sock.sendall(request)
        eventually(lambda: ports.jobs(function))
        worker.send(P.GRAB_JOB_UNIQ)
        job = worker.receive(P.JOB_ASSIGN_UNIQ)
        for answer, *arguments in answers:
            worker.send(answer, job[0], *arguments)
        return read_all(sock), job


RUN = [
    b"GET /f HTTP/1.0\r\n\r\n",
    b"GET //f HTTP/1.0\r\n\r\n",
    b"GET f HTTP/1.0\r\n\r\n",
    b"POST /f HTTP/1.0\r\nContent-Length: 8\r\n\r\nworkload",
    b"PUT /f HTTP/1.0\r\ncontent-length: 8\r\n\r\nwork\0oad",
    b"POST /f HTTP/1.0\r\nContent-Length: 1\r\nX-Gearman-Unique: an id\r\nX-Gearman-Priority: HIGH\r\n\r\nx",
    b"POST /f HTTP/1.0\r\nContent-Length: 1\r\nx-gearman-priority: low\r\n\r\nx",
    b"POST /f HTTP/1.0\r\nContent-Length: 1\r\nX-Gearman-Priority: urgent\r\n\r\nx",
    b"POST /f HTTP/1.0\r\nContent-Length: 1\r\nX-Gearman-Background: no\r\n\r\nx",
    b"POST /f HTTP/1.1\nContent-Length: 12\nConnection: close\n\nHello world!",
]
BACKGROUND = [
    b"GET /f HTTP/1.0\r\nX-Gearman-Background: true\r\n\r\n",
    b"GET /a?x=%41 HTTP/1.0\r\nX-Gearman-Background: TRUE\r\n\r\n",
    b"PUT /f HTTP/1.0\r\nX-Gearman-Background: true\r\nX-Gearman-Unique: u\r\nContent-Length: 3\r\n\r\nabc",
]


def normal(response: bytes) -> bytes:
    """A response without what must differ: the server's name, and the version that it speaks."""
    response = re.sub(rb"^HTTP/1\.[01]", b"HTTP/1", response)
    response = re.sub(rb"\r\nServer: [^\r]*", b"\r\nServer: -", response)
    return response.replace(b"\r\nConnection: close", b"", 1)


class TestAgainstGearmand:
    """The same request to both."""

    def test_jobs_that_complete(self):
        with gearmand() as theirs, serving() as ours:
            for request in RUN:
                our, their = (answer_with(p, request, (P.WORK_COMPLETE, b"res\0ult")) for p in (ours, theirs))
                assert normal(our[0]) == normal(their[0])
                assert our[1] == their[1]

    def test_jobs_in_the_background(self):
        with gearmand() as theirs, serving() as ours:
            for request in BACKGROUND:
                assert normal(ours.ask(request)) == normal(theirs.ask(request))
            assert [ports.jobs(name) for ports in (ours, theirs) for name in (b"f", b"a?x=%41")] == [
                2,
                1,
                2,
                1,
            ]

    def test_jobs_that_fail(self):
        """The last character of the handle is missing in what gearmand sends."""
        with gearmand() as theirs, serving() as ours:
            request = RUN[3]
            our, their = (normal(answer_with(p, request, (P.WORK_FAIL,))[0]) for p in (ours, theirs))
            assert re.sub(rb"(?<=:)1(?=\r)", b"", our, count=1) == their

    def test_jobs_that_raise(self):
        with gearmand() as theirs, serving() as ours:
            answers = [answer_with(p, RUN[3], (P.WORK_EXCEPTION, b"oops"))[0] for p in (ours, theirs)]
            assert normal(answers[0]) == normal(answers[1])
            assert b"X-Gearman-Command: WORK_FAIL\r\n" in answers[0]

    def test_no_function(self):
        with gearmand() as theirs, serving() as ours:
            for ports in (ours, theirs):
                assert ports.ask(b"GET / HTTP/1.0\r\n\r\n")[8:12] == b" 404"

    def test_a_client_that_closes_its_side_has_left(self):
        with gearmand() as theirs, serving() as ours:
            for ports in (ours, theirs):
                with ports.connect() as sock:
                    sock.sendall(RUN[0])
                    eventually(lambda ports=ports: ports.jobs(b"f"))
                    sock.shutdown(socket.SHUT_WR)
                    assert sock.recv(1) == b""


def test_a_response_to_the_byte(ports):
    response, (handle, *_) = answer_with(ports, RUN[0], (P.WORK_COMPLETE, b"result"))
    server = re.search(rb"\r\nServer: (gearcore/[^\r]+)\r\n", response)[1]
    assert response == (
        b"HTTP/1.1 200 OK\r\nX-Gearman-Job-Handle: %b\r\nX-Gearman-Command: WORK_COMPLETE\r\n"
        b"Content-Length: 6\r\nServer: %b\r\nConnection: close\r\n\r\nresult" % (handle, server)
    )


@LOOPS
def test_large_workloads_and_results(factory):
    workload, result = os.urandom(5_000_000), os.urandom(4_000_000)
    request = b"PUT /f HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(workload), workload)

    async def scene():
        listener = TcpListener("127.0.0.1", 0, http=True)
        async with Server(port=0, listeners=[listener]) as server:
            ports = Ports(*(port for _, port in server.addresses))
            return await asyncio.to_thread(answer_with, ports, request, (P.WORK_COMPLETE, result))

    with asyncio.Runner(loop_factory=factory) as runner:
        response, job = runner.run(scene())
    assert job[3] == workload
    assert response.partition(b"\r\n\r\n")[2] == result


def test_parts_of_a_result_are_joined_and_progress_is_passed_over(ports):
    answers = [
        (P.WORK_DATA, b"one,"),
        (P.WORK_STATUS, b"1", b"2"),
        (P.WORK_WARNING, b"!"),
        (P.WORK_DATA, b"two,"),
    ]
    response, _ = answer_with(ports, RUN[0], *answers, (P.WORK_COMPLETE, b"three"))
    assert b"\r\nContent-Length: 13\r\n" in response
    assert response.endswith(b"\r\n\r\none,two,three")


def test_parts_of_what_fails_are_no_result(ports):
    response, (handle, *_) = answer_with(ports, RUN[0], (P.WORK_DATA, b"part"), (P.WORK_FAIL,))
    assert (
        b"X-Gearman-Job-Handle: %b\r\nX-Gearman-Command: WORK_FAIL\r\nContent-Length: 0\r\n" % handle
        in response
    )


def test_the_text_of_exceptions_where_the_server_gives_it():
    with serving(exceptions=True) as ports:
        response, _ = answer_with(ports, RUN[0], (P.WORK_EXCEPTION, b"oops"))
    assert b"\r\nX-Gearman-Command: WORK_EXCEPTION\r\n" in response
    assert response.endswith(b"\r\n\r\noops")


def test_head_runs_the_job_and_gets_no_body(ports):
    response, _ = answer_with(ports, b"HEAD /f HTTP/1.0\r\n\r\n", (P.WORK_COMPLETE, b"result"))
    assert b"\r\nContent-Length: 6\r\n" in response
    assert response.endswith(b"\r\n\r\n")


def test_a_body_of_get_is_not_a_workload(ports):
    request = b"GET /f HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc"
    _, job = answer_with(ports, request, (P.WORK_COMPLETE, b""))
    assert job[2:] == (b"-", b"")


def test_requests_of_equal_workloads_are_one_job(ports):
    with ports.connect() as one, ports.connect() as other, ports.worker(b"f") as worker:
        for sock in (one, other):
            sock.sendall(RUN[3])
            eventually(lambda: ports.jobs(b"f") == 1)
        time.sleep(0.05)
        worker.send(P.GRAB_JOB)
        handle, *_ = worker.receive(P.JOB_ASSIGN)
        worker.send(P.WORK_COMPLETE, handle, b"shared")
        assert all(read_all(sock).endswith(b"\r\n\r\nshared") for sock in (one, other))


def test_a_connection_serves_request_after_request(ports):
    client = http.client.HTTPConnection("127.0.0.1", ports.http, timeout=PATIENCE)
    with closing(client), ports.worker(b"f") as worker:
        for number in range(3):
            client.request("POST", "/f", b"%d" % number)
            eventually(lambda: ports.jobs(b"f"))
            worker.send(P.GRAB_JOB)
            handle, _, workload = worker.receive(P.JOB_ASSIGN)
            worker.send(P.WORK_COMPLETE, handle, b"done " + workload)
            response = client.getresponse()
            assert (response.status, response.read()) == (200, b"done %d" % number)
            assert response.headers["X-Gearman-Job-Handle"] == handle.decode()
        client.request("GET", "/")
        assert client.getresponse().read() == b"the path is the name of a function\n"
        client.request("GET", "/f", headers={"X-Gearman-Background": "true"})
        assert client.getresponse().headers["X-Gearman-Command"] == "JOB_CREATED"


def test_requests_sent_ahead_are_answered_in_order(ports):
    one = b"POST /f HTTP/1.1\r\nHost: h\r\nX-Gearman-Background: true\r\nX-Gearman-Unique: %d\r\n"
    requests = [one % number + b"Content-Length: 2\r\n\r\nxx" for number in range(20)]
    with ports.connect() as sock:
        sock.sendall(b"".join(requests) + b"GET / HTTP/1.0\r\n\r\n")
        handles = re.findall(rb"X-Gearman-Job-Handle: \S+:(\d+)\r\n", read_all(sock))
    assert handles == [b"%d" % number for number in range(1, 21)]


def test_a_request_byte_by_byte(ports):
    with ports.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in BACKGROUND[2]:
            sock.sendall(bytes([byte]))
        assert b"X-Gearman-Command: JOB_CREATED" in read_all(sock)


def test_a_client_may_wait_for_a_continue(ports):
    with ports.connect() as sock:
        sock.sendall(
            b"PUT /f HTTP/1.1\r\nHost: h\r\nX-Gearman-Background: true\r\nConnection: close\r\n"
            b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert sock.recv(1000).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"abc")
        assert read_all(sock).startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_job_of_a_client_that_leaves_is_abandoned(ports):
    with ports.connect() as sock:
        sock.sendall(RUN[0])
        eventually(lambda: ports.jobs(b"f") == 1)
    eventually(lambda: ports.jobs(b"f") == 0)


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", 404, b"the path is the name of a function"),
        (b"HEAD / HTTP/1.0\r\n\r\n", 404, b""),
        (b"DELETE /f HTTP/1.0\r\n\r\n", 405, b"a job is submitted by GET, HEAD, POST or PUT"),
        (b"TRACE /f HTTP/1.0\r\n\r\n", 405, b"a job is submitted by"),
        (b"nonsense\r\n\r\n", 400, b"illegal request line"),
        (b"GET /f\r\n\r\n", 400, b"illegal request line"),
        (b"GET /f HTTP/2.0\r\n\r\n", 505, b"HTTP/1.1"),
        (b"GET /f HTTP/1.0\r\nContent-Length: x\r\n\r\n", 400, b"bad Content-Length"),
        (b"GET /f HTTP/1.0\r\n: x\r\n\r\n", 400, b"illegal header line"),
        (b"GET /%b HTTP/1.0\r\n\r\n" % (b"n" * 9000), 431, b""),
        (b"GET /f HTTP/1.0\r\nX: %b" % (b"x" * 9000), 431, b""),
        (
            b"POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            411,
            b"Content-Length",
        ),
        (b"POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501, b""),
        (
            b"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000,
            413,
            b"limited to 1000",
        ),
        (b"GET /f HTTP/1.0\r\nX-Gearman-Unique: %b\r\n\r\n" % (b"u" * 65), 400, b"ARGUMENT_TOO_LARGE: "),
        (b"GET /full HTTP/1.0\r\nX-Gearman-Unique: u\r\n\r\n", 503, b"QUEUE_ERROR: Job queue is full"),
        (b"GET /secret HTTP/1.0\r\n\r\n", 403, b"PERMISSION_DENIED: "),
        (b"\r\n\0REQ", 400, b"illegal request line"),
    ],
)
def test_what_cannot_become_a_job(request_, status, says):
    access = AccessList([AccessEntry("anonymous", submit=("f*",), admin=("*",))])
    with serving(limits=Limits(packet=1000), access=access) as ports:
        assert ports.admin(b"maxqueue full 1\n") == b"OK\r\n"
        ports.ask(b"GET /full HTTP/1.0\r\nX-Gearman-Background: true\r\n\r\n")
        response = ports.ask(request_)
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close" in head
    assert says in body
    assert (b"\r\nX-Gearman-Command: ERROR\r\n" in head) == (b"_" in says)
    assert (b"\r\nAllow: GET, HEAD, POST, PUT\r\n" in head) == (status == 405)


def test_a_refused_workload_does_not_keep_its_client_from_the_response():
    with serving(limits=Limits(packet=1000)) as ports, ports.connect() as sock:
        sock.sendall(b"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n")
        sender = threading.Thread(target=send_all, args=(sock, b"x" * 10_000_000))
        sender.start()
        assert b"limited to 1000 bytes" in read_all(sock)
        sender.join()


def send_all(sock: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # the server gives up on the rest
        sock.sendall(data)


def test_a_workload_beyond_the_memory_is_refused_while_it_comes():
    with serving(limits=Limits(memory=1_000_000)) as ports, ports.connect() as sock:
        sock.sendall(b"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 2_000_000)
        response = read_all(sock)
    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"QUEUE_ERROR: The memory" in response


def test_the_parts_of_a_result_are_bounded():
    with serving(limits=Limits(packet=1000)) as ports:
        response, _ = answer_with(ports, RUN[0], *[(P.WORK_DATA, b"x" * 400)] * 3, (P.WORK_COMPLETE, b""))
    assert response.startswith(b"HTTP/1.1 500 ")


def test_a_client_that_sends_and_does_not_wait_is_cut_off(ports, caplog):
    with ports.connect() as sock:
        send_all(sock, RUN[0].replace(b"1.0\r\n", b"1.1\r\nHost: h\r\n") * 1_000_000)
    assert "it sends requests and reads no responses" in caplog.text


def test_a_client_that_is_slow_with_its_header_is_cut_off(monkeypatch):
    monkeypatch.setattr(http_module, "REQUEST_TIMEOUT", 0.2)
    with serving() as ports, ports.connect() as slow, ports.connect() as served:
        served.sendall(RUN[0])
        eventually(lambda: ports.jobs(b"f"))
        with pytest.raises(ConnectionError):
            drip(slow)
        assert ports.jobs(b"f") == 1  # a client that waits for its job does nothing wrong


def drip(sock: socket.socket) -> None:
    for _ in range(100):
        sock.sendall(b"G")
        time.sleep(0.05)


def test_a_workload_may_take_longer_as_long_as_it_comes(monkeypatch):
    monkeypatch.setattr(http_module, "REQUEST_TIMEOUT", 0.2)
    with serving() as ports, ports.connect() as sock:
        sock.sendall(b"PUT /f HTTP/1.0\r\nX-Gearman-Background: true\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            time.sleep(0.05)
            sock.sendall(b"x")
        assert b"JOB_CREATED" in read_all(sock)


def test_stopping_closes_the_connections():
    with serving() as ports:
        sock = ports.connect()
        sock.sendall(RUN[0])
        eventually(lambda: ports.jobs(b"f"))
    with sock:
        assert sock.recv(1) == b""


def test_over_tls(tmp_path):
    authority = Authority(tmp_path)
    listener = TcpListener("127.0.0.1", 0, tls=authority.files(), http=True)
    with Server(port=0, listeners=[listener]) as server:
        context = authority.client(common_name="web")
        client = http.client.HTTPSConnection(
            "127.0.0.1", server.addresses[1][1], context=context, timeout=PATIENCE
        )
        with closing(client):
            client.request("POST", "/f", b"x", {"X-Gearman-Background": "true"})
            assert client.getresponse().headers["X-Gearman-Command"] == "JOB_CREATED"


def test_the_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "h11", None)
    monkeypatch.delitem(sys.modules, "gearcore.server.http")
    with pytest.raises(
        CannotListen, match=r"^cannot listen on 127.0.0.1:0: HTTP needs the package h11; .*\[http\]"
    ):
        Server(port=0, listeners=[TcpListener("127.0.0.1", 0, http=True)]).__enter__()


def test_packets_are_not_understood_on_the_port_for_http(ports):
    assert ports.ask(pack_request(P.ECHO_REQ, b"x")).startswith(b"HTTP/1.1 400 ")
