"""What the codec costs: time and memory grow with what was sent, and with nothing else."""

from __future__ import annotations

import contextlib
import gc
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterable

from packets import SUBMIT, UNKNOWN, frame

from gearcore.codec import Parser, pack_request, unpack_arguments
from gearcore.errors import (
    ProtocolError,
    UnknownPacketType,
)
from gearcore.protocol import (
    DEFAULT_MAX_PACKET_SIZE,
    REQUEST_MAGIC,
    PacketType,
)


def seconds(action: Callable[[], object]) -> float:
    """The best time of three."""

    def once() -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    return min(once() for _ in range(3))


class TestCost:
    """That time and memory grow with what was sent, and with nothing else.

    Times are compared with those of a plain way to do the same in the same run. Each bound is far above what
    a linear codec needs, and far below what a quadratic one would.
    """

    def test_a_large_packet_in_small_pieces(self) -> None:
        data = pack_request(PacketType.ECHO_REQ, bytes(16 * 2**20))
        pieces = [data[at : at + 1024] for at in range(0, len(data), 1024)]

        def feed_pieces() -> None:
            parser = Parser()
            packets = [packet for piece in pieces for packet in parser.feed(piece)]
            assert len(packets) == 1

        assert seconds(feed_pieces) < 100 * seconds(lambda: Parser().feed(data))

    def test_many_packets_in_one_buffer(self) -> None:
        count = 20_000

        def feed_one_by_one() -> None:
            parser = Parser()
            for _ in range(count):
                parser.feed(SUBMIT)

        burst = SUBMIT * count
        assert len(Parser().feed(burst)) == count
        assert seconds(lambda: Parser().feed(burst)) < 10 * seconds(feed_one_by_one)
        assert seconds(lambda: Parser().feed(memoryview(burst)[:-1])) < 10 * seconds(feed_one_by_one)

    def test_many_offences_in_one_buffer(self) -> None:
        count = 5_000
        unknown = frame(99, bytes(1000))

        def go_on(chunks: Iterable[bytes]) -> None:
            parser = Parser()
            for chunk in chunks:
                with contextlib.suppress(UnknownPacketType):
                    parser.feed(chunk)
            assert parser.buffered == 0

        one_by_one = seconds(lambda: go_on([unknown] * count))
        assert seconds(lambda: go_on([unknown * count] + [b""] * (count - 1))) < 20 * one_by_one

    def test_an_announced_size_alone_takes_no_memory(self) -> None:
        parser = Parser()
        header = struct.pack(">4sII", REQUEST_MAGIC, PacketType.ECHO_REQ, DEFAULT_MAX_PACKET_SIZE)
        tracemalloc.start()
        try:
            parser.feed(header)
            assert tracemalloc.get_traced_memory()[1] < 4096
            tracemalloc.reset_peak()
            piece = bytes(1000)
            for _ in range(1000):
                parser.feed(piece)
            assert 1_000_000 < tracemalloc.get_traced_memory()[1] < 2_000_000 + 4096
        finally:
            tracemalloc.stop()

    def test_the_buffer_is_no_larger_than_the_packet(self) -> None:
        data = pack_request(PacketType.ECHO_REQ, bytes(2**20))
        parser = Parser()
        tracemalloc.start()
        try:
            parser.feed(memoryview(data)[:-1])
            assert tracemalloc.get_traced_memory()[0] < len(data) + 4096
        finally:
            tracemalloc.stop()

    def test_memory_stays_for_the_next_packet_until_it_is_not_needed_for_a_while(self) -> None:
        data = pack_request(PacketType.ECHO_REQ, bytes(2**20))
        parser = Parser()
        tracemalloc.start()
        try:
            for _ in range(3):
                parser.feed(data[:-1])
                parser.feed(data[-1:])
                assert 2**20 < tracemalloc.get_traced_memory()[0] < len(data) + 4096
            for _ in range(100):
                parser.feed(SUBMIT)
            assert tracemalloc.get_traced_memory()[0] < 4096
        finally:
            tracemalloc.stop()

    def test_much_memory_is_let_go_with_the_packet(self) -> None:
        data = pack_request(PacketType.ECHO_REQ, bytes(2**23))
        parser = Parser()
        tracemalloc.start()
        try:
            for _ in range(3):
                parser.feed(data[:-1])
                parser.feed(data[-1:])
                assert tracemalloc.get_traced_memory()[0] < 4096
        finally:
            tracemalloc.stop()

    def test_nothing_leaks(self) -> None:
        def use_everything() -> None:
            parser = Parser(text=True)
            for data in (SUBMIT[:20], SUBMIT[20:], b"line\n", UNKNOWN + SUBMIT, b"", b"\0RES bad"):
                with contextlib.suppress(ProtocolError):
                    hash(tuple(map(repr, parser.feed(data))))
            for wrong in (b"a\0", "text", b""):
                with contextlib.suppress(TypeError, ValueError):
                    pack_request(PacketType.CAN_DO_TIMEOUT, bytearray(b"x"), memoryview(b"y"))
                    pack_request(PacketType.CAN_DO_TIMEOUT, wrong, bytearray(b"x"))  # type: ignore[arg-type]
            Parser().feed(SUBMIT[:15])
            unpack_arguments(PacketType.WORK_DATA, b"H:host:1")

        for _ in range(100):
            use_everything()
        gc.collect()
        tracemalloc.start()
        try:
            use_everything()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(1000):
                use_everything()
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] - before < 10_000
        finally:
            tracemalloc.stop()
