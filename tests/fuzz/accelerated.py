"""The codec in the shapes of other libraries, against plain Python that says the same.

The libraries themselves are not needed: what stands in for them has only what the hooks look at. With the
libraries the hooks are compared in tests/differential.
"""

from __future__ import annotations

import array
import enum
import logging
import random
import struct
from collections import namedtuple
from types import SimpleNamespace
from typing import Any

from fuzz.inputs import Inputs
from gearcore._accelerate import Counter, Remainder
from gearcore._accelerate_aiogear import BODIES, Recipe, aiogear_hooks
from gearcore._accelerate_gear import gear_hooks
from gearcore._accelerate_gearman import DictCodec
from gearcore.protocol import PACKETS

NAMES = {spec.number: spec.arguments for spec in PACKETS}
Type = enum.Enum("Type", {spec.name: spec.number for spec in PACKETS})
Three = namedtuple("Three", ["a", "b", "c"])
One = namedtuple("One", ["a"])


class NotWellFormed(Exception):
    """Here a library's own code would take over."""


def frames(stream: bytes) -> list[tuple[int, bytes]]:
    """The numbers and bodies of the packets that a stream begins with, whatever these are."""
    found = []
    while len(stream) >= 12:
        number, size = struct.unpack(">II", stream[4:12])
        if len(stream) - 12 < size:
            break
        found.append((number, stream[12 : 12 + size]))
        stream = stream[12 + size :]
    return found


def arguments(body: bytes, count: int) -> list[bytes] | None:
    parts = body.split(b"\0", count - 1) if count else [body] * bool(body)
    return parts if len(parts) == count else None


def dicts(stream: bytes, is_text: bool) -> list[tuple[int, dict[str, Any]]]:
    """The requests that a stream begins with, as a number and a dict, up to the first that is none."""
    found: list[tuple[int, dict[str, Any]]] = []
    for number, body in frames(stream):
        values = arguments(body, len(NAMES.get(number, ()))) if number in NAMES else None
        if values is None or not stream.startswith(b"\0REQ"):
            break
        try:
            made = [value.decode() if is_text else value for value in values]
        except UnicodeDecodeError:
            break
        found.append((number, dict(zip(NAMES[number], made, strict=True))))
        stream = stream[12 + len(body) :]
    return found


def gearman(choices: random.Random) -> None:
    """Requests become dicts and these the same requests; what is anything else is left where it is."""
    inputs = Inputs(choices)
    is_text = inputs.random.random() < 0.5
    counter = Counter()
    codec = DictCodec(counter, NAMES, bytes if is_text else array.array, text=is_text)
    stream = inputs.stream(inputs.random.randrange(1, 12), inputs.random.choice([0, 0.1, 0.5]))
    expected = dicts(stream, is_text)
    buffer: Any = stream if is_text else array.array("b", stream)
    commands: list[tuple[int, dict[str, Any]]] = []
    used = codec.parse_all(buffer, False, commands)
    assert commands == expected
    assert codec.parse(buffer, False) == (
        (*expected[0], 12 + struct.unpack(">I", stream[8:12])[0]) if expected else None
    )
    if all(value.isascii() for _, given in expected if is_text for value in given.values()):
        queue = [(number, dict(given)) for number, given in expected]
        assert codec.pack_behind(b"unsent", queue, False) == b"unsent" + stream[:used]
        assert not queue
    assert counter.parsed == len(expected) + bool(expected)


def gear(choices: random.Random) -> None:
    """Packets come out one by one, however the stream is cut, and their arguments and bytes are right."""
    inputs = Inputs(choices)
    counter = Counter()

    class Packet:
        def __init__(self, code: bytes, ptype: int, data: bytes, connection: object = None) -> None:
            self.code, self.ptype, self.data = code, ptype, data

    class Connection:
        need_bytes = False

        def __init__(self, script: list[bytes]) -> None:
            self.input_buffer = b""
            self.script = script

        def _readRawBytes(self, size: int) -> bytes:  # noqa: N802
            return self.script.pop(0) if self.script else b""

    def refuse(*args: object) -> None:
        raise NotWellFormed

    def pack(packet: Packet) -> bytes:  # for the types that are negative to gear
        return struct.pack(">4sii", packet.code, packet.ptype, len(packet.data)) + packet.data

    remainder = Remainder("input_buffer")
    read, to_binary, get_argument = gear_hooks(
        counter, remainder, SimpleNamespace(Packet=Packet), refuse, pack, refuse
    )
    Connection.input_buffer = remainder
    stream = inputs.stream(inputs.random.randrange(1, 12), inputs.random.choice([0, 0.1, 0.5]))
    connection = Connection([piece for piece in inputs.pieces(stream) if piece])
    while True:
        try:
            packet = read(connection)
        except NotWellFormed:
            at = connection.input_buffer
            assert at[0] or struct.unpack(">I", at[8:12])[0] > 2**31 - 13
            break
        rest = connection.input_buffer + b"".join(connection.script)
        if packet is None:
            assert not frames(rest)
            break
        used = len(stream) - len(rest)
        assert to_binary(packet) == stream[:used]
        parts = packet.data.split(b"\0")
        for index, part in enumerate(parts):
            assert get_argument(packet, index) == part
            assert get_argument(packet, index, True) == b"\0".join(parts[index:])
        stream = rest


def aiogear(choices: random.Random) -> None:
    """Who waits gets every packet in turn, however the stream is cut, as text or as it came."""
    inputs = Inputs(choices)
    body = inputs.random.choice(list(BODIES))
    made = One if body in ("whole", "first") else Three
    received: list[tuple[Any, Any]] = []

    class Mixin:
        _delimiter = b"\0"
        _data: Any = b""

        def __init__(self) -> None:
            self._deserializers = {packet: lambda data: (self, data) for packet in Type}
            self._registers = [(tuple(Type), received_by(self))]

        def data_received(self, data: bytes) -> None:
            raise NotWellFormed

        _unpack = _split = get_registered = _join = _pack = data_received
        serializer = serialize_request = serialize_response = data_received

    def received_by(protocol: Mixin) -> Any:
        def callback(packet: Any, response: Any) -> None:
            received.append((packet, response))
            protocol._registers.append((tuple(Type), callback))

        return callback

    own = dict(vars(Mixin))
    code = next(iter(Mixin()._deserializers.values())).__code__
    module = SimpleNamespace(Type=Type, logger=logging.getLogger("fuzz"))
    remainder = Remainder("_data", b"")
    recipe = Recipe(code, made if body != "nothing" else namedtuple("Nothing", []), body)
    hooks = aiogear_hooks(Counter(), remainder, module, dict.fromkeys((t.name for t in Type), recipe), own)
    for name, hook in {**hooks, "_data": remainder}.items():
        setattr(Mixin, name, hook)
    stream = inputs.stream(inputs.random.randrange(1, 12), inputs.random.choice([0, 0.1, 0.5]))
    protocol = Mixin()
    try:
        for piece in inputs.pieces(stream):
            protocol.data_received(piece)
        expected = frames(stream)
        assert protocol._data == stream[sum(12 + len(data) for _, data in expected) :]
    except ValueError:  # the Enum's: there is no such packet
        expected = frames(stream)[: len(received)]
        assert frames(protocol._data)[0][0] not in NAMES
    assert len(received) == len(expected)
    for (packet, response), (number, data) in zip(received, expected, strict=True):
        assert packet.value == number
        assert response == (fields if (fields := fields_of(body, data)) is not None else (protocol, data)), (
            body
        )


def fields_of(body: str, data: bytes) -> tuple[str, ...] | None:
    """The fields that a body becomes, or None."""
    parts = {
        "nothing": [],
        "whole": [data],
        "first": data.split(b"\0")[:1],
        "rest in last": arguments(data, 3),
        "exact": data.split(b"\0") if data.count(b"\0") == 2 else None,
    }[body]
    try:
        return None if parts is None else tuple(part.decode() for part in parts)
    except UnicodeDecodeError:
        return None


TARGETS = {"accelerated gearman": gearman, "accelerated gear": gear, "accelerated aiogear": aiogear}
