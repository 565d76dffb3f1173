"""TLS ports: what is asked of a certificate, on both sides, and peers that stall."""

import asyncio
import logging
import os
import socket
import ssl
import time
from collections import Counter
from contextlib import ExitStack, closing, suppress

import pytest
from authority import Authority
from loops import LOOPS, needs_direct_sockets

from gearcore._codec import pack_request, pack_response
from gearcore.errors import CannotListen
from gearcore.protocol import PacketType as P
from gearcore.server import Limits, Server
from gearcore.server.handshake import TlsAcceptor
from gearcore.server.identity import Identity, identify
from gearcore.server.listeners import TcpListener
from gearcore.server.loop import DirectEventLoop
from gearcore.server.tls import BadTlsFile, TlsFiles


def connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=5)
    return context.wrap_socket(sock, server_hostname="127.0.0.1")


def receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, "the server closed the connection"
        data += part
    return data


def echo(sock: socket.socket, workload: bytes = b"x") -> bool:
    sock.sendall(pack_request(P.ECHO_REQ, workload))
    return receive(sock, 12 + len(workload)) == pack_response(P.ECHO_RES, workload)


def refusal(sock: socket.socket) -> bytes:
    """What a refused peer reads: nothing, or an error of its own side."""
    try:
        return sock.recv(1)
    except OSError:
        return b""


@LOOPS
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_packets_go_to_and_fro(authority, factory, version):
    context = authority.client()
    context.minimum_version = context.maximum_version = version

    def scene(port):
        with connect(port, context) as sock:
            assert sock.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
            assert echo(sock)
            assert echo(sock, os.urandom(3_000_000))

    async def serve():
        async with Server(port=0, tls=authority.files(False)) as server:
            await asyncio.to_thread(scene, server.port)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve())


def test_a_packet_sent_right_behind_the_handshake_is_not_lost(authority):
    context = authority.client(common_name="prompt")
    with Server(port=0, tls=authority.files()) as server:
        for _ in range(50):
            with connect(server.port, context) as sock:
                assert echo(sock)


def test_older_versions_are_refused(authority):
    context = authority.client()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with Server(port=0, tls=authority.files(False)) as server, pytest.raises(ssl.SSLError):
        connect(server.port, context)


def test_plain_and_tls_side_by_side(authority):
    tls = TcpListener("127.0.0.1", 0, tls=authority.files())
    with Server(port=0, listeners=[tls]) as server:
        (_, plain_port), (_, tls_port) = server.addresses
        with socket.create_connection(("127.0.0.1", plain_port), timeout=5) as sock:
            assert echo(sock)
        with connect(tls_port, authority.client(common_name="worker-1")) as sock:
            assert echo(sock)


@needs_direct_sockets
def test_only_a_server_without_tls_waits_in_the_event_loop_of_plain_sockets(authority):
    tls = TcpListener("127.0.0.1", 0, tls=authority.files())
    for server, is_direct in ((Server(port=0), True), (Server(port=0, listeners=[tls]), False)):
        with closing(server.new_event_loop()) as loop:
            assert isinstance(loop, DirectEventLoop) is is_direct


def test_a_context_of_ones_own_may_be_given(authority):
    context = authority.files(False).server_context()
    with Server(port=0, tls=context) as server, connect(server.port, authority.client()) as sock:
        assert echo(sock)


def wait_for(text: str, caplog) -> None:
    give_up = time.monotonic() + 5
    while text not in caplog.text:
        assert time.monotonic() < give_up, f"{text!r} is not in the log: {caplog.text}"
        time.sleep(0.01)


def test_a_peer_without_a_certificate_is_refused(authority, caplog):
    with Server(port=0, tls=authority.files()) as server:
        with connect(server.port, authority.client()) as sock:  # in TLS 1.3 the client learns of it later
            assert refusal(sock) == b""
        wait_for("is refused: it showed no certificate", caplog)


def test_a_certificate_of_another_authority_is_refused(authority, tmp_path, caplog):
    context = authority.client()
    context.load_cert_chain(*Authority(tmp_path).issue(tmp_path, "stranger", common_name="worker-1"))
    with Server(port=0, tls=authority.files()) as server:
        with connect(server.port, context) as sock:
            assert refusal(sock) == b""
        wait_for("is refused: its certificate is not accepted: ", caplog)


@pytest.mark.parametrize("text", [b"GET / HTTP/1.1\r\n\r\n", b"status\n", pack_request(P.ECHO_REQ, b"x")])
def test_a_peer_that_does_not_speak_tls_is_refused(authority, caplog, text):
    with Server(port=0, tls=authority.files()) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
            sock.sendall(text)
            while refusal(sock):
                pass
        wait_for("is refused: it does not speak TLS", caplog)


@LOOPS
def test_a_peer_that_stalls_in_its_handshake_is_cut_off_and_holds_up_nobody(authority, caplog, factory):
    def scene(server):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as silent:
            for _ in range(3):
                with connect(server.port, authority.client(common_name="worker-1")) as sock:
                    assert echo(sock)
            assert silent.recv(1) == b""

    async def serve():
        async with Server(port=0, tls=authority.files(), tls_handshake_timeout=0.3) as server:
            await asyncio.to_thread(scene, server)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve())
    assert "is refused: no TLS handshake within 0.3 s" in caplog.text


@LOOPS
def test_handshakes_take_turns_with_everybody_else(authority, factory):
    """However many peers begin at once, the event loop's turn has one handshake's keys to reckon, not all."""
    peers = 40
    turn = 0
    turns_of_hellos = []
    context = authority.files(False).server_context()
    context.sni_callback = lambda *_: turns_of_hellos.append(turn)

    def count_turn():
        nonlocal turn
        turn += 1
        asyncio.get_running_loop().call_soon(count_turn)

    async def serve():
        async with Server(port=0, tls=context) as server:
            with ExitStack() as stack:
                sockets = [
                    stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
                    for _ in range(peers)
                ]
                while sum(one.handshakes for one in server._listening) < peers:
                    await asyncio.sleep(0.01)
                count_turn()
                for sock in sockets:
                    sock.sendall(client_hello())
                while len(turns_of_hellos) < peers:
                    await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(serve(), 10))
    assert max(Counter(turns_of_hellos).values()) <= 2


def client_hello() -> bytes:
    """What a client begins its handshake with."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(
        incoming, outgoing, server_hostname="x.example"
    )
    with suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


@LOOPS
def test_stopping_does_not_wait_for_handshakes(authority, factory):
    async def serve():
        async with Server(port=0, tls=authority.files()) as server:
            port = server.port
            sockets = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(3)]
            sockets[0].sendall(b"\x16\x03\x01")  # the start of a handshake
            await asyncio.sleep(0.1)
        for sock in sockets:
            with sock:
                assert await asyncio.to_thread(refusal, sock) == b""
        async with Server(port=port):
            pass

    begun = time.monotonic()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve())
    assert time.monotonic() - begun < 3


@LOOPS
def test_stopping_closes_a_connection_whose_handshake_has_not_begun(authority, factory):
    async def scene():
        def new_peer():
            loop.call_soon(acceptor.close)  # before the task that is made now takes its first step
            return asyncio.Protocol()

        loop = asyncio.get_running_loop()
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        acceptor = TlsAcceptor(listener, authority.files().server_context(), 10.0, new_peer)
        with socket.create_connection(listener.getsockname(), 10) as peer:
            await acceptor.wait_closed()
            assert await loop.run_in_executor(None, refusal, peer) == b""

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scene())


@LOOPS
def test_stopping_closes_a_connection_that_is_accepted_just_then(authority, factory):
    class Listener(socket.socket):
        def accept(self):
            accepted.append(super().accept())
            loop.call_soon(acceptor.close)
            return accepted[-1]

    async def scene():
        nonlocal acceptor, loop
        loop = asyncio.get_running_loop()
        listener = Listener()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        acceptor = TlsAcceptor(listener, authority.files().server_context(), 10.0, asyncio.Protocol)
        await asyncio.sleep(0)  # it waits for a peer, and does not meet one that is there already
        with socket.create_connection(listener.getsockname(), 10):
            await acceptor.wait_closed()
        assert [sock.fileno() for sock, _ in accepted] == [-1]

    acceptor, loop, accepted = None, None, []
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scene())


def test_a_peer_that_leaves_in_its_handshake_is_not_worth_a_warning(authority, caplog):
    with caplog.at_level(logging.DEBUG), Server(port=0, tls=authority.files()) as server:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
        wait_for("left during its TLS handshake", caplog)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_peer_is_known_by_the_names_in_its_certificate(authority, caplog):
    with caplog.at_level(logging.DEBUG), Server(port=0, tls=authority.files()) as server:
        context = authority.client("a.example", "b.example", common_name="worker-1")
        with connect(server.port, context) as sock:
            assert echo(sock)
            (peer,) = server.peers
            identity = identify(peer.transport)
            port = sock.getsockname()[1]
    assert identity == Identity("127.0.0.1", port, ("worker-1", "a.example", "b.example"))
    assert f"peer 127.0.0.1:{port} (worker-1) connected" in caplog.text


def test_a_name_cannot_break_a_line_of_the_log():
    assert str(Identity("::1", 5, ("a\nb",))) == "::1:5 (a?b)"


class TestFiles:
    @pytest.fixture
    def files(self, authority):
        certificate, key = authority.server
        return {"certificate": certificate, "key": key, "ca": authority.ca_file}

    def test_one_file_may_hold_certificate_and_key(self, files, tmp_path):
        both = tmp_path / "both.pem"
        both.write_bytes(files["certificate"].read_bytes() + files["key"].read_bytes())
        assert TlsFiles(certificate=both).server_context().verify_mode == ssl.CERT_NONE

    @pytest.mark.parametrize(
        ("which", "called"), [("certificate", "certificate"), ("key", "key"), ("ca", "CA")]
    )
    def test_a_missing_one_is_named(self, files, which, called):
        files[which] = "/nowhere/x.pem"
        with pytest.raises(BadTlsFile, match=f"^TLS {called} /nowhere/x.pem: No such file or directory$"):
            TlsFiles(**files).server_context()

    @pytest.mark.parametrize(
        ("which", "fault"),
        [
            ("certificate", "certificate {}: it holds no certificate"),
            ("key", "key {}: it holds no private key"),
            ("ca", "CA {}: it holds no certificate"),
        ],
    )
    @pytest.mark.parametrize(
        "content", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    )
    def test_one_that_holds_something_else_is_named(self, files, which, fault, content, tmp_path):
        files[which] = tmp_path / "other.pem"
        files[which].write_text(content)
        with pytest.raises(BadTlsFile) as caught:
            TlsFiles(**files).server_context()
        assert str(caught.value).startswith("TLS " + fault.format(files[which]))
        assert "\n" not in str(caught.value)

    def test_a_key_of_another_certificate(self, files, authority, tmp_path):
        _, files["key"] = authority.issue(tmp_path, "other", "other.example")
        with pytest.raises(BadTlsFile, match="it does not belong to the certificate"):
            TlsFiles(**files).server_context()

    def test_an_encrypted_key(self, files, tmp_path):
        from cryptography.hazmat.primitives import serialization as s

        key = s.load_pem_private_key(files["key"].read_bytes(), None)
        files["key"] = tmp_path / "encrypted.key"
        files["key"].write_bytes(
            key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"secret"))
        )
        with pytest.raises(BadTlsFile, match=r"encrypted.key: it is encrypted"):
            TlsFiles(**files).server_context()

    def test_a_server_does_not_start_with_them(self):
        with pytest.raises(
            CannotListen, match=r"^cannot listen on 127.0.0.1:0: TLS certificate /nowhere.pem: No such file"
        ):
            Server(port=0, tls=TlsFiles(certificate="/nowhere.pem")).__enter__()


def test_connections_in_their_handshake_count_as_connections(authority, caplog):
    with Server(port=0, tls=authority.files(), limits=Limits(connections=2)) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(2)]
        with connect(server.port, authority.client(common_name="third")) as third:
            assert refusal(third) == b""
        wait_for("(third) is refused: 2 connections are open", caplog)
        for sock in silent:
            sock.close()


@LOOPS
def test_a_peer_that_does_not_read_is_cut_off(authority, caplog, factory):
    def scene(port):
        with connect(port, authority.client(common_name="slow")) as sock, suppress(OSError):
            for _ in range(1000):
                sock.sendall(pack_request(P.ECHO_REQ, b"x" * 100_000))

    async def serve():
        limits = Limits(output=1_000_000)
        async with Server(port=0, tls=authority.files(), limits=limits) as server:
            await asyncio.to_thread(scene, server.port)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve())
    assert "(slow) is cut off: it does not read what it is sent" in caplog.text
