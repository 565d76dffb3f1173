"""The codec on arbitrary input, compared with a plain Python one."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gearcore.codec import Packet, Parser, pack_request, pack_response, unpack_arguments
from gearcore.errors import (
    BadMagic,
    PacketTooLarge,
    ProtocolError,
    TooFewArguments,
    UnknownPacketType,
)
from gearcore.protocol import PACKETS, REQUEST_MAGIC, RESPONSE_MAGIC, PacketSpec

LIMIT = 300
LONGEST_LINE = 8192
SPECS = {spec.number: spec for spec in PACKETS}

# What came of a stream: packets, lines and the class of each offence, in order; and how many bytes are left.
Outcome = tuple[list[object], int]


def oracle(data: bytes, expect: bytes | None, text: bool) -> Outcome:
    """What a parser with a limit of LIMIT must make of a stream, in the plainest words."""
    magics = [REQUEST_MAGIC, RESPONSE_MAGIC] if expect is None else [expect]
    seen: list[object] = []
    while data:
        if text and data[0] != 0:
            line, newline, rest = data.partition(b"\n")
            if len(line) > LONGEST_LINE:
                return [*seen, ProtocolError], 0
            if not newline:
                break
            seen.append(line.removesuffix(b"\r"))
            data = rest
            continue
        if not any(data[:4] == magic[: len(data)] for magic in magics):
            return [*seen, BadMagic], 0
        if len(data) < 12:
            break
        number, size = struct.unpack(">II", data[4:12])
        if size > LIMIT:
            return [*seen, PacketTooLarge], 0
        body, whole, data = data[12 : 12 + size], data, data[12 + size :]
        if len(body) < size:
            return seen, len(whole)
        seen.append(UnknownPacketType if number not in SPECS else split(SPECS[number], whole[:4], body))
    return seen, len(data)


def split(spec: PacketSpec, magic: bytes, body: bytes) -> object:
    """A packet, or the offence of one that has too few arguments."""
    if not spec.arguments:
        return Packet(spec.type, (), magic == REQUEST_MAGIC)
    arguments = body.split(b"\0", len(spec.arguments) - 1)
    if spec.payload_optional and len(arguments) == 1:
        arguments.append(b"")
    if len(arguments) < len(spec.arguments):
        return TooFewArguments
    return Packet(spec.type, tuple(arguments), magic == REQUEST_MAGIC)


def parse(chunks: Iterable[bytes], expect: bytes | None, text: bool) -> Outcome:
    """What a parser does make of a stream that comes in chunks."""
    parser = Parser(expect=expect, text=text, max_packet_size=LIMIT)
    seen: list[object] = []
    for chunk in chunks:
        while True:
            try:
                seen += parser.feed(chunk)
                break
            except ProtocolError as offence:
                seen += [*offence.packets, type(offence)]
                if not offence.recoverable:
                    return seen, parser.buffered
                chunk = b""
    return seen, parser.buffered


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data in pieces, which may be empty."""
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    """Any packet that can be packed."""
    spec = draw(st.sampled_from(PACKETS))
    heads = [draw(st.binary(max_size=20)).replace(b"\0", b"") for _ in spec.arguments[:-1]]
    last = [draw(st.binary(max_size=200))] if spec.arguments else []
    return Packet(spec.type, tuple(heads + last), draw(st.booleans()))


def pack(packet: Packet) -> bytes:
    """The bytes of a packet."""
    return (pack_request if packet.is_request else pack_response)(packet.type, *packet.args)


def frame(magic: bytes, number: int, body: bytes, announced: int | None = None) -> bytes:
    """The bytes of anything that is framed as a packet."""
    return magic + struct.pack(">II", number, len(body) if announced is None else announced) + body


# Hostile and broken input that gets past the first check of a parser; arbitrary bytes hardly ever do.
fragments = st.one_of(
    packets().map(pack),
    st.builds(
        frame,
        st.sampled_from([REQUEST_MAGIC, RESPONSE_MAGIC]),
        st.one_of(st.sampled_from(list(SPECS)), st.integers(0, 2**32 - 1)),
        st.lists(st.sampled_from([b"\0", b"argument", b""]), max_size=10).map(b"".join),
    ),
    st.builds(
        frame,
        st.sampled_from([REQUEST_MAGIC, b"\0REX", b"\0\0\0\0"]),
        st.integers(0, 50),
        st.binary(max_size=5),
        st.sampled_from([0, 5, LIMIT, LIMIT + 1, 2**31, 2**32 - 1]),
    ),
    st.sampled_from([b"status\n", b"a\r\n", b"\r\r\n", b"\n", b"x" * 8191 + b"\r\n", b"x" * 8193 + b"\n"]),
    st.binary(max_size=20),
)
streams = st.lists(fragments, max_size=6).map(b"".join)
places = st.lists(st.integers(0, 2**16), max_size=12)
expectations = st.sampled_from([None, REQUEST_MAGIC, RESPONSE_MAGIC])


@settings(deadline=None)
@given(packets())
def test_a_packet_that_was_packed_is_parsed_as_it_was(packet: Packet) -> None:
    data = pack(packet)
    assert Parser().feed(data) == [packet]
    assert unpack_arguments(packet.type, data[12:]) == packet.args


@settings(deadline=None)
@given(st.lists(packets(), max_size=8), places)
def test_packets_come_in_their_order_however_they_are_cut(sent: list[Packet], places: list[int]) -> None:
    parser = Parser()
    pieces = cut(b"".join(map(pack, sent)), places)
    assert [packet for piece in pieces for packet in parser.feed(piece)] == sent
    assert parser.buffered == 0


@settings(deadline=None, max_examples=400)
@given(streams, expectations, st.booleans(), places)
def test_the_codec_agrees_with_plain_python_however_a_stream_is_cut(
    data: bytes, expect: bytes | None, text: bool, places: list[int]
) -> None:
    expected = oracle(data, expect, text)
    assert parse([data], expect, text) == expected
    assert parse(cut(data, places), expect, text) == expected


@settings(deadline=None)
@given(streams, expectations, st.booleans())
def test_the_codec_agrees_with_plain_python_byte_by_byte(
    data: bytes, expect: bytes | None, text: bool
) -> None:
    assert parse([data[at : at + 1] for at in range(len(data))], expect, text) == oracle(data, expect, text)


@settings(deadline=None)
@given(st.sampled_from(PACKETS), st.binary(max_size=100))
def test_any_body_is_split_as_plain_python_does(spec: PacketSpec, body: bytes) -> None:
    expected = split(spec, REQUEST_MAGIC, body)
    try:
        found: object = Packet(spec.type, unpack_arguments(spec.type, body))
    except TooFewArguments:
        found = TooFewArguments
    assert found == expected
