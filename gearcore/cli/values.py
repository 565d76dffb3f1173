"""How the text of an option becomes its value.

A reader raises ValueError with what is wrong, which is a mistake in the usage, or `CannotRun` for what is
right as such, and cannot be had.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable
from typing import Literal, cast

from gearcore.errors import GearcoreError

__all__ = [
    "LEVELS",
    "NOTICE",
    "CannotRun",
    "compat",
    "number",
    "port",
    "protocol",
    "queue_type",
    "seconds",
    "size",
    "store",
    "store_down",
    "verbosity",
]

NOTICE = 25
"""gearmand's level between INFO and WARNING, which the standard library has no name for."""

LEVELS = {
    "FATAL": logging.CRITICAL,
    "ALERT": logging.CRITICAL,
    "CRITICAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "NOTICE": NOTICE,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
}
"""gearmand's names of levels, as numbers of the standard library."""

OTHER_QUEUES = ("libdrizzle", "libmemcached", "libtokyocabinet", "mysql", "postgres", "redis")
"""Those of gearmand's persistent queues that are not served, in lower case: gearmand takes any case."""

UNITS = {"": 0, "k": 10, "m": 20, "g": 30}


class CannotRun(GearcoreError):
    """What a command line asks for, and this machine or this version does not have. The text is one line."""


def number(low: int, high: int | None = None) -> Callable[[str], int]:
    """Make a reader of whole numbers, both bounds included."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"not a number: {text!r}") from None
        return within(value, low, high)

    return read


def within(value: int, low: int, high: int | None) -> int:
    """Return a number that is inside its bounds."""
    if value < low or (high is not None and value > high):
        raise ValueError(f"not {f'{low} or more' if high is None else f'in {low}..{high}'}: {value}")
    return value


def size(low: int, high: int | None = None) -> Callable[[str], int]:
    """Make a reader of sizes in bytes, which take the suffixes k, M and G."""

    def read(text: str) -> int:
        match = re.fullmatch(r"(\d+)([kmg]?)", text, re.ASCII | re.IGNORECASE)
        if match is None:
            raise ValueError(f"not a size: {text!r}; it is a number, with k, M or G behind it if need be")
        return within(int(match[1]) << UNITS[match[2].lower()], low, high)

    return read


def seconds(text: str) -> float:
    """Read a length of time above 0."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"not a number of seconds: {text!r}") from None
    if not 0 < value < float("inf"):
        raise ValueError(f"not above 0: {text}")
    return value


def port(text: str) -> int:
    """Read a port: its number, or the name that the system's services have for it."""
    try:
        value = int(text)
    except ValueError:
        try:
            return socket.getservbyname(text, "tcp")
        except OSError:
            raise ValueError(f"no port and no service: {text!r}") from None
    return within(value, 0, 65535)


def compat(text: str) -> Literal["1.1", "2.0"]:
    """Read the version of gearmand whose ways are followed."""
    if text not in ("1.1", "2.0"):
        raise ValueError(f"not 1.1 or 2.0: {text!r}")
    return cast("Literal['1.1', '2.0']", text)


def verbosity(text: str) -> int:
    """Read one of gearmand's levels, which it takes in upper case alone."""
    if text not in LEVELS:
        raise CannotRun(f"--verbose: no such level: {text!r}; there are {', '.join(LEVELS)}")
    return LEVELS[text]


def protocol(text: str) -> str:
    """Read the name of a protocol that is served beside Gearman's own."""
    if text != "http":
        raise CannotRun(f"--protocol: no such protocol: {text!r}; there is only http")
    return text


def queue_type(text: str) -> str:
    """Read the name of a persistent queue."""
    name = text.lower()
    if name in ("builtin", "libsqlite3"):
        return name
    only = "there are builtin, in memory, and libsqlite3"
    if name in OTHER_QUEUES:
        raise CannotRun(
            f"--queue-type {text}: not served; {only}; 'gearcore store import' takes jobs over from others"
        )
    raise CannotRun(f"--queue-type {text}: no such queue; {only}")


def store(text: str) -> str:
    """Read where jobs are kept, and return the path of the file."""
    kind, colon, path = text.partition(":")
    if kind != "sqlite" or not colon or not path:
        raise ValueError(f"not sqlite:PATH: {text!r}")
    return path


def store_down(text: str) -> Literal["refuse", "wait"]:
    """Read what becomes of submissions while a store fails."""
    if text not in ("refuse", "wait"):
        raise ValueError(f"not refuse or wait: {text!r}")
    return cast("Literal['refuse', 'wait']", text)
