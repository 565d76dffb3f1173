"""Addresses, deadlines and connections."""

import errno
import math
import socket
import threading
import time

import pytest
from fake_server import PATIENCE, FakeServer, free_port

from gearcore._blocking import Connection, Deadline, Waker, parse_address
from gearcore.errors import ConnectionLost, ServerUnavailable


@pytest.fixture
def waker():
    waker = Waker()
    yield waker
    waker.close()


@pytest.mark.parametrize(
    ("server", "address", "text"),
    [
        ("127.0.0.1:4731", ("127.0.0.1", 4731), "127.0.0.1:4731"),
        ("job.example", ("job.example", 4730), "job.example:4730"),
        ("[::1]:4731", ("::1", 4731), "[::1]:4731"),
        ("[::1]", ("::1", 4730), "[::1]:4730"),
        ("fe80::1%eth0", ("fe80::1%eth0", 4730), "[fe80::1%eth0]:4730"),
        (("::1", 4731), ("::1", 4731), "[::1]:4731"),
    ],
)
def test_addresses(server, address, text):
    assert parse_address(server) == address
    assert str(parse_address(server)) == text


@pytest.mark.parametrize(
    "server", ["", ":4730", "h:port", "h:0", "h:65536", "h:-1", "[::1", "[::1]4730", "[::1]x:1", ("h", 0)]
)
def test_bad_addresses(server):
    with pytest.raises(ValueError, match="is not the address of a server"):
        parse_address(server)


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
