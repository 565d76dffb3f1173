"""gear's client on gearcore: with gearcore's server and gearmand, and with servers that misbehave."""

import contextlib
import select
import socket
import struct
import threading
import time

import pytest
from fake_server import PATIENCE, FakeServer, free_port
from geared import Client, connected, serving

from gearcore import Server
from gearcore.compat import gear
from gearcore.compat.gear import constants
from gearcore.protocol import PacketType

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.fixture
def client(server):
    with connected(Client("tester"), server.address) as client:
        yield client


@pytest.fixture
def working(server):
    with serving(server.address) as worker:
        yield worker


def test_a_job_and_what_it_sends(client, working):
    job = client.run(gear.Job("data", b"a b", "u"))
    assert client.active_connections == [job.connection]
    assert job.handle.startswith(b"H:")
    assert (job.complete, job.failure, job.warning) == (True, False, True)
    assert job.data == [b"a", b"b", b"careful\0", b"end"]
    assert (job.numerator, job.denominator, job.fraction_complete) == (b"1", b"4", 0.25)
    assert client.seen == [
        "JOB_CREATED",
        *["WORK_DATA"] * 2,
        "WORK_WARNING",
        "WORK_STATUS",
        "WORK_COMPLETE",
    ]
    assert not job.connection.related_jobs
    assert not job.connection.pending_tasks


@pytest.mark.parametrize("precedence", [gear.PRECEDENCE_NORMAL, gear.PRECEDENCE_LOW, gear.PRECEDENCE_HIGH])
def test_results(client, working, precedence):
    assert client.run(gear.Job("reverse", b"\0ab"), precedence=precedence).data == [b"ba\0"]
    assert client.run(gear.Job("unique", b"", b"mine"), precedence=precedence).data == [b"mine"]
    assert client.run(gear.Job("nothing", b"x"), precedence=precedence).data == []


def test_a_failure(client, working):
    job = client.run(gear.Job("fail", b""))
    assert (job.complete, job.failure, job.exception, job.data) == (True, True, None, [])


def test_an_exception_without_the_option_is_a_failure(client, working, server):
    """The handle ends by a NUL in the WORK_FAIL that gearmand makes of it."""
    job = client.run(gear.Job("raise", b"x"))
    assert (job.complete, job.failure, job.exception) == (True, True, None)
    assert client.seen[-1] == "WORK_FAIL"


def test_an_exception_with_the_option(client, working):
    assert client.setOption("exceptions") is True
    job = client.run(gear.TextJob("raise", "\xe9"))
    assert (job.failure, job.exception) == (True, "no: \xe9")


def test_text_jobs(client, server):
    def echo(job):
        assert isinstance(job.arguments, str)
        job.sendWorkData(job.unique)
        job.sendWorkWarning("w")
        job.sendWorkComplete(job.arguments)

    with serving(server.address, functions={"echo": echo}, worker=gear.TextWorker("text")):
        assert client.run(gear.TextJob("echo", "\xe9", "u\xe9")).data == ["u\xe9", "w", "\xe9"]


def test_priorities(client, server):
    for precedence in (gear.PRECEDENCE_LOW, gear.PRECEDENCE_NORMAL, gear.PRECEDENCE_HIGH):
        client.submitJob(gear.Job("order", b"%d" % precedence), background=True, precedence=precedence)
    with connected(gear.Worker("tester"), server.address) as worker:
        worker.registerFunction("order")
        assert [worker.getJob().arguments for _ in range(3)] == [b"2", b"0", b"1"]


def test_a_background_job_outlives_its_client(server):
    with connected(Client(), server.address) as client:
        job = gear.Job("later", b"x")
        client.submitJob(job, background=True)
        assert job.handle in job.connection.related_jobs
        assert not job.complete
    with connected(gear.Worker("tester"), server.address) as worker:
        worker.registerFunction("later")
        found = worker.getJob()
        assert (found.handle, found.arguments) == (job.handle, b"x")
        found.sendWorkComplete()


def test_many_threads_share_a_client(client, working):
    jobs = [gear.Job("reverse", b"%d." % number) for number in range(200)]

    def submit(part):
        for job in part:
            client.submitJob(job, timeout=PATIENCE)

    threads = [threading.Thread(target=submit, args=(jobs[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.wait_for(lambda: all(job.complete for job in jobs))
    assert [job.data for job in jobs] == [[job.arguments[::-1]] for job in jobs]


def test_servers_take_their_turns():
    with Server(port=0) as one, Server(port=0) as other:
        with connected(Client(), ("127.0.0.1", one.port), ("127.0.0.1", other.port)) as client:
            for _ in range(6):
                client.submitJob(gear.Job("f", b""), background=True)
        assert (len(one.broker), len(other.broker)) == (3, 3)


def test_a_handler_may_submit(client, working):
    class Chaining(Client):
        def handleWorkComplete(self, packet):  # noqa: N802
            job = super().handleWorkComplete(packet)
            if job is first:
                self.submitJob(second, timeout=PATIENCE)
            return job

    first, second = gear.Job("reverse", b"1"), gear.Job("reverse", b"2")
    connection = client.active_connections[0]
    with connected(Chaining(), (connection.host, connection.port)) as chaining:
        chaining.submitJob(first)
        chaining.wait_for(lambda: second.complete)


def test_what_a_handler_raises_ends_nothing(client, working, caplog):
    def fail(packet):
        client.note("LookupError")
        raise LookupError("on purpose")

    client.handleWorkComplete = fail
    client.submitJob(gear.Job("nothing", b""))
    client.wait_for(lambda: "LookupError" in client.seen)
    client.run(gear.Job("fail", b""))
    assert "LookupError: on purpose" in caplog.text


def test_echo(client):
    """With gear an echo that comes ends its thread and times out, and one that does not is returned."""
    connection = client.active_connections[0]
    assert connection.echo(b"a\0b", timeout=PATIENCE) == b"a\0b"
    assert len(connection.echo(timeout=PATIENCE)) == 32


def test_no_delay(client):
    """Without it every other packet waits for 40 ms: 23 jobs in a second."""
    assert client.active_connections[0].conn.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_keepalive(server):
    with connected(Client(), (*server.address, None, None, None, True, 11, 7, 5)) as client:
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        sock = client.active_connections[0].conn
        assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [11, 7, 5]


def test_admin_requests(client, server):
    job = gear.Job("idle", b"", "mine")
    client.submitJob(job, background=True)
    connection = client.active_connections[0]

    def ask(request):
        connection.sendAdminRequest(request, PATIENCE)
        assert request.waitForResponse(0)
        return request.response

    assert ask(gear.StatusAdminRequest()) == b"idle\t1\t0\t0\n.\n"
    assert job.handle in ask(gear.ShowJobsAdminRequest())
    assert ask(gear.ShowUniqueJobsAdminRequest()) == b"mine\n.\n"
    assert b" 127.0.0.1 - :" in ask(gear.WorkersAdminRequest())
    assert ask(gear.VersionAdminRequest()) == server.admin("version")
    assert ask(gear.CancelJobAdminRequest(job.handle)) == b"OK\r\n"
    assert ask(gear.CancelJobAdminRequest(b"H:nobody:1")).startswith(b"ERR")
    assert connection.admin_requests == []


def test_the_client_is_told_of_answers_to_admin_requests(server):
    class Told(Client):
        def handleAdminRequest(self, request):  # noqa: N802
            self.note(request)
            super().handleAdminRequest(request)

    with connected(Told(), server.address) as client:
        request = gear.VersionAdminRequest()
        client.active_connections[0].sendAdminRequest(request)
        assert client.seen == [request]


def test_the_state_of_a_job(client):
    job = gear.Job("idle", b"")
    client.submitJob(job, background=True)

    def ask(handle):
        count = client.seen.count("STATUS_RES")
        client.sendPacket(gear.Packet(constants.REQ, constants.GET_STATUS, handle), job.connection)
        return count

    count = ask(job.handle)
    client.wait_for(lambda: client.seen.count("STATUS_RES") > count)
    assert (job.known, job.running) == (True, False)


def test_a_full_queue_is_an_error_at_once(client, server):
    """With gear it is a timeout, which ends the connection too."""
    server.admin("maxqueue full 1")
    client.submitJob(gear.Job("full", b""), background=True)
    server.admin("maxqueue full 1")  # gearmand forgets it for a function that nobody has mentioned
    refused = gear.Job("full", b"")
    with pytest.raises(gear.GearmanError, match="QUEUE_ERROR"):
        client.submitJob(refused, background=True, timeout=None)
    assert (refused.handle, refused.connection) == (None, None)
    client.submitJob(gear.Job("other", b""), background=True)


def test_an_option_that_the_server_does_not_know(client):
    """With gear it counts as set, after a timeout that ends the connection too."""
    connection = client.active_connections[0]
    assert client.setOption("nonsense", timeout=PATIENCE) is False
    assert client.options == set()
    assert client.active_connections == [connection]


@pytest.mark.parametrize(("name", "unique"), [("a\0b", None), ("a", b"u\0")])
def test_names_with_a_nul(client, name, unique):
    """With gear the rest of the name is taken for the unique id, and so on."""
    with pytest.raises(gear.InvalidDataError, match="NUL"):
        client.submitJob(gear.Job(name, b"", unique))


def test_bad_precedence(client):
    with pytest.raises(gear.ConfigurationError, match="7"):
        client.submitJob(gear.Job("f", b""), precedence=7)


def test_the_same_server_twice(client, server):
    with pytest.raises(gear.ConfigurationError, match="already"):
        client.addServer(*server.address)


def test_a_server_that_is_not_there():
    client = gear.Client("alone")
    try:
        client.addServer("127.0.0.1", free_port())
        with pytest.raises(gear.TimeoutError):
            client.waitForServer(0.1)
        with pytest.raises(gear.NoConnectedServersError):
            client.getConnection()
        with pytest.raises(gear.GearmanError, match="Unable to submit job to any connected servers"):
            client.submitJob(gear.Job("f", b""))
        assert (len(client.inactive_connections), client.active_connections) == (1, [])
    finally:
        client.shutdown()
        client.shutdown()


def test_connecting_says_why_not():
    with pytest.raises(gear.ConnectionError, match="Connection refused"):
        gear.Connection("127.0.0.1", free_port()).connect()
    with pytest.raises(OSError, match="not connected"):
        gear.Connection("127.0.0.1", 1).sendRaw(b"x")


def test_a_client_finds_a_server_again(server, client):
    lost = gear.Job("idle", b"")
    client.submitJob(lost)
    server.stop()
    client.wait_for(lambda: ("disconnect", lost) in client.seen)
    server.start()
    client.waitForServer(PATIENCE)
    client.submitJob(gear.Job("idle", b""), background=True)


def test_a_server_that_goes_while_a_submission_waits_is_noticed():
    """With gear it is a timeout."""

    def take_and_go(peer):
        peer.receive(PacketType.SUBMIT_JOB)

    with (
        FakeServer(take_and_go) as fake,
        connected(Client(), fake.address) as client,
        pytest.raises(gear.NoConnectedServersError),
    ):
        client.submitJob(gear.Job("f", b""), timeout=None)


def test_a_submission_goes_to_the_next_server():
    def take_and_go(peer):
        peer.receive(PacketType.SUBMIT_JOB_BG)

    with Server(port=0) as server, FakeServer(take_and_go) as fake:
        with connected(Client(), ("127.0.0.1", server.port), fake.address) as client:
            for _ in range(2):
                client.submitJob(gear.Job("f", b""), background=True)
        assert len(server.broker) == 2


def test_a_server_that_does_not_answer_is_given_up():
    def take(peer):
        peer.receive(PacketType.SUBMIT_JOB)
        peer.send(PacketType.JOB_CREATED, b"H:1")
        peer.receive(PacketType.SUBMIT_JOB)
        peer.wait_until_closed()

    with FakeServer(take) as fake, connected(Client(), fake.address) as client:
        taken, not_taken = gear.Job("f", b""), gear.Job("f", b"")
        client.submitJob(taken)
        with pytest.raises(gear.NoConnectedServersError, match=r"did not answer in 0\.1 s"):
            client.submitJob(not_taken, timeout=0.1)
        assert ("disconnect", taken) in client.seen
        assert (not_taken.handle, taken.complete) == (None, False)


def test_an_echo_that_does_not_come():
    with (
        FakeServer(lambda peer: peer.wait_until_closed()) as fake,
        connected(Client(), fake.address) as client,
        pytest.raises(gear.TimeoutError),
    ):
        client.active_connections[0].echo(b"x", timeout=0.05)


def test_an_option_that_is_not_answered():
    """As by geard. The connection goes on, and what is submitted on it gets its own answer."""
    asked = threading.Event()

    def take(peer):
        assert peer.receive(PacketType.OPTION_REQ) == (b"exceptions",)
        asked.set()
        peer.receive(PacketType.SUBMIT_JOB)
        peer.send(PacketType.JOB_CREATED, b"H:1")
        peer.wait_until_closed()

    answers = []
    with FakeServer(take) as fake, connected(Client(), fake.address) as client:
        setting = threading.Thread(target=lambda: answers.append(client.setOption("exceptions", timeout=0.5)))
        setting.start()
        assert asked.wait(PATIENCE)
        job = gear.Job("f", b"")
        client.submitJob(job, timeout=PATIENCE)
        assert job.handle == b"H:1"
        setting.join(PATIENCE)
        assert client.active_connections
    assert answers == [False]


def test_options_are_set_again_on_a_new_connection():
    asked = threading.Event()

    def first(peer):
        peer.accept_options()

    def second(peer):
        assert peer.receive(PacketType.OPTION_REQ) == (b"exceptions",)
        asked.set()
        peer.wait_until_closed()

    with FakeServer(first, second) as fake, connected(Client(), fake.address) as client:
        assert client.setOption(b"exceptions", timeout=PATIENCE)
        assert asked.wait(PATIENCE)


def answering(*packets):
    """A server that acknowledges a job, and sends more: packets, or bytes as they are."""

    def answer(peer):
        peer.receive(PacketType.SUBMIT_JOB)
        peer.send(PacketType.JOB_CREATED, b"H:1")
        for packet in packets:
            if isinstance(packet, bytes):
                peer.send_bytes(packet)
            else:
                peer.send(*packet)
        peer.wait_until_closed()

    return FakeServer(answer)


COMPLETE = (PacketType.WORK_COMPLETE, b"H:1", b"done")


@pytest.mark.parametrize(
    "before",
    [
        (PacketType.WORK_COMPLETE, b"H:2", b"late"),
        (PacketType.STATUS_RES, b"H:2", b"0", b"0", b"0", b"0"),
        (PacketType.JOB_CREATED, b"H:2"),
        (PacketType.WORK_STATUS, b"H:1", b"half", b"0"),
        (PacketType.ECHO_RES, b"nobody asked"),
        b"\0RES\0\0\0\x63\0\0\0\3abc",  # of a type that there is not
        b"\0RES\0\0\0\x0d\0\0\0\0",  # without its arguments
        b"\0REQ\0\0\0\x0c\0\0\0\7H:1\x001\x002",  # with geard's wrong magic
    ],
    ids=["late", "unknown status", "unasked", "no numbers", "echo", "no type", "no arguments", "magic"],
)
def test_what_is_not_understood_is_passed_over(before):
    with answering(before, COMPLETE) as fake, connected(Client(), fake.address) as client:
        job = client.run(gear.Job("f", b""))
        assert job.data == [b"done"]
        assert client.active_connections


def test_what_comes_late_is_not_worth_a_word(caplog):
    """With gear it is an exception in the log."""
    late = (PacketType.WORK_COMPLETE, b"H:2", b"late")
    with answering(late, COMPLETE) as fake, connected(Client(), fake.address) as client:
        client.run(gear.Job("f", b""))
    assert not [record for record in caplog.records if record.name.startswith("gear.")]


def test_a_packet_that_is_too_large_ends_the_connection():
    """With gear a length from 2 GiB on is negative, and what follows is taken for packets."""
    too_large = b"\0RES" + struct.pack(">II", PacketType.WORK_DATA, 0xFFFFFFFF)
    with answering(too_large) as fake, connected(Client(), fake.address) as client:
        job = gear.Job("f", b"")
        client.submitJob(job)
        client.wait_for(lambda: ("disconnect", job) in client.seen)


def test_progress_without_numbers():
    half = (PacketType.WORK_STATUS, b"H:1", b"half", b"0")
    with answering(half, COMPLETE) as fake, connected(Client(), fake.address) as client:
        job = client.run(gear.Job("f", b""))
        assert (job.numerator, job.denominator, job.fraction_complete) == (b"half", b"0", None)


def test_what_is_large_is_sent_and_received(client, working):
    workload = bytes(range(256)) * 20_000
    assert client.run(gear.Job("reverse", workload)).data == [workload[::-1]]


def test_a_connection_by_itself(server):
    connection = gear.Connection(*server.address)
    connection.connect()
    try:
        assert connection.connected
        connection.sendPacket(gear.Packet(constants.REQ, constants.SUBMIT_JOB_BG, b"f\0\0w"))
        packet = connection.readPacket()
        assert (packet.code, packet.ptype, packet.connection) == (constants.RES, 8, connection)
        connection.sendEchoReq(b"x")
        assert connection.readPacket() == gear.Packet(constants.RES, constants.ECHO_RES, b"x")
        assert not connection.hasPendingData()
        connection.reconnect()
        server.stop()
        assert connection.readPacket() is None
    finally:
        connection.disconnect()
    assert (connection.connected, connection.conn, connection.state) == (False, None, "INIT")


def test_what_the_peer_does_not_take_waits():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = gear.NonBlockingConnection(*listener.getsockname())
        connection.connect()
        try:
            connection.sendEchoReq(b"x" * 20_000_000)
            assert connection.send_queue
        finally:
            connection.disconnect()


def test_a_connection_that_waits_for_nothing(server):
    """Of what is large some may have to wait until the server, which sends as much, has been read from."""
    workload = b"x" * 20_000_000
    connection = gear.NonBlockingConnection(*server.address)
    connection.connect()
    try:
        with pytest.raises(gear.RetryIOError):
            connection.readPacket()
        connection.sendEchoReq(workload)
        connection.sendRaw(gear.Packet(constants.REQ, constants.ECHO_REQ, b"small").toBinary())
        packets = []
        while len(packets) < 2:
            writable = [connection.conn] if connection.send_queue else []
            select.select([connection.conn], writable, [], PATIENCE)
            connection.sendQueuedData()
            with contextlib.suppress(gear.RetryIOError):
                while True:
                    packets.append(connection.readPacket())
        assert [packet.data for packet in packets] == [workload, b"small"]
        assert connection.send_queue == []
        server.stop()
        select.select([connection.conn], [], [], PATIENCE)
        assert connection.readPacket() is None
    finally:
        connection.disconnect()
    assert connection.send_queue == []


def test_a_connection_says_where_it_goes():
    for host, port in (("hostname", "80"), ("hostname", 80), (None, "80")):
        assert repr(gear.Connection(host, port)).endswith(f"host: {host} port: {port}>")


def test_statistics_of_packets(client, working):
    times = []
    client.reportTimingStats = lambda ptype, duration: times.append((ptype, duration >= 0))
    client.run(gear.Job("reverse", b""))
    assert times == [(constants.JOB_CREATED, True), (constants.WORK_COMPLETE, True)]


def test_everything_else_goes_to_the_default_handler(client):
    unhandled = []
    client._defaultPacketHandler = unhandled.append
    client.handlePacket(gear.Packet(constants.RES, constants.NOOP, b""))
    assert (
        unhandled == []
    )  # it is the class's that counts, as in gear: each handler is to be overridden itself


def test_shutdown_ends_what_waits():
    with FakeServer(lambda peer: peer.wait_until_closed()) as fake:
        client = Client()
        client.addServer(*fake.address)
        client.waitForServer(PATIENCE)
        errors = []

        def submit():
            try:
                client.submitJob(gear.Job("f", b""), timeout=None)
            except (gear.GearmanError, gear.NoConnectedServersError) as error:
                errors.append(error)

        thread = threading.Thread(target=submit)
        thread.start()
        while not client.active_connections[0].pending_tasks:
            time.sleep(0.001)
        client.shutdown()
        thread.join(PATIENCE)
        assert len(errors) == 1
