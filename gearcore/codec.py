r"""The packet codec by itself: Gearman's bytes to packets and packets to bytes, compiled, without any I/O.

For a client, a worker, a proxy or a test that has its sockets already:

>>> from gearcore import codec
>>> from gearcore.protocol import RESPONSE_MAGIC, PacketType
>>> codec.pack_request(PacketType.SUBMIT_JOB, b"reverse", b"", b"Hello")
b'\x00REQ\x00\x00\x00\x07\x00\x00\x00\x0ereverse\x00\x00Hello'
>>> parser = codec.Parser(expect=RESPONSE_MAGIC)
>>> parser.feed(b"\0RES\0\0\0\x08\0\0\0\x08H:ho")
[]
>>> for packet in parser.feed(b"st:1\0RES\0\0\0\x06\0\0\0\0"):
...     print(packet.name, packet.args)
JOB_CREATED (b'H:host:1',)
NOOP ()

Types: every argument of a packet is ``bytes`` when it is parsed and any bytes-like object when it is packed;
text is for the caller to encode. A packet's type is the plain number, equal to the ``PacketType`` of that
number. ``gearcore.protocol.PACKETS`` names the arguments of each.

Sizes: a body has at most 2**32 - 1 bytes on the wire. ``Parser`` takes bodies of up to ``max_packet_size``
bytes, 256 MiB unless told otherwise, and refuses a larger one when its header comes.

Errors: a ``Parser`` raises the ``ProtocolError`` family of ``gearcore.errors``, each with the ``packets``
that were complete before the offence. After a ``recoverable`` one ``feed(b"")`` goes on behind the offending
packet. Packing raises ``TypeError`` and ``ValueError``, which name the packet and the argument.

Functions may be called from any thread; a ``Parser`` serves one stream and one thread at a time.
"""

from __future__ import annotations

from gearcore._codec import Packet, Parser, pack_request, pack_response, unpack_arguments

__all__ = ["Packet", "Parser", "pack_request", "pack_response", "unpack_arguments"]
