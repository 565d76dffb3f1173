"""The client of gearcore's module with python-gearman's API: what its users find documented."""

import json
import os
import pickle
import time

import pytest
from fake_server import FakeServer, free_port
from gearman_programs import Stoppable, clients_of, tls_entry, working

from gearcore import Server
from gearcore.compat import gearman
from gearcore.compat.gearman.connection import GearmanConnection
from gearcore.compat.gearman.errors import (
    ExceededConnectionAttempts,
    GearmanError,
    ProtocolError,
    ServerUnavailable,
)
from gearcore.protocol import PacketType as P

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.fixture
def client(server):
    with clients_of(server) as client:
        yield client


@pytest.fixture
def busy(server):
    """A worker that runs beside the test."""
    with working(Stoppable([str(server)])) as worker:
        yield worker


def test_a_result_is_text(client, busy):
    request = client.submit_job("echo", "foo")
    assert (request.state, request.result, request.complete) == (gearman.JOB_COMPLETE, "foo", True)
    assert request.job.handle.startswith("H:")
    assert (request.timed_out, request.exception) == (False, None)


@pytest.mark.parametrize("data", ["", "héllo ☃", "a\0b", b"\xff\0\xfe", bytes(range(256)), "x" * 300_000])
def test_any_data_survives_the_round_trip(client, busy, data):
    text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
    assert client.submit_job("echo", data).result == text


def test_what_a_job_sends_on_its_way(client, busy):
    request = client.submit_job("chatter", "")
    assert list(request.data_updates) == ["one", "two"]
    assert list(request.warning_updates) == ["careful"]
    assert request.status["numerator"], request.status["denominator"] == (1, 2)
    assert request.status["known"]
    assert request.status["running"]
    assert request.status["handle"] == request.job.handle
    assert list(request.status_updates) == [(1, 2)]
    assert request.server_status is request.status
    assert request.result == "end"


def test_a_function_that_raises(client, busy, caplog):
    request = client.submit_job("raise", "no such thing")
    assert (request.state, request.result, request.complete) == (gearman.JOB_FAILED, None, True)
    assert "no such thing" in caplog.text


@pytest.mark.parametrize("priority", [gearman.PRIORITY_NONE, gearman.PRIORITY_LOW, gearman.PRIORITY_HIGH])
@pytest.mark.parametrize("background", [False, True])
def test_priorities(server, client, priority, background):
    request = client.submit_job(
        "queued", "", priority=priority, background=background, wait_until_complete=False
    )
    assert request.state == gearman.JOB_CREATED
    assert request.complete == background
    place = {gearman.PRIORITY_HIGH: 1, gearman.PRIORITY_NONE: 2, gearman.PRIORITY_LOW: 3}[priority]
    counts = server.admin("prioritystatus").split(b"\n")[0].split(b"\t")
    assert counts[place] == b"1"


def test_many_jobs_in_their_order(client, busy):
    jobs = [{"task": "echo", "data": str(number)} for number in range(200)]
    requests = client.submit_multiple_jobs(jobs)
    assert [request.result for request in requests] == [str(number) for number in range(200)]
    with pytest.raises(KeyError, match="data"):
        client.submit_multiple_jobs([{"task": "echo"}])
    with pytest.raises(AssertionError):
        client.submit_multiple_jobs(iter(jobs))


def test_requests_are_waited_for_in_two_steps(client, busy):
    requests = tuple(
        gearman.GearmanJobRequest(gearman.GearmanJob(None, None, "echo", None, data)) for data in "ab"
    )
    assert client.submit_multiple_requests(requests, wait_until_complete=False) is requests
    assert client.wait_until_jobs_completed(requests) is requests
    assert [request.result for request in requests] == ["a", "b"]


def test_a_unique_id_is_made_or_taken(server, client):
    made = client.submit_job("queued", "", background=True).job.unique
    assert len(made) == 32
    assert int(made, 16) >= 0
    client.submit_job("queued", "", unique="mine", background=True)
    assert sorted(server.admin("show unique jobs").split()) == sorted([b".", b"mine", made.encode()])
    other = gearman.GearmanClient([str(server)], random_unique_bytes=4)
    assert len(other.submit_job("queued", "", background=True).job.unique) == 8
    other.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_processes_that_fork_make_unique_ids_of_their_own():
    read, write = os.pipe()
    with open(read) as lines, open(write, "w") as pipe, Server(port=0) as server:
        host = f"127.0.0.1:{server.port}"
        if os.fork() == 0:
            try:
                client = gearman.GearmanClient([host])
                pipe.write(client.submit_job("queued", "", background=True).job.unique)
                pipe.flush()
            finally:
                os._exit(0)
        pipe.close()
        os.wait()
        with clients_of(host) as client:
            assert client.submit_job("queued", "", background=True).job.unique != lines.read()
        assert len(server.broker) == 2


def test_a_time_out_leaves_the_job_to_be_waited_for(server, client):
    request = client.submit_job("echo", "late", poll_timeout=0.05)
    assert (request.state, request.timed_out, request.complete) == (gearman.JOB_CREATED, True, False)
    with working(Stoppable([str(server)])):
        client.wait_until_jobs_completed([request], poll_timeout=10)
    assert (request.result, request.timed_out) == ("late", False)


def test_a_server_that_does_not_acknowledge():
    def script(peer):
        peer.accept_options()
        peer.receive(P.SUBMIT_JOB)
        peer.wait_until_closed()

    with FakeServer(script) as server, clients_of(server) as client:
        begun = time.monotonic()
        request = client.submit_job("f", "", poll_timeout=0.1)
        assert 0.1 <= time.monotonic() - begun < 5
        assert (request.state, request.timed_out) == (gearman.JOB_PENDING, True)


def test_the_status_of_a_job(client):
    request = client.submit_job("queued", "", background=True)
    assert client.get_job_status(request) is request
    status = request.status
    assert (status["known"], status["running"]) == (True, False)
    assert (status["numerator"], status["denominator"]) == (0, 0)
    assert abs(status["time_received"] - time.time()) < 60
    first = status["time_received"]
    assert client.get_job_statuses([request, request])[1].status["last_time_received"] >= first


def test_the_status_of_a_job_by_its_handle(client, server):
    handle = client.submit_job("queued", "", background=True).job.handle
    with clients_of(server) as other:
        job = gearman.GearmanJob(other.connection_list[0], handle, None, None, None)
        request = gearman.GearmanJobRequest(job)
        request.state = "CREATED"
        assert other.get_job_status(request).status["known"] is True
        job.handle = "H:nobody:1"
        for _ in range(2):
            assert other.get_job_status(request).status["known"] is False


class JsonEncoder(gearman.DataEncoder):
    @classmethod
    def encode(cls, encodable_object):
        return json.dumps(encodable_object)

    @classmethod
    def decode(cls, decodable_string):
        return json.loads(decodable_string)


class PickleEncoder(gearman.DataEncoder):
    @classmethod
    def encode(cls, encodable_object):
        return pickle.dumps(encodable_object)

    @classmethod
    def decode(cls, decodable_string):
        return pickle.loads(decodable_string)


@pytest.mark.parametrize("encoder", [JsonEncoder, PickleEncoder])
def test_data_encoders(server, encoder):
    class EncodingClient(gearman.GearmanClient):
        data_encoder = encoder

    class EncodingWorker(Stoppable):
        data_encoder = encoder

    def swap(worker, job):
        worker.send_job_data(job, {"seen": job.data})
        return {value: key for key, value in job.data.items()}

    with (
        working(EncodingWorker([str(server)]), {"swap": swap, "none": lambda worker, job: None}),
        clients_of(server, cls=EncodingClient) as client,
    ):
        request = client.submit_job("swap", {"a": "ä"})
        assert request.result == {"ä": "a"}
        assert list(request.data_updates) == [{"seen": {"a": "ä"}}]
        assert client.submit_job("none", {}).result is None


def test_bytes_by_one_switch(server):
    class BytesClient(gearman.GearmanClient):
        text = False

    class BytesWorker(Stoppable):
        text = False

    seen = []

    def look(worker, job):
        seen.append((job.task, job.handle, job.unique, job.data))
        return job.data

    with working(BytesWorker([str(server)]), {b"look": look}), clients_of(server, cls=BytesClient) as client:
        request = client.submit_job("look", "ä", unique="mine")
        assert request.result == "ä".encode()
        handle = request.job.handle
        assert type(handle) is bytes
        assert seen == [(b"look", handle, b"mine", "ä".encode())]
        assert client.get_job_status(request).status["handle"] == handle


def test_the_switch_goes_for_the_whole_program(server, monkeypatch):
    monkeypatch.setattr(gearman.GearmanConnectionManager, "text", False)
    with working(Stoppable([str(server)])), clients_of(server) as client:
        assert client.submit_job("echo", "foo").result == b"foo"


class TestServers:
    """What becomes of requests when there are several servers, or none."""

    @pytest.mark.parametrize("entry", [str, lambda server: server.address], ids=["text", "tuple"])
    def test_ways_to_name_one(self, server, entry):
        client = gearman.GearmanClient([entry(server)])
        assert client.submit_job("queued", "", background=True).complete
        assert client.connection_list[0].get_address() == server.address
        client.shutdown()
        assert not client.connection_list[0].connected
        assert client.submit_job("queued", "", background=True).complete
        client.shutdown()

    @pytest.mark.parametrize(
        "hosts", ["localhost", ["localhost:nine"], [5], [{"host": "h", "port": 1}], [("h", 1, 2)]]
    )
    def test_what_names_none(self, hosts):
        with pytest.raises(GearmanError):
            gearman.GearmanClient(hosts)

    def test_a_host_alone_has_the_usual_port(self):
        client = gearman.GearmanClient(["somewhere", "[::1]:99"])
        assert [c.get_address() for c in client.connection_list] == [("somewhere", 4730), ("::1", 99)]
        with pytest.raises(ServerUnavailable):
            GearmanConnection()

    def test_no_server(self):
        refused = pytest.raises(ServerUnavailable, match="Connection refused")
        with clients_of(f"127.0.0.1:{free_port()}") as client, refused:
            client.submit_job("f", "")
        with pytest.raises(ServerUnavailable):
            gearman.GearmanClient().submit_job("f", "")

    def test_one_of_two_is_down(self, server):
        with clients_of(f"127.0.0.1:{free_port()}", server) as client:
            for number in range(10):
                assert client.submit_job("queued", "", unique=str(number), background=True).complete

    def test_equal_jobs_meet(self):
        with Server(port=0) as one, Server(port=0) as two:
            names = [f"127.0.0.1:{server.port}" for server in (one, two)]
            for hosts in (names, names[::-1]):
                with clients_of(*hosts) as client:
                    for number in range(20):
                        client.submit_job("queued", "", unique=f"{number}", background=True)
            assert len(one.broker) + len(two.broker) == 20
            assert len(one.broker)
            assert len(two.broker)

    def test_tls(self, authority, tmp_path):
        with Server(port=0, tls=authority.files()) as server:
            entry = tls_entry(authority, tmp_path, server.port)
            client = gearman.GearmanClient([entry])
            client.add_ssl_connection(**entry)
            assert client.submit_job("queued", "x" * 300_000, background=True).complete
            client.shutdown()
            client = gearman.GearmanClient([{**entry, "ca_certs": entry["keyfile"]}])
            with pytest.raises(GearmanError, match="certificate"):
                client.submit_job("queued", "", background=True)


class TestLosses:
    """Connections that end."""

    def test_before_the_acknowledgement(self):
        def hang_up(peer):
            peer.accept_options()
            peer.receive(P.SUBMIT_JOB)

        exceeded = pytest.raises(ExceededConnectionAttempts, match="sent 1 times")
        with FakeServer(hang_up) as server, clients_of(server) as client, exceeded:
            client.submit_job("f", "")

    def test_before_the_acknowledgement_with_retries(self):
        def hang_up(peer):
            peer.accept_options()
            peer.receive(P.SUBMIT_JOB)

        def serve(peer):
            peer.accept_options()
            assert peer.receive(P.SUBMIT_JOB)[0] == b"f"
            peer.send(P.JOB_CREATED, b"H:1")
            peer.send(P.WORK_COMPLETE, b"H:1", b"done")
            peer.wait_until_closed()

        with FakeServer(hang_up, hang_up, serve) as server, clients_of(server) as client:
            request = client.submit_job("f", "", max_retries=2)
            assert (request.result, request.connection_attempts) == ("done", 3)

    def test_after_the_acknowledgement(self):
        def script(peer):
            peer.accept_options()
            peer.receive(P.SUBMIT_JOB)
            peer.send(P.JOB_CREATED, b"H:1")

        with FakeServer(script) as server, clients_of(server) as client:
            request = client.submit_job("f", "", wait_until_complete=False)
            with pytest.raises(ServerUnavailable):
                client.wait_until_jobs_completed([request])
            assert (request.state, request.complete) == (gearman.JOB_UNKNOWN, False)

    def test_what_is_no_gearman(self):
        def script(peer):
            peer.receive(P.OPTION_REQ)
            peer.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.wait_until_closed()

        with FakeServer(script) as server, clients_of(server) as client, pytest.raises(ProtocolError):
            client.submit_job("f", "")


class TestArguments:
    """What is refused before it is sent."""

    @pytest.mark.parametrize("data", [5, None, ["x"]])
    def test_data(self, client, data):
        with pytest.raises(TypeError, match="must be str or bytes, not"):
            client.submit_job("f", data)
        assert client.submit_job("f", "x", background=True).complete

    @pytest.mark.parametrize("arguments", [{"task": "a\0b"}, {"unique": "a\0b"}, {"task": 5}])
    def test_names(self, client, arguments):
        with pytest.raises(ProtocolError):
            client.submit_job(**{"task": "f", "data": "", **arguments})

    def test_priority(self, client):
        with pytest.raises(KeyError, match="'HIGH'"):
            client.submit_job("f", "", priority="highest")


def test_hooks_of_a_client(server):
    called = []

    class Job(gearman.GearmanJob):
        pass

    class Request(gearman.GearmanJobRequest):
        pass

    class Hooked(gearman.GearmanClient):
        job_class = Job
        job_request_class = Request

        def send_job_request(self, current_request):
            called.append("send")
            return super().send_job_request(current_request)

        def establish_request_connection(self, current_request):
            called.append("establish")
            return super().establish_request_connection(current_request)

        def handle_read(self, current_connection):
            called.append("read")
            return super().handle_read(current_connection)

    with clients_of(server, cls=Hooked) as client:
        request = client.submit_job("queued", "", background=True)
        assert type(request) is Request
        assert type(request.job) is Job
        assert called[:3] == ["send", "establish", "read"]
        assert client.handler_to_connection_map == {request.job.connection.handler: request.job.connection}
    assert client.connection_to_handler_map == {}


def test_jobs_and_requests_by_themselves():
    job = gearman.GearmanJob(None, "H:1", "f", "u", "d")
    assert job.to_dict() == {"task": "f", "job_handle": "H:1", "unique": "u", "data": "d"}
    request = gearman.GearmanJobRequest(job, gearman.PRIORITY_LOW, background=True, max_attempts=2)
    assert request.gearman_job is request.job is job
    assert (request.state, request.complete) == (gearman.JOB_UNKNOWN, False)
    assert repr(request) == (
        "<GearmanJobRequest task='f', unique='u', priority='LOW', background=True, state='UNKNOWN', "
        "timed_out=False>"
    )
    assert list(request.status_updates) == []
    request.state, request.result, request.connection_attempts = "COMPLETE", "r", 2
    request.reset()
    assert (request.state, request.result, request.connection_attempts) == ("UNKNOWN", None, 0)
    assert (request.connection, request.handle) == (None, None)
    with pytest.raises(NotImplementedError):
        gearman.DataEncoder.encode("x")
    with pytest.raises(NotImplementedError):
        gearman.DataEncoder.decode("x")
