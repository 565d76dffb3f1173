"""The admin client against gearcore's server and gearmand, and against servers that misbehave."""

import asyncio
import os
import signal
import socket
import threading
from concurrent.futures import Future

import pytest
from fake_server import PATIENCE, FakeServer, Peer, free_port

from gearcore import AdminClient, Client, FunctionQueues, FunctionStatus, ListedJob, Priority, Server
from gearcore._blocking import Deadline
from gearcore._codec import pack_request
from gearcore.errors import ConnectionLost, ProtocolError, ServerError, ServerUnavailable, TimedOut
from gearcore.protocol import PacketType as P
from gearcore.server.listeners import TcpListener, UnixListener
from gearcore.tls import ClientTls


@pytest.fixture
def admin(server):
    with AdminClient(server.address, timeout=PATIENCE) as admin:
        yield admin


@pytest.fixture
def peer(server):
    """A connection that offers whatever a test likes, and grabs nothing."""
    with Peer.connect(server.address) as peer:
        yield peer


def settle(peer: Peer) -> None:
    """Wait until the server has taken what the peer sent before."""
    peer.send(P.ECHO_REQ, b"x")
    peer.receive(P.ECHO_RES)


class TestLists:
    def test_status(self, admin, client, peer):
        peer.send(P.CAN_DO, b"work")
        settle(peer)
        for function in ("work", "a b", "t\tt", "n\nn", "ü"):
            client.submit(function, background=True)
        peer.send(P.GRAB_JOB)
        peer.receive(P.JOB_ASSIGN)
        assert {row.function: row for row in admin.status()} == {
            "work": FunctionStatus("work", 1, 1, 1),
            **{name: FunctionStatus(name, 1, 0, 0) for name in ("a b", "t\tt", "n\nn", "ü")},
        }

    def test_priority_status(self, admin, client):
        for priority, number in ((Priority.HIGH, 3), (Priority.NORMAL, 2), (Priority.LOW, 1)):
            for _ in range(number):
                client.submit("f", priority=priority, background=True)
        assert admin.priority_status() == [FunctionQueues("f", 3, 2, 1, 0)]

    def test_workers(self, admin, peer):
        peer.send(P.SET_CLIENT_ID, b"my id")
        for name in (b"f", b"a b", b"t\tt", b"n\nn"):
            peer.send(P.CAN_DO, name)
        settle(peer)
        ours, other = sorted(admin.workers(), key=lambda row: len(row.functions))
        assert (ours.address, ours.client_id, ours.functions) == ("127.0.0.1", "-", ())
        assert (other.address, other.client_id) == ("127.0.0.1", "my id")
        assert sorted(other.functions) == ["a b", "f", "n\nn", "t\tt"]
        assert ours.descriptor != other.descriptor

    def test_a_worker_with_an_empty_id(self, admin, peer):
        peer.send(P.SET_CLIENT_ID, b"")
        peer.send(P.CAN_DO, b"f")
        settle(peer)
        assert ["", ("f",)] in [[row.client_id, row.functions] for row in admin.workers()]

    def test_jobs(self, admin, client):
        handle = client.submit("f", background=True).handle
        assert admin.jobs() == [ListedJob(handle, 0, ignored=False, queued=True)]

    def test_unique_jobs(self, admin, client):
        for unique in ("one", ".", "t w o"):
            client.submit("f", unique=unique, background=True)
        assert sorted(admin.unique_jobs()) == [".", "one", "t w o"]

    def test_a_long_list(self, admin, server):
        names = [f"function-{number}" for number in range(5000)]
        with socket.create_connection(server.address) as sock:
            sock.sendall(b"".join(pack_request(P.CAN_DO, name.encode()) for name in names))
            sock.sendall(pack_request(P.ECHO_REQ, b"x"))
            assert sock.recv(100)
            assert sorted(row.function for row in admin.status()) == sorted(names)
            assert max(len(row.functions) for row in admin.workers()) == len(names)


class TestCommands:
    def test_cancel(self, admin, client):
        handle = client.submit("f", background=True).handle
        assert admin.cancel(handle) is True
        assert admin.cancel("H:no-such-job:1") is False

    def test_maxqueue(self, admin, client):
        admin.create_function("f")
        admin.maxqueue("f", 1)
        client.submit("f", background=True)
        with pytest.raises(ServerError, match="QUEUE_ERROR"):
            client.submit("f", background=True)
        admin.maxqueue("f", 1, 0, 1)
        client.submit("f", background=True)
        admin.maxqueue("f", 0)
        client.submit("f", background=True)

    def test_a_function_comes_and_goes(self, admin):
        admin.create_function("whole-name")
        assert admin.status() == [FunctionStatus("whole-name", 0, 0, 0)]
        admin.drop_function("whole-name")
        assert admin.status() == []
        with pytest.raises(ServerError, match="function not found") as caught:
            admin.drop_function("whole-name")
        assert (caught.value.code, caught.value.text) == ("ERR", "function not found")

    def test_a_function_with_a_worker_stays(self, admin, peer):
        peer.send(P.CAN_DO, b"f")
        settle(peer)
        with pytest.raises(ServerError, match="there are still connected workers or executing clients"):
            admin.drop_function("f")

    def test_version_and_verbose(self, admin, server):
        assert admin.version() == server.admin("version").decode().removeprefix("OK ").strip()
        assert admin.verbose() == server.admin("verbose").decode().removeprefix("OK ").strip()

    def test_getpid(self, admin, server):
        assert admin.getpid() == int(server.admin("getpid").removeprefix(b"OK "))

    def test_shutdown_is_not_allowed(self, admin):
        with pytest.raises(ServerError) as caught:
            admin.shutdown()
        assert caught.value.code == "UNKNOWN_COMMAND"
        assert admin.version()

    def test_an_unusable_name_is_not_sent(self, admin):
        with pytest.raises(ValueError, match="has a space or newline"):
            admin.create_function("a b")
        assert admin.status() == []


@pytest.mark.parametrize("graceful", [False, True])
def test_shutdown(graceful):
    server = Server(port=0, allow_shutdown=True)
    stopped = threading.Event()

    async def serve():
        async with server:
            port.set_result(server.port)
            await server.wait_for_stop()
        stopped.set()

    port: Future[int] = Future()
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    with AdminClient(("127.0.0.1", port.result(PATIENCE)), timeout=PATIENCE) as admin:
        admin.shutdown(graceful=graceful)
    thread.join(PATIENCE)
    assert stopped.is_set()


class TestConnection:
    def test_it_is_kept(self, admin):
        first = admin.workers()
        while len(first) > 1:  # the test's look at whether the server listens is still being closed
            first = admin.workers()
        assert admin.workers() == first

    def test_a_server_that_is_not_there(self):
        port = free_port()
        with (
            AdminClient(("127.0.0.1", port)) as admin,
            pytest.raises(ServerUnavailable, match=f"127.0.0.1:{port}: Connection refused"),
        ):
            admin.version()

    def test_a_server_that_restarts_between_calls(self, server, admin):
        assert admin.version()
        server.stop()
        server.start()
        assert admin.version()

    def test_a_server_that_closes(self):
        def close(peer):
            assert peer._socket.recv(100) == b"version\r\n"

        with (
            FakeServer(close) as server,
            AdminClient(server.address, timeout=PATIENCE) as admin,
            pytest.raises(ConnectionLost, match=r"the server closed it; the answer to 'version' had not"),
        ):
            admin.version()

    def test_a_server_that_does_not_answer(self):
        with (
            FakeServer(Peer.wait_until_closed) as server,
            AdminClient(server.address, timeout=0.05) as admin,
            pytest.raises(TimedOut, match=r"waited 0\.05 s for the answer to 'status' from 127\.0\.0\.1:"),
        ):
            admin.status()

    def test_a_late_answer_is_not_the_next_one(self):
        def late(peer):
            peer.wait_until_closed()

        def good(peer):
            assert peer._socket.recv(100) == b"getpid\r\n"
            peer.send_bytes(b"OK 7\n")
            peer.wait_until_closed()

        with FakeServer(late, good) as server, AdminClient(server.address, timeout=0.5) as admin:
            with pytest.raises(TimedOut):
                admin.version()
            assert admin.getpid() == 7

    def test_garbage(self):
        def speak(peer):
            peer._socket.recv(100)
            peer.send(P.ECHO_RES, b"\n")
            peer.wait_until_closed()

        with (
            FakeServer(speak) as server,
            AdminClient(server.address, timeout=PATIENCE) as admin,
            pytest.raises(ProtocolError, match=r"answered '\\x00RES.*, which is neither OK nor ERR"),
        ):
            admin.version()

    @pytest.mark.parametrize(
        ("ask", "answer"),
        [
            (AdminClient.dead_letters, b"H:1\tf\t3\t1700000000\n.\n"),
            (AdminClient.dead_letters, b"H:1\tf\tthree\t1700000000\tWORK_FAIL\n.\n"),
            (AdminClient.dead_letter, b"H:1\tf\t3\t1700000000\tWORK_FAIL\nunique\tu\n.\n"),
            (
                AdminClient.dead_letter,
                b"H:1\tf\t3\t1700000000\tWORK_FAIL\nunique\tu\nworkload\tno base 64\n.\n",
            ),
        ],
        ids=["fields", "number", "lines", "workload"],
    )
    def test_dead_letters_that_nobody_understands(self, ask, answer):
        def speak(peer):
            peer._socket.recv(100)
            peer.send_bytes(answer + b".\n")
            peer.wait_until_closed()

        with (
            FakeServer(speak) as server,
            AdminClient(server.address, timeout=PATIENCE) as admin,
            pytest.raises(ProtocolError, match="not understood"),
        ):
            ask(admin, *([] if ask is AdminClient.dead_letters else ["H:1"]))

    def test_a_store_that_fails_says_so_of_its_dead_letters(self):
        def speak(peer):
            for _ in range(3):
                peer._socket.recv(100)
                peer.send_bytes(b"ERR QUEUE_ERROR the+disk+is+full\r\n")
            peer.wait_until_closed()

        with FakeServer(speak) as server, AdminClient(server.address, timeout=PATIENCE) as admin:
            for ask in (
                admin.dead_letters,
                lambda: admin.dead_letter("H:1"),
                lambda: admin.retry_dead("H:1"),
            ):
                with pytest.raises(ServerError, match="the disk is full"):
                    ask()

    def test_what_came_unasked_is_dropped(self):
        told = threading.Event()

        def gossip(peer):
            peer._socket.recv(100)
            peer.send_bytes(b"OK 1\n")
            told.wait(PATIENCE)
            peer.send_bytes(b"OK 2\n")
            peer.wait_until_closed()

        def good(peer):
            peer._socket.recv(100)
            peer.send_bytes(b"OK 3\n")
            peer.wait_until_closed()

        with FakeServer(gossip, good) as server, AdminClient(server.address, timeout=PATIENCE) as admin:
            assert admin.getpid() == 1
            told.set()
            admin._link.connection.wait(Deadline(PATIENCE))
            assert admin.getpid() == 3

    def test_threads_take_turns(self, admin, server):
        pid = admin.getpid()
        found = []

        def ask():
            for _ in range(50):
                found.append(admin.getpid() == pid)
                found.append(admin.status() == [])

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 400

    def test_a_forked_process_has_a_connection_of_its_own(self, admin):
        assert admin.version()
        before = admin.workers()
        pid = os.fork()
        if not pid:
            try:
                signal.alarm(int(PATIENCE))
                os._exit(len(admin.workers()))
            finally:
                os._exit(99)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == len(before) + 1
        assert len(admin.workers()) <= len(before) + 1

    def test_repr(self):
        assert repr(AdminClient("[::1]:99")) == "<AdminClient [::1]:99>"


def test_ipv6():
    with Server("::1", 0) as server, AdminClient(("::1", server.port), timeout=PATIENCE) as admin:
        assert [row.address for row in admin.workers()] == ["::1"]


def test_unix_socket(tmp_path):
    path = str(tmp_path / "socket")
    with Server(listeners=[UnixListener(path)], host=()), AdminClient(f"unix:{path}") as admin:
        assert [row.address for row in admin.workers()] == ["unix"]
        with Client(f"unix:{path}") as client:
            client.submit("f", background=True)
        assert admin.status() == [FunctionStatus("f", 1, 0, 0)]


def test_tls(authority):
    listener = TcpListener("127.0.0.1", 0, authority.files())
    certificate, key = authority.issue(authority.directory, "admin", common_name="admin")
    tls = ClientTls(ca=authority.ca_file, certificate=certificate, key=key)
    with Server(host=(), listeners=[listener]) as server:
        address = ("127.0.0.1", server.addresses[0][1])
        with AdminClient(address, tls=tls, timeout=PATIENCE) as admin:
            admin.create_function("f")
            assert admin.status() == [FunctionStatus("f", 0, 0, 0)]
        with (
            AdminClient(address, tls=ClientTls(), timeout=PATIENCE) as stranger,
            pytest.raises(ServerUnavailable, match="certificate verify failed"),
        ):
            stranger.version()
