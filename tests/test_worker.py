"""The blocking worker, against job servers and against scripted ones."""

import asyncio
import logging
import os
import signal
import threading
import time

import pytest
from fake_server import PATIENCE, FakeServer, Peer, free_port

import gearcore.aio
import gearcore.session.pauses
from gearcore import (
    Client,
    ConnectionLost,
    JobException,
    JobFailed,
    JobStatus,
    ProtocolError,
    ServerError,
    ServerUnavailable,
    TimedOut,
    Worker,
)
from gearcore._blocking import Connection
from gearcore.protocol import PacketType as P

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.fixture
def quick(monkeypatch):
    """Pauses that a test can wait for."""
    monkeypatch.setattr(gearcore.session.pauses, "FIRST_PAUSE", 0.01)


class TestRegistration:
    def test_names(self):
        worker = Worker()

        @worker.function
        def by_its_name(job): ...

        @worker.function("größe")
        def other(job): ...

        worker.register(b"\xff", len)
        assert list(worker._functions) == [b"by_its_name", "größe".encode(), b"\xff"]
        assert by_its_name.__name__ == "by_its_name"
        assert other.__name__ == "other"

    def test_bad_registrations(self):
        worker = Worker()
        worker.register("f", len)
        with pytest.raises(ValueError, match="'f' is registered already"):
            worker.register(b"f", len)
        with pytest.raises(ValueError, match="NUL"):
            worker.register("a\0b", len)

    @pytest.mark.parametrize("client_id", ["a b", "a\nb", "a\0b"])
    def test_bad_client_ids(self, client_id):
        with pytest.raises(ValueError, match="client_id"):
            Worker(client_id=client_id)

    def test_bad_runs(self, server, worker, running):
        with pytest.raises(RuntimeError, match="no function"):
            Worker().run()
        with pytest.raises(ValueError, match="max_jobs"):
            worker.run(max_jobs=0)
        with running(worker), Client(server.address) as client:
            client.submit("nothing").result(PATIENCE)
            with pytest.raises(RuntimeError, match="running already"):
                worker.run()


class TestAgainstServers:
    def test_what_a_function_is_given(self, client, server, running):
        worker = Worker(server.address, client_id="tester")
        seen = []

        @worker.function("größe")
        def _(job):
            seen.append((job.handle, job.function, job.unique, job.reducer, job.workload))
            return bytearray(b"ok")

        with running(worker):
            job = client.submit("größe", b"a\0b", unique="id")
            assert job.result(PATIENCE) == b"ok"
            assert b" tester : gr" in server.admin("workers")
        assert seen == [(job.handle, "größe", "id", "", b"a\0b")]

    def test_a_reducer(self, server, running):
        worker = Worker(server.address)
        worker.register("f", lambda job: job.reducer.encode())
        with running(worker), Peer.connect(server.address) as client:
            client.send(P.SUBMIT_REDUCE_JOB, b"f", b"", b"sum", b"", b"workload")
            handle = client.receive(P.JOB_CREATED)[0]
            assert client.receive(P.WORK_COMPLETE) == (handle, b"sum")

    def test_bad_jobs_do_not_stop_it(self, client, worker, running):
        class Unprintable(Exception):
            def __str__(self):
                raise RuntimeError("no text")

        def unprintable(job):
            raise Unprintable

        def surrogate(job):
            raise ValueError("\udcff")

        def silent(job):
            raise KeyError

        worker.register("unprintable", unprintable)
        worker.register("silent", silent)
        worker.register("text", lambda job: "text")
        worker.register("number", lambda job: 5)
        worker.register("surrogate", surrogate)
        worker.register("gaps", lambda job: memoryview(b"abcd")[::2])
        with running(worker):
            for function, text in {
                "raise": "LookupError: no such thing: ",
                "unprintable": "Unprintable: (its text raises an exception)",
                "silent": "KeyError",
                "text": "TypeError: result must be bytes-like, not str: encode it first",
                "number": "TypeError: result must be bytes-like, not int",
                "surrogate": "ValueError: \\udcff",
                "gaps": "BufferError: result must be bytes in one piece",
            }.items():
                error = client.submit(function).exception(PATIENCE)
                assert isinstance(error, JobException)
                assert error.data.decode().startswith(text)
            assert isinstance(client.submit("fail").exception(PATIENCE), JobFailed)
            assert client.submit("reverse", b"ab").result(PATIENCE) == b"ba"

    def test_exceptions_end_the_job_also_for_those_who_did_not_ask_for_them(self, server, worker, running):
        with running(worker), Peer.connect(server.address) as client:
            client.send(P.SUBMIT_JOB, b"raise", b"", b"")
            handle = client.receive(P.JOB_CREATED)[0]
            assert client.receive(P.WORK_FAIL)[0].rstrip(b"\0") == handle

    def test_updates_arrive_while_the_function_runs(self, client, server, running):
        worker = Worker(server.address)
        go = threading.Event()

        @worker.function
        def slow(job):
            sender = threading.Thread(target=job.send_data, args=[b"from another thread"])
            sender.start()
            sender.join()
            job.send_status(1, 2)
            go.wait(PATIENCE)

        with running(worker):
            job = client.submit("slow")
            assert next(iter(job)) == b"from another thread"
            go.set()
            assert job.result(PATIENCE) == b""
            assert (job.progress.numerator, job.progress.denominator) == (1, 2)

    def test_nothing_is_sent_for_a_job_that_has_ended(self, client, server, running):
        worker = Worker(server.address)
        jobs = []
        worker.register("f", jobs.append)
        with running(worker):
            handle = client.submit("f").handle
            assert client.submit("f").result(PATIENCE) == b""
            for send in (
                lambda: jobs[0].send_data(b""),
                lambda: jobs[0].send_warning(b""),
                lambda: jobs[0].send_status(1, 2),
            ):
                with pytest.raises(ValueError, match=f"job {handle} has ended"):
                    send()
            assert client.submit("f").result(PATIENCE) == b""

    def test_stop_while_it_waits(self, client, worker, running):
        with running(worker) as thread:
            client.submit("nothing").result(PATIENCE)
            worker.stop()
            thread.join()

    def test_stop_lets_the_job_in_hand_end(self, client, server, running):
        worker = Worker(server.address)
        started, go = threading.Event(), threading.Event()

        @worker.function
        def slow(job):
            started.set()
            go.wait(PATIENCE)
            return b"done"

        with running(worker) as thread:
            first, second = client.submit("slow"), client.submit("slow")
            started.wait(PATIENCE)
            worker.stop()
            go.set()
            assert first.result(PATIENCE) == b"done"
            thread.join()
        assert client.status(second.handle) == JobStatus(
            known=True, running=False, numerator=0, denominator=0
        )

    def test_stop_while_a_further_connection_is_made(self, client, server, monkeypatch):
        """A function with a limit has its own connection; here it is made when the worker was stopped."""
        stopped, closed = threading.Event(), threading.Event()
        connections = []
        make_connection, close_connection = Connection.open, Connection.close

        def make_the_second_late(*arguments):
            connections.append(arguments)
            if len(connections) == 2:
                stopped.wait(PATIENCE)
            return make_connection(*arguments)

        def close(connection):
            close_connection(connection)
            closed.set()

        def stop(job):
            monkeypatch.setattr(Connection, "close", close)
            worker.stop()
            stopped.set()
            closed.wait(PATIENCE)

        for name in ("stop", "stop too"):
            client.submit(name, background=True)
        monkeypatch.setattr(Connection, "open", make_the_second_late)
        worker = Worker(server.address, threads=2)
        worker.register("stop", stop)
        worker.register("stop too", stop, concurrency=1)
        worker.run()  # it ends, and raises nothing
        assert len(connections) == 2

    def test_stop_before_and_after(self, client, worker, running):
        worker.stop()
        worker.run()
        with running(worker):
            assert client.submit("reverse", b"ab").result(PATIENCE) == b"ba"

    def test_a_function_may_stop_its_worker(self, client, server):
        worker = Worker(server.address)
        worker.register("quit", lambda job: worker.stop())
        job = client.submit("quit")
        worker.run()
        assert job.result(PATIENCE) == b""

    def test_the_job_that_stops_a_worker_is_its_last(self, client, server):
        jobs = [client.submit("quit", background=True) for _ in range(3)]
        blocking, asynchronous = Worker(server.address), gearcore.aio.Worker(server.address)
        blocking.register("quit", lambda job: blocking.stop())

        @asynchronous.function("quit")
        async def quit_(job):
            asynchronous.stop()

        blocking.run()
        assert [client.status(job.handle).known for job in jobs] == [False, True, True]
        asyncio.run(asynchronous.run())
        assert [client.status(job.handle).known for job in jobs] == [False, False, True]

    def test_a_signal_may_stop_it(self, client, server):
        worker = Worker(server.address)
        worker.register("signal", lambda job: os.kill(os.getpid(), signal.SIGUSR1))
        client.submit("signal", background=True)
        before = signal.signal(signal.SIGUSR1, lambda *_: worker.stop())
        try:
            worker.run()
        finally:
            signal.signal(signal.SIGUSR1, before)

    def test_max_jobs(self, client, worker, running):
        jobs = [client.submit(function) for function in ("fail", "raise", "nothing", "nothing")]
        with running(worker, max_jobs=3) as thread:
            thread.join()
        assert sum(job.wait(0.05) for job in jobs) == 3
        worker.run(max_jobs=1)
        assert all(job.wait(PATIENCE) for job in jobs)

    def test_an_interrupted_job_goes_to_another_worker(self, client, server):
        worker = Worker(server.address)

        @worker.function
        def f(job):
            raise KeyboardInterrupt

        job = client.submit("f", b"x")
        with pytest.raises(KeyboardInterrupt):
            worker.run()
        with Peer.connect(server.address) as other:
            other.send(P.CAN_DO, b"f")
            other.send(P.PRE_SLEEP)
            other.receive(P.NOOP)
            other.send(P.GRAB_JOB)
            handle, _, workload = other.receive(P.JOB_ASSIGN)
            assert workload == b"x"
            other.send(P.WORK_COMPLETE, handle, b"end")
            assert job.result(PATIENCE) == b"end"

    def test_a_server_that_restarts(self, client, server, worker, running, quick):
        with running(worker):
            assert client.submit("reverse", b"ab").result(PATIENCE) == b"ba"
            server.stop()
            server.start()
            assert client.submit("reverse", b"cd").result(PATIENCE) == b"dc"

    def test_stop_while_the_server_is_away(self, client, server, worker, running, monkeypatch, caplog):
        monkeypatch.setattr(gearcore.session.pauses, "FIRST_PAUSE", 10 * PATIENCE)
        monkeypatch.setattr(gearcore.session.pauses, "LONGEST_PAUSE", 10 * PATIENCE)
        with running(worker) as thread:
            client.submit("nothing").result(PATIENCE)
            server.stop()
            wait_until(lambda: "next attempt in" in caplog.text)
            worker.stop()
            thread.join()

    def test_the_log_names_jobs_and_not_what_is_in_them(self, client, server, worker, running, caplog):
        caplog.set_level(logging.DEBUG, "gearcore.worker")
        with running(worker, max_jobs=3) as thread:
            jobs = [client.submit(function, b"secret") for function in ("reverse", "fail", "chatter")]
            for job in jobs:
                job.wait(PATIENCE)
            thread.join()
        for job in jobs:
            lines = [line for line in caplog.messages if job.handle in line]
            assert len(lines) == 2
            for line in lines:
                assert str(server) in line
                assert repr(job.function) in line
        assert "secret" not in caplog.text
        assert "terces" not in caplog.text
        assert "on request" in caplog.text
        assert "\n" not in "".join(caplog.messages)

    def test_the_log_has_the_traceback_of_an_exception(self, client, worker, running, caplog):
        with running(worker):
            job = client.submit("raise", b"hat")
            job.wait(PATIENCE)
            client.submit("nothing").result(PATIENCE)
        [record] = [record for record in caplog.records if job.handle in record.getMessage()]
        assert record.levelno == logging.ERROR
        assert record.exc_info[0] is LookupError


def wait_until(done):
    """Look again and again, where there is nothing to wait for."""
    give_up = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.002)


def accept(peer):
    """Take what a worker says first, up to its grab."""
    peer.receive(P.CAN_DO)
    peer.receive(P.GRAB_JOB_ALL)


def bed(peer):
    """Answer a grab with no job."""
    peer.send(P.NO_JOB)
    peer.receive(P.PRE_SLEEP)


class TestAgainstScripts:
    def worker(self, server, timeout=PATIENCE, function=lambda job: job.workload):
        worker = Worker(server.address, timeout=timeout)
        worker.register("f", function)
        return worker

    def test_an_absent_server(self):
        port = free_port()
        worker = Worker(("127.0.0.1", port))
        worker.register("f", len)
        with pytest.raises(ServerUnavailable, match=f"127.0.0.1:{port}: Connection refused"):
            worker.run()

    def test_a_server_that_never_answers(self):
        with (
            FakeServer(lambda peer: peer.wait_until_closed()) as server,
            pytest.raises(TimedOut, match=rf"waited 0\.05 s for {server}"),
        ):
            self.worker(server, timeout=0.05).run()

    def test_a_server_that_is_none(self):
        with (
            FakeServer(lambda peer: peer.send_bytes(b"220 mail.example ESMTP\r\n")) as server,
            pytest.raises(ProtocolError, match=str(server)),
        ):
            self.worker(server).run()

    def test_a_server_that_closes_at_once(self):
        with FakeServer(accept) as server, pytest.raises(ConnectionLost, match=str(server)):
            self.worker(server).run()

    def test_a_server_that_refuses_to_hand_out_jobs(self):
        def script(peer):
            accept(peer)
            peer.send(P.ERROR, b"unknown_command", b"GRAB_JOB_ALL")
            peer.wait_until_closed()

        with FakeServer(script) as server, pytest.raises(ServerError, match=f"unknown_command.*{server}"):
            self.worker(server).run()

    def test_once_answered_it_comes_back_after_anything(self, running, quick, caplog):
        def garbage(peer):
            accept(peer)
            bed(peer)
            peer.send_bytes(b"garbage and more")
            peer.wait_until_closed()

        def refusal(peer):
            accept(peer)
            peer.send(P.ERROR, b"no", b"not now")
            peer.wait_until_closed()

        def half_a_packet(peer):
            accept(peer)
            peer.send_bytes(b"\0RES\0\0\0")

        def silence(peer):
            accept(peer)
            peer.wait_until_closed()

        done = threading.Event()

        def at_last(peer):
            accept(peer)
            peer.send(P.JOB_ASSIGN, b"H:1", b"f", b"x")
            assert peer.receive(P.WORK_COMPLETE) == (b"H:1", b"x")
            peer.receive(P.GRAB_JOB_ALL)
            bed(peer)
            done.set()
            peer.receive(P.RESET_ABILITIES)
            peer.wait_until_closed()

        with FakeServer(garbage, refusal, half_a_packet, silence, at_last) as server:
            worker = self.worker(server, timeout=0.1)
            with running(worker):
                assert done.wait(PATIENCE)
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == 4
        assert all(str(server) in warning for warning in warnings)

    def test_a_job_longer_than_the_timeout(self):
        """The timeout is the server's, for an answer; a job takes as long as it takes."""

        def script(peer):
            accept(peer)
            peer.send(P.JOB_ASSIGN, b"H:1", b"f", b"x")
            peer.receive(P.WORK_COMPLETE)
            peer.receive(P.GRAB_JOB_ALL)
            peer.send(P.JOB_ASSIGN, b"H:2", b"f", b"x")
            peer.receive(P.WORK_COMPLETE)
            peer.receive(P.RESET_ABILITIES)
            peer.wait_until_closed()

        with FakeServer(script) as server:
            self.worker(server, timeout=0.1, function=lambda job: time.sleep(0.15)).run(max_jobs=2)

    def test_a_complaint_is_logged(self, caplog):
        def script(peer):
            accept(peer)
            peer.send(P.JOB_ASSIGN_UNIQ, b"H:1", b"f", b"", b"x")
            peer.receive(P.WORK_COMPLETE)
            peer.receive(P.GRAB_JOB_ALL)
            peer.send(P.ERROR, b"JOB_NOT_FOUND", b"Job given in work result not found")
            peer.send(P.JOB_ASSIGN_UNIQ, b"H:2", b"f", b"", b"x")
            peer.receive(P.WORK_COMPLETE)
            peer.wait_until_closed()

        with FakeServer(script) as server:
            self.worker(server).run(max_jobs=2)
            assert any("JOB_NOT_FOUND" in line and str(server) in line for line in caplog.messages)

    def test_a_job_that_nobody_registered(self, caplog):
        def script(peer):
            accept(peer)
            peer.send(P.JOB_ASSIGN, b"H:1", b"g", b"x")
            assert peer.receive(P.WORK_EXCEPTION) == (b"H:1", b"LookupError: this worker does not offer 'g'")
            peer.wait_until_closed()

        with FakeServer(script) as server:
            self.worker(server).run(max_jobs=1)

    def test_a_function_learns_that_the_connection_is_lost(self, running, quick):
        errors = []
        back = threading.Event()

        def first(peer):
            accept(peer)
            peer.send(P.JOB_ASSIGN, b"H:1", b"f", b"x")

        def second(peer):
            accept(peer)
            bed(peer)
            back.set()
            peer.wait_until_closed()

        def chatter(job):
            try:
                for _ in range(100_000):
                    job.send_status(1, 2)
            except ConnectionLost as error:
                errors.append(str(error))
                raise

        with FakeServer(first, second) as server, running(self.worker(server, function=chatter)):
            assert back.wait(PATIENCE)
        assert str(server) in errors[0]

    def test_a_last_job_whose_end_cannot_be_told(self, caplog):
        def script(peer):
            accept(peer)
            peer.send(P.JOB_ASSIGN, b"H:1", b"f", b"x")

        def chatter(job):
            for _ in range(100_000):
                job.send_status(1, 2)

        with FakeServer(script) as server:
            self.worker(server, function=chatter).run(max_jobs=1)
        assert f"the connection to {server} ended" in caplog.text
        assert "next attempt" not in caplog.text

    def test_a_result_that_the_server_does_not_take(self, caplog):
        over = threading.Event()

        def script(peer):
            accept(peer)
            peer.send(P.JOB_ASSIGN, b"H:1", b"f", b"x")
            over.wait(PATIENCE)

        with FakeServer(script) as server:
            worker = self.worker(server, timeout=0.1, function=lambda job: bytes(16 * 2**20))
            worker.run(max_jobs=1)
            over.set()
        assert f"waited 0.1 s for {server} to take data" in caplog.text

    def test_an_interrupt_while_it_waits(self):
        def script(peer):
            accept(peer)
            bed(peer)
            os.kill(os.getpid(), signal.SIGINT)
            peer.wait_until_closed()

        # What runs in the background of a shell ignores it.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with FakeServer(script) as server, pytest.raises(KeyboardInterrupt):
                self.worker(server).run()
        finally:
            signal.signal(signal.SIGINT, before)

    def test_a_signal_that_stops_it_while_it_waits(self):
        def script(peer):
            accept(peer)
            bed(peer)
            os.kill(os.getpid(), signal.SIGUSR1)
            peer.receive(P.RESET_ABILITIES)
            peer.wait_until_closed()

        with FakeServer(script) as server:
            worker = self.worker(server)
            before = signal.signal(signal.SIGUSR1, lambda *_: worker.stop())
            try:
                worker.run()
            finally:
                signal.signal(signal.SIGUSR1, before)
