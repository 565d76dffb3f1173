"""What the broker makes of bytes: split anywhere, many at once, mixed with text, or wrong."""

import struct

import pytest
from world import World, handle

from gearcore._codec import pack_request, pack_response
from gearcore.broker import Broker, Connection
from gearcore.protocol import PACKETS, Party
from gearcore.protocol import PacketType as P

FROM_SERVER_ALONE = [spec.type for spec in PACKETS if spec.sender in (Party.SERVER, Party.NOBODY)]


@pytest.fixture
def world():
    return World()


def scene() -> bytes:
    """A worker's and client's whole conversation on one connection, text in between."""
    return b"".join(
        [
            pack_request(P.CAN_DO, b"f"),
            b"version\r\n",
            pack_request(P.SUBMIT_JOB, b"f", b"unique", b"work\0load" * 3),
            pack_request(P.GRAB_JOB_UNIQ),
            b"status\n",
            pack_request(P.WORK_STATUS, handle(1), b"1", b"2"),
            pack_request(P.WORK_COMPLETE, handle(1), b"result"),
            pack_request(P.ECHO_REQ, b""),
        ]
    )


def test_any_split_of_the_stream_gives_the_same_answers(world):
    whole = world.peer()
    whole.raw(scene())
    expected = whole.output()
    assert expected.endswith(pack_response(P.ECHO_RES, b""))
    for at in range(1, len(scene())):
        other = World().peer()
        other.raw(scene()[:at])
        other.raw(scene()[at:])
        assert other.output() == expected, at


def test_a_byte_at_a_time(world):
    peer, reference = world.peer(), World().peer()
    for byte in scene():
        peer.raw(bytes([byte]))
    reference.raw(scene())
    assert peer.output() == reference.output()


def test_thousands_of_packets_at_once(world):
    peer = world.peer()
    peer.raw(pack_request(P.ECHO_REQ, b"x") * 10_000)
    assert peer.received() == [(P.ECHO_RES, b"x")] * 10_000


def test_a_large_packet_in_small_pieces(world):
    peer = world.peer()
    data = bytes(range(256)) * 40_000
    packet = pack_request(P.ECHO_REQ, data) + pack_request(P.ECHO_REQ, b"next")
    for at in range(0, len(packet), 4096):
        peer.raw(packet[at : at + 4096])
    assert peer.received() == [(P.ECHO_RES, data), (P.ECHO_RES, b"next")]


def test_packets_without_arguments_may_have_a_body(world):
    peer = world.peer()
    peer.raw(struct.pack(">4sII", b"\0REQ", P.GRAB_JOB, 5) + b"abcde")
    assert peer.received() == [(P.NO_JOB,)]


@pytest.mark.parametrize("type", FROM_SERVER_ALONE, ids=lambda t: t.name)
def test_what_only_a_server_sends_is_not_expected(world, type):
    peer = world.peer()
    peer.raw(struct.pack(">4sII", b"\0REQ", type, 4) + b"a\0b\0")
    assert peer.received() == [(P.ERROR, b"INVALID_COMMAND", b"Command not expected")]
    assert peer.ask(P.ECHO_REQ, b"still here") == (P.ECHO_RES, b"still here")


@pytest.mark.parametrize("number", [0, 43, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_an_unknown_type_is_refused_and_the_stream_goes_on(world, number):
    peer = world.peer()
    peer.raw(struct.pack(">4sII", b"\0REQ", number, 3) + b"abc")
    assert peer.received() == [(P.ERROR, b"INVALID_COMMAND", b"There is no packet type %d" % number)]
    assert peer.ask(P.ECHO_REQ, b"still here") == (P.ECHO_RES, b"still here")


def test_the_magic_of_a_response_is_refused_and_the_stream_goes_on(world):
    peer = world.peer()
    peer.raw(pack_response(P.ECHO_REQ, b"x"))
    assert peer.received() == [(P.ERROR, b"INVALID_MAGIC", b"Request magic expected")]
    assert peer.ask(P.ECHO_REQ, b"still here") == (P.ECHO_RES, b"still here")


@pytest.mark.parametrize("split", [False, True])
def test_a_wrong_magic_is_answered_and_the_connection_closed(world, split):
    peer, other = world.peer(), world.worker(b"f")
    other.submit(b"f", type="_BG")
    data = b"\0BAD" + pack_request(P.ECHO_REQ, b"x")
    for part in [data[:2], data[2:]] if split else [data]:
        peer.raw(part)
    ((kind, code, _),) = peer.received()
    assert (kind, code) == (P.ERROR, b"INVALID_MAGIC")
    assert peer.connection.closing
    assert other.grab() == handle(1)


@pytest.mark.parametrize(
    "spec",
    [s for s in PACKETS if Party.SERVER not in s.sender and len(s.arguments) > 1],
    ids=lambda s: s.name,
)
def test_too_few_arguments_are_refused_and_the_stream_goes_on(world, spec):
    peer = world.peer()
    peer.raw(struct.pack(">4sII", b"\0REQ", spec.number, 4) + b"only")
    ((kind, code, text),) = peer.received()
    assert (kind, code) == (P.ERROR, b"INVALID_PACKET")
    assert text == f"{spec.name} takes {len(spec.arguments)} arguments: {', '.join(spec.arguments)}".encode()
    assert peer.ask(P.ECHO_REQ, b"still here") == (P.ECHO_RES, b"still here")
    assert world.broker.functions == []


class TestTooLarge:
    def test_a_packet_over_the_limit_is_refused_and_passed_over(self):
        peer = World(max_packet_size=100).peer()
        assert peer.ask(P.ECHO_REQ, b"x" * 100) == (P.ECHO_RES, b"x" * 100)
        text = b"A packet of 101 bytes is larger than the 100 that this server takes"
        assert peer.ask(P.ECHO_REQ, b"x" * 101) == (P.ERROR, b"ARGUMENT_TOO_LARGE", text)
        assert peer.ask(P.ECHO_REQ, b"still here") == (P.ECHO_RES, b"still here")

    def test_it_is_refused_when_its_header_is_there_and_its_body_is_not_kept(self):
        peer = World(max_packet_size=100).peer()
        packet = pack_request(P.ECHO_REQ, b"x" * 1000)
        peer.raw(packet[:5])
        peer.raw(packet[5:12])
        ((_, code, _),) = peer.received()
        assert code == b"ARGUMENT_TOO_LARGE"
        for at in range(12, len(packet), 7):
            peer.raw(packet[at : at + 7])
        assert peer.received() == []
        assert peer.ask(P.ECHO_REQ, b"still here") == (P.ECHO_RES, b"still here")


class TestText:
    def test_text_and_packets_mix_on_one_connection(self, world):
        peer = world.peer()
        peer.raw(b"ver" + b"sion\n" + pack_request(P.ECHO_REQ, b"x") + b"status\n")
        version, echo, status = peer.output().partition(pack_response(P.ECHO_RES, b"x"))
        assert version.startswith(b"OK ")
        assert echo
        assert status == b".\n"

    def test_a_line_of_8192_bytes_is_read_and_a_longer_one_ends_the_connection(self, world):
        peer = world.peer()
        peer.raw(b"x" * 8192 + b"\n")
        assert peer.output().startswith(b"ERR UNKNOWN_COMMAND")
        assert not peer.connection.closing
        peer.raw(b"x" * 8193)
        assert peer.output().startswith(b"ERR ARGUMENT_TOO_LARGE")
        assert peer.connection.closing

    def test_a_line_that_never_ends_is_not_kept(self, world):
        peer = world.peer()
        for _ in range(100):
            peer.raw(b"x" * 1000)
        assert peer.connection.closing


def test_what_is_not_bytes_is_refused(world):
    with pytest.raises(TypeError):
        world.peer().connection.receive("text", 0.0)
    world.peer().connection.receive(memoryview(bytearray(pack_request(P.PRE_SLEEP))), 0.0)


class TestMisuse:
    """What a driver or a callable of its own does wrong is refused, and breaks nothing."""

    @pytest.mark.parametrize("act", [lambda c: c.broker.disconnect(c), lambda c: c.receive(b"x\n", 0.0)])
    def test_a_connection_is_left_alone_while_it_receives(self, act):
        def answer(connection, line):
            act(connection)
            return b"never said"

        def may(action, name):
            act(connection)
            return True

        broker = Broker(answer)
        connection = broker.connect(access=may)
        for data in (pack_request(P.SUBMIT_JOB, b"f", b"", b""), pack_request(P.CAN_DO, b"f")):
            with pytest.raises(RuntimeError, match="while it answers"):
                connection.receive(data, 0.0)
        plain = broker.connect()
        with pytest.raises(RuntimeError, match="while it answers"):
            plain.receive(b"status\n", 0.0)
        plain.receive(pack_request(P.ECHO_REQ, b"still here"), 0.0)
        assert plain.take_output().endswith(b"still here")

    def test_a_connection_of_another_broker_is_not_disconnected(self, world):
        peer = world.worker(b"f")
        with pytest.raises(ValueError, match="not of this broker"):
            World().broker.disconnect(peer.connection)
        peer.leave()

    def test_a_connection_that_no_broker_made_receives_nothing(self):
        with pytest.raises(ValueError, match="disconnected"):
            Connection.__new__(Connection).receive(b"", 0.0)
