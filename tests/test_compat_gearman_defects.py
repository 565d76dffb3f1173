"""What goes wrong in python-gearman and its Python 3 forks, and does not here: one test for each."""

import gc
import threading
import time
import weakref

import pytest
from fake_server import PATIENCE, FakeServer, free_port
from gearman_programs import Stoppable, clients_of, working

from gearcore import AdminClient, Client, Server, Worker
from gearcore.compat import gearman
from gearcore.compat.gearman.errors import GearmanError, ServerError, ServerUnavailable
from gearcore.protocol import PacketType as P

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.fixture
def client(server):
    with clients_of(server) as client:
        yield client


def fill(server):
    """Let there be room for no more jobs of the function ``full``."""
    with Client(server.address) as client, AdminClient(server.address) as admin:
        client.submit("full", background=True)
        admin.maxqueue("full", 1)


def test_a_full_queue_is_an_error_and_no_hang(server, client):
    fill(server)
    with pytest.raises(ServerError, match="QUEUE_ERROR") as caught:
        client.submit_job("full", "")
    assert isinstance(caught.value, GearmanError)
    assert caught.value.error_code == "QUEUE_ERROR"
    [request] = caught.value.job_requests
    assert (request.state, request.timed_out, request.complete) == (gearman.JOB_FAILED, False, True)
    assert request.exception == caught.value.error_text
    assert client.submit_job("roomy", "", background=True).complete


def test_a_full_queue_does_not_lose_the_other_jobs(server, client):
    fill(server)
    jobs = [{"task": task, "data": ""} for task in ("roomy", "full", "roomy")]
    with pytest.raises(ServerError) as caught:
        client.submit_multiple_jobs(jobs, background=True)
    states = [request.state for request in caught.value.job_requests]
    assert states == [gearman.JOB_CREATED, gearman.JOB_FAILED, gearman.JOB_CREATED]


def test_a_refusal_that_comes_late():
    def script(peer):
        peer.accept_options()
        peer.receive(P.SUBMIT_JOB)
        late.wait(PATIENCE)
        peer.send(P.ERROR, b"QUEUE_ERROR", b"Job queue is full")
        peer.wait_until_closed()

    late = threading.Event()
    with FakeServer(script) as server, clients_of(server) as client:
        request = client.submit_job("f", "", poll_timeout=0.02)
        assert (request.state, request.timed_out) == (gearman.JOB_PENDING, True)
        late.set()
        with pytest.raises(ServerError):
            client.wait_until_jobs_completed([request])
        assert (request.state, request.exception) == (gearman.JOB_FAILED, "Job queue is full")


def test_a_function_that_returns_none_completes_its_job(server, client):
    with working(Stoppable([str(server)])):
        request = client.submit_job("nothing", "")
        assert (request.state, request.result) == (gearman.JOB_COMPLETE, "")


def test_a_result_that_cannot_be_sent_fails_its_job_and_nothing_else(server, client):
    with working(Stoppable([str(server)])):
        assert client.submit_job("number", "").state == gearman.JOB_FAILED
        assert client.submit_job("echo", "x").result == "x"


def test_data_that_cannot_be_decoded_fails_its_job_and_nothing_else(server, client):
    class Picky(gearman.DataEncoder):
        @classmethod
        def encode(cls, encodable_object):
            return encodable_object

        @classmethod
        def decode(cls, decodable_string):
            return decodable_string.decode("ascii")

    class PickyWorker(Stoppable):
        data_encoder = Picky

    with working(PickyWorker([str(server)])):
        assert client.submit_job("echo", "ä").state == gearman.JOB_FAILED
        assert client.submit_job("echo", "x").result == "x"


def test_what_leaves_work_takes_its_job_along(server, client):
    """A hook that raises ends the worker, but the job does not end the next one too."""

    class Brittle(Stoppable):
        def on_job_execute(self, current_job):
            raise RuntimeError("a hook is broken")

    with pytest.raises(RuntimeError, match="a hook is broken"), working(Brittle([str(server)])):
        assert client.submit_job("echo", "x").state == gearman.JOB_FAILED


def test_an_exception_that_a_server_turns_into_a_failure_with_a_nul_behind_it():
    def script(peer):
        peer.receive(P.OPTION_REQ)
        peer.send(P.ERROR, b"UNKNOWN_OPTION", b"")
        peer.receive(P.SUBMIT_JOB)
        peer.send(P.JOB_CREATED, b"H:1")
        peer.send(P.WORK_FAIL, b"H:1\0")
        peer.wait_until_closed()

    with FakeServer(script) as server, clients_of(server) as client:
        assert client.submit_job("f", "").state == gearman.JOB_FAILED


def test_an_exception_is_there_and_ends_the_job(server, client):
    worker = Worker(server.address)

    @worker.function("raise")
    def _(job):
        raise LookupError("lost")

    from conftest import WorkerThread

    with WorkerThread(worker):
        request = client.submit_job("raise", "")
    assert (request.state, request.exception) == (gearman.JOB_FAILED, "LookupError: lost")


@pytest.mark.parametrize("max_retries", [0, 3])
def test_a_server_that_was_restarted_is_connected_to_again(server, client, max_retries):
    assert client.submit_job("queued", "", background=True).complete
    server.stop()
    server.start()
    request = client.submit_job("queued", "", background=True, max_retries=max_retries)
    assert (request.complete, request.connection_attempts) == (True, 1)


def test_a_status_after_a_restart(server, client):
    request = client.submit_job("queued", "", background=True)
    server.stop()
    server.start()
    assert client.get_job_status(request).status["known"] is False
    server.stop()
    with pytest.raises(ServerUnavailable):
        client.get_job_status(request)


def test_waiting_is_the_default(server, client):
    """One fork does not wait for the result unless it is given a time-out; one submits in the background."""
    with working(Stoppable([str(server)])):
        assert client.submit_job("echo", "x").result == "x"


def test_a_unique_id_may_be_any_bytes(server, client):
    with working(Stoppable([str(server)]), {"f": lambda worker, job: job.unique}):
        assert client.submit_job("f", "", unique=b"\xff\xfe").result == "\udcff\udcfe"


def test_a_running_job_is_known_and_running(server, client):
    started, go_on = threading.Event(), threading.Event()

    def wait(worker, job):
        worker.send_job_status(job, 3, 4)
        started.set()
        go_on.wait(PATIENCE)
        return ""

    with working(Stoppable([str(server)]), {"wait": wait}):
        request = client.submit_job("wait", "", background=True)
        assert started.wait(PATIENCE)
        # The server may not have read the progress yet.
        while not client.get_job_status(request).status["denominator"]:
            pass
        status = request.status
        assert (status["known"], status["running"]) == (True, True)
        assert (status["numerator"], status["denominator"]) == (3, 4)
        go_on.set()


def test_late_packets_are_let_pass():
    def script(peer):
        peer.accept_options()
        peer.receive(P.SUBMIT_JOB)
        peer.send(P.JOB_CREATED, b"H:1")
        peer.send(P.WORK_DATA, b"H:unknown", b"x")
        peer.send(P.WORK_COMPLETE, b"H:1", b"done")
        peer.send(P.WORK_FAIL, b"H:1")
        peer.send(P.WORK_COMPLETE, b"H:unknown", b"x")
        peer.receive(P.SUBMIT_JOB)
        peer.send(P.JOB_CREATED, b"H:2")
        peer.send(P.WORK_COMPLETE, b"H:2", b"done too")
        peer.wait_until_closed()

    with FakeServer(script) as server, clients_of(server) as client:
        assert client.submit_job("f", "").result == "done"
        assert client.submit_job("f", "").result == "done too"


def test_a_job_without_a_unique_id_can_be_worked_on():
    """The original recurses for ever over a JOB_ASSIGN."""

    def script(peer):
        peer.receive(P.CAN_DO)
        peer.receive(P.GRAB_JOB_ALL)
        peer.send(P.JOB_ASSIGN, b"H:1", b"echo", b"x")
        assert peer.receive(P.WORK_COMPLETE) == (b"H:1", b"x")

    with FakeServer(script) as server:
        worker = gearman.GearmanWorker([str(server)])
        worker.register_task("echo", lambda worker, job: job.data)
        with pytest.raises(ServerUnavailable):
            worker.work()


def test_a_worker_that_waits_does_not_go_round_and_round(server):
    calls = []

    class Counting(gearman.GearmanWorker):
        def after_poll(self, any_activity):
            calls.append(any_activity)
            return len(calls) < 10

    worker = Counting([str(server)])
    worker.register_task("f", print)
    begun = time.monotonic()
    worker.work(poll_timeout=0.1)
    # Some of the ten are for the answer to the first grab; the rest come in pairs, a wait after each.
    assert time.monotonic() - begun >= 0.3


def test_failed_connections_are_left_alone_for_a_while():
    """The original has the pause, and forgets it at once."""
    with Server(port=0) as server:
        with clients_of(f"127.0.0.1:{free_port()}", f"127.0.0.1:{server.port}") as client:
            dead = client.connection_list[0]
            tries = []
            connect = dead.connect
            dead.connect = lambda: (tries.append(1), connect())
            for number in range(50):
                assert client.submit_job("queued", "", unique=str(number), background=True).complete
        assert len(tries) == 1


def test_requests_that_nobody_keeps_are_forgotten(server, client):
    requests = [client.submit_job("queued", "", background=True) for _ in range(3)]
    with working(Stoppable([str(server)])):
        requests += [client.submit_job("echo", "x"), client.submit_job("raise", "x")]
    gone = [weakref.ref(request) for request in requests]
    requests.clear()
    gc.collect()
    assert [reference() for reference in gone] == [None] * 5


def test_a_client_that_nobody_keeps_is_closed(server):
    client = gearman.GearmanClient([str(server)])
    client.submit_job("queued", "", background=True)
    connection = client.connection_list[0]
    del client
    assert not connection.connected


class TestAdmin:
    """Answers that are mis-read elsewhere."""

    @pytest.fixture
    def admin(self, server):
        admin = gearman.GearmanAdminClient([str(server)])
        yield admin
        admin.shutdown()

    def test_maxqueue(self, admin, server, client):
        client.submit_job("full", "", background=True)
        assert admin.send_maxqueue("full", 1) == "OK"
        with pytest.raises(ServerError):
            client.submit_job("full", "", background=True)

    def test_a_client_id_with_a_space(self, admin, server):
        worker = Stoppable([str(server)])
        worker.set_client_id("two words")
        with working(worker, {"f": lambda worker, job: ""}), clients_of(server) as client:
            client.submit_job("f", "")
            assert {"two words"} <= {row["client_id"] for row in admin.get_workers()}

    def test_a_name_that_begins_beyond_ascii(self, admin, client):
        client.submit_job("ärger", "", background=True)
        assert [row["task"] for row in admin.get_status()] == ["ärger"]

    def test_a_command_after_a_refused_one(self, admin):
        assert admin.cancel_job("H:nobody:1") == "ERR UNKNOWN_JOB"
        assert admin.ping_server() < 10
        assert admin.get_version().startswith("OK ")
