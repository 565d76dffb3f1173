"""What the codec costs a client or a worker: ``pytest benchmarks/bench_codec.py --benchmark-enable``."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gearcore.codec import Parser, pack_request, pack_response
from gearcore.protocol import RESPONSE_MAGIC, PacketType

sizes = pytest.mark.parametrize("size", [32, 1024], ids=["32 B", "1 KB"])


def assigned_job(size: int) -> bytes:
    """A job as it reaches a worker, with a workload of that many bytes."""
    return pack_response(PacketType.JOB_ASSIGN, b"H:host:123", b"reverse", b"x" * size)


@sizes
def test_receive_a_job(benchmark: BenchmarkFixture, size: int) -> None:
    parser = Parser(expect=RESPONSE_MAGIC)
    (job,) = benchmark(parser.feed, assigned_job(size))
    assert len(job.args[2]) == size


@sizes
def test_receive_a_job_in_two_reads(benchmark: BenchmarkFixture, size: int) -> None:
    data = assigned_job(size)
    head, tail = data[:20], data[20:]
    feed = Parser(expect=RESPONSE_MAGIC).feed

    def receive() -> int:
        return len(feed(head)) + len(feed(tail))

    assert benchmark(receive) == 1


def test_receive_a_burst_of_1000_jobs(benchmark: BenchmarkFixture) -> None:
    parser = Parser(expect=RESPONSE_MAGIC)
    assert len(benchmark(parser.feed, assigned_job(32) * 1000)) == 1000


@sizes
def test_submit_a_job(benchmark: BenchmarkFixture, size: int) -> None:
    packed = benchmark(pack_request, PacketType.SUBMIT_JOB, b"reverse", b"", b"x" * size)
    assert packed.endswith(b"reverse\0\0" + b"x" * size)
