"""The codec's packer, and its packets as values."""

from __future__ import annotations

import array
import ctypes
import sys

import pytest
from packets import SUBMIT, every_packet, example, packets_with_arguments

from gearcore._codec import pack_request_head
from gearcore.codec import Packet, Parser, pack_request, pack_response, unpack_arguments
from gearcore.errors import (
    TooFewArguments,
)
from gearcore.protocol import (
    PacketSpec,
    PacketType,
)


class TestPacking:
    """``pack_request`` and ``pack_response``."""

    def test_bytes_of_a_request_and_a_response(self) -> None:
        assert pack_request(PacketType.SUBMIT_JOB, b"reverse", b"", b"Hello") == (
            b"\0REQ\0\0\0\x07\0\0\0\x0ereverse\0\0Hello"
        )
        assert pack_response(PacketType.WORK_COMPLETE, b"H:host:1", b"\0\0") == (
            b"\0RES\0\0\0\x0d\0\0\0\x0bH:host:1\0\0\0"
        )
        assert pack_request(9) == b"\0REQ\0\0\0\x09\0\0\0\0"

    def test_a_request_without_its_last_argument(self) -> None:
        whole = pack_request(PacketType.WORK_COMPLETE, b"H:1", b"result")
        assert pack_request_head(PacketType.WORK_COMPLETE, 6, b"H:1") + b"result" == whole
        with pytest.raises(ValueError, match="4294967295"):
            pack_request_head(PacketType.WORK_COMPLETE, 2**32 - 4, b"H:1")
        with pytest.raises(ValueError, match="WORK_COMPLETE"):
            pack_request_head(PacketType.WORK_COMPLETE, 6)

    @every_packet
    def test_every_packet_comes_back(self, spec: PacketSpec) -> None:
        packet, data = example(spec)
        assert pack_request(spec.type, *packet.args) == data
        assert pack_request(packet.type, *packet.args) == data

    @pytest.mark.parametrize(
        "workload",
        [bytearray(b"data"), memoryview(b"data"), array.array("B", b"data"), (ctypes.c_char * 4)(*b"data")],
        ids=lambda workload: type(workload).__name__,
    )
    def test_any_bytes_like_argument(self, workload: bytes) -> None:
        expected = pack_request(PacketType.SUBMIT_JOB, b"data", b"data", b"data")
        assert pack_request(PacketType.SUBMIT_JOB, workload, b"data", workload) == expected

    @packets_with_arguments
    def test_eight_views_at_once_are_let_go(self, spec: PacketSpec) -> None:
        arguments = [bytearray(name.encode()) for name in spec.arguments]
        pack_request(spec.type, *arguments)
        for argument in arguments:
            argument.append(0)  # BufferError if a view were left
        if len(arguments) > 1:
            with pytest.raises(ValueError, match="NUL"):
                pack_request(spec.type, *arguments)
        for argument in arguments:
            argument.append(0)

    @packets_with_arguments
    @pytest.mark.parametrize("wrong", ["text", 5, None, [b"list"]], ids=lambda wrong: type(wrong).__name__)
    def test_an_argument_that_is_not_bytes_like(self, spec: PacketSpec, wrong: object) -> None:
        for at, name in enumerate(spec.arguments):
            arguments: list[object] = [bytearray(b"x") for _ in spec.arguments]
            arguments[at] = wrong
            with pytest.raises(TypeError) as raised:
                pack_request(spec.type, *arguments)  # type: ignore[arg-type]
            assert str(raised.value) == (
                f"{spec.name}: {name} must be bytes-like, not {type(wrong).__name__}"
            )

    def test_a_view_that_is_not_contiguous(self) -> None:
        with pytest.raises(BufferError):
            pack_request(PacketType.ECHO_REQ, memoryview(b"abcdef")[::2])

    @every_packet
    def test_a_wrong_number_of_arguments(self, spec: PacketSpec) -> None:
        count = len(spec.arguments)
        takes = {0: "takes no arguments", 1: f"takes 1 argument ({spec.arguments[0] if count else ''})"}.get(
            count, f"takes {count} arguments ({', '.join(spec.arguments)})"
        )
        for given in {0, count - 1, count + 1, 9} - {count, -1}:
            with pytest.raises(ValueError, match=r"^\w+ takes") as raised:
                pack_response(spec.type, *[b"x"] * given)
            assert str(raised.value) == f"{spec.name} {takes}, and was given {given}"

    @packets_with_arguments
    def test_a_nul_in_any_argument_but_the_last(self, spec: PacketSpec) -> None:
        for at, name in enumerate(spec.arguments[:-1]):
            for bad in (b"\0", b"x\0", b"\0x", bytearray(b"x\0x")):
                arguments: list[bytes | bytearray] = [b"x" for _ in spec.arguments]
                arguments[at] = bad
                with pytest.raises(ValueError, match="NUL") as raised:
                    pack_request(spec.type, *arguments)
                assert str(raised.value) == (
                    f"{spec.name}: {name} holds a NUL byte, which only the last argument may"
                )

    @pytest.mark.parametrize("type", [0, 43, -1, 2**31, 2**32 + 7, 2**64, -(2**64)])
    def test_a_type_that_is_not_in_the_table(self, type: int) -> None:
        with pytest.raises(ValueError, match=f"^there is no packet type {type}$"):
            pack_request(type)
        with pytest.raises(ValueError, match=f"^there is no packet type {type}$"):
            unpack_arguments(type, b"")
        with pytest.raises(ValueError, match=f"^there is no packet type {type}$"):
            Packet(type, ())

    @pytest.mark.parametrize("type", ["SUBMIT_JOB", None, 7.0], ids=repr)
    def test_a_type_that_is_no_number(self, type: object) -> None:
        with pytest.raises(TypeError):
            pack_request(type, b"", b"", b"")  # type: ignore[arg-type]

    @pytest.mark.skipif(sys.maxsize < 2**32, reason="no object is that large here")
    def test_a_body_that_no_header_can_announce(self) -> None:
        # Claims 4 GiB and has one byte: the size is to be refused before a byte is read.
        storage = ctypes.c_char(b"x")
        huge = (ctypes.c_char * 2**32).from_address(ctypes.addressof(storage))
        with pytest.raises(ValueError, match="over the 4294967295") as raised:
            pack_request(PacketType.ECHO_REQ, huge)
        assert str(raised.value) == (
            "ECHO_REQ: a body of 4294967296 bytes is over the 4294967295 that a header can announce"
        )


class TestUnpacking:
    """``unpack_arguments``."""

    @every_packet
    def test_every_packet(self, spec: PacketSpec) -> None:
        packet, data = example(spec)
        assert unpack_arguments(spec.type, data[12:]) == packet.args
        assert unpack_arguments(spec.number, memoryview(data)[12:]) == packet.args

    def test_an_optional_payload(self) -> None:
        assert unpack_arguments(PacketType.WORK_DATA, b"H:host:1") == (b"H:host:1", b"")

    def test_a_body_that_is_ignored(self) -> None:
        assert unpack_arguments(PacketType.NOOP, b"any\0thing") == ()

    def test_too_few_arguments(self) -> None:
        with pytest.raises(TooFewArguments) as raised:
            unpack_arguments(PacketType.JOB_ASSIGN, bytearray(b"H:host:1\0reverse"))
        assert str(raised.value) == "JOB_ASSIGN takes 3 arguments (handle, function, workload), and has 2"

    def test_what_is_not_bytes_like(self) -> None:
        with pytest.raises(TypeError, match="bytes-like"):
            unpack_arguments(PacketType.NOOP, "text")  # type: ignore[arg-type]


class TestPacket:
    """The ``Packet`` class itself."""

    def test_what_it_tells(self) -> None:
        packet = Packet(PacketType.JOB_CREATED, (b"H:host:1",), is_request=False)
        assert (packet.type, packet.name, packet.args) == (8, "JOB_CREATED", (b"H:host:1",))
        assert packet.type == PacketType.JOB_CREATED
        assert packet.is_request is False
        assert Packet(PacketType.GRAB_JOB, ()).is_request is True

    def test_equal_packets_are_equal_and_have_the_same_hash(self) -> None:
        args = (b"reverse", b"", b"Hello")
        packet = Packet(PacketType.SUBMIT_JOB, args)
        (parsed,) = Parser().feed(SUBMIT)
        assert packet == parsed
        assert hash(packet) == hash(parsed)
        others = [
            Packet(PacketType.SUBMIT_JOB, args, is_request=False),
            Packet(PacketType.SUBMIT_JOB_BG, args),
            Packet(PacketType.SUBMIT_JOB, (b"reverse", b"", b"hello")),
            (PacketType.SUBMIT_JOB, args),
            None,
        ]
        for other in others:
            assert packet != other
        assert len({packet, parsed, *others}) == 1 + len(others)

    def test_repr(self) -> None:
        assert repr(Packet(PacketType.GRAB_JOB, ())) == "<Packet GRAB_JOB request>"
        assert repr(Packet(PacketType.WORK_COMPLETE, (b"H:host:1", b"x" * 32), False)) == (
            f"<Packet WORK_COMPLETE response handle=b'H:host:1' result=b'{'x' * 32}'>"
        )
        assert repr(Packet(PacketType.ECHO_REQ, (b"x" * 100_000,))) == (
            f"<Packet ECHO_REQ request data=b'{'x' * 32}'... (100000 bytes)>"
        )

    @pytest.mark.parametrize("name", ["type", "args", "is_request", "name", "other"])
    def test_it_cannot_be_changed(self, name: str) -> None:
        packet = Packet(PacketType.GRAB_JOB, ())
        with pytest.raises(AttributeError):
            setattr(packet, name, 1)

    @pytest.mark.parametrize("cls", [Packet, Parser])
    def test_it_cannot_be_subclassed(self, cls: type) -> None:
        with pytest.raises(TypeError):
            type("Sub", (cls,), {})

    def test_arguments_must_be_bytes_in_a_tuple(self) -> None:
        with pytest.raises(TypeError, match=r"^JOB_CREATED: handle must be bytes, not str$"):
            Packet(PacketType.JOB_CREATED, ("H:host:1",))  # type: ignore[arg-type]
        for args in ([b"H:host:1"], None):
            with pytest.raises(TypeError):
                Packet(PacketType.JOB_CREATED, args)  # type: ignore[arg-type]
