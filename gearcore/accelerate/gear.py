"""gear, OpenStack's: a connection that reads a packet at a time, and packets that are split when asked."""

from __future__ import annotations

from types import ModuleType

from gearcore._accelerate import Remainder
from gearcore._accelerate_gear import gear_hooks
from gearcore.accelerate.handle import Accelerated

__all__ = ["put_in"]


def put_in(package: ModuleType, handle: Accelerated) -> None:
    """Replace the reading of packets, and what a packet makes of its body and its body of."""
    connection, packet = package.Connection, package.Packet
    input_buffer = Remainder("input_buffer")
    read, to_binary, get_argument = gear_hooks(
        handle.counter,
        input_buffer,
        package,
        connection.readPacket,
        packet.toBinary,
        packet.getArgument,
    )
    handle.before_the_end(input_buffer.settle)
    handle.replace(connection, "input_buffer", input_buffer)
    handle.replace(connection, "readPacket", read)
    handle.replace(packet, "toBinary", to_binary)
    handle.replace(packet, "getArgument", get_argument)
