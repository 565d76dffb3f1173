"""The admin command ``dead`` from the end that asks: jobs that a server keeps, and runs no more. sans-I/O."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NoBase64
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from gearcore.errors import ProtocolError
from gearcore.session.answers import Reader, Refusal, is_error, not_understood, read_number_value
from gearcore.session.arguments import decode_name, decode_text
from gearcore.session.commands import Command, word

__all__ = ["DeadJob", "DeadLetter", "drop", "letters", "retry", "show"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A background job that has had all its runs, or that its worker failed.

    ``tries`` are the runs that came to nothing, ``died_at`` is when the last of them ended, in Unix time, and
    ``error`` says how: what the worker sent, for one.
    """

    handle: str
    function: str
    tries: int
    died_at: int
    error: str


@dataclass(frozen=True, slots=True)
class DeadJob(DeadLetter):
    """A dead letter with all that there is of the job."""

    unique: str
    workload: bytes


def letters(function: str | bytes | None = None) -> Command[list[DeadLetter]]:
    """``dead list``: the dead letters, of one function if it is given."""
    words = () if function is None else (word(function, "function"),)
    return command(b"dead list", read_letters(), *words)


def show(handle: str | bytes) -> Command[DeadJob | None]:
    """``dead show``: one of them, or None if there is none with that handle."""
    return command(b"dead show", read_job(), word(handle, "handle"))


def retry(handle: str | bytes | None, function: str | bytes | None = None) -> Command[int]:
    """``dead retry``: queue one again, or all, or all of a function; gives their number."""
    return change(b"dead retry", handle, function)


def drop(handle: str | bytes | None, function: str | bytes | None = None) -> Command[int]:
    """``dead drop``: forget one, or all, or all of a function; gives their number."""
    return change(b"dead drop", handle, function)


def change(what: bytes, handle: str | bytes | None, function: str | bytes | None) -> Command[int]:
    """A command about one dead letter or several."""
    words = [b"all"] if handle is None else [word(handle, "handle")]
    if function is not None:
        words.append(word(function, "function"))
    return command(what, read_number(), *words)


def command(what: bytes, reader: Reader[T], *words: bytes) -> Command[T]:
    """A command whose answer tells where it ends: its lists have no line of one dot but the last."""
    return Command(b" ".join((what, *words)) + b"\r\n", reader, f"the answer to {what.decode()!r}")


def read_number() -> Reader[int]:
    """How many there were; none if the handle is not known."""
    try:
        return (yield from read_number_value())
    except Refusal as refusal:
        if refusal.code == "UNKNOWN_JOB":
            return 0
        raise


def read_lines() -> Reader[list[list[bytes]]]:
    """The fields of each line up to the one of one dot."""
    lines = []
    while (line := (yield)) != b".":
        if is_error(line):
            raise Refusal(line)
        lines.append(line.split(b"\t"))
    return lines


def read_letters() -> Reader[list[DeadLetter]]:
    """The answer to ``dead list``."""
    return [DeadLetter(*read_letter(fields)) for fields in (yield from read_lines())]


def read_job() -> Reader[DeadJob | None]:
    """The answer to ``dead show``."""
    try:
        lines = yield from read_lines()
    except Refusal as refusal:
        if refusal.code == "UNKNOWN_JOB":
            return None
        raise
    match lines:
        case [fields, [b"unique", unique], [b"workload", workload]]:
            try:
                return DeadJob(*read_letter(fields), name(unique), b64decode(workload, validate=True))
            except NoBase64:
                pass
    raise ProtocolError("sent a dead letter that is not understood")


def read_letter(fields: list[bytes]) -> tuple[str, str, int, int, str]:
    """The fields of one line."""
    try:
        handle, function, tries, died_at, error = fields
        text = decode_text(unquote_to_bytes(error))
        return decode_name(handle), name(function), int(tries), int(died_at), text
    except ValueError:
        raise not_understood(b"\t".join(fields)) from None


def name(field: bytes) -> str:
    """A name that was written as in a URL."""
    return decode_name(unquote_to_bytes(field))
