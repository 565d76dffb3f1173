"""The codec's parser, packet by packet and error by error."""

from __future__ import annotations

import doctest
import gc
import struct
import sys
from collections.abc import Callable

import pytest
from packets import SUBMIT, UNKNOWN, every_packet, example, frame, packets_with_arguments

from gearcore import codec
from gearcore.codec import Packet, Parser, pack_request, pack_response
from gearcore.errors import (
    BadMagic,
    PacketTooLarge,
    ProtocolError,
    TooFewArguments,
    UnknownPacketType,
)
from gearcore.protocol import (
    DEFAULT_MAX_PACKET_SIZE,
    PACKETS,
    REQUEST_MAGIC,
    RESPONSE_MAGIC,
    PacketSpec,
    PacketType,
)


class TestParsing:
    """Every packet of the table, whole and cut."""

    @every_packet
    def test_a_whole_packet(self, spec: PacketSpec) -> None:
        packet, data = example(spec)
        parser = Parser()
        assert parser.feed(data) == [packet]
        assert parser.buffered == 0

    @every_packet
    @pytest.mark.parametrize("text", [False, True], ids=["packets only", "lines too"])
    def test_cut_in_two_anywhere(self, spec: PacketSpec, text: bool) -> None:
        packet, data = example(spec)
        for cut in range(1, len(data)):
            parser = Parser(text=text)
            assert parser.feed(data[:cut]) == []
            assert parser.buffered == cut
            assert parser.feed(data[cut:]) == [packet]
            assert parser.buffered == 0

    @every_packet
    def test_one_byte_at_a_time(self, spec: PacketSpec) -> None:
        packet, data = example(spec)
        parser = Parser()
        fed = [parser.feed(data[at : at + 1]) for at in range(len(data))]
        assert fed == [[]] * (len(data) - 1) + [[packet]]

    @every_packet
    def test_with_the_start_of_the_next_one_behind_it(self, spec: PacketSpec) -> None:
        packet, data = example(spec)
        for extra in range(1, len(data)):
            parser = Parser()
            assert parser.feed(data + data[:extra]) == [packet]
            assert parser.buffered == extra
            assert parser.feed(data[extra:]) == [packet]

    @every_packet
    def test_either_magic_unless_one_is_expected(self, spec: PacketSpec) -> None:
        arguments = tuple(b"argument" for _ in spec.arguments)
        request = pack_request(spec.type, *arguments)
        response = pack_response(spec.type, *arguments)
        assert Parser().feed(request + response) == [
            Packet(spec.type, arguments, is_request=True),
            Packet(spec.type, arguments, is_request=False),
        ]
        assert Parser(expect=REQUEST_MAGIC).feed(request) == [Packet(spec.type, arguments)]
        assert Parser(expect=RESPONSE_MAGIC).feed(response) == [Packet(spec.type, arguments, False)]

    @packets_with_arguments
    def test_empty_arguments(self, spec: PacketSpec) -> None:
        nothing = (b"",) * len(spec.arguments)
        assert Parser().feed(frame(spec.number, b"\0" * (len(nothing) - 1))) == [Packet(spec.type, nothing)]

    @packets_with_arguments
    def test_too_few_arguments(self, spec: PacketSpec) -> None:
        wanted = len(spec.arguments)
        for had in range(1, wanted):
            data = frame(spec.number, b"\0".join([b"x"] * had))
            if spec.payload_optional:
                assert Parser().feed(data) == [Packet(spec.type, (b"x", b""))]
                continue
            with pytest.raises(TooFewArguments) as raised:
                Parser().feed(data)
            names = ", ".join(spec.arguments)
            assert str(raised.value) == f"{spec.name} takes {wanted} arguments ({names}), and has {had}"

    def test_an_optional_payload_leaves_an_empty_last_argument(self) -> None:
        handle_alone = frame(PacketType.WORK_COMPLETE, b"H:host:1")
        handle_and_nul = frame(PacketType.WORK_COMPLETE, b"H:host:1\0")
        expected = Packet(PacketType.WORK_COMPLETE, (b"H:host:1", b""))
        assert Parser().feed(handle_alone + handle_and_nul) == [expected, expected]

    @pytest.mark.parametrize(
        "spec", [spec for spec in PACKETS if not spec.arguments], ids=lambda spec: spec.name
    )
    def test_a_packet_without_arguments_ignores_its_body(self, spec: PacketSpec) -> None:
        assert Parser().feed(frame(spec.number, b"any\0thing") + SUBMIT) == [
            Packet(spec.type, ()),
            Packet(PacketType.SUBMIT_JOB, (b"reverse", b"", b"Hello")),
        ]

    def test_one_of_each_in_one_buffer(self) -> None:
        packets, data = zip(*map(example, PACKETS), strict=True)
        assert Parser().feed(b"".join(data)) == list(packets)

    @pytest.mark.parametrize(
        "make",
        [bytes, bytearray, memoryview, lambda data: memoryview(b"--" + data)[2:]],
        ids=["bytes", "bytearray", "memoryview", "part of a memoryview"],
    )
    def test_any_bytes_like_object(self, make: Callable[[bytes], bytes]) -> None:
        parser = Parser()
        assert parser.feed(make(SUBMIT[:20])) == []
        assert parser.feed(make(SUBMIT[20:])) == [
            Packet(PacketType.SUBMIT_JOB, (b"reverse", b"", b"Hello")),
        ]

    def test_what_was_fed_is_not_referred_to(self) -> None:
        data = bytearray(SUBMIT + SUBMIT[:20])
        parser = Parser()
        packets = parser.feed(data)
        data[:] = bytes(len(data))
        data.extend(b"more")
        assert packets + parser.feed(SUBMIT[20:]) == Parser().feed(SUBMIT * 2)

    def test_nothing(self) -> None:
        assert Parser().feed(b"") == []

    @pytest.mark.parametrize("data", ["text", None, 7, [b"list"]], ids=repr)
    def test_what_is_not_bytes_like_is_refused(self, data: object) -> None:
        parser = Parser()
        with pytest.raises(TypeError, match="bytes-like"):
            parser.feed(data)  # type: ignore[arg-type]
        assert len(parser.feed(SUBMIT)) == 1


class TestLines:
    """The admin protocol, with ``text=True``."""

    @pytest.mark.parametrize(
        ("data", "lines"),
        [
            (b"status\n", [b"status"]),
            (b"status\r\nversion\n", [b"status", b"version"]),
            (b"\n\r\n\r\r\n", [b"", b"", b"\r"]),
            (b"with\rreturn and\0NUL\n", [b"with\rreturn and\0NUL"]),
            (b"REQ\n", [b"REQ"]),
        ],
        ids=repr,
    )
    def test_lines(self, data: bytes, lines: list[bytes]) -> None:
        assert Parser(text=True).feed(data) == lines
        parser = Parser(text=True)
        assert [line for at in range(len(data)) for line in parser.feed(data[at : at + 1])] == lines
        assert parser.buffered == 0

    def test_lines_and_packets_alternate(self) -> None:
        submit = Packet(PacketType.SUBMIT_JOB, (b"reverse", b"", b"Hello"))
        data = b"status\r\n" + SUBMIT + b"version\n" + SUBMIT * 2
        expected = [b"status", submit, b"version", submit, submit]
        assert Parser(text=True, expect=REQUEST_MAGIC).feed(data) == expected
        for cut in range(len(data)):
            parser = Parser(text=True)
            assert parser.feed(data[:cut]) + parser.feed(data[cut:]) == expected

    def test_a_return_that_ends_a_packet_is_no_part_of_the_line_behind_it(self) -> None:
        echo = pack_request(PacketType.ECHO_REQ, b"\r")
        assert Parser(text=True).feed(echo + b"\n") == [Packet(PacketType.ECHO_REQ, (b"\r",)), b""]

    @pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=repr)
    def test_the_longest_line(self, end: bytes) -> None:
        line = b"x" * (8193 - len(end))
        assert Parser(text=True).feed(line + end) == [line]

    def test_a_line_that_is_too_long(self) -> None:
        parser = Parser(text=True)
        assert parser.feed(b"x" * 8192) == []
        for data in (b"x", b"\n", b""):
            with pytest.raises(ProtocolError) as raised:
                parser.feed(data)
            assert type(raised.value) is ProtocolError
            assert str(raised.value) == "a line has no end within 8192 bytes"
            assert not raised.value.recoverable
        with pytest.raises(ProtocolError, match="no end within"):
            Parser(text=True).feed(b"x" * 8193 + b"\n")

    def test_a_line_is_bad_magic_without_text(self) -> None:
        with pytest.raises(BadMagic):
            Parser().feed(b"status\n")


class TestOffences:
    """What a parser raises, when, and how it goes on."""

    @pytest.mark.parametrize(
        ("expect", "data", "text"),
        [
            (
                None,
                b"GET / HTTP/1.1",
                r"a packet starts with 47455420 (b'GET ') instead of the magic "
                r"00524551 (\0REQ) or 00524553 (\0RES)",
            ),
            (
                REQUEST_MAGIC,
                pack_response(PacketType.NOOP),
                r"a packet starts with 00524553 (b'\x00RES') instead of the magic 00524551 (\0REQ)",
            ),
            (
                RESPONSE_MAGIC,
                pack_request(PacketType.GRAB_JOB),
                r"a packet starts with 00524551 (b'\x00REQ') instead of the magic 00524553 (\0RES)",
            ),
        ],
        ids=["neither", "no request", "no response"],
    )
    def test_bad_magic(self, expect: bytes | None, data: bytes, text: str) -> None:
        with pytest.raises(BadMagic) as raised:
            Parser(expect=expect).feed(data)
        assert str(raised.value) == text
        assert not raised.value.recoverable

    @pytest.mark.parametrize("start", [b"x", b"\0X", b"\0RX", b"\0REX"], ids=repr)
    def test_bad_magic_is_known_by_its_first_wrong_byte(self, start: bytes) -> None:
        parser = Parser()
        assert parser.feed(start[:-1]) == []
        with pytest.raises(BadMagic, match=f"starts with {start.hex()} "):
            parser.feed(start[-1:])

    @pytest.mark.parametrize("type", [0, 43, 99, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF], ids=hex)
    def test_unknown_type(self, type: int) -> None:
        data = frame(type, b"hello")
        parser = Parser()
        assert parser.feed(data[:-1]) == []
        with pytest.raises(UnknownPacketType) as raised:
            parser.feed(data[-1:])
        assert str(raised.value) == f"there is no packet type {type} (with a body of 5 bytes)"
        assert raised.value.recoverable
        assert parser.feed(SUBMIT) == [Packet(PacketType.SUBMIT_JOB, (b"reverse", b"", b"Hello"))]

    @pytest.mark.parametrize(
        ("type", "name"),
        [(PacketType.WORK_DATA, "WORK_DATA"), (0xFFFFFFFF, "packet type 4294967295")],
        ids=["known", "unknown"],
    )
    def test_too_large(self, type: int, name: str) -> None:
        limit = 1000
        parser = Parser(max_packet_size=limit)
        at_limit = frame(PacketType.ECHO_REQ, bytes(limit))
        assert parser.feed(at_limit) == [Packet(PacketType.ECHO_REQ, (bytes(limit),))]
        header = frame(type, bytes(limit + 1))[:12]
        assert parser.feed(header[:-1]) == []
        with pytest.raises(PacketTooLarge) as raised:
            parser.feed(header[-1:])
        assert str(raised.value) == f"{name} announces a body of 1001 bytes, over the limit of 1000"
        assert not raised.value.recoverable

    def test_the_limit(self) -> None:
        assert Parser().max_packet_size == DEFAULT_MAX_PACKET_SIZE
        assert Parser(max_packet_size=5).max_packet_size == 5
        assert Parser(max_packet_size=0).feed(pack_request(PacketType.GRAB_JOB))
        with pytest.raises(PacketTooLarge, match="over the limit of 268435456"):
            Parser().feed(struct.pack(">4sII", REQUEST_MAGIC, PacketType.ECHO_REQ, 2**28 + 1))
        with pytest.raises(ValueError, match="max_packet_size must not be negative, and is -1"):
            Parser(max_packet_size=-1)

    @pytest.mark.parametrize("expect", [b"", b"\0RE", b"REQ", "\0REQ", 5], ids=repr)
    def test_expect_must_be_a_magic(self, expect: object) -> None:
        with pytest.raises(ValueError, match="expect must be None, REQUEST_MAGIC or RESPONSE_MAGIC, not "):
            Parser(expect=expect)  # type: ignore[arg-type]

    def test_options_are_named(self) -> None:
        with pytest.raises(TypeError):
            Parser(REQUEST_MAGIC)  # type: ignore[call-arg]

    @pytest.mark.parametrize("pieces", ["at once", "byte by byte"])
    def test_after_a_recoverable_offence_the_parser_goes_on_behind_it(self, pieces: str) -> None:
        submit = Packet(PacketType.SUBMIT_JOB, (b"reverse", b"", b"Hello"))
        too_few = frame(PacketType.SUBMIT_JOB, b"reverse")
        data = SUBMIT + UNKNOWN + SUBMIT * 2 + too_few + too_few + SUBMIT[:-1]
        seen: list[object] = []
        parser = Parser()
        step = len(data) if pieces == "at once" else 1
        for chunk in [data[at : at + step] for at in range(0, len(data), step)] + [SUBMIT[-1:]]:
            while True:
                try:
                    seen += parser.feed(chunk)
                    break
                except ProtocolError as offence:
                    seen += [*offence.packets, type(offence)]
                    chunk = b""
        assert seen == [
            submit, UnknownPacketType, submit, submit, TooFewArguments, TooFewArguments, submit,
        ]  # fmt: skip
        assert parser.buffered == 0

    def test_bytes_fed_before_going_on_are_kept_in_order(self) -> None:
        parser = Parser()
        with pytest.raises(UnknownPacketType):
            parser.feed(UNKNOWN + UNKNOWN + SUBMIT[:5])
        assert parser.buffered == len(UNKNOWN) + 5
        with pytest.raises(UnknownPacketType):
            parser.feed(SUBMIT[5:] + SUBMIT)
        assert parser.buffered == 2 * len(SUBMIT)
        assert len(parser.feed(SUBMIT)) == 3

    def test_bytes_fed_when_the_buffer_is_full_at_its_end(self) -> None:
        kept = 20
        parser = Parser()
        with pytest.raises(UnknownPacketType):
            parser.feed(UNKNOWN * (kept + 1))
        # The buffer is made twice as large as what it is to hold, and this fills the other half.
        filling = UNKNOWN * (kept - 1) + SUBMIT[: len(UNKNOWN)]
        for data in [filling] + [b""] * (2 * kept - 2):
            with pytest.raises(UnknownPacketType):
                parser.feed(data)
        assert parser.feed(b"") == []
        assert parser.buffered == len(UNKNOWN)
        assert parser.feed(SUBMIT[len(UNKNOWN) : 20]) == []
        assert len(parser.feed(SUBMIT[20:] + SUBMIT)) == 2

    @pytest.mark.parametrize(
        "bad",
        [b"bad", frame(PacketType.ECHO_REQ, bytes(100))],
        ids=["bad magic", "too large"],
    )
    def test_after_a_fatal_offence_every_call_raises_it_again(self, bad: bytes) -> None:
        parser = Parser(max_packet_size=99)
        with pytest.raises(ProtocolError) as first:
            parser.feed(SUBMIT * 2 + bad + SUBMIT)
        assert first.value.packets == Parser().feed(SUBMIT * 2)
        assert parser.buffered == 0
        for data in (b"", SUBMIT):
            with pytest.raises(type(first.value)) as again:
                parser.feed(data)
            assert str(again.value) == str(first.value)
            assert again.value.packets == []

    @pytest.mark.skipif(sys.version_info >= (3, 12), reason="collections run between bytecodes only")
    def test_feeding_from_a_finalizer_is_refused(self) -> None:
        parser = Parser()
        refusals: list[RuntimeError] = []

        def feed_again(phase: str, info: dict[str, int]) -> None:
            try:
                parser.feed(SUBMIT)
            except RuntimeError as refusal:
                refusals.append(refusal)

        thresholds = gc.get_threshold()
        gc.callbacks.append(feed_again)
        gc.set_threshold(1)
        try:
            # Many enough that not all of the tuples come from the interpreter's store of used ones.
            packets = parser.feed(SUBMIT * 5000)
        finally:
            gc.set_threshold(*thresholds)
            gc.callbacks.remove(feed_again)
        assert len(packets) == 5000
        assert "fed while it was being fed" in str(refusals[0])


def test_the_examples_of_the_module() -> None:
    assert doctest.testmod(codec) == (0, 6)
