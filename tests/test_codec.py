"""The codec, packet by packet and error by error."""

from __future__ import annotations

import array
import contextlib
import ctypes
import doctest
import gc
import struct
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable

import pytest

from gearcore import codec
from gearcore.codec import Packet, Parser, pack_request, pack_response, unpack_arguments
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

UNKNOWN = b"\0REQ\0\0\0\x63\0\0\0\x05hello"
SUBMIT = pack_request(PacketType.SUBMIT_JOB, b"reverse", b"", b"Hello")

every_packet = pytest.mark.parametrize("spec", PACKETS, ids=lambda spec: spec.name)
packets_with_arguments = pytest.mark.parametrize(
    "spec", [spec for spec in PACKETS if spec.arguments], ids=lambda spec: spec.name
)


def frame(type: int, body: bytes, magic: bytes = REQUEST_MAGIC) -> bytes:
    """A packet with any type and any body, right or wrong."""
    return struct.pack(">4sII", magic, type, len(body)) + body


def example(spec: PacketSpec) -> tuple[Packet, bytes]:
    """A packet of a type, with a NUL in its last argument, and its bytes."""
    arguments = [name.encode() for name in spec.arguments]
    if arguments:
        arguments[-1] += b"\0and\0\0more"
    return Packet(spec.type, tuple(arguments)), frame(spec.number, b"\0".join(arguments))


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


class TestPacking:
    """``pack_request`` and ``pack_response``."""

    def test_bytes_of_a_request_and_a_response(self) -> None:
        assert pack_request(PacketType.SUBMIT_JOB, b"reverse", b"", b"Hello") == (
            b"\0REQ\0\0\0\x07\0\0\0\x0ereverse\0\0Hello"
        )
        assert pack_response(PacketType.WORK_COMPLETE, b"H:host:1", b"\0\0") == (
            b"\0RES\0\0\0\x0d\0\0\0\x0bH:host:1\0\0\0"
        )
        assert pack_request(9) == b"\0REQ\0\0\0\x09\0\0\0\0"

    @every_packet
    def test_every_packet_comes_back(self, spec: PacketSpec) -> None:
        packet, data = example(spec)
        assert pack_request(spec.type, *packet.args) == data
        assert pack_request(packet.type, *packet.args) == data

    @pytest.mark.parametrize(
        "workload",
        [bytearray(b"data"), memoryview(b"data"), array.array("B", b"data"), (ctypes.c_char * 4)(*b"data")],
        ids=lambda workload: type(workload).__name__,
    )
    def test_any_bytes_like_argument(self, workload: bytes) -> None:
        expected = pack_request(PacketType.SUBMIT_JOB, b"data", b"data", b"data")
        assert pack_request(PacketType.SUBMIT_JOB, workload, b"data", workload) == expected

    @packets_with_arguments
    def test_eight_views_at_once_are_let_go(self, spec: PacketSpec) -> None:
        arguments = [bytearray(name.encode()) for name in spec.arguments]
        pack_request(spec.type, *arguments)
        for argument in arguments:
            argument.append(0)  # BufferError if a view were left
        if len(arguments) > 1:
            with pytest.raises(ValueError, match="NUL"):
                pack_request(spec.type, *arguments)
        for argument in arguments:
            argument.append(0)

    @packets_with_arguments
    @pytest.mark.parametrize("wrong", ["text", 5, None, [b"list"]], ids=lambda wrong: type(wrong).__name__)
    def test_an_argument_that_is_not_bytes_like(self, spec: PacketSpec, wrong: object) -> None:
        for at, name in enumerate(spec.arguments):
            arguments: list[object] = [bytearray(b"x") for _ in spec.arguments]
            arguments[at] = wrong
            with pytest.raises(TypeError) as raised:
                pack_request(spec.type, *arguments)  # type: ignore[arg-type]
            assert str(raised.value) == (
                f"{spec.name}: {name} must be bytes-like, not {type(wrong).__name__}"
            )

    def test_a_view_that_is_not_contiguous(self) -> None:
        with pytest.raises(BufferError):
            pack_request(PacketType.ECHO_REQ, memoryview(b"abcdef")[::2])

    @every_packet
    def test_a_wrong_number_of_arguments(self, spec: PacketSpec) -> None:
        count = len(spec.arguments)
        takes = {0: "takes no arguments", 1: f"takes 1 argument ({spec.arguments[0] if count else ''})"}.get(
            count, f"takes {count} arguments ({', '.join(spec.arguments)})"
        )
        for given in {0, count - 1, count + 1, 9} - {count, -1}:
            with pytest.raises(ValueError, match=r"^\w+ takes") as raised:
                pack_response(spec.type, *[b"x"] * given)
            assert str(raised.value) == f"{spec.name} {takes}, and was given {given}"

    @packets_with_arguments
    def test_a_nul_in_any_argument_but_the_last(self, spec: PacketSpec) -> None:
        for at, name in enumerate(spec.arguments[:-1]):
            for bad in (b"\0", b"x\0", b"\0x", bytearray(b"x\0x")):
                arguments: list[bytes | bytearray] = [b"x" for _ in spec.arguments]
                arguments[at] = bad
                with pytest.raises(ValueError, match="NUL") as raised:
                    pack_request(spec.type, *arguments)
                assert str(raised.value) == (
                    f"{spec.name}: {name} holds a NUL byte, which only the last argument may"
                )

    @pytest.mark.parametrize("type", [0, 43, -1, 2**31, 2**32 + 7, 2**64, -(2**64)])
    def test_a_type_that_is_not_in_the_table(self, type: int) -> None:
        with pytest.raises(ValueError, match=f"^there is no packet type {type}$"):
            pack_request(type)
        with pytest.raises(ValueError, match=f"^there is no packet type {type}$"):
            unpack_arguments(type, b"")
        with pytest.raises(ValueError, match=f"^there is no packet type {type}$"):
            Packet(type, ())

    @pytest.mark.parametrize("type", ["SUBMIT_JOB", None, 7.0], ids=repr)
    def test_a_type_that_is_no_number(self, type: object) -> None:
        with pytest.raises(TypeError):
            pack_request(type, b"", b"", b"")  # type: ignore[arg-type]

    @pytest.mark.skipif(sys.maxsize < 2**32, reason="no object is that large here")
    def test_a_body_that_no_header_can_announce(self) -> None:
        # Claims 4 GiB and has one byte: the size is to be refused before a byte is read.
        storage = ctypes.c_char(b"x")
        huge = (ctypes.c_char * 2**32).from_address(ctypes.addressof(storage))
        with pytest.raises(ValueError, match="over the 4294967295") as raised:
            pack_request(PacketType.ECHO_REQ, huge)
        assert str(raised.value) == (
            "ECHO_REQ: a body of 4294967296 bytes is over the 4294967295 that a header can announce"
        )


class TestUnpacking:
    """``unpack_arguments``."""

    @every_packet
    def test_every_packet(self, spec: PacketSpec) -> None:
        packet, data = example(spec)
        assert unpack_arguments(spec.type, data[12:]) == packet.args
        assert unpack_arguments(spec.number, memoryview(data)[12:]) == packet.args

    def test_an_optional_payload(self) -> None:
        assert unpack_arguments(PacketType.WORK_DATA, b"H:host:1") == (b"H:host:1", b"")

    def test_a_body_that_is_ignored(self) -> None:
        assert unpack_arguments(PacketType.NOOP, b"any\0thing") == ()

    def test_too_few_arguments(self) -> None:
        with pytest.raises(TooFewArguments) as raised:
            unpack_arguments(PacketType.JOB_ASSIGN, bytearray(b"H:host:1\0reverse"))
        assert str(raised.value) == "JOB_ASSIGN takes 3 arguments (handle, function, workload), and has 2"

    def test_what_is_not_bytes_like(self) -> None:
        with pytest.raises(TypeError, match="bytes-like"):
            unpack_arguments(PacketType.NOOP, "text")  # type: ignore[arg-type]


class TestPacket:
    """The ``Packet`` class itself."""

    def test_what_it_tells(self) -> None:
        packet = Packet(PacketType.JOB_CREATED, (b"H:host:1",), is_request=False)
        assert (packet.type, packet.name, packet.args) == (8, "JOB_CREATED", (b"H:host:1",))
        assert packet.type == PacketType.JOB_CREATED
        assert packet.is_request is False
        assert Packet(PacketType.GRAB_JOB, ()).is_request is True

    def test_equal_packets_are_equal_and_have_the_same_hash(self) -> None:
        args = (b"reverse", b"", b"Hello")
        packet = Packet(PacketType.SUBMIT_JOB, args)
        (parsed,) = Parser().feed(SUBMIT)
        assert packet == parsed
        assert hash(packet) == hash(parsed)
        others = [
            Packet(PacketType.SUBMIT_JOB, args, is_request=False),
            Packet(PacketType.SUBMIT_JOB_BG, args),
            Packet(PacketType.SUBMIT_JOB, (b"reverse", b"", b"hello")),
            (PacketType.SUBMIT_JOB, args),
            None,
        ]
        for other in others:
            assert packet != other
        assert len({packet, parsed, *others}) == 1 + len(others)

    def test_repr(self) -> None:
        assert repr(Packet(PacketType.GRAB_JOB, ())) == "<Packet GRAB_JOB request>"
        assert repr(Packet(PacketType.WORK_COMPLETE, (b"H:host:1", b"x" * 32), False)) == (
            f"<Packet WORK_COMPLETE response handle=b'H:host:1' result=b'{'x' * 32}'>"
        )
        assert repr(Packet(PacketType.ECHO_REQ, (b"x" * 100_000,))) == (
            f"<Packet ECHO_REQ request data=b'{'x' * 32}'... (100000 bytes)>"
        )

    @pytest.mark.parametrize("name", ["type", "args", "is_request", "name", "other"])
    def test_it_cannot_be_changed(self, name: str) -> None:
        packet = Packet(PacketType.GRAB_JOB, ())
        with pytest.raises(AttributeError):
            setattr(packet, name, 1)

    @pytest.mark.parametrize("cls", [Packet, Parser])
    def test_it_cannot_be_subclassed(self, cls: type) -> None:
        with pytest.raises(TypeError):
            type("Sub", (cls,), {})

    def test_arguments_must_be_bytes_in_a_tuple(self) -> None:
        with pytest.raises(TypeError, match=r"^JOB_CREATED: handle must be bytes, not str$"):
            Packet(PacketType.JOB_CREATED, ("H:host:1",))  # type: ignore[arg-type]
        for args in ([b"H:host:1"], None):
            with pytest.raises(TypeError):
                Packet(PacketType.JOB_CREATED, args)  # type: ignore[arg-type]


def seconds(action: Callable[[], object]) -> float:
    """The best time of three."""

    def once() -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    return min(once() for _ in range(3))


class TestCost:
    """That time and memory grow with what was sent, and with nothing else.

    Times are compared with those of a plain way to do the same in the same run. Each bound is far above what
    a linear codec needs, and far below what a quadratic one would.
    """

    def test_a_large_packet_in_small_pieces(self) -> None:
        data = pack_request(PacketType.ECHO_REQ, bytes(16 * 2**20))
        pieces = [data[at : at + 1024] for at in range(0, len(data), 1024)]

        def feed_pieces() -> None:
            parser = Parser()
            packets = [packet for piece in pieces for packet in parser.feed(piece)]
            assert len(packets) == 1

        assert seconds(feed_pieces) < 100 * seconds(lambda: Parser().feed(data))

    def test_many_packets_in_one_buffer(self) -> None:
        count = 20_000

        def feed_one_by_one() -> None:
            parser = Parser()
            for _ in range(count):
                parser.feed(SUBMIT)

        burst = SUBMIT * count
        assert len(Parser().feed(burst)) == count
        assert seconds(lambda: Parser().feed(burst)) < 10 * seconds(feed_one_by_one)
        assert seconds(lambda: Parser().feed(memoryview(burst)[:-1])) < 10 * seconds(feed_one_by_one)

    def test_many_offences_in_one_buffer(self) -> None:
        count = 5_000
        unknown = frame(99, bytes(1000))

        def go_on(chunks: Iterable[bytes]) -> None:
            parser = Parser()
            for chunk in chunks:
                with contextlib.suppress(UnknownPacketType):
                    parser.feed(chunk)
            assert parser.buffered == 0

        one_by_one = seconds(lambda: go_on([unknown] * count))
        assert seconds(lambda: go_on([unknown * count] + [b""] * (count - 1))) < 20 * one_by_one

    def test_an_announced_size_alone_takes_no_memory(self) -> None:
        parser = Parser()
        header = struct.pack(">4sII", REQUEST_MAGIC, PacketType.ECHO_REQ, DEFAULT_MAX_PACKET_SIZE)
        tracemalloc.start()
        try:
            parser.feed(header)
            assert tracemalloc.get_traced_memory()[1] < 4096
            tracemalloc.reset_peak()
            piece = bytes(1000)
            for _ in range(1000):
                parser.feed(piece)
            assert 1_000_000 < tracemalloc.get_traced_memory()[1] < 2_000_000 + 4096
        finally:
            tracemalloc.stop()

    def test_the_buffer_is_no_larger_than_the_packet(self) -> None:
        data = pack_request(PacketType.ECHO_REQ, bytes(2**20))
        parser = Parser()
        tracemalloc.start()
        try:
            parser.feed(memoryview(data)[:-1])
            assert tracemalloc.get_traced_memory()[0] < len(data) + 4096
        finally:
            tracemalloc.stop()

    def test_memory_is_let_go_with_the_packet(self) -> None:
        data = pack_request(PacketType.ECHO_REQ, bytes(2**20))
        parser = Parser()
        tracemalloc.start()
        try:
            for _ in range(3):
                parser.feed(data[:-1])
                parser.feed(data[-1:])
            assert tracemalloc.get_traced_memory()[0] < 4096
        finally:
            tracemalloc.stop()

    def test_nothing_leaks(self) -> None:
        def use_everything() -> None:
            parser = Parser(text=True)
            for data in (SUBMIT[:20], SUBMIT[20:], b"line\n", UNKNOWN + SUBMIT, b"", b"\0RES bad"):
                with contextlib.suppress(ProtocolError):
                    hash(tuple(map(repr, parser.feed(data))))
            for wrong in (b"a\0", "text", b""):
                with contextlib.suppress(TypeError, ValueError):
                    pack_request(PacketType.CAN_DO_TIMEOUT, bytearray(b"x"), memoryview(b"y"))
                    pack_request(PacketType.CAN_DO_TIMEOUT, wrong, bytearray(b"x"))  # type: ignore[arg-type]
            Parser().feed(SUBMIT[:15])
            unpack_arguments(PacketType.WORK_DATA, b"H:host:1")

        for _ in range(100):
            use_everything()
        gc.collect()
        tracemalloc.start()
        try:
            use_everything()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(1000):
                use_everything()
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] - before < 10_000
        finally:
            tracemalloc.stop()


def test_the_examples_of_the_module() -> None:
    assert doctest.testmod(codec) == (0, 6)
