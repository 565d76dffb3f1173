"""What a store costs by itself: ``pytest benchmarks/bench_store.py --benchmark-enable``."""

from __future__ import annotations

from pathlib import Path
from struct import pack

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from records import numbers, record

from gearcore.store import Batch, SqliteStore

JOBS = 256
"""Those of one commit."""


def lot(first: int, size: int) -> bytes:
    return b"".join(record(number, b"x" * size) for number in range(first, first + JOBS))


@pytest.mark.parametrize("size", [67, 1024], ids=["100 B", "1 KB"])
def test_commit_256_jobs(benchmark: BenchmarkFixture, tmp_path: Path, size: int) -> None:
    """A record of 100 bytes has a workload of 67."""
    store = SqliteStore(tmp_path / "queue")
    store.open("H:host")
    done = 0

    def batch() -> tuple[tuple[Batch], dict[str, object]]:
        nonlocal done
        done += 1
        return (Batch(done, added=lot(done * JOBS, size), last_number=(done + 1) * JOBS),), {}

    benchmark.pedantic(store.commit, setup=batch, rounds=500)
    store.close()


def test_commit_256_jobs_and_forget_256(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "queue")
    store.open("H:host")
    store.commit(Batch(1, added=lot(JOBS, 67)))
    done = 1

    def batch() -> tuple[tuple[Batch], dict[str, object]]:
        nonlocal done
        done += 1
        gone = pack(f"<{JOBS}Q", *range((done - 1) * JOBS, done * JOBS))
        return (Batch(done, added=lot(done * JOBS, 67), forgotten=gone),), {}

    benchmark.pedantic(store.commit, setup=batch, rounds=500)
    store.close()


def test_forget_256_jobs_of_as_many_commits(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "queue")
    store.open("H:host")
    commits, rounds = 300, 100
    for number in range(1, commits):
        store.commit(Batch(number, added=lot(number * JOBS, 67)))
    done = commits

    def batch() -> tuple[tuple[Batch], dict[str, object]]:
        nonlocal done
        done += 1
        return (
            Batch(done, forgotten=numbers(*(at * JOBS + done - commits for at in range(1, commits)))),
        ), {}

    benchmark.pedantic(store.commit, setup=batch, rounds=rounds)
    store.close()
