"""The admin commands: lines of text on the same port as the packets, in gearmand's words and line endings.

A line is split at runs of spaces; the command's name may be in any case. Lists end with a line that holds a
single dot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gearcore._broker import Connection
from gearcore._version import __version__

__all__ = ["COMMANDS", "answer_line"]


def answer_line(connection: Connection, line: bytes) -> bytes:
    """Answer one line, without its newline, that came on a connection."""
    words = split_words(line)
    command = COMMANDS.get(words[0].lower())
    if command is None:
        return b"ERR UNKNOWN_COMMAND Unknown+server+command" + words[0] + b"\r\n"
    return command(connection, words)


def split_words(line: bytes) -> list[bytes]:
    """Split as gearmand does: a NUL ends the line, and a space in front makes an empty first word."""
    line = line.removesuffix(b"\r").partition(b"\0")[0]
    first, *others = line.split(b" ")
    return [first, *filter(None, others)]


def status(connection: Connection, words: list[bytes]) -> bytes:
    """List each function with its jobs, those of them that run, and its workers."""
    return as_list(
        b"%b\t%d\t%d\t%d\n" % (f.name, f.high + f.normal + f.low + f.running, f.running, f.workers)
        for f in connection.broker.functions
    )


def workers(connection: Connection, words: list[bytes]) -> bytes:
    """List each connection of any kind: descriptor, address, client id, and the functions that it offers."""
    return as_list(
        b"%d %b %b :%b\n"
        % (c.number, c.address.encode(), c.client_id, b"".join(b" " + name for name in c.functions))
        for c in connection.broker.connections
    )


def version(connection: Connection, words: list[bytes]) -> bytes:
    """Name the server and its version."""
    return b"OK gearcore-%b\n" % __version__.encode()


def as_list(lines: Iterable[bytes]) -> bytes:
    """Join the lines of a list and end it."""
    return b"".join(lines) + b".\n"


COMMANDS: dict[bytes, Callable[[Connection, list[bytes]], bytes]] = {
    b"status": status,
    b"workers": workers,
    b"version": version,
}
