"""gear, with the codec and without."""

from __future__ import annotations

import gear
from common import MAGICS, Comparison, cut, examples, frame, outcome, places, run, seen, streams
from hypothesis import given
from hypothesis import strategies as st

import gearcore

comparison = Comparison("gear")
CALLS = 12


class Connection(gear.Connection):
    """A connection to a script: bytes, or an exception that a read raises."""

    def __init__(self, script: list[object]) -> None:
        super().__init__("localhost", 1)
        self.script = list(script)
        self.admin_requests = [gear.StatusAdminRequest(), gear.VersionAdminRequest()]

    def _readRawBytes(self, bytes_to_read):  # noqa: N802
        assert bytes_to_read == 4096
        step = self.script.pop(0) if self.script else b""
        if isinstance(step, type):
            raise step
        return step


def shown(connection: gear.Connection, read: object) -> object:
    if isinstance(read, gear.Packet):
        assert read.connection is connection
        return "packet", seen((read.code, read.ptype, read.data)), list(vars(read))
    if isinstance(read, gear.AdminRequest):
        return type(read), read.response
    return read


def play_script(script: list[object]) -> list[object]:
    connection = Connection(script)
    played: list[object] = []
    for _ in range(CALLS):
        try:
            played.append(shown(connection, connection.readPacket()))
        except Exception as raised:
            played.append((type(raised), str(raised)))
        played.append((seen(connection.input_buffer), connection.need_bytes, len(connection.admin_requests)))
        played.append(connection.hasPendingData())
    return played


@examples
@given(streams, places, st.lists(st.integers(0, 12), max_size=4))
def test_a_connection_that_reads(data: bytes, places: list[int], waits: list[int]) -> None:
    script: list[object] = list(cut(data, places))
    for place in waits:
        script.insert(place % (len(script) + 1), gear.RetryIOError)
    comparison.check(lambda: play_script(script))


@examples
@given(streams)
def test_a_connection_that_reads_byte_by_byte(data: bytes) -> None:
    comparison.check(lambda: play_script(cut(data, range(len(data)))))


def test_every_type_cut_in_two() -> None:
    for magic in MAGICS:
        for number in range(45):
            packet = frame(magic, number, b"H:host:1\0reverse\0\0x")
            for end in (1, 8, 11, 12, 13, len(packet)):
                comparison.check(lambda p=packet, e=end: play_script([p + p[:e], p[e:], OSError]))


def test_a_large_packet() -> None:
    packet = frame(b"\0RES", 11, b"H:host:1\0f\0" + bytes(range(256)) * 400)
    comparison.check(
        lambda: play_script([*cut(packet * 2 + b"\0RE", range(0, 2 * len(packet), 4096)), OSError])
    )
    comparison.check(lambda: play_script([packet[:50], packet[50:90], gear.RetryIOError, packet[90:]]))


parts = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b"\0REQ", b"\0RES", b"\0", b"\0R", b"\0REQUEST", b"", bytearray(b"\0REQ")]),
)
odd = st.one_of(parts, st.just(bytearray(b"a\0b")), st.none(), st.just("text"))


@examples
@given(
    st.one_of(st.sampled_from(MAGICS), parts),
    st.one_of(st.integers(0, 50), st.sampled_from([-1, 2**31 - 1, 2**31, 2**40, None, "7", True])),
    st.one_of(parts, odd),
)
def test_to_binary(code: bytes, ptype: object, data: object) -> None:
    comparison.check(lambda: outcome(lambda: gear.Packet(code, ptype, data).toBinary()))


def test_to_binary_of_every_type() -> None:
    for magic in MAGICS:
        for number in range(45):
            for data in (b"", b"H:host:1\0reverse\0\0x"):
                comparison.check(lambda m=magic, n=number, d=data: outcome(gear.Packet(m, n, d).toBinary))


@examples
@given(st.one_of(st.lists(st.binary(max_size=4), max_size=6).map(b"\0".join)), st.booleans())
def test_get_argument(data: bytes, is_bytearray: bool) -> None:
    packet = gear.Packet(b"\0RES", 11, bytearray(data) if is_bytearray else data)
    for index in [*range(-4, 9), 2**70, None, "0", True, slice(0, 2)]:
        for last in (False, True, 1, None):
            comparison.check(lambda i=index, last=last: outcome(packet.getArgument, i, last))
            comparison.check(lambda i=index, last=last: outcome(packet.getArgument, index=i, last=last))


def test_a_connection_goes_on_after_the_end() -> None:
    packets = b"".join(frame(b"\0RES", 8, b"H:host:%d" % n) for n in range(4))
    connection = Connection([])
    connection.input_buffer = packets
    read = [connection.readPacket()]
    with gearcore.accelerate("gear") as handle:
        read += [connection.readPacket(), connection.readPacket()]
        assert connection.input_buffer == packets[3 * 20 :]
        assert handle.parsed == 2
    assert "input_buffer" not in vars(gear.Connection)
    assert vars(connection)["input_buffer"] == packets[3 * 20 :]
    read.append(connection.readPacket())
    assert [packet.getArgument(0) for packet in read] == [b"H:host:%d" % n for n in range(4)]


def test_the_end_comes_in_the_middle_of_a_packet() -> None:
    packet = frame(b"\0RES", 8, b"H:host:1")
    for ends in (5, 12, 15):
        handle = gearcore.accelerate("gear")

        class Ends(Connection):
            def _readRawBytes(self, bytes_to_read, handle=handle):  # noqa: N802
                if len(self.script) == 1:
                    handle.undo()
                return super()._readRawBytes(bytes_to_read)

        connection = Ends([packet + packet[:ends], packet[ends:] + packet[:7]])
        read = [connection.readPacket() for _ in range(2)]
        assert not handle.active
        assert [one.getArgument(0) for one in read] == [b"H:host:1"] * 2
        assert vars(connection)["input_buffer"] == packet[:7]
        kept = connection.readPacket
        assert kept() is None
        assert vars(connection)["input_buffer"] == packet[:7]


def test_instances_that_are_equal_or_have_no_hash() -> None:
    class Equal(Connection):
        def __eq__(self, other: object) -> bool:
            return True

    packet = frame(b"\0RES", 8, b"H:host:1")
    with gearcore.accelerate("gear"):
        connections = [Equal([packet + packet[:9]]) for _ in range(3)]
        for connection in connections:
            assert connection.readPacket().getArgument(0) == b"H:host:1"
    assert [vars(connection)["input_buffer"] for connection in connections] == [packet[:9]] * 3


def test_a_packet_class_of_ones_own() -> None:
    class Packet(gear.Packet):
        pass

    def play() -> object:
        kept, gear.Packet = gear.Packet, Packet
        try:
            return type(Connection([frame(b"\0RES", 6, b"")]).readPacket())
        finally:
            gear.Packet = kept

    comparison.check(play)


if __name__ == "__main__":
    run(globals(), comparison)
