"""The admin commands: lines of text on the same port as the packets, in gearmand's words and line endings.

A line is split at runs of spaces; commands may be in any case. Lists end with a
line that holds a single dot.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable

from gearcore._broker import Connection
from gearcore._version import __version__

__all__ = ["Admin"]

OK = b"OK\r\n"
NO_ROOM = b"ERR QUEUE_ERROR There+is+no+room+for+another+function\r\n"

LEVEL_NAMES = {
    logging.CRITICAL: b"FATAL",
    logging.ERROR: b"ERROR",
    logging.WARNING: b"WARNING",
    logging.INFO: b"INFO",
    logging.DEBUG: b"DEBUG",
}
"""The standard library's levels in gearmand's words."""


class Admin:
    """Answers admin commands: an instance is what a `Broker` calls with each line of text.

    ``on_shutdown`` is called by the command ``shutdown``, with whether it is to be graceful. Without it there
    is no such command: gearmand dropped it because whoever reached the port could stop the server.
    ``on_dead`` answers the command ``dead`` by itself, when it can.
    """

    def __init__(
        self,
        on_shutdown: Callable[[bool], None] | None = None,
        on_dead: Callable[[Connection, list[bytes]], None] | None = None,
    ) -> None:
        self._on_shutdown = on_shutdown
        self._commands: dict[bytes, Callable[[Connection, list[bytes]], bytes | None]] = {
            b"status": status,
            b"prioritystatus": priority_status,
            b"workers": workers,
            b"maxqueue": max_queue,
            b"create": create,
            b"drop": drop,
            b"show": show,
            b"cancel": cancel,
            b"version": version,
            b"verbose": verbose,
            b"getpid": get_pid,
        }
        if on_shutdown is not None:
            self._commands[b"shutdown"] = self._shutdown
        if on_dead is not None:
            self._commands[b"dead"] = on_dead

    @property
    def commands(self) -> list[bytes]:
        """The first word of every command that is answered."""
        return list(self._commands)

    def __call__(self, connection: Connection, line: bytes) -> bytes | None:
        """Answer one line, without its newline, that came on a connection; None if that is done later."""
        words = split_words(line)
        command = self._commands.get(words[0].lower(), unknown_command)
        return command(connection, words)

    def _shutdown(self, connection: Connection, words: list[bytes]) -> bytes:
        """Stop the server: at once, or with ``graceful`` when the last job has ended."""
        assert self._on_shutdown is not None
        self._on_shutdown(lower(words[1:2]) == [b"graceful"])
        return OK


def split_words(line: bytes) -> list[bytes]:
    """Split as gearmand does: a NUL ends the line, and a space in front makes an empty first word."""
    line = line.removesuffix(b"\r").partition(b"\0")[0]
    first, *others = line.split(b" ")
    return [first, *filter(None, others)]


def lower(words: list[bytes]) -> list[bytes]:
    """Bring words into one case, for comparison."""
    return [word.lower() for word in words]


def status(connection: Connection, words: list[bytes]) -> bytes:
    """List each function with its jobs, those of them that run, and its workers."""
    return as_list(
        b"%b\t%d\t%d\t%d\n" % (f.name, f.high + f.normal + f.low + f.running, f.running, f.workers)
        for f in connection.broker.functions
    )


def priority_status(connection: Connection, words: list[bytes]) -> bytes:
    """List each function with its queued jobs of high, normal and low priority, and its workers."""
    return as_list(
        b"%b\t%d\t%d\t%d\t%d\n" % (f.name, f.high, f.normal, f.low, f.workers)
        for f in connection.broker.functions
    )


def workers(connection: Connection, words: list[bytes]) -> bytes:
    """List each connection of any kind: descriptor, address, client id, and the functions that it offers."""
    return as_list(
        b"%d %b %b :%b\n"
        % (c.number, c.address.encode(), c.client_id, b"".join(b" " + name for name in c.functions))
        for c in connection.broker.connections
    )


def max_queue(connection: Connection, words: list[bytes]) -> bytes:
    """Limit a function's jobs: with one number for every priority, with several for high, normal and low."""
    if len(words) < 2:
        return incomplete(words)
    sizes = [parse_size(word) for word in words[2:5]]
    if len(sizes) < 2:
        high = normal = low = sizes[0] if sizes else 0
    else:
        high, normal, low = (*sizes, 0)[:3]
    return OK if connection.broker.limit(words[1], high, normal, low) else NO_ROOM


def parse_size(word: bytes) -> int:
    """Read the number that a word starts with; what is negative or no number means no limit."""
    digits = re.match(rb"\+?(\d{1,18})", word)
    return int(digits[1]) if digits else 0


def create(connection: Connection, words: list[bytes]) -> bytes:
    """Have a function listed: ``create function NAME``."""
    if len(words) != 3 or words[1].lower() != b"function":
        return incomplete(words)
    return OK if connection.broker.create_function(words[2]) else NO_ROOM


def drop(connection: Connection, words: list[bytes]) -> bytes:
    """Forget a function without workers and jobs: ``drop function NAME``, whose case does not matter."""
    if len(words) != 3 or words[1].lower() != b"function":
        return incomplete(words)
    names = [f.name for f in connection.broker.functions]
    alike = [name for name in names if name.lower() == words[2].lower()]
    name = words[2] if words[2] in alike or not alike else alike[0]
    dropped = connection.broker.drop_function(name)
    if dropped is None:
        return b"ERR function not found\r\n"
    if dropped:
        return OK
    (found,) = (f for f in connection.broker.functions if f.name == name)
    if found.workers or found.running:
        return b"ERR there are still connected workers or executing clients\r\n"
    return b"ERR there are still jobs queued\r\n"


def show(connection: Connection, words: list[bytes]) -> bytes:
    """List every job, or the unique id of every job: ``show jobs``, ``show unique jobs``."""
    what = lower(words[1:])
    if not what:
        return unknown_command(connection, words)
    if what == [b"jobs"]:
        return as_list(
            b"%b\t%d\t%d\t%d\n" % (job.handle, job.failures, not job.wanted, job.background)
            for job in connection.broker.jobs
        )
    if what == [b"unique", b"jobs"]:
        return as_list(b"%b\n" % job.unique for job in connection.broker.jobs)
    return b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n"


def cancel(connection: Connection, words: list[bytes]) -> bytes:
    """End a job for its clients: ``cancel job HANDLE``."""
    if len(words) < 3:
        return unknown_command(connection, words)
    if len(words) != 3 or words[1].lower() != b"job":
        return b"ERR UNKNOWN_ERROR\r\n"
    return OK if connection.broker.cancel(words[2]) else b"ERR UNKNOWN_JOB\r\n"


def version(connection: Connection, words: list[bytes]) -> bytes:
    """Name the server and its version."""
    return b"OK gearcore-%b\n" % __version__.encode()


def verbose(connection: Connection, words: list[bytes]) -> bytes:
    """Name the least severe level that is logged."""
    level = logging.getLogger("gearcore").getEffectiveLevel()
    return b"OK %b\n" % LEVEL_NAMES.get(level, b"NOTICE")


def get_pid(connection: Connection, words: list[bytes]) -> bytes:
    """Give the process id of the server."""
    return b"OK %d\n" % os.getpid()


def unknown_command(connection: Connection, words: list[bytes]) -> bytes:
    """Name a command that does not exist. There is nothing between text and name in gearmand either."""
    return b"ERR UNKNOWN_COMMAND Unknown+server+command" + words[0] + b"\r\n"


def incomplete(words: list[bytes]) -> bytes:
    """Refuse a command with too few or too many words."""
    text = b"An+incomplete+set+of+arguments+was+sent+to+this+command+" + words[0]
    return b"ERR INVALID_ARGUMENTS " + text + b"\r\n"


def as_list(lines: Iterable[bytes]) -> bytes:
    """Join the lines of a list and end it."""
    return b"".join(lines) + b".\n"
