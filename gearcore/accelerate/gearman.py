"""python-gearman's Python 3 descendants: gearman3 and pygearman, which keep bytes, python3-gearman and
py3gearman, which keep text.

Their ``connection`` module looks up four functions of ``protocol`` by name; the methods of a connection that
work through a whole buffer or queue are replaced as well, since a buffer cut for each packet is what costs
them most.
"""

from __future__ import annotations

import array
import importlib
from types import ModuleType
from typing import Any

from gearcore._accelerate_gearman import DictCodec
from gearcore.accelerate.handle import Accelerated

__all__ = ["put_in_for_bytes", "put_in_for_text"]


def put_in_for_bytes(package: ModuleType, handle: Accelerated) -> None:
    """For gearman3 and pygearman: arguments are bytes, and an ``array`` is what they are parsed from."""
    _put_in(package, handle, array.array, text=False)


def put_in_for_text(package: ModuleType, handle: Accelerated) -> None:
    """For python3-gearman and py3gearman: arguments are text, and bytes are what they are parsed from."""
    _put_in(package, handle, bytes, text=True)


def _put_in(package: ModuleType, handle: Accelerated, buffer_class: type[Any], *, text: bool) -> None:
    protocol = importlib.import_module(f"{package.__name__}.protocol")
    connection = importlib.import_module(f"{package.__name__}.connection")
    codec = DictCodec(handle.counter, protocol.GEARMAN_PARAMS_FOR_COMMAND, buffer_class, text=text)
    parse, pack = protocol.parse_binary_command, protocol.pack_binary_command
    cls = connection.GearmanConnection
    unpack_command, pack_command = cls._unpack_command, cls._pack_command
    read_commands, send_commands = cls.read_commands_from_buffer, cls.send_commands_to_buffer

    def parse_binary_command(in_buffer: Any, is_response: Any = True) -> Any:
        parsed = codec.parse(in_buffer, is_response)
        return parse(in_buffer, is_response) if parsed is None else parsed

    def pack_binary_command(cmd_type: Any, cmd_args: Any, is_response: Any = False) -> Any:
        packed = codec.pack(cmd_type, cmd_args, is_response)
        return pack(cmd_type, cmd_args, is_response) if packed is None else packed

    def is_changed(self: Any, method: str, original: object, function: str, replacement: object) -> bool:
        """Whether somebody has put something of theirs where a connection's packets pass one by one."""
        return (
            getattr(type(self), method) is not original
            or method in vars(self)
            or getattr(connection, function) is not replacement
            or connection._DEBUG_MODE_
        )

    def read_commands_from_buffer(self: Any) -> Any:
        if self._is_client_side is None or is_changed(
            self, "_unpack_command", unpack_command, "parse_binary_command", parse_binary_command
        ):
            return read_commands(self)
        commands: list[tuple[int, dict[str, Any]]] = []
        size = codec.parse_all(self._incoming_buffer, self._is_client_side, commands)
        if size:
            self._incoming_commands.extend(commands)
            self._incoming_buffer = self._incoming_buffer[size:]
            if not self._incoming_buffer:
                return len(commands)
        return len(commands) + read_commands(self)

    def send_commands_to_buffer(self: Any) -> None:
        packed = None
        if type(self._outgoing_buffer) is bytes and not is_changed(
            self, "_pack_command", pack_command, "pack_binary_command", pack_binary_command
        ):
            packed = codec.pack_behind(self._outgoing_buffer, self._outgoing_commands, self._is_server_side)
        if packed is None:
            send_commands(self)
        else:
            self._outgoing_buffer = packed

    for module in (protocol, connection):
        handle.replace(module, "parse_binary_command", parse_binary_command)
        handle.replace(module, "pack_binary_command", pack_binary_command)
    handle.replace(cls, "read_commands_from_buffer", read_commands_from_buffer)
    handle.replace(cls, "send_commands_to_buffer", send_commands_to_buffer)
