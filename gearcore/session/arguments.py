"""What may go into the arguments of a packet, and how to read what comes out of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gearcore.errors import ProtocolError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["blame", "check_payload", "decode_name", "decode_text", "encode_name", "read_number"]

_LEADING_INTEGER = re.compile(rb"\s*([+-]?[0-9]{1,20})")


def encode_name(name: str | bytes, what: str) -> bytes:
    """A name (of a function, a handle, a unique id) as the wire has it: a ``str`` becomes UTF-8.

    ``what`` is how the errors call it. Raises TypeError if it is neither ``str`` nor ``bytes``, and
    ValueError if it has a NUL, since that is what divides the arguments of a packet.
    """
    if isinstance(name, str):
        name = name.encode("utf-8", "surrogateescape")
    elif not isinstance(name, bytes):
        raise TypeError(f"{what} must be str or bytes, not {type(name).__name__}")
    if b"\0" in name:
        raise ValueError(f"{what} {decode_name(name)!r} has a NUL byte")
    return name


def decode_name(name: bytes) -> str:
    """A name from the wire; ``encode_name`` makes the same bytes of it again, whatever they are."""
    return name.decode("utf-8", "surrogateescape")


def decode_text(text: bytes) -> str:
    """A text for humans from the wire. What is not UTF-8 in it is shown by escapes."""
    return text.decode("utf-8", "backslashreplace")


def check_payload(payload: Buffer, what: str) -> Buffer:
    """A workload, or data, or a result, which may be any bytes-like object.

    The codec refuses what is not bytes-like; here a ``str`` is refused in words that say what to do. ``what``
    is how the TypeError calls it.
    """
    if isinstance(payload, str):
        raise TypeError(f"{what} must be bytes-like, not str: encode it first, as with text.encode()")
    return payload


def read_number(text: bytes) -> int:
    """The integer that a text starts with, or 0, as gearmand's ``atoi`` reads it.

    Servers pass on what a worker sends as progress unseen, so a client must live with anything.
    """
    match = _LEADING_INTEGER.match(text)
    return int(match[1]) if match else 0


def blame(server: str, error: ProtocolError) -> ProtocolError:
    """The same offence again, in words that name the server that it came from."""
    return type(error)(f"{server} does not speak Gearman as expected: {error}")
