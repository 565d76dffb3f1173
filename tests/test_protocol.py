"""The packet table, and that what is made from it agrees with it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from gearcore import _codec
from gearcore.protocol import (
    HEADER_SIZE,
    PACKETS,
    REQUEST_MAGIC,
    RESPONSE_MAGIC,
    PacketSpec,
    PacketType,
    Party,
)

DOCS = Path(__file__).parents[1] / "docs"

every_packet = pytest.mark.parametrize("spec", PACKETS, ids=lambda spec: spec.name)


def test_every_type_has_one_row_in_the_order_of_its_number() -> None:
    assert [spec.type for spec in PACKETS] == list(PacketType)
    assert [spec.number for spec in PACKETS] == list(range(1, 43))


@every_packet
def test_a_row_makes_sense(spec: PacketSpec) -> None:
    assert spec.name == PacketType(spec.number).name
    assert len(set(spec.arguments)) == len(spec.arguments)
    assert bool(spec.sender) == (spec.type is not PacketType.UNUSED)
    assert spec.summary.endswith(".")
    assert not spec.payload_optional or len(spec.arguments) == 2


def test_only_what_ends_or_feeds_a_job_has_an_optional_payload() -> None:
    assert {spec.name for spec in PACKETS if spec.payload_optional} == {
        "WORK_COMPLETE",
        "WORK_EXCEPTION",
        "WORK_DATA",
        "WORK_WARNING",
    }
    assert all(spec.sender == Party.WORKER | Party.SERVER for spec in PACKETS if spec.payload_optional)


def test_the_numbers_that_compiled_code_uses_are_those_of_the_table() -> None:
    assert _codec._wire_numbers() == {spec.name: spec.number for spec in PACKETS}


@every_packet
def test_the_codec_takes_as_many_arguments_as_the_table_names(spec: PacketSpec) -> None:
    arguments = tuple(b"argument" for _ in spec.arguments)
    assert _codec.Packet(spec.type, arguments).args == arguments
    with pytest.raises(ValueError, match=rf"^{spec.name} takes .* given {len(arguments) + 1}$"):
        _codec.Packet(spec.type, (*arguments, b"more"))


@every_packet
def test_a_packed_header_is_as_the_table_and_the_constants_say(spec: PacketSpec) -> None:
    arguments = [b"argument" for _ in spec.arguments]
    for pack, magic in ((_codec.pack_request, REQUEST_MAGIC), (_codec.pack_response, RESPONSE_MAGIC)):
        packed = pack(spec.type, *arguments)
        assert packed[:4] == magic
        assert packed[4:8] == spec.number.to_bytes(4, "big")
        assert packed[8:12] == (len(packed) - HEADER_SIZE).to_bytes(4, "big")


@pytest.mark.skipif(not DOCS.exists(), reason="the documentation is in the source tree only")
def test_the_protocol_page_is_up_to_date() -> None:
    render = runpy.run_path(str(DOCS / "generate_protocol.py"))["render"]
    assert (DOCS / "protocol.md").read_text(encoding="utf-8") == render(), (
        "docs/protocol.md is not what docs/generate_protocol.py makes of gearcore.protocol: run it again"
    )
