"""A packet as gear has it: its number and its body, taken apart on demand."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from gearcore.codec import Packet as WirePacket
from gearcore.compat.gear.constants import REQ, RES, types
from gearcore.compat.gear.errors import InvalidDataError, UnknownJobError
from gearcore.protocol import PACKETS

if TYPE_CHECKING:
    from gearcore.compat.gear.connection import Connection

__all__ = ["Packet"]

_HEADER: Final = struct.Struct(">4sII")

_SHOWN: Final = {
    "handle": "handle",
    "function": "function",
    "unique": "unique",
    "code": "code",
    "text": "message",
}
"""The arguments that a packet's repr shows, by their names in the protocol table."""

_NAMES: Final = {int(spec.type): spec.arguments for spec in PACKETS}


class Packet:
    """A packet that came over a connection, or is to be sent.

    ``code`` is its magic, ``constants.REQ`` or ``constants.RES``, ``ptype`` its number, ``data`` its body as
    bytes, and ``connection`` the one that it came over. Raises TypeError for a magic or a body that is not
    bytes, and InvalidDataError for a magic that does not begin with a NUL.
    """

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    code: bytes | bytearray
    ptype: int

    def __init__(
        self,
        code: bytes | bytearray,
        ptype: int,
        data: bytes | bytearray,
        connection: Connection | None = None,
    ) -> None:
        if not isinstance(code, bytes | bytearray):
            raise TypeError(f"code must be of type bytes or bytearray, not {type(code).__name__}")
        if not isinstance(data, bytes | bytearray):
            raise TypeError(f"data must be of type bytes or bytearray, not {type(data).__name__}")
        if code[:1] != b"\0":
            raise InvalidDataError(f"First byte of packet must be 0, and the magic is {bytes(code)!r}")
        self.code = code
        self.ptype = ptype
        self._data: bytes | bytearray | None = data
        self._arguments: tuple[bytes, ...] = ()
        self.connection = connection

    @classmethod
    def received(cls, packet: WirePacket, connection: Connection) -> Packet:
        """The packet that the codec has taken apart already."""
        made = cls.__new__(cls)
        made.code = REQ if packet.is_request else RES
        made.ptype = packet.type
        made._data = None
        made._arguments = packet.args
        made.connection = connection
        return made

    @property
    def data(self) -> bytes | bytearray:
        """The body."""
        if self._data is None:
            self._data = b"\0".join(self._arguments)
        return self._data

    @data.setter
    def data(self, data: bytes | bytearray) -> None:
        self._data = data
        self._arguments = ()

    def toBinary(self) -> bytearray:
        """The packet as it goes over the wire."""
        binary = bytearray(_HEADER.pack(self.code, self.ptype, len(self.data)))
        binary += self.data
        return binary

    def getArgument(self, index: int, last: bool = False) -> bytes:
        """One argument of the packet, by its index from 0 on.

        The ``last`` one is all that is left, NULs too; without an argument at the index it is empty. Any
        other is what stands between two NULs; IndexError if there is none.
        """
        arguments = self._arguments
        if 0 <= index < len(arguments) - 1 or (last and index == len(arguments) - 1):
            return arguments[index] if not last else b"\0".join(arguments[index:])
        parts = bytes(self.data).split(b"\0")
        return b"\0".join(parts[index:]) if last else parts[index]

    def getJob(self) -> Any:
        """The job that the packet is about, by its handle. Raises UnknownJobError if there is none."""
        handle = self.getArgument(0)
        job = None if self.connection is None else self.connection.related_jobs.get(handle)
        if job is None:
            raise UnknownJobError(f"{self!r} is about a job that its connection does not know")
        return job

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Packet):
            return False
        return (self.code, self.ptype, self.data) == (other.code, other.ptype, other.data)

    def __repr__(self) -> str:
        words = [f"type: {types.get(self.ptype, 'UNKNOWN')}"]
        parts = bytes(self.data).split(b"\0")
        for index, name in enumerate(_NAMES.get(self.ptype, ())[: len(parts)]):
            if name in _SHOWN:
                words.append(f"{_SHOWN[name]}: {parts[index]!r}")
        return f"<gear.Packet 0x{id(self):x} {' '.join(words)}>"
