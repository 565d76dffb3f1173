"""The numbers of the packets by name, the two magics, and the names by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearcore.protocol import REQUEST_MAGIC, RESPONSE_MAGIC, PacketType

REQ = REQUEST_MAGIC
RES = RESPONSE_MAGIC

types = {int(number): number.name for number in PacketType if number is not PacketType.UNUSED}

globals().update({name: number for number, name in types.items()})

if TYPE_CHECKING:

    def __getattr__(name: str) -> int: ...
