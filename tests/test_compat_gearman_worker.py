"""The worker of gearcore's module with python-gearman's API: what its users find documented, and override."""

import socket
import threading
import time

import pytest
from fake_server import PATIENCE, FakeServer, free_port
from gearman_programs import Stoppable, clients_of, tls_entry, working

from gearcore import AdminClient, Client, JobException, Server
from gearcore.compat import gearman
from gearcore.compat.gearman import worker as worker_module
from gearcore.compat.gearman.errors import ProtocolError, ServerUnavailable
from gearcore.protocol import PacketType as P

pytestmark = pytest.mark.usefixtures("no_hang")


def eventually(true):
    give_up = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.002)


def test_what_a_function_is_given(server, client):
    seen = []

    def look(worker, job):
        seen.append((worker, type(job), job.task, job.handle, job.unique, job.data))
        return job.data + "!"

    class Job(gearman.GearmanJob):
        pass

    class Worker(Stoppable):
        job_class = Job

    with working(Worker([str(server)]), {"look": look}) as worker:
        job = client.submit("look", "ä\udcff".encode("utf-8", "surrogateescape"), unique="mine")
        assert job.result(PATIENCE) == b"\xc3\xa4\xff!"
    assert seen == [(worker, Job, "look", job.handle, "mine", "ä\udcff")]


@pytest.mark.parametrize("task", ["look", b"look"])
@pytest.mark.parametrize("text", [True, False])
def test_a_task_is_of_the_type_it_was_registered_with(server, client, task, text, monkeypatch):
    monkeypatch.setattr(gearman.GearmanWorker, "text", text)

    class Worker(Stoppable):
        def on_job_execute(self, current_job):
            assert self.worker_abilities[current_job.task] is self.worker_abilities[task]
            return super().on_job_execute(current_job)

    with working(Worker([str(server)]), {task: lambda worker, job: type(job.task).__name__}):
        assert client.submit("look").result(PATIENCE) == type(task).__name__.encode()


def test_hooks_are_called_in_their_order(server, client):
    called = []

    class Worker(Stoppable):
        def on_job_execute(self, current_job):
            called.append("execute")
            assert self.has_job_lock()
            assert self.check_job_lock(current_job.connection.handler)
            return super().on_job_execute(current_job)

        def on_job_complete(self, current_job, job_result):
            called.append(f"complete {job_result}")
            return super().on_job_complete(current_job, job_result)

        def on_job_exception(self, current_job, exc_info):
            called.append(f"exception {exc_info[1]}")
            return super().on_job_exception(current_job, exc_info)

        def after_job(self):
            called.append("after job")
            assert not self.has_job_lock()
            return True

    def fail(worker, job):
        raise LookupError("lost")

    with working(Worker([str(server)]), {"echo": lambda worker, job: job.data, "fail": fail}):
        assert client.submit("echo", b"x").result(PATIENCE) == b"x"
        assert client.submit("fail").exception(PATIENCE) is not None
        eventually(lambda: called.count("after job") == 2)
    assert called == ["execute", "complete x", "after job", "execute", "exception lost", "after job"]


def test_after_poll_ends_the_work_before_it_begins(server, client):
    job = client.submit("echo", b"x")

    class Worker(gearman.GearmanWorker):
        def after_poll(self, any_activity):
            assert not any_activity
            return False

    worker = Worker([str(server)])
    worker.register_task("echo", lambda worker, job: job.data)
    worker.work()
    assert not worker.connection_list[0].connected
    assert client.status(job.handle).known
    assert not client.status(job.handle).running


def test_after_job_ends_the_work_after_one_job(server, client):
    jobs = [client.submit("echo", b"x") for _ in range(2)]

    class Worker(gearman.GearmanWorker):
        def after_job(self):
            return False

    worker = Worker([str(server)])
    worker.register_task("echo", lambda worker, job: job.data)
    worker.work()
    assert jobs[0].result(PATIENCE) == b"x"
    assert client.status(jobs[1].handle).known
    worker.work()
    assert jobs[1].result(PATIENCE) == b"x"


def test_after_poll_is_called_while_nothing_happens(server):
    calls = []

    class Worker(gearman.GearmanWorker):
        def after_poll(self, any_activity):
            calls.append((time.monotonic(), any_activity))
            return len(calls) < 20

    worker = Worker([str(server)])
    worker.register_task("echo", lambda worker, job: job.data)
    worker.work(poll_timeout=0.02)
    idle = [at for at, any_activity in calls if not any_activity]
    assert len(idle) >= 15
    # at a boundary it is called twice, once for each round
    assert idle[-1] - idle[0] >= 0.02 * (len(idle) // 2 - 1), "it does not wait"


def test_a_loop_of_ones_own(server, client):
    class HaltIfInactive(gearman.GearmanWorker):
        active = True

        def after_poll(self, any_activity):
            self.active = self.active and any_activity
            return True

        def work(self, poll_timeout=60.0):
            connections = self.establish_worker_connections()
            go_on = True
            while go_on:
                timed_out = self.poll_connections_until_stopped(
                    connections, lambda any_activity: self.after_poll(any_activity), timeout=poll_timeout
                )
                go_on = not timed_out
            self.shutdown()

    jobs = [client.submit("echo", b"x") for _ in range(5)]
    worker = HaltIfInactive([str(server)])
    worker.register_task("echo", lambda worker, job: job.data)
    worker.work(poll_timeout=0.2)
    assert [job.result(PATIENCE) for job in jobs] == [b"x"] * 5


def test_tasks_that_come_and_go_while_it_works(server, client):
    job = client.submit("late", b"x")
    with working(Stoppable([str(server)])) as worker:
        client.submit("echo", b"").result(PATIENCE)

        def add(worker, job):
            worker.register_task("late", lambda worker, job: "here")
            worker.unregister_task("chatter")
            worker.unregister_task("unheard-of")
            worker.unregister_task("echo")  # which runs
            return "added"

        # in the worker's own thread, as it is not for two
        worker.worker_abilities["echo"] = add
        assert client.submit("echo", b"").result(PATIENCE) == b"added"
        assert job.result(PATIENCE) == b"here"
        with AdminClient(server.address) as admin:
            functions = {row.function: row.workers for row in admin.status()}
        assert functions["late"] == 1
        assert functions.get("chatter", 0) == functions.get("echo", 0) == 0


def test_registering_is_for_names(server):
    worker = gearman.GearmanWorker([str(server)])
    assert worker.register_task("f", print) == "f"
    assert worker.unregister_task("f") == "f"
    assert worker.worker_abilities == {}
    with pytest.raises(ProtocolError, match="NUL"):
        worker.register_task("a\0b", print)
    with pytest.raises(TypeError):
        worker.register_task(5, print)


def test_a_client_id(server, client):
    def names():
        with AdminClient(server.address) as admin:
            return {row.client_id for row in admin.workers() if row.functions}

    worker = Stoppable([str(server)])
    assert worker.set_client_id("before") == "before"
    with working(worker, {"rename": lambda worker, job: worker.set_client_id(job.data)}):
        eventually(lambda: names() == {"before"})
        assert client.submit("rename", b"after").result(PATIENCE) == b"after"
        assert names() == {"after"}


def test_updates_are_checked(server, client):
    said = []

    def update(worker, job):
        with pytest.raises(AssertionError):
            worker.send_job_status(job, "1", 2)
        with pytest.raises(TypeError):
            worker.send_job_data(job, 5)
        worker.send_job_status(job, 1, 2)
        worker.send_job_complete(job, "done")
        # It has ended: nobody is told any more, and nothing breaks.
        worker.send_job_data(job, "late")
        worker.send_job_failure(job)
        worker.wait_until_updates_sent([job], poll_timeout=1.0)
        said.append("all")
        return "not this"

    with working(Stoppable([str(server)]), {"update": update, "echo": lambda worker, job: job.data}):
        job = client.submit("update")
        assert job.result(PATIENCE) == b"done"
        assert job.progress.numerator, job.progress.denominator == (1, 2)
        assert client.submit("echo", b"x").result(PATIENCE) == b"x"
    assert said == ["all"]


def test_a_reason_for_who_asks_for_reasons(server, client):
    class Worker(Stoppable):
        def on_job_exception(self, current_job, exc_info):
            self.send_job_exception(current_job, str(exc_info[1]))
            return super().on_job_exception(current_job, exc_info)

    with working(Worker([str(server)])), clients_of(server) as own:
        failure = client.submit("raise", b"lost").exception(PATIENCE)
        assert isinstance(failure, JobException)
        assert failure.data == b"lost"
        request = own.submit_job("raise", "lost")
        assert (request.state, request.exception, request.complete) == ("FAILED", "lost", True)


def test_large_results_wait_for_room():
    """A client that reads nothing for a while does not stop the worker from being told to wait no longer."""
    size = 30_000_000
    sent = []

    def script(peer):
        peer.receive(P.CAN_DO)
        peer.receive(P.GRAB_JOB_ALL)
        peer.send(P.JOB_ASSIGN_ALL, b"H:1", b"large", b"", b"", b"")
        release.wait(PATIENCE)
        assert len(peer.receive(P.WORK_DATA)[1]) == size
        assert peer.receive(P.WORK_COMPLETE)[1] == b"end"
        peer.wait_until_closed()

    def large(worker, job):
        worker.send_job_data(job, b"x" * size, poll_timeout=0.05)
        sent.append(job.connection.writable())
        release.set()
        worker.wait_until_updates_sent([job])
        sent.append(job.connection.writable())
        worker.stopped.set()
        return "end"

    release = threading.Event()
    with FakeServer(script) as server, working(Stoppable([str(server)]), {"large": large}) as worker:
        assert worker.stopped.wait(PATIENCE)
    assert sent == [True, False]


class TestServers:
    def test_none(self):
        worker = gearman.GearmanWorker([f"127.0.0.1:{free_port()}"])
        with pytest.raises(ServerUnavailable, match="Connection refused"):
            worker.work()

    def test_two(self):
        with Server(port=0) as one, Server(port=0) as two:
            names = [f"127.0.0.1:{server.port}" for server in (one, two)]
            with working(Stoppable([*names, f"127.0.0.1:{free_port()}"])):
                for name in names * 5:
                    with Client(name) as client:
                        assert client.submit("echo", b"x").result(PATIENCE) == b"x"

    def test_one_of_two_goes_and_comes_back(self, server):
        def try_it(name):
            with Client(name) as client:
                assert client.submit("echo", b"x").result(PATIENCE) == b"x"

        with Server(port=0) as other:
            names = [str(server), f"127.0.0.1:{other.port}"]
            with working(Stoppable(names)):
                try_it(names[0])
                server.stop()
                try_it(names[1])
                server.start()
                try_it(names[0])

    def test_tls(self, authority, tmp_path):
        with Server(port=0, tls=authority.files()) as server:
            entry = tls_entry(authority, tmp_path, server.port)
            client = gearman.GearmanClient([entry])
            with working(Stoppable([entry])):
                large = "x" * 1_000_000
                jobs = [{"task": "echo", "data": data} for data in ("a", large, "b")]
                requests = client.submit_multiple_jobs(jobs)
            assert [request.result for request in requests] == ["a", large, "b"]
            client.shutdown()

    def test_one_that_is_there_again_at_once(self):
        """The original leaves work() by ServerUnavailable, even if the server is there to connect to."""

        def serve(peer):
            peer.receive(P.CAN_DO)
            peer.receive(P.GRAB_JOB_ALL)
            peer.send(P.NO_JOB)
            peer.receive(P.PRE_SLEEP)

        with FakeServer(serve, serve, serve) as server:
            worker = gearman.GearmanWorker([str(server)])
            worker.register_task("f", print)
            with pytest.raises(ServerUnavailable, match="Connection refused"):
                worker.work()

    def test_a_server_that_hangs_up_on_everybody(self):
        with FakeServer(lambda peer: None, lambda peer: None) as server:
            worker = gearman.GearmanWorker([str(server)])
            with pytest.raises(ServerUnavailable, match="no server is connected"):
                worker.work()
            # It was connected to once: there is one script left to be played.
            socket.create_connection(server.address).close()

    def test_one_that_refuses_grabs(self, caplog):
        errors = []

        class Worker(gearman.GearmanWorker):
            def on_gearman_error(self, error_code, error_text):
                errors.append((error_code, error_text))
                return super().on_gearman_error(error_code, error_text)

        def script(peer):
            peer.receive(P.GRAB_JOB_ALL)
            peer.send(P.ERROR, b"NO", b"go away")
            peer.wait_until_closed()

        with FakeServer(script) as server, pytest.raises(ServerUnavailable):
            Worker([str(server)]).work()
        assert errors == [("NO", "go away")]


def test_a_worker_that_sleeps_for_long_asks_again(monkeypatch):
    monkeypatch.setattr(worker_module, "_LONGEST_SLEEP", 0.1)

    def script(peer):
        peer.receive(P.CAN_DO)
        for _ in range(3):
            peer.receive(P.GRAB_JOB_ALL)
            peer.send(P.NO_JOB)
            peer.receive(P.PRE_SLEEP)

    with FakeServer(script) as server:
        worker = gearman.GearmanWorker([str(server)])
        worker.register_task("f", print)
        with pytest.raises(ServerUnavailable):
            worker.work(poll_timeout=0.02)


def test_a_server_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(worker_module, "_LONGEST_SLEEP", 0.1)

    def silent(peer):
        peer.receive(P.CAN_DO)
        peer.receive(P.GRAB_JOB_ALL)
        peer.wait_until_closed()

    with FakeServer(silent, lambda peer: None) as server:
        worker = gearman.GearmanWorker([str(server)])
        worker.register_task("f", print)
        with pytest.raises(ServerUnavailable):
            worker.work(poll_timeout=0.02)
