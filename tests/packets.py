"""Packets as bytes, put together by hand: what the codec's tests compare it with."""

from __future__ import annotations

import struct

import pytest

from gearcore.codec import Packet, pack_request
from gearcore.protocol import (
    PACKETS,
    REQUEST_MAGIC,
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
