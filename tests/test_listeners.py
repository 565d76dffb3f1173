"""What a server listens on: Unix sockets and inherited ones beside TCP ports."""

import asyncio
import os
import socket
import stat
import subprocess
import sys

import pytest
from loops import LOOPS

from gearcore._codec import pack_request, pack_response
from gearcore.errors import CannotListen
from gearcore.protocol import PacketType as P
from gearcore.server import Server
from gearcore.server.listeners import InheritedListener, TcpListener, UnixListener, activated_descriptors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither")


def echo(address, family: int = socket.AF_INET, patience: float = 5) -> bool:
    """Whether a server at an address answers."""
    with socket.socket(family) as sock:
        sock.settimeout(patience)
        sock.connect(address)
        sock.sendall(pack_request(P.ECHO_REQ, b"x"))
        return sock.recv(100) == pack_response(P.ECHO_RES, b"x")


def listening_socket() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@LOOPS
def test_all_at_once_in_either_event_loop(factory, tmp_path):
    path = str(tmp_path / "socket")
    inherited = listening_socket()

    async def scene():
        listeners = [TcpListener("127.0.0.1", 0), UnixListener(path), InheritedListener(inherited.detach())]
        async with Server(port=0, listeners=listeners) as server:
            assert len(server.addresses) == 3
            assert server.port == server.addresses[0][1]
            assert all([await asyncio.to_thread(echo, address) for address in server.addresses])
            assert await asyncio.to_thread(echo, path, socket.AF_UNIX)
        assert not os.path.exists(path)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scene())


def test_a_server_may_do_without_a_port(tmp_path):
    path = str(tmp_path / "socket")
    with Server(host=(), listeners=[UnixListener(path)]) as server:
        assert server.addresses == []
        assert echo(path, socket.AF_UNIX)


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_of_a_unix_socket(tmp_path, mode):
    path = str(tmp_path / "socket")
    with Server(host=(), listeners=[UnixListener(path, mode)]):
        assert stat.S_IMODE(os.stat(path).st_mode) == mode


def test_peers_of_a_unix_socket_are_listed_by_it(tmp_path):
    path = str(tmp_path / "socket")
    with Server(host=(), listeners=[UnixListener(path)]), socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(path)
        sock.sendall(b"workers\n")
        assert b" unix - :\n" in sock.makefile("rb").readline()


def test_the_socket_of_a_dead_server_is_replaced(tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen()
    with Server(host=(), listeners=[UnixListener(path)]):
        assert echo(path, socket.AF_UNIX)


def test_the_socket_of_a_live_server_is_not(tmp_path):
    path = str(tmp_path / "socket")
    with Server(host=(), listeners=[UnixListener(path)]):
        with pytest.raises(CannotListen, match=f"^cannot listen on unix:{path}: Address already in use$"):
            Server(host=(), listeners=[UnixListener(path)]).__enter__()
        assert echo(path, socket.AF_UNIX)


def test_nor_is_that_of_a_server_too_busy_to_accept(tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)
        with pytest.raises(CannotListen, match="in use"):
            Server(host=(), listeners=[UnixListener(path)]).__enter__()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(CannotListen, match=r"is not a socket$"):
        Server(host=(), listeners=[UnixListener(str(path))]).__enter__()
    assert path.read_text() == "data"


def test_a_socket_that_another_server_has_put_there_since_is_left(tmp_path):
    path = str(tmp_path / "socket")
    with Server(host=(), listeners=[UnixListener(path)]):
        os.unlink(path)
        with Server(host=(), listeners=[UnixListener(path)]):
            pass
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
    assert os.path.exists(path)


@pytest.mark.parametrize(
    ("path", "cause"),
    [("/nowhere/socket", "No such file or directory"), ("/tmp/" + "x" * 200, "AF_UNIX path too long")],
)
def test_a_path_that_cannot_be_had_is_named(path, cause):
    with pytest.raises(CannotListen, match=f"^cannot listen on unix:{path}: {cause}$"):
        Server(host=(), listeners=[UnixListener(path)]).__enter__()


def test_what_was_open_is_closed_when_another_cannot_be_had(tmp_path):
    path = str(tmp_path / "socket")
    with listening_socket() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"^cannot listen on 127.0.0.1:{port}: "):
            Server(host=(), listeners=[UnixListener(path), TcpListener("127.0.0.1", port)]).__enter__()
    assert not os.path.exists(path)


def test_a_host_name_with_several_addresses():
    with Server("localhost", 0) as server:
        assert {host for host, _ in server.addresses} <= {"127.0.0.1", "::1"}
        assert echo(("127.0.0.1", server.port))


def test_an_empty_host_is_every_address():
    with Server("", 0) as server:
        port = next(port for host, port in server.addresses if host == "0.0.0.0")
        assert echo(("127.0.0.1", port))


def test_the_file_of_an_inherited_unix_socket_is_left(tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        with Server(host=(), listeners=[InheritedListener(os.dup(sock.fileno()))]):
            assert echo(path, socket.AF_UNIX)
    assert os.path.exists(path)


def test_a_descriptor_that_does_not_listen_is_refused():
    with socket.socket() as idle:
        with pytest.raises(
            CannotListen, match=f"^cannot listen on file descriptor {idle.fileno()}: it is not"
        ):
            Server(host=(), listeners=[InheritedListener(idle.fileno())]).__enter__()
        assert idle.fileno() == os.dup2(idle.fileno(), idle.fileno())  # still open


def test_a_descriptor_that_is_not_open_is_refused():
    with pytest.raises(CannotListen, match=r"^cannot listen on file descriptor 9999: Bad file descriptor$"):
        Server(host=(), listeners=[InheritedListener(9999)]).__enter__()


def test_a_port_out_of_range_is_refused():
    with pytest.raises(ValueError, match="from 0 to 65535, not 70000"):
        TcpListener("127.0.0.1", 70000)


SERVICE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
environment = os.environ | {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execve(sys.executable, [sys.executable, "-c", sys.argv[2]], environment)
"""
SERVER = """
from gearcore.server import InheritedListener, Server
from gearcore.server.listeners import activated_descriptors
Server(host=[], listeners=[InheritedListener(fd) for fd, _ in activated_descriptors()]).run()
"""


def test_a_server_that_is_started_for_a_socket():
    with listening_socket() as sock:
        address = sock.getsockname()
        command = [sys.executable, "-c", SERVICE, str(sock.fileno()), SERVER]
        process = subprocess.Popen(command, pass_fds=[sock.fileno()], stderr=subprocess.PIPE)
    with process:
        try:
            assert echo(address, patience=30)  # it was sent before the server was up, and waited
            process.terminate()
            _, complaint = process.communicate(timeout=30)
        finally:
            process.kill()  # what does not answer does not end either, and would be waited for
    assert (process.returncode, complaint) == (0, b"")


def test_sockets_of_systemd(monkeypatch):
    monkeypatch.setattr(os, "set_inheritable", lambda fd, inheritable: None)
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "3", "LISTEN_FDNAMES": "plain:tls", "A": "B"}
    assert activated_descriptors(environment) == [(3, "plain"), (4, "tls"), (5, "unknown")]
    assert environment == {"A": "B"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "2"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"},
        {"LISTEN_PID": str(os.getpid())},
    ],
    ids=["none", "for another process", "nonsense", "without a number"],
)
def test_no_sockets_of_systemd(environment):
    assert activated_descriptors(environment) == []
