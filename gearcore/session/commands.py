"""The admin commands from the end that asks: what to send, and who reads the answer. sans-I/O.

Commands and answers are lines of text. For the end that answers see ``gearcore.broker.admin``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from gearcore.errors import GearcoreError, ProtocolError, ServerError
from gearcore.session.answers import (
    FunctionQueues,
    FunctionStatus,
    ListedJob,
    PeerStatus,
    Reader,
    Refusal,
    read_cancel,
    read_functions,
    read_jobs,
    read_number_value,
    read_ok,
    read_queues,
    read_text_value,
    read_uniques,
    read_workers,
    shown,
)
from gearcore.session.arguments import decode_name, encode_name

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "AdminSession",
    "Command",
    "cancel",
    "create_function",
    "drop_function",
    "getpid",
    "jobs",
    "maxqueue",
    "priority_status",
    "shutdown",
    "status",
    "unique_jobs",
    "verbose",
    "version",
    "word",
    "workers",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Command(Generic[T]):
    """One or more lines to send, and what reads the answer to them. To be asked once."""

    lines: bytes
    reader: Reader[T]
    what: str
    """What is being waited for, in words, for the text of an error."""


class AdminSession:
    """One connection on which admin commands are asked, one at a time. ``server`` is its name in errors."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._reader: Reader[Any] | None = None
        self._partial: list[bytes] = []
        self._end: tuple[Any, GearcoreError | None] | None = None

    def ask(self, command: Command[Any]) -> bytes:
        """Begin a command: returns what to send. Not before the one before it is answered."""
        assert self._reader is None, "the command before was not answered"
        self._end = None
        self._reader = command.reader
        next(self._reader)
        return command.lines

    @property
    def answered(self) -> bool:
        """Whether the whole answer has come."""
        return self._end is not None

    def answer(self, command: Command[T]) -> T:
        """The answer to a command that is answered. Raises ServerError if that is an ``ERR`` line."""
        assert self._end is not None
        value, error = self._end
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]

    def receive(self, data: Buffer) -> None:
        """Take bytes from the server.

        Raises ProtocolError for what is no answer, or comes without a question: the connection must be closed
        then.
        """
        end, *lines = bytes(data).split(b"\n")
        self._partial.append(end)
        for line in lines:
            self._take(b"".join(self._partial))
            self._partial = [line]
        if self._reader is None and any(self._partial):
            raise self._unasked(self._partial[0])

    def _take(self, line: bytes) -> None:
        if self._reader is None:
            raise self._unasked(line)
        try:
            self._reader.send(line)
        except StopIteration as end:
            self._end = end.value, None
        except Refusal as refusal:
            self._end = None, ServerError(refusal.code, refusal.text, f"from {self.server}")
        except ProtocolError as error:
            raise ProtocolError(f"{self.server} {error}") from None
        else:
            return
        self._reader = None

    def _unasked(self, text: bytes) -> ProtocolError:
        return ProtocolError(f"{self.server} sent {shown(text)}, which nobody asked for")


def status() -> Command[list[FunctionStatus]]:
    """``status``: the functions, with their jobs and workers."""
    return _list(b"status", read_functions())


def priority_status() -> Command[list[FunctionQueues]]:
    """``prioritystatus``: the functions, with their queued jobs by priority."""
    return _list(b"prioritystatus", read_queues())


def jobs() -> Command[list[ListedJob]]:
    """``show jobs``: the jobs."""
    return _list(b"show jobs", read_jobs())


def unique_jobs() -> Command[list[str]]:
    """``show unique jobs``: the unique id of each job, empty for a job without one."""
    return _list(b"show unique jobs", read_uniques())


def workers() -> Command[list[PeerStatus]]:
    """``workers``: the connections, with the functions that they offer.

    The functions of a worker stand in its line with spaces between them. To tell those whose names have
    spaces the server is asked for the names first; a name that could be several is taken for the longest.
    """
    return Command(b"status\r\n" + _END + b"workers\r\n" + _END, read_workers(), "the answer to 'workers'")


def cancel(handle: str | bytes) -> Command[bool]:
    """``cancel job``: whether the server knew the job."""
    return _line(b"cancel job", read_cancel(), word(handle, "handle"))


def maxqueue(function: str | bytes, *limits: int) -> Command[None]:
    """``maxqueue``: limit a function's jobs, in each priority or in high, normal and low; 0 is any."""
    if len(limits) not in (1, 3):
        raise ValueError("maxqueue takes one limit, or three: for high, normal and low priority")
    if min(limits) < 0:
        raise ValueError(f"a limit must be 0 or more, and is {min(limits)}")
    return _line(b"maxqueue", read_ok(), word(function, "function"), *(b"%d" % limit for limit in limits))


def create_function(function: str | bytes) -> Command[None]:
    """``create function``: have a function listed."""
    return _line(b"create function", read_ok(), word(function, "function"))


def drop_function(function: str | bytes) -> Command[None]:
    """``drop function``: forget a function."""
    return _line(b"drop function", read_ok(), word(function, "function"))


def version() -> Command[str]:
    """``version``: the version of the server."""
    return _line(b"version", read_text_value())


def getpid() -> Command[int]:
    """``getpid``: the process id of the server."""
    return _line(b"getpid", read_number_value())


def verbose() -> Command[str]:
    """``verbose``: the least severe level that the server logs."""
    return _line(b"verbose", read_text_value())


def shutdown(graceful: bool = False) -> Command[None]:
    """``shutdown``: stop the server."""
    return _line(b"shutdown graceful" if graceful else b"shutdown", read_ok())


_END: Final = b"version\r\n"
"""What is asked behind each list, so that its end is certain: see `read_list`."""


def _line(command: bytes, reader: Reader[T], *words: bytes) -> Command[T]:
    # With a bare newline gearmand 1.1 would take the last character off a name that it creates.
    return Command(b" ".join((command, *words)) + b"\r\n", reader, f"the answer to {command.decode()!r}")


def _list(command: bytes, reader: Reader[T]) -> Command[T]:
    return Command(command + b"\r\n" + _END, reader, f"the answer to {command.decode()!r}")


def word(name: str | bytes, what: str) -> bytes:
    """A name as a word of a command; raises ValueError for one that cannot be."""
    encoded = encode_name(name, what)
    if not encoded or re.search(rb"[ \r\n]", encoded):
        raise ValueError(
            f"{what} {decode_name(encoded)!r} is empty, or has a space or newline: no command can name it"
        )
    return encoded
