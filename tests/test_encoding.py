"""Values to bytes and back."""

import sys

import pytest

from gearcore.encoding import BYTES, JSON, TEXT, Encoding, find_encoding
from gearcore.errors import EncodingError

HEX = Encoding("hex", bytes.fromhex, bytes.hex)


@pytest.mark.parametrize(
    ("name", "value", "data"),
    [
        ("bytes", b"\0x", b"\0x"),
        ("text", "größer", "größer".encode()),
        ("json", {"a": [1, None, "ö"]}, '{"a":[1,null,"ö"]}'.encode()),
        ("msgpack", {"a": [1, None, b"x"]}, b"\x81\xa1a\x93\x01\xc0\xc4\x01x"),
    ],
)
def test_to_and_fro(name, value, data):
    encoding = find_encoding(name)
    assert encoding.name == name
    assert encoding.pack(value, "workload") == data
    assert encoding.unpack(data, "result") == value


@pytest.mark.parametrize(
    ("encoding", "value"),
    [
        (TEXT, b"x"),
        (TEXT, "\ud800"),
        (JSON, {1, 2}),
        (JSON, float("nan")),
        (find_encoding("msgpack"), object()),
    ],
)
def test_values_that_an_encoding_does_not_take(encoding, value):
    with pytest.raises(EncodingError, match=f"workload cannot be encoded as {encoding.name}: "):
        encoding.pack(value, "workload")


@pytest.mark.parametrize(
    ("encoding", "data"), [(TEXT, b"\xff"), (JSON, b"{"), (JSON, b" "), (find_encoding("msgpack"), b"\xc1")]
)
def test_bytes_that_an_encoding_cannot_read(encoding, data):
    with pytest.raises(EncodingError, match=f"result cannot be decoded as {encoding.name}: "):
        encoding.unpack(data, "result")


@pytest.mark.parametrize(
    ("encoding", "value"),
    [(BYTES, b""), (TEXT, ""), (JSON, None), (find_encoding("msgpack"), None), (HEX, "")],
    ids=lambda value: getattr(value, "name", None),
)
def test_no_bytes_are_what_the_encoding_makes_of_them_or_none(encoding, value):
    assert encoding.unpack(b"", "workload") == value


def test_bytes_are_anything_bytes_like_and_not_text():
    assert BYTES.pack(bytearray(b"x"), "workload") == b"x"
    with pytest.raises(TypeError, match="workload must be bytes-like, not str: encode it first"):
        BYTES.pack("x", "workload")


def test_an_encoding_of_ones_own():
    reverse = Encoding("reverse", lambda text: text[::-1].encode(), lambda data: data.decode()[::-1])
    assert find_encoding(reverse) is reverse
    assert reverse.unpack(reverse.pack("abc", "workload"), "result") == "abc"


def test_an_encoding_that_there_is_none_of():
    with pytest.raises(ValueError, match="there is no encoding 'pickle'"):
        find_encoding("pickle")


def test_msgpack_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(ImportError, match=r"gearcore-gearman\[msgpack\]"):
        find_encoding("msgpack")
