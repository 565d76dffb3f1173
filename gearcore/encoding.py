"""Workloads and results that are not bytes: how a value becomes bytes, and bytes a value again.

Client and worker use the same ``Encoding`` by its name, or by itself where it is one of the user's own.
Pickle is not among them: to read it is to run what somebody else wrote.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gearcore.errors import EncodingError
from gearcore.session.arguments import check_payload

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["BYTES", "EMPTY", "JSON", "TEXT", "Encoding", "find_encoding"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """A way to make bytes of values and back.

    ``encode`` takes a value and returns something bytes-like, ``decode`` takes bytes and returns a value;
    what they raise, ``pack`` and ``unpack`` raise as EncodingError. ``name`` is what the errors call the
    encoding. No bytes at all are what ``decode`` makes of them, or None if it can make nothing of them: other
    clients and workers say nothing like that, whatever the encoding.
    """

    name: str
    encode: Callable[[Any], Buffer]
    decode: Callable[[bytes], Any]

    def pack(self, value: Any, what: str) -> Buffer:
        """The bytes of a value, which the error calls ``what`` ("workload", say). Raises EncodingError."""
        try:
            return self.encode(value)
        except Exception as error:
            raise EncodingError(f"{what} cannot be encoded as {self.name}: {error}") from error

    def unpack(self, data: bytes, what: str) -> Any:
        """The value of bytes, which the error calls ``what`` ("workload", say). Raises EncodingError."""
        try:
            return self.decode(data)
        except Exception as error:
            if not data:
                return None
            raise EncodingError(f"{what} cannot be decoded as {self.name}: {error}") from error


class Empty(enum.Enum):
    """Where a value could be and is not: no bytes, in any encoding. Of another kind than each value."""

    EMPTY = enum.auto()

    def __repr__(self) -> str:
        return self.name


EMPTY: Final = Empty.EMPTY
"""No workload: it is sent as no bytes, in any encoding."""


class _Bytes(Encoding):
    """Bytes as they are."""

    __slots__ = ()

    def pack(self, value: Any, what: str) -> Buffer:
        return check_payload(value, what)

    def unpack(self, data: bytes, what: str) -> Any:
        return data


def _encode_text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"it must be str, not {type(value).__name__}")
    return value.encode()


def _encode_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


BYTES: Final[Encoding] = _Bytes("bytes", bytes, bytes)
"""Anything bytes-like, as it is."""

TEXT: Final = Encoding("text", _encode_text, lambda data: data.decode())
"""A ``str``, as UTF-8."""

JSON: Final = Encoding("json", _encode_json, json.loads)
"""What JSON has: None, bool, int, float, str, list, and dict with keys of str. As UTF-8."""


def find_encoding(encoding: str | Encoding) -> Encoding:
    """The encoding of that name, "bytes", "text", "json" or "msgpack"; or the one that is given.

    Raises ValueError for a name that is none of these, and ImportError for "msgpack" without the extra of
    that name.
    """
    if isinstance(encoding, Encoding):
        return encoding
    if encoding == "msgpack":
        return _msgpack()
    for known in (BYTES, TEXT, JSON):
        if encoding == known.name:
            return known
    raise ValueError(
        f"there is no encoding {encoding!r}: it is 'bytes', 'text', 'json', 'msgpack' or an Encoding"
    )


def _msgpack() -> Encoding:
    try:
        import msgpack
    except ImportError as error:
        raise ImportError(
            "encoding 'msgpack' needs the package msgpack: pip install 'gearcore-gearman[msgpack]'"
        ) from error
    return Encoding("msgpack", msgpack.packb, msgpack.unpackb)
