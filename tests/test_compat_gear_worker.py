"""gear's worker on gearcore: with gearcore's server and gearmand, and with servers that follow a script."""

import threading
import time

import pytest
from fake_server import PATIENCE, FakeServer
from geared import Client, connected, serving

from gearcore import Server
from gearcore.compat import gear
from gearcore.compat.gear import constants
from gearcore.protocol import PacketType

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.fixture
def worker(server):
    with connected(gear.Worker("tester"), server.address) as worker:
        yield worker


@pytest.fixture
def client(server):
    with connected(Client(), server.address) as client:
        yield client


class Getting:
    """A thread in ``getJob``; what that gives, or the error that it raises."""

    def __init__(self, worker) -> None:
        self.found: object = None
        self._thread = threading.Thread(target=self._run, args=[worker])
        self._thread.start()

    def _run(self, worker) -> None:
        try:
            self.found = worker.getJob()
        except Exception as error:
            self.found = error

    def join(self) -> object:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.found


def wait_until(done):
    """For what a worker notes without a word."""
    give_up = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.001)


def wait_for_state(worker, state):
    (connection,) = worker.active_connections
    wait_until(lambda: connection.state == state)


def test_what_a_job_is(worker, client):
    worker.registerFunction("f")
    client.submitJob(gear.Job("f", b"a\0b", "u"), background=True)
    job = worker.getJob()
    assert type(job) is gear.WorkerJob
    assert (job.name, job.arguments, job.unique) == ("f", b"a\0b", b"u")
    assert job.handle.startswith(b"H:")
    assert [job.connection] == worker.active_connections
    job.sendWorkComplete()


def test_a_job_without_a_unique_id(worker, client):
    worker.registerFunction(b"f")
    client.submitJob(gear.Job("f", b""), background=True)
    assert worker.getJob().unique is None


def test_kinds_of_jobs(server, client):
    class Binary(gear.Worker):
        job_class = gear.BinaryWorkerJob

    with connected(Binary("tester"), server.address) as worker:
        worker.registerFunction(b"\xff")
        client.submitJob(gear.BinaryJob(b"\xff", b""), background=True)
        assert worker.getJob().name == b"\xff"


def test_progress_may_be_numbers_and_texts(server, client):
    def tell(job):
        job.sendWorkStatus(1, 8)
        job.sendWorkStatus("2", b"8")
        job.sendWorkComplete(b"%d" % len(job.arguments))

    with serving(server.address, functions={"tell": tell}):
        job = client.run(gear.Job("tell", b"abc"))
    assert client.seen.count("WORK_STATUS") == 2
    assert (job.numerator, job.fraction_complete, job.data) == (b"2", 0.25, [b"3"])


def test_servers_list_it_by_its_name(worker, server):
    worker.registerFunction("f")
    worker.registerFunction("g")
    worker.unRegisterFunction("g")
    assert worker.active_connections[0].echo(timeout=PATIENCE)  # the server has seen what came before
    assert b" tester : f\n" in server.admin("workers")
    worker.setFunctions([gear.FunctionRecord(b"a"), gear.FunctionRecord("b", 3)])
    worker.active_connections[0].echo(timeout=PATIENCE)
    lines = server.admin("workers")
    assert any(b" tester : %b\n" % names in lines for names in (b"a b", b"b a"))
    worker.setFunctions([])
    worker.active_connections[0].echo(timeout=PATIENCE)
    assert b" tester :\n" in server.admin("workers")


def test_a_job_in_hand_stays_when_the_functions_change(worker, client):
    worker.registerFunction("f")
    job = gear.Job("f", b"")
    client.submitJob(job)
    found = worker.getJob()
    worker.setFunctions([gear.FunctionRecord("f"), gear.FunctionRecord("g")])
    found.sendWorkComplete(b"done")
    client.wait_for(lambda: job.complete)
    assert job.data == [b"done"]


def test_it_needs_a_name():
    with pytest.raises(Exception, match="client_id must be provided"):
        gear.Worker()


def test_the_old_name_of_its_name():
    """With gear it is an error, whatever is given."""
    worker = gear.Worker(worker_id="old")
    assert (worker.client_id, worker.worker_id) == (b"old", "old")
    worker.shutdown()


def test_what_it_cannot_offer():
    worker = gear.Worker("tester")
    worker.registerFunction("f")
    with pytest.raises(gear.InvalidDataError, match="FunctionRecord"):
        worker.setFunctions(["g"])
    with pytest.raises(TypeError):
        worker.registerFunction(7)
    with pytest.raises(KeyError):
        worker.unRegisterFunction("g")
    assert list(worker.functions) == [b"f"]
    worker.shutdown()


@pytest.mark.parametrize(
    ("timeout", "sent"), [(3, b"3"), (2.5, b"3"), (b"7", b"7"), ("7", b"7"), (None, None)]
)
def test_timeouts(timeout, sent):
    """With gear they must be bytes."""

    def take(peer):
        assert peer.receive(PacketType.SET_CLIENT_ID) == (b"tester",)
        expected = (b"f",) if sent is None else (b"f", sent)
        for _ in range(3):
            packet = peer.receive_packet()
            assert packet.args == expected
            assert packet.type == (PacketType.CAN_DO if sent is None else PacketType.CAN_DO_TIMEOUT)
        done.set()
        peer.wait_until_closed()

    done = threading.Event()
    worker = gear.Worker("tester")
    worker.registerFunction("f", timeout)
    with FakeServer(take) as fake, connected(worker, fake.address):
        worker.registerFunction("f", timeout)
        worker.setFunctions([gear.FunctionRecord("f", timeout)])
        assert done.wait(PATIENCE)


def test_what_goes_over_the_wire():
    """A job is asked for while somebody waits for one, and only then."""

    def serve(peer):
        peer.receive(PacketType.SET_CLIENT_ID)
        peer.receive(PacketType.CAN_DO)
        peer.receive(PacketType.GRAB_JOB_UNIQ)
        peer.send(PacketType.NO_JOB)
        peer.receive(PacketType.PRE_SLEEP)
        peer.send(PacketType.NOOP)
        peer.receive(PacketType.GRAB_JOB_UNIQ)
        peer.send(PacketType.JOB_ASSIGN_UNIQ, b"H:1", b"f", b"", b"a")
        peer.send(PacketType.NOOP)  # of which it makes nothing: it is awake
        assert peer.receive(PacketType.WORK_COMPLETE) == (b"H:1", b"")
        peer.receive(PacketType.GRAB_JOB_UNIQ)
        peer.send(PacketType.JOB_ASSIGN, b"H:2", b"f", b"b")
        assert peer.receive(PacketType.WORK_FAIL) == (b"H:2",)
        peer.wait_until_closed()

    with FakeServer(serve) as fake, connected(gear.Worker("tester"), fake.address) as worker:
        worker.registerFunction("f")
        job = worker.getJob()
        assert (job.arguments, job.unique) == (b"a", None)
        job.sendWorkComplete()
        job = worker.getJob()
        assert (job.handle, job.arguments) == (b"H:2", b"b")
        job.sendWorkFail()
        assert worker.active_connections[0].state == "IDLE"


def test_stopping_those_who_wait(worker):
    getting = [Getting(worker) for _ in range(3)]
    wait_until(lambda: worker.waiting_for_jobs == 3)
    wait_for_state(worker, "SLEEP")
    worker.stopWaitingForJobs()
    assert [type(one.join()) for one in getting] == [gear.InterruptedError] * 3
    assert worker.active_connections[0].state == "IDLE"


def test_getting_goes_on_after_a_stop(worker, client):
    worker.registerFunction("f")
    worker.stopWaitingForJobs()
    client.submitJob(gear.Job("f", b"1"), background=True)
    assert worker.getJob().arguments == b"1"


def test_shutdown_ends_those_who_wait(server):
    worker = gear.Worker("tester")
    worker.addServer(*server.address)
    getting = Getting(worker)
    worker.waitForServer(PATIENCE)
    worker.shutdown()
    assert isinstance(getting.join(), gear.InterruptedError)
    with pytest.raises(gear.InterruptedError):
        worker.getJob()


def test_a_worker_without_a_server_can_be_stopped():
    worker = gear.Worker("tester")
    getting = Getting(worker)
    wait_until(lambda: worker.waiting_for_jobs)
    worker.stopWaitingForJobs()
    assert isinstance(getting.join(), gear.InterruptedError)
    worker.shutdown()


def test_a_function_that_is_registered_later(worker, client):
    client.submitJob(gear.Job("late", b""), background=True)
    getting = Getting(worker)
    wait_for_state(worker, "SLEEP")
    worker.registerFunction("late")
    assert getting.join().name == "late"


def test_threads_share_the_jobs(server, client):
    gate, there = threading.Event(), threading.Semaphore(0)

    def wait(job):
        there.release()
        gate.wait(PATIENCE)
        job.sendWorkComplete(job.arguments)

    with serving(server.address, functions={"wait": wait}) as worker:
        others = [threading.Thread(target=lambda: wait(worker.getJob())) for _ in range(3)]
        for thread in others:
            thread.start()
        jobs = [gear.Job("wait", b"%d" % number) for number in range(4)]
        for job in jobs:
            client.submitJob(job)
        assert all(there.acquire(timeout=PATIENCE) for _ in jobs)
        gate.set()
        client.wait_for(lambda: all(job.complete for job in jobs))
        for thread in others:
            thread.join(PATIENCE)
    assert [job.data for job in jobs] == [[job.arguments] for job in jobs]


def test_no_more_jobs_are_taken_than_somebody_waits_for():
    """With gear one thread takes a job of each server, and lets those wait that it does not run."""
    with Server(port=0) as one, Server(port=0) as other:
        addresses = [("127.0.0.1", server.port) for server in (one, other)]
        with (
            connected(Client(), *addresses) as client,
            connected(gear.Worker("tester"), *addresses) as worker,
        ):
            for _ in range(4):
                client.submitJob(gear.Job("f", b""), background=True)
            worker.registerFunction("f")
            served = []
            for _ in range(4):
                job = worker.getJob()
                served.append(job.connection.port)
                assert sum(f.running for server in (one, other) for f in server.broker.functions) <= 1
                job.sendWorkComplete()
                job.connection.echo(timeout=PATIENCE)
            assert sorted(served) == sorted([one.port, other.port] * 2)
            assert not worker.job_queue


def sleep(peer):
    peer.receive(PacketType.SET_CLIENT_ID)
    peer.receive(PacketType.GRAB_JOB_UNIQ)
    peer.send(PacketType.NO_JOB)
    peer.receive(PacketType.PRE_SLEEP)


def test_a_thread_that_two_servers_wake_asks_one_at_a_time():
    asked, go_on = threading.Event(), threading.Event()

    def first(peer):
        sleep(peer)
        peer.send(PacketType.NOOP)
        peer.receive(PacketType.GRAB_JOB_UNIQ)
        asked.set()
        assert go_on.wait(PATIENCE)
        peer.send(PacketType.NO_JOB)
        peer.receive(PacketType.PRE_SLEEP)
        peer.wait_until_closed()

    def second(peer):
        sleep(peer)
        assert asked.wait(PATIENCE)
        peer.send(PacketType.NOOP)
        peer.send(PacketType.ECHO_RES, *peer.receive(PacketType.ECHO_REQ))
        go_on.set()
        peer.receive(PacketType.GRAB_JOB_UNIQ)
        peer.send(PacketType.JOB_ASSIGN_UNIQ, b"H:1", b"f", b"", b"")
        peer.wait_until_closed()

    with FakeServer(first) as one, FakeServer(second) as other:
        addresses = (one.address, other.address)
        with connected(gear.Worker("tester"), *addresses) as worker:
            getting = Getting(worker)
            assert asked.wait(PATIENCE)
            (connection,) = (c for c in worker.active_connections if c.port == other.address[1])
            wait_until(lambda: connection.state == "IDLE")  # by the NOOP
            connection.echo(timeout=PATIENCE)
            assert getting.join().handle == b"H:1"


def test_a_worker_finds_a_server_again(server):
    with serving(server.address):
        server.stop()
        server.start()
        with connected(Client(), server.address) as client:
            assert client.run(gear.Job("reverse", b"ab")).data == [b"ba"]


def send_until_it_fails(job):
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:  # the first may be taken before the end is known
        job.sendWorkData(b"x")


def test_the_end_of_a_job_whose_server_is_gone(server, worker, client):
    worker.registerFunction("f")
    client.submitJob(gear.Job("f", b""), background=True)
    job = worker.getJob()
    server.stop()
    with pytest.raises(OSError, match=r"ended|not connected"):
        send_until_it_fails(job)


def test_handlers_can_be_overridden(server, client):
    class Choosy(gear.Worker):
        assigned = 0

        def handleJobAssignUnique(self, packet):  # noqa: N802
            self.assigned += 1
            job = super().handleJobAssignUnique(packet)
            assert packet.getArgument(1) == job.binary_name
            return job

        def handleNoJob(self, packet):  # noqa: N802
            assert packet.connection.state == "GRAB_WAIT"
            super().handleNoJob(packet)

    with serving(server.address, worker=Choosy("tester")) as worker:
        client.run(gear.Job("reverse", b"ab"))
        assert worker.assigned == 1
        wait_for_state(worker, "SLEEP")


def test_jobs_of_bytes_are_ended_by_texts_only_in_a_text_worker(server, client):
    with connected(gear.TextWorker("tester"), server.address) as worker:
        worker.registerFunction("f")
        job = gear.TextJob("f", "\xe9")
        client.submitJob(job)
        found = worker.getJob()
        assert (found.arguments, found.unique) == ("\xe9", None)
        found.sendWorkException("\xe9")
        client.wait_for(lambda: job.complete)


def test_a_packet_by_hand(server, worker):
    connection = worker.active_connections[0]
    worker.sendPacket(gear.Packet(constants.REQ, constants.CAN_DO, b"by hand"), connection)
    worker.broadcast(gear.Packet(constants.REQ, constants.CAN_DO, b"by broadcast"))
    connection.echo(timeout=PATIENCE)
    listed = server.admin("workers")
    assert b"by hand" in listed
    assert b"by broadcast" in listed
