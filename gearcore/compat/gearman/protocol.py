"""Packets as python-gearman has them: numbers, names of arguments, and functions that pack and parse them.

Client and worker do not go through here: these are for programs that speak the protocol by themselves. What
is parsed is text or bytes as ``GearmanConnectionManager.text`` says; what is packed may be either. There are
python-gearman's packets, from 1 to 34, whose numbers are here as ``GEARMAN_COMMAND_...``, and its admin
commands.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gearcore.codec import pack_request, pack_response, unpack_arguments
from gearcore.compat.gearman.connection_manager import GearmanConnectionManager
from gearcore.compat.gearman.constants import PRIORITIES, PRIORITY_HIGH, PRIORITY_LOW, PRIORITY_NONE
from gearcore.compat.gearman.encoding import name_from_wire, to_wire
from gearcore.compat.gearman.errors import ProtocolError
from gearcore.errors import ProtocolError as Offence
from gearcore.protocol import (
    HEADER_SIZE,
    PACKETS,
    REQUEST_MAGIC,
    RESPONSE_MAGIC,
    SUBMIT_PACKETS,
    PacketType,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

    Parsed = tuple[int, dict[str, Any], int] | tuple[None, None, int]

__all__ = [
    "COMMAND_HEADER_SIZE",
    "GEARMAN_COMMAND_TEXT_COMMAND",
    "GEARMAN_COMMAND_TO_NAME",
    "GEARMAN_PARAMS_FOR_COMMAND",
    "GEARMAN_SERVER_COMMAND_CANCEL_JOB",
    "GEARMAN_SERVER_COMMAND_GETPID",
    "GEARMAN_SERVER_COMMAND_MAXQUEUE",
    "GEARMAN_SERVER_COMMAND_SHOW_JOBS",
    "GEARMAN_SERVER_COMMAND_SHOW_UNIQUE_JOBS",
    "GEARMAN_SERVER_COMMAND_SHUTDOWN",
    "GEARMAN_SERVER_COMMAND_STATUS",
    "GEARMAN_SERVER_COMMAND_VERSION",
    "GEARMAN_SERVER_COMMAND_WORKERS",
    "MAGIC_REQ_STRING",
    "MAGIC_RES_STRING",
    "NULL_CHAR",
    "PRIORITY_HIGH",
    "PRIORITY_LOW",
    "PRIORITY_NONE",
    "ProtocolError",
    "get_command_name",
    "pack_binary_command",
    "pack_text_command",
    "parse_binary_command",
    "parse_text_command",
    "submit_cmd_for_background_priority",
]

NULL_CHAR: Final = b"\0"
MAGIC_REQ_STRING: Final = REQUEST_MAGIC
MAGIC_RES_STRING: Final = RESPONSE_MAGIC
COMMAND_HEADER_SIZE: Final = HEADER_SIZE

GEARMAN_COMMAND_TEXT_COMMAND: Final = 9999
"""Stands for an admin command, which has no number."""

GEARMAN_SERVER_COMMAND_STATUS: Final = "status"
GEARMAN_SERVER_COMMAND_VERSION: Final = "version"
GEARMAN_SERVER_COMMAND_WORKERS: Final = "workers"
GEARMAN_SERVER_COMMAND_MAXQUEUE: Final = "maxqueue"
GEARMAN_SERVER_COMMAND_SHUTDOWN: Final = "shutdown"
GEARMAN_SERVER_COMMAND_GETPID: Final = "getpid"
GEARMAN_SERVER_COMMAND_SHOW_JOBS: Final = "show jobs"
GEARMAN_SERVER_COMMAND_CANCEL_JOB: Final = "cancel job"
GEARMAN_SERVER_COMMAND_SHOW_UNIQUE_JOBS: Final = "show unique jobs"

_LAST: Final = PacketType.SUBMIT_JOB_LOW_BG
"""The last packet that python-gearman knows."""

_THEIR_NAMES: Final = {
    "handle": "job_handle",
    "function": "task",
    "workload": "data",
    "result": "data",
    "exception": "data",
    "warning": "data",
    "code": "error_code",
    "text": "error_text",
    "option": "option_name",
}
"""python-gearman's names of arguments, where they are not those of the protocol table."""

_KNOWN: Final = [spec for spec in PACKETS if spec.type <= _LAST and spec.type != PacketType.UNUSED]

GEARMAN_PARAMS_FOR_COMMAND: Final[dict[int, list[str]]] = {
    spec.number: [_THEIR_NAMES.get(name, name) for name in spec.arguments] for spec in _KNOWN
} | {GEARMAN_COMMAND_TEXT_COMMAND: ["raw_text"]}

GEARMAN_COMMAND_TO_NAME: Final[dict[int, str]] = {
    spec.number: f"GEARMAN_COMMAND_{spec.name}" for spec in _KNOWN
} | {GEARMAN_COMMAND_TEXT_COMMAND: "GEARMAN_COMMAND_TEXT_COMMAND"}

globals().update({name: number for number, name in GEARMAN_COMMAND_TO_NAME.items()})
__all__ += sorted(set(GEARMAN_COMMAND_TO_NAME.values()) - set(__all__))

_HEADER: Final = struct.Struct(">4sII")


def get_command_name(cmd_type: Any) -> Any:
    """The name of a packet by its number; of an unknown one, the number."""
    return GEARMAN_COMMAND_TO_NAME.get(cmd_type, cmd_type)


def submit_cmd_for_background_priority(background: Any, priority: str | None) -> int:
    """The number of the packet that submits such a job. Raises KeyError for another priority."""
    return int(SUBMIT_PACKETS[PRIORITIES[priority], bool(background)])


def parse_binary_command(in_buffer: Buffer, is_response: bool = True) -> Parsed:
    """The packet at the beginning of a buffer: its number, its arguments by their names, and its size.

    ``is_response`` says that it came from a server. The size is in bytes, with the header. If the packet is
    not all there: None, None and 0. Raises ProtocolError for what is no packet of python-gearman's.
    """
    buffer = memoryview(in_buffer).cast("B")
    if len(buffer) < HEADER_SIZE:
        return None, None, 0
    magic, cmd_type, size = _HEADER.unpack_from(buffer)
    if magic != (RESPONSE_MAGIC if is_response else REQUEST_MAGIC):
        raise ProtocolError(f"Malformed Magic: {magic!r}")
    if cmd_type not in GEARMAN_PARAMS_FOR_COMMAND or cmd_type == GEARMAN_COMMAND_TEXT_COMMAND:
        raise ProtocolError(f"Received unknown binary command: {cmd_type}")
    end = HEADER_SIZE + size
    if len(buffer) < end:
        return None, None, 0
    names = GEARMAN_PARAMS_FOR_COMMAND[cmd_type]
    if size and not names:
        raise ProtocolError(f"Expected no binary payload: {get_command_name(cmd_type)}")
    try:
        found = unpack_arguments(cmd_type, buffer[HEADER_SIZE:end])
    except Offence as error:
        raise ProtocolError(str(error)) from error
    text = GearmanConnectionManager.text
    return cmd_type, {name: name_from_wire(raw, text) for name, raw in zip(names, found, strict=True)}, end


def pack_binary_command(cmd_type: int, cmd_args: Mapping[str, Any], is_response: bool = False) -> bytes:
    """A packet with these arguments, which are given by their names; with ``is_response``, as a server's.

    Raises ProtocolError for an unknown number, for other names than it has, for what is neither text nor
    bytes, and for a NUL in any argument but the last.
    """
    names = GEARMAN_PARAMS_FOR_COMMAND.get(cmd_type)
    if names is None or cmd_type == GEARMAN_COMMAND_TEXT_COMMAND:
        raise ProtocolError(f"Received unknown binary command: {cmd_type}")
    if set(names) != set(cmd_args):
        raise ProtocolError(
            f"Received arguments did not match expected arguments: {set(cmd_args)} != {set(names)}"
        )
    try:
        values = [to_wire(cmd_args[name]) for name in names]
    except TypeError as error:
        raise ProtocolError(f"Received non-binary arguments: {dict(cmd_args)!r}") from error
    try:
        return (pack_response if is_response else pack_request)(cmd_type, *values)
    except ValueError as error:
        raise ProtocolError(str(error)) from error


def parse_text_command(in_buffer: Buffer) -> Parsed:
    """The line at the beginning of a buffer: 9999, the line as ``raw_text``, and its size with the newline.

    If it is not all there: None, None and 0. Raises ProtocolError for a line with a NUL.
    """
    line, newline, _ = memoryview(in_buffer).tobytes().partition(b"\n")
    if not newline:
        return None, None, 0
    if NULL_CHAR in line:
        raise ProtocolError(f"Received unexpected NULL byte in {line!r}")
    raw_text = name_from_wire(line, GearmanConnectionManager.text)
    return GEARMAN_COMMAND_TEXT_COMMAND, {"raw_text": raw_text}, len(line) + 1


def pack_text_command(cmd_type: int, cmd_args: Mapping[str, Any]) -> str | bytes:
    """The line of an admin command, as it is in ``raw_text``: it has its newline already.

    Raises ProtocolError for another number than 9999, and without a ``raw_text``.
    """
    if cmd_type != GEARMAN_COMMAND_TEXT_COMMAND:
        raise ProtocolError(f"Unknown cmd_type: {get_command_name(cmd_type)}")
    raw_text = cmd_args.get("raw_text")
    if not isinstance(raw_text, str | bytes):
        raise ProtocolError(f"a text command needs a raw_text: {dict(cmd_args)!r}")
    return name_from_wire(to_wire(raw_text), GearmanConnectionManager.text)
