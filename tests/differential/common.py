"""What the drivers share: streams of packets, right and wrong, and what came of a call.

The drivers run with the Python of an environment that has the library: ``gear.py gear``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st

import gearcore
from gearcore.protocol import PACKETS

examples = settings(deadline=None, max_examples=150, database=None, derandomize=True)

MAGICS = [b"\0REQ", b"\0RES"]
ANY_MAGIC = st.sampled_from([*MAGICS, *MAGICS, *MAGICS, b"\0REX", b"\0\xff\xfe\xfd"])


def frame(magic: bytes, number: int, body: bytes, announced: int | None = None) -> bytes:
    return magic + struct.pack(">II", number, len(body) if announced is None else announced) + body


words = st.one_of(
    st.sampled_from([b"", b"1", b"H:host:1", b"reverse", "héllo".encode(), b"\xff\xfe", b"\r\n"]),
    st.binary(max_size=8).map(lambda word: word.replace(b"\0", b"")),
)


@st.composite
def well_formed(draw: st.DrawFn, magics: st.SearchStrategy[bytes] = ANY_MAGIC) -> bytes:
    spec = draw(st.sampled_from(PACKETS))
    arguments = [draw(words) for _ in spec.arguments]
    if arguments and draw(st.booleans()):
        arguments[-1] = draw(st.binary(max_size=40))
    return frame(draw(magics), spec.number, b"\0".join(arguments))


odd = st.one_of(
    st.builds(
        frame,
        ANY_MAGIC,
        st.one_of(st.integers(0, 50), st.sampled_from([9999, 2**31, 2**32 - 1])),
        st.lists(words, max_size=8).map(b"\0".join),
    ),
    st.builds(
        frame,
        ANY_MAGIC,
        st.integers(0, 45),
        st.binary(max_size=5),
        st.sampled_from([0, 3, 5, 12, 40, 2**31 - 1, 2**31, 2**32 - 20, 2**32 - 12, 2**32 - 1]),
    ),
    st.sampled_from([b"status\n", b"OK\r\n", b"a\tb\n.\n", b".\n", b"a\0b\n", b"\xffx\n", b"\n", b"no end"]),
    st.binary(max_size=15),
)
one_magic = st.sampled_from(MAGICS).map(st.just).map(well_formed)
fragments = st.one_of(one_magic.flatmap(lambda packets: packets), well_formed(), odd)
streams = st.one_of(
    one_magic.flatmap(lambda packets: st.lists(packets, max_size=8)).map(b"".join),
    st.lists(fragments, max_size=5).map(b"".join),
)
places = st.lists(st.integers(0, 2**16), max_size=10)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data in pieces, none of them empty."""
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(ends)]


def seen(value: object) -> object:
    """A value with the types of all that is in it."""
    if isinstance(value, dict):
        return type(value), [(seen(key), seen(item)) for key, item in value.items()]
    if isinstance(value, tuple | list):
        return type(value), [seen(item) for item in value]
    return type(value), bytes(value) if isinstance(value, memoryview) else repr(value)


def outcome(function: Callable[..., object], *args: object, **named: object) -> object:
    """What a call returns or raises."""
    try:
        return seen(function(*args, **named))
    except Exception as raised:
        return type(raised), str(raised)


class Comparison:
    """A library with and without the codec."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parsed = self.packed = 0

    def check(self, play: Callable[[], object]) -> None:
        """Play a scene both ways, and find no difference."""
        plain = play()
        with gearcore.accelerate(self.name) as handle:
            accelerated = play()
        assert accelerated == plain, f"\naccelerated: {accelerated}\nplain:       {plain}"
        self.parsed += handle.parsed
        self.packed += handle.packed
        assert not handle.active


def run(tests: dict[str, object], comparison: Comparison) -> None:
    """Run every test of a driver, and say how many packets went through the codec."""
    for name, test in list(tests.items()):
        if name.startswith("test_") and callable(test):
            test()
            print(f"{name}: equal")
    print(f"{comparison.parsed} parsed, {comparison.packed} packed")
    assert comparison.parsed > 1000
    assert comparison.packed > 100
