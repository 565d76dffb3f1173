"""The admin command of a client, and its answer: a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gearcore.errors import ProtocolError
from gearcore.session.arguments import encode_name

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Line", "ask_to_cancel"]

_LONGEST: Final = 8192
"""Bytes of an answer: gearmand's lines have no more."""


def ask_to_cancel(handle: str) -> bytes:
    """The command to drop a job. Raises ValueError for a handle that is more than one word."""
    raw = encode_name(handle, "handle")
    if len(raw.split()) != 1 or raw.split()[0] != raw:
        raise ValueError(f"handle {handle!r} cannot be a word of an admin command")
    return b"cancel job " + raw + b"\n"


class Line:
    """The answer of a server to a command: ``OK`` or ``ERR`` and a reason."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._text = bytearray()

    @property
    def complete(self) -> bool:
        """Whether the whole line is there."""
        return self._text.endswith(b"\n")

    @property
    def ok(self) -> bool:
        """Whether the server did what it was told."""
        return self._text.startswith(b"OK")

    def receive(self, data: Buffer) -> None:
        """Take bytes. Raises ProtocolError for what is no answer."""
        self._text += data
        begin = bytes(self._text[:3])
        if len(self._text) > _LONGEST or not (b"OK\r".startswith(begin[:2]) or b"ERR".startswith(begin)):
            raise ProtocolError(f"{self._server} does not answer as a job server does: {begin!r}...")
