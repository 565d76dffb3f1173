"""Render the packet table of gearcore.protocol as docs/protocol.md: ``python docs/generate_protocol.py``."""

from __future__ import annotations

from pathlib import Path

from gearcore.protocol import (
    DEFAULT_MAX_PACKET_SIZE,
    DEFAULT_PORT,
    HEADER_SIZE,
    PACKETS,
    PacketSpec,
    Party,
)

TARGET = Path(__file__).with_name("protocol.md")

INTRODUCTION = f"""\
# The Gearman protocol

This page is made from the packet table in `gearcore/protocol.py` by `python docs/generate_protocol.py`.

Clients and workers talk to a job server over TCP, by default on port {DEFAULT_PORT}. What they exchange are
packets: a header of {HEADER_SIZE} bytes and a body.

| Bytes of the header | Content |
| --- | --- |
| 0-3 | the magic: `\\0REQ` on the way to a server, `\\0RES` on the way from one |
| 4-7 | the packet's type: unsigned, big-endian |
| 8-11 | the size of the body in bytes: unsigned, big-endian |

The body holds the arguments, divided by single NUL bytes. The last argument takes the rest of the body: no
NUL follows it, and it may hold NULs itself. Numbers among the arguments are decimal text. The body of a
packet without arguments is ignored.

gearcore takes bodies of up to {DEFAULT_MAX_PACKET_SIZE // 2**20} MiB unless it is told otherwise.

## Packets

A packet sent by "worker, server" is one that the server passes on from a worker to the job's clients. An
argument in brackets may be missing together with the NUL before it, and is then empty.

| Type | Name | Sender | Arguments | Meaning |
| ---: | --- | --- | --- | --- |
"""

TEXT_PROTOCOL = """
## Lines

A message whose first byte is not NUL is a line of the admin protocol: a command and its words, at most 8192
bytes, then a newline, which a carriage return may precede. Lines and packets may alternate on one connection.
"""


def senders(sender: Party) -> str:
    """The parties by name, in the order of their definition."""
    return ", ".join(str(party.name).lower() for party in sender)


def arguments(spec: PacketSpec) -> str:
    """The argument names, the one that may be missing in brackets."""
    names = list(spec.arguments)
    if spec.payload_optional:
        names[-1] = f"[{names[-1]}]"
    return ", ".join(f"`{name}`" for name in names)


def row(spec: PacketSpec) -> str:
    """One line of the table; an empty cell is a single space."""
    cells = (str(spec.number), f"`{spec.name}`", senders(spec.sender), arguments(spec), spec.summary)
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|\n"


def render() -> str:
    """The whole page."""
    return INTRODUCTION + "".join(row(spec) for spec in PACKETS) + TEXT_PROTOCOL


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
