"""aiogear, with the codec and without."""

from __future__ import annotations

import logging
from collections import defaultdict

from aiogear import mixin
from aiogear.packet import Type
from common import MAGICS, Comparison, cut, examples, frame, outcome, places, run, seen, streams
from hypothesis import given
from hypothesis import strategies as st

import gearcore

comparison = Comparison("aiogear")
KINDS = list(Type)


class Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def play_stream(
    pieces: list[bytes], waiters: list[tuple[object, ...]], make=mixin.GearmanProtocolMixin
) -> list[object]:
    protocol = make(loop=object())
    log = Log()
    mixin.logger.addHandler(log)
    mixin.logger.propagate = False
    played: list[object] = []

    def wait(kinds: tuple[Type, ...], manner: str) -> None:
        def callback(*data: object) -> None:
            played.append((manner, seen(data), protocol._data))
            if manner == "raise":
                raise KeyError(manner)
            if manner == "again":
                wait(kinds, "again")
            elif manner == "feed":
                protocol.data_received(frame(b"\0RES", 6, b""))
            elif manner == "drop":
                protocol._data = b""

        protocol.do_register(callback, *kinds)

    for kinds, manner in waiters:
        wait(kinds, manner)
    for piece in pieces:
        played.append(outcome(protocol.data_received, piece))
        played.append(seen(protocol._data))
    mixin.logger.removeHandler(log)
    return [*played, log.lines, [kinds for kinds, _ in protocol._registers]]


waiters = st.lists(
    st.tuples(
        st.lists(st.sampled_from(KINDS), min_size=1, max_size=4).map(tuple),
        st.sampled_from(["take", "again", "again", "raise", "feed", "drop"]),
    ),
    max_size=4,
)


@examples
@given(streams, places, waiters)
def test_a_protocol_that_receives(data: bytes, places: list[int], waiters: list[tuple[object, ...]]) -> None:
    comparison.check(lambda: play_stream(cut(data, places), waiters))


def test_every_type_of_every_length() -> None:
    everything = [(tuple(KINDS), "again")]
    for magic in MAGICS:
        for number in range(45):
            for count in range(8):
                for end in (b"", b"\0", b"\0more\0", "\u00e9".encode(), b"\xff"):
                    body = b"\0".join([b"1"] * count) + end
                    packet = frame(magic, number, body)
                    comparison.check(lambda p=packet: play_stream([p + p[:7], p[7:]], everything))


def test_every_cut() -> None:
    packet = frame(b"\0RES", 11, b"H:host:1\0reverse\0a\0b")
    for size in range(len(packet) * 2):
        comparison.check(
            lambda s=size: play_stream([(packet * 2)[:s], (packet * 2)[s:]], [((Type.JOB_ASSIGN,), "again")])
        )


def test_other_than_bytes() -> None:
    packet = frame(b"\0RES", 6, b"")
    for data in (bytearray(packet), memoryview(packet), None, "text"):
        comparison.check(lambda d=data: play_stream([d, packet], []))
        comparison.check(lambda d=data: outcome(mixin.GearmanProtocolMixin(loop=1)._unpack, d))


def test_what_a_subclass_changes() -> None:
    class Splits(mixin.GearmanProtocolMixin):
        def _split(self, data, delimiter=None, maxsplit=-1):
            return super()._split(data.upper(), delimiter, maxsplit)

    class Delimits(mixin.GearmanProtocolMixin):
        _delimiter = b"s"

    class Deserializes(mixin.GearmanProtocolMixin):
        def __init__(self, loop=None):
            super().__init__(loop)
            self._deserializers[Type.JOB_ASSIGN] = len
            del self._deserializers[Type.WORK_FAIL]
            self._serializers[Type.JOB_ASSIGN] = lambda *args: b"none"

    class Subclasses(mixin.GearmanProtocolMixin):
        def __init__(self, loop=None):
            super().__init__(loop)
            self._deserializers = defaultdict(lambda: str.upper, self._deserializers)
            self._serializers = defaultdict(lambda: str.upper, self._serializers)

    class Borrows(mixin.GearmanProtocolMixin):
        def __init__(self, loop=None):
            super().__init__(loop)
            self._deserializers = Splits(loop)._deserializers

    data = frame(b"\0RES", 11, b"H:host:1\0reverse\0text") + frame(b"\0RES", 14, b"H:host:1")
    for cls in (Splits, Delimits, Deserializes, Subclasses, Borrows):
        comparison.check(lambda c=cls: play_stream([data], [(tuple(KINDS), "again")], c))
        comparison.check(lambda c=cls: outcome(c(loop=1).serialize_request, Type.JOB_ASSIGN, b"H", "f", b"x"))


def test_what_is_received_is_as_good_as_made_by_hand() -> None:
    for magic, number, body in ((b"\0RES", 8, b"H:host:1"), (b"\0RES", 11, b"H:host:1\0reverse\0text")):

        def play(packet: bytes = frame(magic, number, body)) -> object:
            received: list[tuple[str, ...]] = []
            protocol = mixin.GearmanProtocolMixin(loop=1)
            protocol.do_register(lambda _, response: received.append(response), *KINDS)
            protocol.data_received(packet)
            (response,) = received
            by_hand = type(response)(*tuple(response))
            return [hash(response) == hash(by_hand), {by_hand: 1}.get(response), response._asdict()]

        comparison.check(play)


def test_those_who_wait_change_while_a_packet_is_looked_for() -> None:
    packet = frame(b"\0RES", 6, b"")

    def play() -> object:
        protocol = mixin.GearmanProtocolMixin(loop=1)

        class Clears:
            def __eq__(self, other: object) -> bool:
                protocol._registers.clear()
                return False

        for kind in (Clears(), Type.NO_JOB, Type.NO_JOB):
            protocol.do_register(print, kind)
        return outcome(protocol.data_received, packet), len(protocol._registers)

    comparison.check(play)


def test_unpack_of_every_length() -> None:
    protocol = mixin.GearmanProtocolMixin(loop=1)
    for number in (0, 5, 6, 8, 42, 43, 2**32 - 1):
        packet = frame(b"\0RES", number, b"body") + b"more"
        for end in range(len(packet) + 1):
            comparison.check(lambda e=end, p=packet: outcome(protocol._unpack, p[:e]))


arguments = st.lists(
    st.sampled_from([b"", b"bytes", b"a\0b", "text", "h\u00e9", "\ud800", 7, None, bytearray(b"x")]),
    max_size=10,
)


@examples
@given(st.sampled_from([*KINDS, 7, None]), arguments)
def test_serialize(kind: object, args: list[object]) -> None:
    def play() -> object:
        protocol = mixin.GearmanProtocolMixin(loop=object())
        return [
            outcome(protocol.serialize_request, kind, *args),
            outcome(protocol.serialize_response, kind, *args),
            outcome(protocol._join, *args),
            outcome(protocol._join, *args, delimiter=b","),
            [
                outcome(protocol._pack, magic, kind, *args[:1])
                for magic in (b"\0REQ", b"", b"longer", None, "text")
            ],
        ]

    comparison.check(play)


def test_a_protocol_goes_on_after_the_end() -> None:
    packets = [frame(b"\0RES", 8, b"H:host:%d" % n) for n in range(3)]
    received = []
    with gearcore.accelerate("aiogear"):
        protocol = mixin.GearmanProtocolMixin(loop=1)
        for _ in packets:
            protocol.do_register(lambda *data: received.append(data[1].handle), Type.JOB_CREATED)
        protocol.data_received(packets[0] + packets[1][:15])
        assert protocol._data == packets[1][:15]
    assert mixin.GearmanProtocolMixin._data == b""
    assert vars(protocol)["_data"] == packets[1][:15]
    protocol.data_received(packets[1][15:] + packets[2])
    assert received == ["H:host:0", "H:host:1", "H:host:2"]
    assert protocol.serialize_request(Type.GRAB_JOB) == frame(b"\0REQ", 9, b"")


def test_the_end_comes_from_a_callback() -> None:
    packets = [frame(b"\0RES", 8, b"H:host:%d" % n) for n in range(3)]
    received = []
    handle = gearcore.accelerate("aiogear")
    protocol = mixin.GearmanProtocolMixin(loop=1)

    def callback(_: object, response: tuple[str, ...]) -> None:
        received.append(response)
        handle.undo()

    for _ in packets:
        protocol.do_register(callback, Type.JOB_CREATED)
    protocol.data_received(b"".join(packets) + packets[0][:13])
    assert received == [("H:host:0",), ("H:host:1",), ("H:host:2",)]
    assert vars(protocol)["_data"] == packets[0][:13]
    assert handle.parsed == 1


def test_somebody_keeps_the_method_that_receives() -> None:
    packet = frame(b"\0RES", 8, b"H:host:1")
    received = []
    with gearcore.accelerate("aiogear"):
        protocol = mixin.GearmanProtocolMixin(loop=1)
        receive = protocol.data_received  # as uvloop keeps it
        receive(packet[:14])
    protocol.do_register(lambda *data: received.append(data[1]), Type.JOB_CREATED)
    receive(packet[14:] + packet[:15])
    assert received == [("H:host:1",)]
    assert vars(protocol)["_data"] == packet[:15]


if __name__ == "__main__":
    run(globals(), comparison)
