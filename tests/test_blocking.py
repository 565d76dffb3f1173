"""Deadlines, waits and connections."""

import errno
import math
import select
import socket
import ssl
import struct
import threading
import time

import pytest
from fake_server import PATIENCE, FakeServer, free_port

from gearcore._blocking import Connection, Deadline, Waker, Watch
from gearcore._codec import pack_request, pack_response
from gearcore.address import parse_address
from gearcore.errors import ConnectionLost, ServerUnavailable
from gearcore.protocol import PacketType as P
from gearcore.server import Server, UnixListener
from gearcore.tls import BadTlsFile, ClientTls, client_context


@pytest.fixture
def waker():
    waker = Waker()
    yield waker
    waker.close()


def test_deadline():
    assert not Deadline(None).expired
    assert Deadline(None).seconds == math.inf
    assert 0 < Deadline(math.inf).remaining() <= 86400
    assert Deadline(0).expired
    assert Deadline(-1).remaining() == 0.0
    assert Deadline(None).sooner(5).seconds == 5
    assert Deadline(5).sooner(10).seconds == 5


def test_a_wake_ends_one_wait(waker):
    waker.wake()
    waker.wake()
    waker.wait(PATIENCE)
    start = time.monotonic()
    waker.wait(0.05)
    assert 0.04 < time.monotonic() - start < PATIENCE


def test_a_full_or_closed_waker_can_be_woken():
    waker = Waker()
    for _ in range(10_000):
        waker.wake()
    waker.close()
    waker.wake()


def test_nobody_listens(waker):
    port = free_port()
    with pytest.raises(ServerUnavailable, match=f"no connection to 127.0.0.1:{port}: Connection refused"):
        Connection.open(parse_address(("127.0.0.1", port)), Deadline(PATIENCE), waker)


def test_a_name_that_does_not_exist(waker):
    with pytest.raises(ServerUnavailable, match=r"no connection to nobody\.invalid:4730: .*not known"):
        Connection.open(parse_address("nobody.invalid"), Deadline(PATIENCE), waker)


def test_a_name_that_takes_too_long(waker, monkeypatch):
    over = threading.Event()
    real = socket.getaddrinfo

    def slow(host, *args, flags=0, **kwargs):
        if not flags & socket.AI_NUMERICHOST:
            over.wait(PATIENCE)
        return real(host, *args, flags=flags, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    start = time.monotonic()
    with pytest.raises(ServerUnavailable, match=r"nobody\.invalid:4730.*not resolved within 0\.1 s"):
        Connection.open(parse_address("nobody.invalid"), Deadline(0.1), waker)
    assert time.monotonic() - start < PATIENCE / 2
    over.set()


@pytest.fixture
def silent():
    """An address that answers no attempt to connect, as behind a firewall: its backlog is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        attempts = []
        for _ in range(4):
            attempts.append(socket.socket())
            attempts[-1].setblocking(False)
            assert attempts[-1].connect_ex(listener.getsockname()) in (0, errno.EINPROGRESS)
        yield listener.getsockname()
        for attempt in attempts:
            attempt.close()


def test_a_connection_that_takes_too_long(waker, silent):
    start = time.monotonic()
    with pytest.raises(ServerUnavailable, match=f"127.0.0.1:{silent[1]}: no answer within 0.1 s"):
        Connection.open(parse_address(silent), Deadline(0.1), waker)
    assert 0.1 <= time.monotonic() - start < PATIENCE / 2


def test_a_wake_ends_an_attempt_to_connect(waker, silent):
    threading.Timer(0.05, waker.wake).start()
    start = time.monotonic()
    with pytest.raises(ServerUnavailable, match="the attempt was ended"):
        Connection.open(parse_address(silent), Deadline(PATIENCE), waker)
    assert time.monotonic() - start < PATIENCE / 2


def test_all_addresses_of_a_name_are_tried(waker, silent, monkeypatch):
    with FakeServer(lambda peer: peer.wait_until_closed()) as server:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
            for address in (("127.0.0.1", free_port()), silent, server.address)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
        start = time.monotonic()
        Connection.open(parse_address("job.example"), Deadline(0.6), waker).close()
        assert time.monotonic() - start < 0.5


def test_nobody_who_wakes_is_needed(silent):
    with pytest.raises(ServerUnavailable, match="no answer within"):
        Connection.open(parse_address(silent), Deadline(0.05))

    def script(peer):
        peer.send_bytes(b"x")
        peer.wait_until_closed()

    with FakeServer(script) as server:
        connection = Connection.open(parse_address(server.address), Deadline(PATIENCE))
        watch = Watch()
        watch.add(connection)
        assert watch.wait(Deadline(PATIENCE)) == [connection]
        assert bytes(connection.receive()) == b"x"
        assert watch.wait(Deadline(0.01)) == []
        connection.wait(Deadline(0.01))
        connection.close()


@pytest.mark.skipif(not hasattr(socket, "MSG_MORE"), reason="this system does not wait for more")
def test_what_waits_for_more_goes_with_it_or_by_a_push():
    siocoutqnsd = 0x894B

    def unsent():
        fcntl = pytest.importorskip("fcntl")
        count = fcntl.ioctl(connection.fileno(), siocoutqnsd, struct.pack("i", 0))
        return struct.unpack("i", count)[0]

    with FakeServer(lambda peer: peer.wait_until_closed()) as server:
        connection = Connection.open(parse_address(server.address), Deadline(PATIENCE))
        connection.send(b"a")
        assert unsent() == 0
        connection.send(b"b", more=True)
        assert unsent() == 1
        connection.send(b"c")
        assert unsent() == 0
        connection.send(b"d", more=True)
        assert unsent() == 1
        connection.push()
        assert unsent() == 0
        connection.close()


def test_a_closed_connection_says_so(waker):
    received = bytearray()

    def read_on(connection):
        for _ in range(100):
            connection.wait(Deadline(PATIENCE))
            received.extend(connection.receive())

    with FakeServer(lambda peer: peer.send_bytes(b"last words")) as server:
        connection = Connection.open(parse_address(server.address), Deadline(PATIENCE), waker)
        with pytest.raises(ConnectionLost, match=f"the connection to {server} ended: the server closed it"):
            read_on(connection)
        assert received == b"last words"
        connection.close()


def test_a_wake_ends_one_wait_for_the_server(waker):
    with FakeServer(lambda peer: peer.wait_until_closed()) as server:
        connection = Connection.open(parse_address(server.address), Deadline(PATIENCE), waker)
        waker.wake()
        connection.wait(Deadline(PATIENCE))
        start = time.monotonic()
        connection.wait(Deadline(0.05))
        assert 0.04 < time.monotonic() - start < PATIENCE
        connection.close()


def test_what_the_system_does_not_take_is_sent_later(waker):
    data = bytes(range(256)) * 65536
    go = threading.Event()
    received = []

    def script(peer):
        go.wait(PATIENCE)
        while chunk := peer._socket.recv(1 << 20):
            received.append(chunk)

    with FakeServer(script) as server:
        connection = Connection.open(parse_address(server.address), Deadline(PATIENCE), waker)
        connection.send(data)
        connection.send(b"end")
        assert connection.unsent
        go.set()
        while connection.unsent:
            connection.wait(Deadline(PATIENCE))
            connection.send()
        connection.close()
    assert b"".join(received) == data + b"end"


def echo(connection, data):
    """Send an ECHO_REQ and wait for the whole answer."""
    connection.send(pack_request(P.ECHO_REQ, data))
    expected = pack_response(P.ECHO_RES, data)
    received = bytearray()
    deadline = Deadline(PATIENCE)
    while len(received) < len(expected):
        assert not deadline.expired, f"{len(received)} bytes of {len(expected)} came"
        connection.wait(deadline)
        connection.send()
        while part := connection.receive():
            received.extend(part)
    return received == expected


def test_a_unix_socket(waker, tmp_path):
    path = f"{tmp_path}/gearman.sock"
    with pytest.raises(ServerUnavailable, match=f"no connection to unix:{path}: No such file"):
        Connection.open(parse_address(f"unix:{path}"), Deadline(PATIENCE), waker)
    with Server([], listeners=[UnixListener(path)]):
        connection = Connection.open(parse_address(f"unix:{path}"), Deadline(PATIENCE), waker)
        assert echo(connection, bytes(3_000_000))
        connection.close()


def test_a_unix_socket_whose_queue_is_full(waker, tmp_path):
    path = f"{tmp_path}/full.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        with pytest.raises(ServerUnavailable, match="temporarily unavailable"):
            Connection.open(parse_address(f"unix:{path}"), Deadline(0.05), waker)
        threading.Timer(0.05, lambda: listener.accept()[0].close()).start()
        Connection.open(parse_address(f"unix:{path}"), Deadline(PATIENCE), waker).close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls(waker, authority, version):
    certificate, key = authority.issue(authority.directory, "tls-client", "client.example")
    context = ClientTls(ca=authority.ca_file, certificate=certificate, key=key).client_context()
    context.maximum_version = version
    with Server(port=0, tls=authority.files()) as server:
        address = parse_address(("127.0.0.1", server.port))
        connection = Connection.open(address, Deadline(PATIENCE), waker, context)
        for size in (10, 100_000, 3_000_000):
            assert echo(connection, bytes(size))
        connection.close()


def test_tls_without_the_right_certificate(waker, authority):
    with Server(port=0, tls=authority.files(False)) as server:
        address = parse_address(("127.0.0.1", server.port))
        with pytest.raises(
            ServerUnavailable, match=f"no connection to {address}: .*certificate verify failed: .*[^)]$"
        ):
            Connection.open(address, Deadline(PATIENCE), waker, client_context(ClientTls()))
        other = parse_address(f"localhost:{server.port}")
        with pytest.raises(ServerUnavailable, match="Hostname mismatch"):
            Connection.open(
                other, Deadline(PATIENCE), waker, ClientTls(ca=authority.ca_file).client_context()
            )


def test_tls_with_a_server_that_speaks_none(waker):
    context = ClientTls().client_context()

    def silent(peer):
        peer.wait_until_closed()

    def wrong(peer):
        peer.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with FakeServer(silent, wrong) as server:
        with pytest.raises(ServerUnavailable, match=r"no answer within 0\.1 s"):
            Connection.open(parse_address(server.address), Deadline(0.1), waker, context)
        with pytest.raises(ServerUnavailable, match=f"no connection to {server}: .*SSL"):
            Connection.open(parse_address(server.address), Deadline(PATIENCE), waker, context)


def test_files_that_are_no_certificates(tmp_path):
    with pytest.raises(BadTlsFile, match=r"^TLS CA /nowhere\.pem: No such file or directory$"):
        ClientTls(ca="/nowhere.pem").client_context()
    with pytest.raises(BadTlsFile, match="there is no certificate that it belongs to"):
        ClientTls(key="/nowhere.pem").client_context()
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    with pytest.raises(BadTlsFile, match=f"^TLS certificate {bad}: it holds no certificate"):
        ClientTls(certificate=bad).client_context()


def test_a_watch_may_get_another_connection_while_it_looks(waker):
    class Meddling(Connection):
        @property
        def interest(self):
            watch.remove(self)
            watch.add(other)
            return super().interest

    watch = Watch(waker)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = parse_address(f"127.0.0.1:{listener.getsockname()[1]}")
        one, other = Meddling.open(address, Deadline(5)), Connection.open(address, Deadline(5))
        one._unsent.append(memoryview(b"something"))
        watch.add(one)
        assert watch.wait(Deadline(0)) == []
        one.close()
        other.close()


@pytest.mark.parametrize("with_poll", [True, False])
def test_a_watch_says_who_is_ready(waker, with_poll, monkeypatch):
    if not with_poll:
        monkeypatch.delattr(select, "poll")
    say, done = threading.Event(), threading.Event()

    def speak(peer):
        say.wait(PATIENCE)
        peer.send_bytes(b"hello")
        done.wait(PATIENCE)

    with FakeServer(lambda peer: done.wait(PATIENCE)) as quiet, FakeServer(speak) as talkative:
        connections = [
            Connection.open(parse_address(server.address), Deadline(PATIENCE), waker)
            for server in (quiet, talkative)
        ]
        watch = Watch(waker)
        for connection in connections:
            watch.add(connection)
        assert watch.wait(Deadline(0.01)) == []
        waker.wake()
        assert watch.wait(Deadline(PATIENCE)) == []
        say.set()
        assert watch.wait(Deadline(PATIENCE)) == [connections[1]]
        assert bytes(connections[1].receive()) == b"hello"
        connections[0].send(bytes(64 * 2**20))
        assert connections[0].unsent
        watch.remove(connections[1])
        done.set()
        assert watch.wait(Deadline(PATIENCE)) == [connections[0]]
        for connection in connections:
            connection.close()
