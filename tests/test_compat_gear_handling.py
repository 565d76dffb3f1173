"""The methods of gear's server that a program overrides to see, change or withhold packets."""

import socket

import pytest
from fake_server import PATIENCE
from geared import Client, connected, serving

from gearcore.codec import Parser, pack_request
from gearcore.compat import gear
from gearcore.compat.gear import constants
from gearcore.protocol import PacketType

pytestmark = pytest.mark.usefixtures("no_hang")


class Watching(gear.Server):
    """Notes what comes."""

    def __init__(self):
        self.seen = []
        self.times = []
        super().__init__(0)

    def handlePacket(self, packet):  # noqa: N802
        self.seen.append(packet)
        super().handlePacket(packet)

    def reportTimingStats(self, ptype, duration):  # noqa: N802
        self.times.append((ptype, duration))

    @property
    def numbers(self):
        return [packet.ptype for packet in self.seen]


class Meddling(gear.Server):
    def handleSubmitJobBg(self, packet):  # noqa: N802
        """Without the other method: the server never hears of it."""
        error = gear.Packet(constants.RES, constants.ERROR, b"NO\0not now")
        packet.connection.sendPacket(error)

    def handleSubmitJob(self, packet):  # noqa: N802
        packet.data = packet.data.replace(b"ab", b"cd")
        super().handleSubmitJob(packet)

    def handleWorkComplete(self, packet):  # noqa: N802
        assert packet.getJob().arguments == b"cd"
        super().handleWorkComplete(packet)

    def handleEchoReq(self, packet):  # noqa: N802
        raise LookupError("on purpose")


@pytest.fixture(params=[Watching, Meddling])
def server(request):
    server = request.param()
    yield server
    server.shutdown()


def address_of(server):
    return ("127.0.0.1", server.port)


only = pytest.mark.parametrize
watched = only("server", [Watching], indirect=True)
meddled = only("server", [Meddling], indirect=True)


@watched
def test_every_packet_passes(server):
    with serving(address_of(server)), connected(Client("tester"), address_of(server)) as client:
        assert client.run(gear.Job("reverse", b"ab", "u")).data == [b"ba"]
        for number in (constants.SET_CLIENT_ID, constants.CAN_DO, constants.GRAB_JOB_UNIQ):
            assert number in server.numbers
    [submitted] = [packet for packet in server.seen if packet.ptype == constants.SUBMIT_JOB]
    assert (submitted.code, submitted.data) == (constants.REQ, b"reverse\0u\0ab")
    assert submitted.getArgument(0) == b"reverse"
    assert submitted.connection.host.endswith("127.0.0.1")
    [completed] = [packet for packet in server.seen if packet.ptype == constants.WORK_COMPLETE]
    assert (completed.connection.client_id, b"reverse" in completed.connection.functions) == (
        b"tester",
        True,
    )
    assert completed.connection is not submitted.connection
    assert [number for number, _ in server.times] == server.numbers
    assert all(0 <= seconds < PATIENCE for _, seconds in server.times)


@meddled
def test_packets_are_changed(server):
    with serving(address_of(server)), connected(Client(), address_of(server)) as client:
        assert client.run(gear.Job("reverse", b"ab")).data == [b"dc"]


@meddled
def test_packets_are_withheld(server):
    with connected(Client(), address_of(server)) as client:
        with pytest.raises(gear.GearmanError, match="not now"):
            client.submitJob(gear.Job("f", b""), background=True, timeout=PATIENCE)
        assert server.total_jobs == 0


@meddled
def test_what_a_method_raises_drops_the_packet_alone(server, caplog):
    with connected(Client(), address_of(server)) as client:
        connection = client.active_connections[0]
        with pytest.raises(gear.TimeoutError):
            connection.echo(b"x", 0.01)
        assert client.setOption("exceptions", PATIENCE)
    assert "LookupError: on purpose" in caplog.text


ECHO = pack_request(PacketType.ECHO_REQ, b"hello")
LARGE = pack_request(PacketType.ECHO_REQ, b"x" * 1_000_000)
REDUCE = pack_request(PacketType.SUBMIT_REDUCE_JOB_BACKGROUND, b"f", b"", b"r", b"1", b"x")


def answers(server, pieces, count):
    """What the server says to the pieces that it is sent, one after the other."""
    parser, found = Parser(text=True), []
    with socket.create_connection(address_of(server), PATIENCE) as sock:
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sock.sendall(piece)
        while len(found) < count:
            came = sock.recv(1 << 20)
            assert came, found
            found += parser.feed(came)
    return [one if isinstance(one, bytes) else (one.name, *one.args) for one in found]


@watched
@only(
    "pieces", [[ECHO + b"maxqueue f 1\n" + ECHO], [bytes([byte]) for byte in ECHO + b"maxqueue f 1\n" + ECHO]]
)
def test_admin_commands_are_the_server_s(server, pieces):
    found = answers(server, pieces, 3)
    assert found[0] == found[2] == ("ECHO_RES", b"hello")
    assert found[1].startswith(b"OK")
    assert server.numbers == [constants.ECHO_REQ] * 2


@watched
def test_large_packets(server):
    assert answers(server, [LARGE + ECHO], 2) == [("ECHO_RES", b"x" * 1_000_000), ("ECHO_RES", b"hello")]


@watched
def test_packets_that_gear_does_not_know(server):
    assert [name for name, *_ in answers(server, [REDUCE + ECHO], 2)] == ["JOB_CREATED", "ECHO_RES"]
    assert server.numbers == [PacketType.SUBMIT_REDUCE_JOB_BACKGROUND, constants.ECHO_REQ]


@watched
@only(
    "piece",
    [
        b"\0REQ\0\0\0\x07\0\0\0\1f",  # without its arguments
        b"\0REQ\0\0\0\x63\0\0\0\0",  # of a type that there is not
        b"\0XXX\0\0\0\x07\0\0\0\0",
        b"\0REQ\0\0\0\x07\xff\xff\xff\xff",
    ],
    ids=["arguments", "type", "magic", "size"],
)
def test_what_is_no_packet_is_the_server_s(server, piece):
    assert [name for name, *_ in answers(server, [ECHO + piece], 2)] == ["ECHO_RES", "ERROR"]
    assert server.numbers == [constants.ECHO_REQ]


def test_a_server_without_methods_of_its_own_hands_nothing_over(monkeypatch):
    def fail(self, packet):
        raise AssertionError(packet)

    monkeypatch.setattr(gear.Server, "handlePacket", fail)
    server = gear.Server(0)
    try:
        assert answers(server, [ECHO], 1) == [("ECHO_RES", b"hello")]
    finally:
        server.shutdown()
