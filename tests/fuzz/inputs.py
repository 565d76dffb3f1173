"""What the fuzz targets are fed: packets of every type, right and wrong, and anything else."""

from __future__ import annotations

import random
import struct

from gearcore.protocol import PACKETS, PacketSpec

FUNCTIONS = [b"f", b"g", b"", b"a function", b"f\n"]
UNIQUES = [b"", b"-", b"u", b"v", b"u" * 63, b"u" * 64, b"u" * 65]
NUMBERS = [b"", b"0", b"1", b"50", b"-1", b"9" * 20, b"1800000100", b"x", b"*", b"\0\0\x0b\xb8"]
LINES = [
    *(b"status", b"prioritystatus", b"workers", b"version", b"verbose", b"getpid", b"show jobs"),
    *(b"show unique jobs", b"maxqueue f 3", b"maxqueue f 1 2 3", b"create function f", b"drop function f"),
    *(b"cancel job H:test:1", b"cancel job H:test:2", b"shutdown", b"", b" ", b"x" * 300),
]
DATA = [b"", b"x", b"\0", b"\0REQ", b"\0" * 40, b"workload\0with\0nuls", b"y" * 5000]
LARGE_DATA = [b"z" * 32_768, b"z" * 40_000]
LIMIT = 100_000
"""Bytes that a packet may have where these inputs are fed in."""


class Inputs:
    """Inputs from a source of choices: Hypothesis has one that it can replay and make simpler."""

    def __init__(self, choices: random.Random) -> None:
        self.random = choices

    def argument(self, name: str) -> bytes:
        pick = self.random.choice
        if name == "function":
            return pick(FUNCTIONS)
        if name in ("unique", "reducer", "aggregator"):
            return pick(UNIQUES)
        if name == "handle":
            return b"H:test:%d" % self.random.randrange(40) if self.random.random() < 0.9 else pick(DATA)
        if name == "option":
            return pick([b"exceptions", b"EXCEPTIONS\0", b"other"])
        if name in ("workload", "data", "result", "warning", "exception", "client_id"):
            return pick(DATA if self.random.random() < 0.95 else LARGE_DATA)
        return pick(NUMBERS)

    def packet(self, spec: PacketSpec | None = None) -> bytes:
        """A packet of a type, with the arguments that it takes."""
        spec = spec or self.random.choice(PACKETS)
        body = b"\0".join(self.argument(name) for name in spec.arguments)
        return struct.pack(">4sII", b"\0REQ", spec.number, len(body)) + body

    def line(self) -> bytes:
        return self.random.choice(LINES) + self.random.choice([b"\n", b"\r\n"])

    def message(self) -> bytes:
        return self.packet() if self.random.random() < 0.9 else self.line()

    def spoiled(self, data: bytes) -> bytes:
        """The same with something wrong in it: cut, repeated, overwritten, or with another type or size."""
        damage = self.random.randrange(6)
        at = self.random.randrange(len(data) + 1)
        if damage == 0:
            return data[:at]
        if damage == 1:
            return data[:at] + data
        if damage == 2:
            return data[:at] + self.random.randbytes(self.random.randrange(1, 9)) + data[at + 4 :]
        if damage == 3 and len(data) >= 12:
            return (
                data[:4]
                + self.random.choice([b"\0\0\0\0", b"\xff" * 4, b"\x80\0\0\0", b"\0\0\0+"])
                + data[8:]
            )
        if damage == 4 and len(data) >= 12:
            size = self.random.choice([0, 1, len(data) - 11, len(data) + 100, LIMIT + 1, 0xFFFFFFFF])
            return data[:8] + struct.pack(">I", size) + data[12:]
        return data[:at] + bytes([self.random.randrange(256)]) + data[at + 1 :]

    def stream(self, messages: int, harm: float) -> bytes:
        """Several messages in a row; ``harm`` is the share of them that is spoiled."""
        parts = [self.message() for _ in range(messages)]
        return b"".join(self.spoiled(p) if self.random.random() < harm else p for p in parts)

    def pieces(self, data: bytes) -> list[bytes]:
        """The same bytes, cut anywhere."""
        cuts = sorted(self.random.randrange(len(data) + 1) for _ in range(self.random.randrange(5)))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
