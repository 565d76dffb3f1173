"""What the lines mean that answer the admin commands: rows of lists, values, and refusals. sans-I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from gearcore.errors import ProtocolError
from gearcore.session.arguments import decode_name, decode_text

__all__ = [
    "FunctionQueues",
    "FunctionStatus",
    "ListedJob",
    "PeerStatus",
    "Reader",
    "Refusal",
    "is_error",
    "not_understood",
    "read_cancel",
    "read_functions",
    "read_jobs",
    "read_number_value",
    "read_ok",
    "read_queues",
    "read_text_value",
    "read_uniques",
    "read_workers",
    "shown",
]

T = TypeVar("T")

Reader = Generator[None, bytes, T]
"""Is sent the lines of an answer, without their newlines, one after the other, and returns what they mean.

Raises `Refusal` for an ``ERR`` line, and ProtocolError, with half a sentence, for what is no answer.
"""


@dataclass(frozen=True, slots=True)
class FunctionStatus:
    """A function of a server (``status``): its jobs, queued and running, and the workers that offer it."""

    function: str
    jobs: int
    running: int
    workers: int

    @property
    def queued(self) -> int:
        """The jobs that wait for a worker."""
        return self.jobs - self.running


@dataclass(frozen=True, slots=True)
class FunctionQueues:
    """The queued jobs of a function by priority (``prioritystatus``), and the workers that offer it."""

    function: str
    high: int
    normal: int
    low: int
    workers: int


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A connection of a server (``workers``), of any kind: one without functions may be a client's.

    ``descriptor`` is the server's number for it. ``client_id`` is ``-`` where the peer gave none.
    ``functions`` are those that it offers as a worker.
    """

    descriptor: int
    address: str
    client_id: str
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job of a server (``show jobs``).

    ``retries`` is how many workers left it unfinished. A job that is ``ignored`` is of interest to nobody any
    more, as after a ``cancel``. ``queued`` is true for a background job, which outlives its client.
    """

    handle: str
    retries: int
    ignored: bool
    queued: bool


class Refusal(Exception):
    """An ``ERR`` line. Plus signs may join its words, and it may lack a code: ``code`` is ERR then."""

    def __init__(self, line: bytes) -> None:
        words = decode_text(line.removesuffix(b"\r").removeprefix(b"ERR").strip()).replace("+", " ")
        found = re.fullmatch(r"([A-Z][A-Z_]+)(?: (.*))?", words, re.DOTALL)
        self.code, self.text = (found[1], found[2] or "") if found else ("ERR", words)
        super().__init__(words)


def read_ok() -> Reader[None]:
    """An OK with nothing behind it."""
    yield from read_line()


def read_text_value() -> Reader[str]:
    """An OK with a text."""
    return decode_text((yield from read_line()))


def read_number_value() -> Reader[int]:
    """An OK with a number."""
    value = yield from read_line()
    try:
        return int(value)
    except ValueError:
        raise ProtocolError(f"answered {shown(value)}, which is no number") from None


def read_cancel() -> Reader[bool]:
    """Whether there was a job to cancel."""
    try:
        yield from read_line()
    except Refusal as refusal:
        if refusal.code == "UNKNOWN_JOB":
            return False
        raise
    return True


def read_functions() -> Reader[list[FunctionStatus]]:
    """The answer to ``status``."""
    return read_counts(3, FunctionStatus)


def read_queues() -> Reader[list[FunctionQueues]]:
    """The answer to ``prioritystatus``."""
    return read_counts(4, FunctionQueues)


def read_jobs() -> Reader[list[ListedJob]]:
    """The answer to ``show jobs``."""
    return read_counts(
        3, lambda handle, retries, ignored, queued: ListedJob(handle, retries, bool(ignored), bool(queued))
    )


def read_uniques() -> Reader[list[str]]:
    """The answer to ``show unique jobs``."""
    return [decode_name(line) for line in (yield from read_list())]


def read_workers() -> Reader[list[PeerStatus]]:
    """The answer to ``status``, for the names of functions, and then the one to ``workers``."""
    try:
        names = {row.function for row in (yield from read_functions())}
    except Refusal:
        names = set()  # who may not see the functions may still be allowed to see the workers
    rows: list[list[bytes]] = []
    for line in (yield from read_list()):
        if rows and not PEER_START.match(line):
            rows[-1].append(line)  # the line before ended in the middle of a name
        else:
            rows.append([line])
    longest = max((name.count(" ") + 1 for name in names), default=1)
    return [read_peer(b"\n".join(row), names, longest) for row in rows]


PEER_START: Final = re.compile(rb"-?\d+ \S+ ")
PEER: Final = re.compile(rb"(-?\d+) (\S+) (.*?) :(?: (.*))?", re.DOTALL)


def read_peer(row: bytes, names: Collection[str], longest: int) -> PeerStatus:
    """One connection, which may offer functions of these names, of so many words at most."""
    found = PEER.fullmatch(row)
    if found is None:
        raise not_understood(row)
    descriptor, address, client_id, listed = found.groups()
    functions = () if listed is None else tuple(split_names(decode_name(listed), names, longest))
    return PeerStatus(int(descriptor), decode_text(address), decode_name(client_id), functions)


def split_names(listed: str, names: Collection[str], longest: int) -> Iterator[str]:
    """Split at spaces, but not inside the names that are known to have some."""
    words = listed.split(" ")
    start = 0
    while start < len(words):
        ends = range(min(start + longest, len(words)), start + 1, -1)
        end = next((end for end in ends if " ".join(words[start:end]) in names), start + 1)
        yield " ".join(words[start:end])
        start = end


def read_counts(counts: int, make: Callable[..., T]) -> Reader[list[T]]:
    """A list whose lines have a name, which may have tabs and newlines itself, and so many numbers."""
    # gearmand has been seen to count below 0.
    pattern = re.compile(rb"(.*)" + rb"\t(-?\d+)" * counts, re.DOTALL)
    rows = []
    begun: list[bytes] = []
    for line in (yield from read_list()):
        found = pattern.fullmatch(line)
        if found is None:
            begun.append(line)
        else:
            end, *numbers = found.groups()
            rows.append(make(decode_name(b"\n".join((*begun, end))), *map(int, numbers)))
            begun.clear()
    if begun:
        raise not_understood(begun[0])
    return rows


def read_list() -> Reader[list[bytes]]:
    """The lines of a list, up to the first line of the answer to the command behind it.

    A list ends with a line of one dot, but a unique id may be a dot, and a name may have a newline before
    and behind one. Only the dot before the next answer is the last; the same goes for a refusal.
    """
    lines: list[bytes] = []
    line = yield
    while True:
        following = yield
        if following.startswith((b"OK", b"ERR")):
            if line == b".":
                return lines
            if is_error(line) and not lines:
                raise Refusal(line)
        lines.append(line)
        line = following


def read_line() -> Reader[bytes]:
    """What stands behind the OK of an answer of one line."""
    line = yield
    if is_error(line):
        raise Refusal(line)
    found = re.fullmatch(rb"OK(?: (.*?))?\r?", line)
    if found is None:
        raise ProtocolError(f"answered {shown(line)}, which is neither OK nor ERR")
    return found[1] or b""


def is_error(line: bytes) -> bool:
    """Whether a line is a refusal. Those end with a carriage return: a name may begin like one."""
    return line.startswith(b"ERR") and line.endswith(b"\r")


def not_understood(row: bytes) -> ProtocolError:
    """The error for a row of a list that is none."""
    return ProtocolError(f"sent {shown(row)}, which is not understood")


def shown(text: bytes) -> str:
    """A line for the text of an error."""
    return repr(decode_text(text[:80]))
