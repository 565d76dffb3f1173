"""The blocking client, against job servers and against scripted ones."""

import socket
import threading
import time

import pytest
from fake_server import PATIENCE, FakeServer, Peer, free_port

from gearcore import (
    Client,
    ConnectionLost,
    JobData,
    JobError,
    JobException,
    JobFailed,
    JobProgress,
    JobStatus,
    JobWarning,
    Priority,
    ProtocolError,
    ServerError,
    ServerUnavailable,
    TimedOut,
)
from gearcore.protocol import PacketType as P

pytestmark = pytest.mark.usefixtures("no_hang")

BINARY = bytes(range(256)) * 3


@pytest.fixture
def hand(server):
    """A worker that the test moves packet by packet, for function ``f``."""
    with Peer.connect(server.address) as hand:
        hand.send(P.CAN_DO, b"f")
        yield hand


def grab(hand):
    """The next job that is there or comes: handle, function, unique, workload."""
    while True:
        hand.send(P.GRAB_JOB_UNIQ)
        args = hand.receive(P.JOB_ASSIGN_UNIQ, P.NO_JOB, P.NOOP)
        if args:
            return args
        hand.send(P.PRE_SLEEP)
        hand.receive(P.NOOP)


class TestAgainstServers:
    def test_a_job(self, client, worker, running):
        with running(worker):
            job = client.submit("reverse", BINARY, unique="id")
            assert job.result(PATIENCE) == BINARY[::-1]
            assert job.done()
            assert job.exception() is None
            assert (job.function, job.unique, job.background) == ("reverse", "id", False)
            assert job.handle.startswith("H:")
            assert repr(job) == f"<Job {job.handle} 'reverse' complete>"

    @pytest.mark.parametrize(("function", "workload"), [("reverse", b""), ("nothing", b"x")])
    def test_empty_results(self, client, worker, running, function, workload):
        with running(worker):
            assert client.submit(function, workload).result(PATIENCE) == b""

    def test_eight_megabytes(self, client, worker, running):
        workload = BINARY * (8 * 2**20 // len(BINARY))
        with running(worker):
            assert client.submit("reverse", bytearray(workload)).result(PATIENCE) == workload[::-1]

    def test_events_come_as_they_are_sent(self, client, hand):
        job = client.submit("f")
        handle = grab(hand)[0]
        events = job.events(PATIENCE)
        hand.send(P.WORK_DATA, handle, b"a\0")
        assert next(events) == JobData(b"a\0")
        hand.send(P.WORK_WARNING, handle, b"w")
        assert next(events) == JobWarning(b"w")
        assert job.progress is None
        hand.send(P.WORK_STATUS, handle, b"1", b"4")
        assert next(events) == JobProgress(1, 4)
        assert not job.done()
        hand.send(P.WORK_STATUS, handle, b"2", b"4")
        hand.send(P.WORK_COMPLETE, handle, b"end")
        assert list(events) == [JobProgress(2, 4)]
        assert job.done()
        assert (job.data, job.warnings, job.progress) == ([b"a\0"], [b"w"], JobProgress(2, 4))

    def test_iteration_gives_the_data(self, client, worker, running):
        with running(worker):
            job = client.submit("chatter", b"a b c")
            assert list(job) == [b"a", b"b", b"c"]
            assert list(job) == [b"a", b"b", b"c"]
            assert job.result() == b"end"

    def test_an_exception_arrives_with_its_text(self, client, worker, running):
        with running(worker):
            job = client.submit("raise", b"hat")
            with pytest.raises(
                JobException, match=r"'raise' raised LookupError: no such thing: hat"
            ) as caught:
                job.result(PATIENCE)
            assert caught.value.data == b"LookupError: no such thing: hat"
            assert (caught.value.function, caught.value.handle) == ("raise", job.handle)
            with pytest.raises(JobException):
                list(job)

    def test_a_failure(self, client, worker, running, server):
        with running(worker):
            job = client.submit("fail")
            with pytest.raises(JobFailed, match=f"{job.handle} of function 'fail' failed.*{server}"):
                job.result(PATIENCE)
            assert repr(job).endswith("failed>")

    def test_background_jobs_have_no_result(self, client, hand):
        job = client.submit("f", b"x", background=True)
        for call in (job.result, lambda: list(job), lambda: list(job.events())):
            with pytest.raises(JobError, match=f"{job.handle} of function 'f' is a background job"):
                call()
        assert job.done()
        assert job.wait()
        assert repr(job).endswith("background>")
        handle = grab(hand)[0]
        assert handle.decode() == job.handle
        hand.send(P.WORK_COMPLETE, handle, b"x")
        assert client.echo(b"still in step") == b"still in step"

    def test_status(self, client, hand):
        job = client.submit("f", background=True)
        assert client.status(job.handle) == JobStatus(known=True, running=False, numerator=0, denominator=0)
        handle = grab(hand)[0]
        hand.send(P.WORK_STATUS, handle, b"3", b"10")
        hand.send(P.ECHO_REQ, b"seen")
        hand.receive(P.ECHO_RES)
        assert client.status(handle) == JobStatus(known=True, running=True, numerator=3, denominator=10)
        assert client.status("H:nobody:1").known is False

    def test_echo_and_ping(self, client):
        assert client.echo(BINARY) == BINARY
        assert client.echo(b"") == b""
        assert 0 < client.ping() < PATIENCE

    def test_priorities(self, client, hand):
        for priority in (Priority.LOW, Priority.NORMAL, Priority.HIGH):
            client.submit("f", priority.name.encode(), priority=priority)
            client.submit("f", b"BG " + priority.name.encode(), priority=priority, background=True)
        grabbed = [grab(hand)[3] for _ in range(6)]
        assert grabbed == [b"HIGH", b"BG HIGH", b"NORMAL", b"BG NORMAL", b"LOW", b"BG LOW"]

    def test_results_in_another_order(self, client, hand):
        jobs = [client.submit("f", b"%d" % i) for i in range(5)]
        grabbed = [grab(hand) for _ in jobs]
        for handle, _, _, workload in reversed(grabbed):
            hand.send(P.WORK_COMPLETE, handle, b"result of " + workload)
        results = [job.result(PATIENCE) for job in jobs]
        assert results == [b"result of %d" % i for i in range(5)]

    def test_coalesced_jobs_on_one_connection(self, client, hand):
        first = client.submit("f", b"x", unique="u")
        second = client.submit("f", b"other", unique="u")
        assert first.handle == second.handle
        handle, _, unique, workload = grab(hand)
        assert (unique, workload) == (b"u", b"x")
        hand.send(P.WORK_DATA, handle, b"same")
        hand.send(P.WORK_DATA, handle, b"same")
        hand.send(P.ECHO_REQ, b"both are sent")
        hand.receive(P.ECHO_RES)
        third = client.submit("f", unique="u")
        hand.send(P.WORK_DATA, handle, b"same")
        hand.send(P.WORK_COMPLETE, handle, b"end")
        for job in (third, second, first):
            assert job.result(PATIENCE) == b"end"
        assert (first.data, second.data) == ([b"same"] * 3, [b"same"] * 3)
        assert third.data == [b"same"]
        assert client.echo(b"in step") == b"in step"

    def test_coalesced_jobs_of_two_clients(self, client, hand, server):
        with Client(server.address, timeout=PATIENCE) as other:
            jobs = [client.submit("f", unique="u"), other.submit("f", unique="u")]
            hand.send(P.WORK_FAIL, grab(hand)[0])
            for job in jobs:
                assert isinstance(job.exception(PATIENCE), JobFailed)

    def test_a_full_queue(self, client, hand, server):
        hand.send(P.ECHO_REQ, b"the function is known")
        hand.receive(P.ECHO_RES)
        assert server.admin("maxqueue f 1") == b"OK\r\n"
        job = client.submit("f")
        with pytest.raises(ServerError, match=f"Job queue is full.*{server}.*'f'") as caught:
            client.submit("f")
        assert caught.value.code == "QUEUE_ERROR"
        hand.send(P.WORK_COMPLETE, grab(hand)[0], b"end")
        assert job.result(PATIENCE) == b"end"

    def test_a_timeout_ends_the_wait_and_not_the_job(self, client, hand, server):
        job = client.submit("f")
        words = rf"waited 0\.05 s for the result of job {job.handle} of function 'f' from {server}"
        for call in (job.result, job.exception, lambda seconds: list(job.events(seconds))):
            with pytest.raises(TimedOut, match=words):
                call(0.05)
        assert job.wait(0) is False
        hand.send(P.WORK_COMPLETE, grab(hand)[0], b"end")
        assert job.result(PATIENCE) == b"end"

    def test_done_takes_what_has_come(self, client, hand):
        job = client.submit("f")
        assert not job.done()
        hand.send(P.WORK_COMPLETE, grab(hand)[0], b"end")
        give_up = time.monotonic() + PATIENCE
        while not job.done():
            assert time.monotonic() < give_up
        assert job.result(0) == b"end"

    def test_a_server_that_restarts(self, client, server, worker, running):
        job = client.submit("f")
        server.stop()
        with pytest.raises(
            ConnectionLost, match=f"{server} ended: .* while waiting for the result of job {job.handle}"
        ):
            job.result(PATIENCE)
        with pytest.raises(ServerUnavailable, match=f"{server}: Connection refused"):
            client.submit("f")
        server.start()
        with running(worker):
            assert client.submit("reverse", b"ab").result(PATIENCE) == b"ba"
        with pytest.raises(ConnectionLost):
            job.result()

    def test_an_idle_connection_that_ended_is_replaced(self, client, server):
        client.ping()
        server.stop()
        server.start()
        client.ping()

    def test_many_threads(self, client, worker, running):
        mistakes = []

        def submit_many(name):
            for i in range(50):
                workload = b"%d of %d" % (i, name)
                if client.submit("reverse", workload).result(PATIENCE) != workload[::-1]:
                    mistakes.append(workload)

        threads = [threading.Thread(target=submit_many, args=[name]) for name in range(8)]
        with running(worker):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert mistakes == []

    def test_one_thread_waits_while_others_call(self, client, hand, server):
        slow = client.submit("f", b"slow")
        results = []
        waiting = threading.Thread(target=lambda: results.append(slow.result(PATIENCE)))
        waiting.start()
        slow_handle = grab(hand)[0]
        # More than the system takes at once, so that the waiting thread must help to send it.
        big = client.submit("f", bytes(16 * 2**20))
        big_handle, _, _, workload = grab(hand)
        assert len(workload) == 16 * 2**20
        hand.send(P.WORK_COMPLETE, big_handle, b"big")
        assert big.result(PATIENCE) == b"big"
        assert waiting.is_alive()
        hand.send(P.WORK_COMPLETE, slow_handle, b"slow")
        waiting.join()
        assert results == [b"slow"]

    def test_close_ends_the_waits_of_other_threads(self, client, hand):
        job = client.submit("f")
        errors = []
        waiting = threading.Thread(target=lambda: errors.append(job.exception(PATIENCE)))
        waiting.start()
        grab(hand)
        client.close()
        waiting.join(PATIENCE / 2)
        assert isinstance(errors[0], ConnectionLost)
        assert "was closed" in str(errors[0])
        assert job.handle in str(errors[0])
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            client.submit("f")


class TestAgainstScripts:
    def client(self, server, timeout=PATIENCE):
        return Client(server.address, timeout=timeout)

    def test_a_server_that_never_answers(self):
        with (
            FakeServer(lambda peer: peer.wait_until_closed()) as server,
            self.client(server, 0.05) as client,
        ):
            for call, words in (
                (lambda: client.submit("f"), "the acknowledgement of a job for function 'f'"),
                (lambda: client.status("H:1"), "the status of job H:1"),
                (lambda: client.echo(b""), "an echo"),
            ):
                with pytest.raises(TimedOut, match=rf"waited 0\.05 s for {words} from {server}"):
                    call()
            with pytest.raises(TimedOut, match=r"0\.01 s"):
                client.submit("f", timeout=0.01)

    def test_an_answer_that_is_late_is_not_taken_for_another(self):
        go = threading.Event()

        def script(peer):
            peer.accept_options()
            peer.receive(P.SUBMIT_JOB)
            peer.receive(P.SUBMIT_JOB_BG)
            go.wait(PATIENCE)
            peer.send(P.JOB_CREATED, b"H:1")
            peer.send(P.JOB_CREATED, b"H:2")
            peer.wait_until_closed()

        with FakeServer(script) as server, self.client(server) as client:
            with pytest.raises(TimedOut):
                client.submit("f", timeout=0.05)
            threading.Timer(0.05, go.set).start()
            assert client.submit("f", background=True).handle == "H:2"

    def test_a_connection_that_ends_in_the_middle_of_a_packet(self):
        def script(peer):
            peer.accept_options()
            peer.receive(P.SUBMIT_JOB)
            peer.send(P.JOB_CREATED, b"H:1")
            peer.send_bytes(b"\0RES\0\0\0\x0d\0\0\0\x7fH:1\0half of")

        with FakeServer(script) as server, self.client(server) as client:
            job = client.submit("f")
            with pytest.raises(ConnectionLost, match=f"{server} ended: .*in the middle of a packet.*job H:1"):
                job.result()

    def test_a_server_that_is_none(self):
        def script(peer):
            peer.receive(P.OPTION_REQ)
            peer.send_bytes(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            peer.wait_until_closed()

        with FakeServer(script, script) as server, self.client(server) as client:
            with pytest.raises(ProtocolError, match=str(server)):
                client.submit("f")
            with pytest.raises(ProtocolError, match=str(server)):
                client.ping()

    def test_an_answer_out_of_turn(self):
        def script(peer):
            peer.accept_options()
            peer.receive(P.SUBMIT_JOB)
            peer.send(P.ECHO_RES, b"x")
            peer.wait_until_closed()

        with (
            FakeServer(script) as server,
            self.client(server) as client,
            pytest.raises(ProtocolError, match=f"{server}.*ECHO_RES came instead of JOB_CREATED"),
        ):
            client.submit("f")

    def test_results_of_unknown_jobs_are_ignored(self):
        def script(peer):
            peer.accept_options()
            peer.receive(P.SUBMIT_JOB)
            peer.send(P.WORK_COMPLETE, b"H:7", b"stray")
            peer.send(P.JOB_CREATED, b"H:1")
            peer.send(P.WORK_FAIL, b"H:7")
            peer.send(P.WORK_COMPLETE, b"H:1", b"right")
            peer.wait_until_closed()

        with FakeServer(script) as server, self.client(server) as client:
            assert client.submit("f").result(PATIENCE) == b"right"

    def test_a_failure_whose_handle_ends_in_a_nul(self):
        def script(peer):
            peer.send(P.ERROR, b"unknown_option", b"what?")
            peer.receive(P.OPTION_REQ)
            peer.receive(P.SUBMIT_JOB)
            peer.send(P.JOB_CREATED, b"H:1")
            peer.send(P.WORK_FAIL, b"H:1\0")
            peer.wait_until_closed()

        with FakeServer(script) as server, self.client(server) as client:
            assert isinstance(client.submit("f").exception(PATIENCE), JobFailed)

    def test_it_reads_while_it_sends(self):
        """A server may stop reading from who does not read; both would wait for ever."""

        def script(peer):
            peer.accept_options()
            peer.receive(P.SUBMIT_JOB)
            peer.send(P.JOB_CREATED, b"H:1")
            for _ in range(16):
                peer.send(P.WORK_DATA, b"H:1", bytes(2**20))
            peer.receive(P.SUBMIT_JOB)
            peer.send(P.JOB_CREATED, b"H:2")
            peer.wait_until_closed()

        with FakeServer(script) as server, self.client(server) as client:
            first = client.submit("f")
            assert client.submit("f", bytes(16 * 2**20)).handle == "H:2"
            assert len(first.data) == 16

    def test_a_workload_that_timed_out_half_sent_is_completed(self):
        go = threading.Event()
        workloads = []

        def script(peer):
            peer.accept_options()
            go.wait(PATIENCE)
            for handle in (b"H:1", b"H:2"):
                workloads.append(peer.receive(P.SUBMIT_JOB)[2])
                peer.send(P.JOB_CREATED, handle)
            peer.wait_until_closed()

        with FakeServer(script) as server, self.client(server) as client:
            with pytest.raises(TimedOut):
                client.submit("f", bytes(16 * 2**20), timeout=0.1)
            go.set()
            assert client.submit("f", b"next").handle == "H:2"
        assert [len(workload) for workload in workloads] == [16 * 2**20, 4]

    def test_what_a_server_says_before_it_hangs_up_is_heard(self):
        def script(peer):
            peer.accept_options()
            peer.send(P.ERROR, b"ARGUMENT_TOO_LARGE", b"I take no more than 1 MB")

        with (
            FakeServer(script) as server,
            self.client(server) as client,
            pytest.raises(ServerError, match="no more than 1 MB"),
        ):
            client.submit("f", bytes(16 * 2**20))

    def test_a_thread_may_connect_for_others(self):
        """The first call has the connection to itself until it is made; the others wait for that."""
        count = 8

        def script(peer):
            peer.accept_options()
            for _ in range(count):
                peer.send(P.ECHO_RES, *peer.receive(P.ECHO_REQ))
            peer.wait_until_closed()

        with FakeServer(script) as server, self.client(server) as client:
            answers = []
            threads = [
                threading.Thread(target=lambda data=b"%d" % i: answers.append(client.echo(data) == data))
                for i in range(count)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert answers == [True] * count

    def test_a_text_is_no_workload(self):
        with Client(("127.0.0.1", free_port())) as client:  # which needs no server to say so
            with pytest.raises(TypeError, match="workload must be bytes-like, not str: encode it"):
                client.submit("f", "text")
            with pytest.raises(ValueError, match="more than 63 bytes"):
                client.status("H" * 64)

    def test_an_absent_server(self):
        port = free_port()
        with (
            Client(f"127.0.0.1:{port}") as client,
            pytest.raises(ServerUnavailable, match=f"127.0.0.1:{port}: Connection refused") as caught,
        ):
            client.submit("f")
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)

    @pytest.mark.parametrize("host", ["localhost", "::1"])
    def test_names_and_ipv6(self, host):
        def script(peer):
            peer.accept_options()
            peer.send(P.ECHO_RES, *peer.receive(P.ECHO_REQ))
            peer.wait_until_closed()

        try:
            server = FakeServer(script, host="127.0.0.1" if host == "localhost" else host)
        except OSError as error:
            pytest.skip(f"no {host} on this machine: {error}")
        text = f"[{host}]" if ":" in host else host
        with server, Client(f"{text}:{server.address[1]}", timeout=PATIENCE) as client:
            assert client.echo(b"x") == b"x"
            assert repr(client) == f"<Client {text}:{server.address[1]}>"

    def test_small_packets_are_not_held_back(self):
        with FakeServer(lambda peer: peer.wait_until_closed()) as server, self.client(server, 0.01) as client:
            with pytest.raises(TimedOut):
                client.ping()
            (link,) = client._links._links.values()
            sock = link.connection._socket
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
