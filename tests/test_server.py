"""The job server on real sockets: embedded in an event loop, in a thread, and as a process."""

import asyncio
import logging
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
from caller import Caller
from loops import LOOPS, needs_direct_sockets

from gearcore._codec import pack_request
from gearcore.errors import CannotListen
from gearcore.protocol import PacketType as P
from gearcore.server import Keepalive, Limits, Server


@pytest.fixture(params=[pytest.param("direct", marks=needs_direct_sockets), "transports"])
def sockets(request, monkeypatch):
    """Both ways to the sockets: in C, and through the event loop's transports as on other systems."""
    monkeypatch.setattr("gearcore.server.loop.HAS_DIRECT_SOCKETS", request.param == "direct")


@pytest.fixture
def server(sockets):
    with Server(port=0) as server:
        yield server


def test_a_job_goes_end_to_end(server):
    with Caller(server) as client, Caller(server) as worker:
        worker.send(P.CAN_DO, b"reverse")
        worker.send(P.PRE_SLEEP)
        assert worker.ask(P.ECHO_REQ, b"asleep") == (P.ECHO_RES, b"asleep")
        kind, handle = client.ask(P.SUBMIT_JOB, b"reverse", b"", b"hello")
        assert kind is P.JOB_CREATED
        assert worker.receive() == (P.NOOP,)
        assert worker.ask(P.GRAB_JOB) == (P.JOB_ASSIGN, handle, b"reverse", b"hello")
        worker.send(P.WORK_COMPLETE, handle, b"olleh")
        assert client.receive() == (P.WORK_COMPLETE, handle, b"olleh")


def test_a_worker_that_vanishes_gives_its_job_to_the_next(server):
    with Caller(server) as client, Caller(server) as second:
        _, handle = client.ask(P.SUBMIT_JOB, b"f", b"", b"x")
        with Caller(server) as first:
            first.send(P.CAN_DO, b"f")
            assert first.ask(P.GRAB_JOB)[:2] == (P.JOB_ASSIGN, handle)
            second.send(P.CAN_DO, b"f")
            second.send(P.PRE_SLEEP)
            second.ask(P.ECHO_REQ, b"")
        assert second.receive() == (P.NOOP,)
        assert second.ask(P.GRAB_JOB)[:2] == (P.JOB_ASSIGN, handle)


def test_bad_bytes_end_one_connection_and_no_other(server):
    with Caller(server) as bad, Caller(server) as good:
        good.ask(P.SUBMIT_JOB_BG, b"f", b"", b"x")
        bad.socket.sendall(b"\0GET / HTTP/1.1\r\n\r\n")
        assert bad.receive()[:2] == (P.ERROR, b"INVALID_MAGIC")
        assert bad.socket.recv(1) == b""
        assert good.ask(P.ECHO_REQ, b"unmoved") == (P.ECHO_RES, b"unmoved")
        assert good.line(b"status\n") == b"f\t1\t0\t0\n"


def test_the_handle_names_the_host_as_gearmand_does(server):
    with Caller(server) as client:
        _, handle = client.ask(P.SUBMIT_JOB_BG, b"f", b"", b"")
    assert handle == f"H:{socket.gethostname()[:40]}:1".encode()


def test_accepted_sockets_do_not_delay_small_writes(server):
    with Caller(server) as client:
        client.ask(P.ECHO_REQ, b"")
        (peer,) = server.peers
        accepted = peer.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other names for these")
def test_a_vanished_peer_is_found_out_within_minutes(sockets):
    with Server(port=0, keepalive=Keepalive(30, 5, -1)) as server, Caller(server) as client:
        client.ask(P.ECHO_REQ, b"")
        (peer,) = server.peers
        accepted = peer.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 5


def test_connections_over_the_limit_are_closed_and_logged(sockets, caplog):
    with Server(port=0, limits=Limits(connections=2)) as server:
        with Caller(server) as one, Caller(server) as two:
            one.ask(P.ECHO_REQ, b"")
            two.ask(P.ECHO_REQ, b"")
            with Caller(server) as third, suppress(ConnectionResetError):
                assert third.socket.recv(1) == b""
            assert "refused: 2 connections are open" in caplog.text
            one.ask(P.ECHO_REQ, b"")
        while server.peers:
            time.sleep(0.001)
        with Caller(server) as fourth:
            fourth.ask(P.ECHO_REQ, b"")


@LOOPS
def test_connections_that_come_all_at_once_are_counted_too(sockets, factory):
    async def scene():
        async with Server(port=0, limits=Limits(connections=2)) as server:
            callers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(10)]
            await asyncio.sleep(0.2)
            try:
                return len(server.peers)
            finally:
                for caller in callers:
                    caller.close()

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(scene()) == 2


@pytest.mark.parametrize("keepalive", [Keepalive(0, 0, 0), Keepalive(99999, 99999, 999)], ids=str)
def test_keepalive_beyond_what_the_system_takes(keepalive):
    with Server(port=0, keepalive=keepalive) as server, Caller(server) as client:
        assert client.ask(P.ECHO_REQ, b"x") == (P.ECHO_RES, b"x")


def test_a_peer_that_never_reads_is_cut_off_and_its_jobs_are_kept(sockets, caplog):
    with Server(port=0, limits=Limits(output=1_000_000)) as server, Caller(server) as worker:
        with Caller(server) as stuck:
            stuck.ask(P.SUBMIT_JOB_BG, b"kept", b"", b"")
            _, handle = stuck.ask(P.SUBMIT_JOB, b"f", b"", b"")
            worker.send(P.CAN_DO, b"f")
            worker.ask(P.GRAB_JOB)
            for _ in range(300):
                worker.send(P.WORK_DATA, handle, b"x" * 100_000)
                if worker.ask(P.ECHO_REQ, b"") and "is cut off" in caplog.text:
                    break
            else:
                pytest.fail("the peer was not cut off")
        worker.send(P.WORK_COMPLETE, handle, b"")
        assert worker.line(b"status\n") == b"kept\t1\t0\t0\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the segments that carried data")
def test_what_one_read_causes_is_written_at_once(server):
    def segments():
        info = peer.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
        return struct.unpack_from("I", info, 152)[0]  # tcpi_data_segs_in

    with Caller(server) as peer:
        peer.ask(P.ECHO_REQ, b"start")
        before = segments()
        peer.socket.sendall(
            pack_request(P.SUBMIT_JOB_BG, b"f", b"", b"x") * 50 + pack_request(P.ECHO_REQ, b"end")
        )
        for _ in range(50):
            assert peer.receive()[0] is P.JOB_CREATED
        assert peer.receive() == (P.ECHO_RES, b"end")
        assert segments() - before == 1


@LOOPS
def test_it_runs_in_an_event_loop_that_is_there(sockets, factory):
    async def scene():
        async with Server(port=0) as server:
            reader, writer = await asyncio.open_connection(*server.addresses[0])
            writer.write(pack_request(P.ECHO_REQ, b"x" * 1_000_000))
            answer = await reader.readexactly(12 + 1_000_000)
            writer.close()
            await writer.wait_closed()
        return answer

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(scene()).endswith(b"x" * 1_000_000)


def test_stopping_closes_the_connections_and_frees_the_port(sockets):
    with Server(port=0) as server:
        port = server.port
        caller = Caller(server)
        caller.ask(P.ECHO_REQ, b"")
    with caller:
        assert caller.socket.recv(1) == b""
    with Server(port=port) as again, Caller(again) as caller:
        assert caller.ask(P.ECHO_REQ, b"x") == (P.ECHO_RES, b"x")


def test_a_server_can_be_started_again(sockets):
    server = Server(port=0)
    for _ in range(2):
        with server, Caller(server) as caller:
            assert caller.ask(P.ECHO_REQ, b"x") == (P.ECHO_RES, b"x")
            time.sleep(0.05)
            assert caller.ask(P.ECHO_REQ, b"x") == (P.ECHO_RES, b"x")


def test_starting_a_second_time_does_not_stop_it(sockets):
    async def scene():
        async with Server(port=0) as server:
            with pytest.raises(RuntimeError, match="started already"):
                await server.start()
            _, writer = await asyncio.open_connection(*server.addresses[0])
            writer.close()
            await writer.wait_closed()

    asyncio.run(scene())


@pytest.mark.parametrize("turns", range(5))
def test_a_connection_accepted_while_the_server_stops_is_closed(sockets, turns):
    async def scene():
        server = Server(port=0)
        await server.start()
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as peer:
            for _ in range(turns):
                await asyncio.sleep(0)
            await server.stop()
            await asyncio.sleep(0.05)
            peer.setblocking(False)
            with suppress(ConnectionResetError):
                assert peer.recv(1) == b""
        assert not server.peers

    with asyncio.Runner(loop_factory=Server().new_event_loop) as runner:
        runner.run(scene())


def test_a_thread_that_gets_no_event_loop_says_so(monkeypatch):
    def none_to_be_had(direct):
        raise OSError("too many open files")

    def start():
        with pytest.raises(OSError, match="too many open files"):
            Server(port=0).__enter__()
        ended.set()

    monkeypatch.setattr("gearcore.server.loop.new_event_loop", none_to_be_had)
    ended = threading.Event()
    threading.Thread(target=start, daemon=True).start()
    assert ended.wait(5)


def test_it_listens_on_ipv6_and_on_several_addresses(sockets):
    with Server(host=["127.0.0.1", "::1"], port=0) as server:
        assert [host for host, _ in server.addresses] == ["127.0.0.1", "::1"]
        for host, port in server.addresses:
            with socket.create_connection((host, port), timeout=5) as sock:
                sock.sendall(b"workers\n")
                listed = sock.makefile("rb").readline()
                assert b" " + host.encode() + b" - :\n" in listed


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux delays and hurries acknowledgements so")
def test_a_large_packet_through_a_small_send_buffer_does_not_wait_for_acknowledgements(server):
    """The buffer is that of libgearman: 4 MB took 2.4 seconds, 40 ms for every few segments."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", server.port))
        start = time.perf_counter()
        sock.sendall(pack_request(P.SUBMIT_JOB_BG, b"f", b"", bytes(4_000_000)))
        assert sock.recv(100)
        assert time.perf_counter() - start < 1


def test_packets_of_all_sizes_wait_for_a_peer_that_reads_late(server):
    choices = random.Random(4730)
    sizes = [choices.choice([0, 10, 4084, 5000, 32_755, 40_000, 262_132, 600_000]) for _ in range(100)]
    sent = [choices.randbytes(size) for size in sizes]
    with Caller(server) as peer:
        peer.socket.sendall(b"".join(pack_request(P.ECHO_REQ, data) for data in sent))
        for data in sent:
            assert peer.receive() == (P.ECHO_RES, data)


def test_a_peer_that_has_said_all_still_gets_its_answers(server):
    with Caller(server) as peer:
        data = random.Random(1).randbytes(1_000_000)
        for _ in range(20):
            peer.send(P.ECHO_REQ, data)
        peer.socket.shutdown(socket.SHUT_WR)
        for _ in range(20):
            assert peer.receive() == (P.ECHO_RES, data)
        assert peer.socket.recv(1) == b""


@LOOPS
def test_two_servers_in_one_event_loop(sockets, factory):
    async def scene():
        async with Server(port=0) as one, Server(port=0) as other:
            for server in (one, other, one):
                reader, writer = await asyncio.open_connection(*server.addresses[0])
                writer.write(pack_request(P.ECHO_REQ, b"x"))
                assert len(await reader.readexactly(13)) == 13
                writer.close()
                await writer.wait_closed()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(scene(), 10))


def test_a_port_in_use_is_named(server):
    with pytest.raises(CannotListen, match=rf"^cannot listen on 127\.0\.0\.1:{server.port}: .*in use"):
        Server(port=server.port).__enter__()


@pytest.mark.parametrize(
    ("host", "address"), [("host.invalid", "host.invalid:0"), ("192.0.2.1", "192.0.2.1:0")]
)
def test_an_address_that_cannot_be_had_is_named(host, address):
    with pytest.raises(CannotListen, match=f"cannot listen on {address}: "):
        Server(host, 0).__enter__()


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_is_refused(port):
    with pytest.raises(ValueError, match=f"from 0 to 65535, not {port}"):
        Server(port=port)


def test_a_peer_that_does_not_read_holds_up_nobody_and_loses_nothing(server):
    with Caller(server) as slow, Caller(server) as other:
        echo = pack_request(P.ECHO_REQ, b"x" * 100_000)
        slow.socket.settimeout(0.5)
        sent = 0
        try:
            while sent < 400:
                slow.socket.sendall(echo)
                sent += 1
        except TimeoutError:
            pytest.fail("the server stopped reading")
        assert other.ask(P.ECHO_REQ, b"prompt") == (P.ECHO_RES, b"prompt")
        slow.socket.settimeout(5)
        for _ in range(sent):
            assert slow.receive() == (P.ECHO_RES, b"x" * 100_000)


def test_a_fault_in_the_server_cuts_off_the_peer_that_met_it_alone(sockets, monkeypatch, caplog):
    def faulty(admin, connection, line):
        raise RuntimeError("a fault")

    monkeypatch.setattr("gearcore.broker.Admin.__call__", faulty)
    with Server(port=0) as server, Caller(server) as one, Caller(server) as other:
        with caplog.at_level(logging.ERROR):
            one.socket.sendall(b"status\n")
            with suppress(ConnectionResetError):
                assert one.socket.recv(1) == b""
        assert other.ask(P.ECHO_REQ, b"x") == (P.ECHO_RES, b"x")
    assert "is cut off" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_process_cleanly(number):
    program = (
        "from gearcore.server import Server\n"
        "Server(port=0).run(lambda server: print(server.port, flush=True))\n"
        "print('stopped')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
            peer.sendall(b"version\n")
            assert peer.recv(100).startswith(b"OK ")
            process.send_signal(number)
            assert peer.recv(1) == b""
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, b"stopped\n", b"")
