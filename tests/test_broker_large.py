"""Large payloads are shared by jobs and outputs, and freed when the last has no more need of them."""

import gc
import struct
import sys
from pathlib import Path

import pytest
from world import World, handle

from gearcore._codec import pack_request
from gearcore.protocol import PacketType as P

LARGE = 32 * 1024
SIZES = [LARGE - 1, LARGE, LARGE + 1, 300_000]


def cut(data, *places):
    return [data[a:b] for a, b in zip((0, *places), (*places, len(data)), strict=True)]


@pytest.fixture
def world():
    """A world whose memory must be what it was when everybody has left."""
    world = World()
    world.broker.create_function(b"f")
    before = world.broker.memory
    yield world
    world.collect()
    for connection in world.broker.connections:
        world.broker.disconnect(connection)
    assert world.broker.memory == before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("places", [(), (5,), (12,), (13, 4000), (40, 30_000)], ids=str)
def test_a_workload_arrives_as_it_was_sent(world, size, places):
    workload = bytes(range(256)) * (size // 256) + b"\0" * (size % 256)
    client, worker = world.peer(), world.worker(b"f")
    for piece in cut(
        pack_request(P.SUBMIT_JOB, b"f", b"u", workload) + pack_request(P.ECHO_REQ, b""), *places
    ):
        client.raw(piece)
    assert client.received() == [(P.JOB_CREATED, handle(1)), (P.ECHO_RES, b"")]
    assert worker.ask(P.GRAB_JOB_UNIQ) == (P.JOB_ASSIGN_UNIQ, handle(1), b"f", b"u", workload)
    for piece in cut(pack_request(P.WORK_DATA, handle(1), workload), *places):
        worker.raw(piece)
    for piece in cut(pack_request(P.WORK_COMPLETE, handle(1), workload), *places):
        worker.raw(piece)
    assert client.received() == [(P.WORK_DATA, handle(1), workload), (P.WORK_COMPLETE, handle(1), workload)]


def test_it_is_there_until_the_last_who_needs_it(world):
    large = b"w" * 50_000
    one, other, worker, second = world.peer(), world.peer(), world.worker(b"f"), world.worker(b"f")
    for piece in cut(pack_request(P.SUBMIT_JOB, b"f", b"u", large), 100):
        one.raw(piece)
    other.submit(b"f", unique=b"u")
    worker.send(P.GRAB_JOB)
    worker.leave()  # and what was written for it goes, but the job is queued again
    assert second.ask(P.GRAB_JOB) == (P.JOB_ASSIGN, handle(1), b"f", large)
    for piece in cut(pack_request(P.WORK_COMPLETE, handle(1), large[::-1]), 100):
        second.raw(piece)
    one.received()
    one.leave()
    assert other.received() == [(P.WORK_COMPLETE, handle(1), large[::-1])]


def test_jobs_meet_by_a_large_workload(world):
    client, large = world.peer(), b"w" * 50_000
    first = client.submit(b"f", large, unique=b"-", type="_BG")
    for piece in cut(pack_request(P.SUBMIT_JOB_BG, b"f", b"-", large), 1000):
        client.raw(piece)
    assert client.received() == [(P.JOB_CREATED, first)]
    assert client.submit(b"f", large + b"!", unique=b"-", type="_BG") != first
    worker = world.worker(b"f")
    for number in (1, 2):
        assert worker.grab() == handle(number)
        worker.send(P.WORK_COMPLETE, handle(number), b"")


def test_a_reply_between_other_replies_keeps_its_place(world):
    client, large = world.peer(), b"w" * 50_000
    parts = [b"a", large, b"b", b"c", large[:-1], large, b"d"]
    for part in parts:
        for piece in cut(pack_request(P.ECHO_REQ, part), 1):
            client.raw(piece)
    assert client.received() == [(P.ECHO_RES, part) for part in parts]


def test_a_peer_that_reads_nothing_holds_on_to_nothing():
    world = World(max_output=100_000)
    stuck, before = world.peer(), world.broker.memory
    for _ in range(5):
        for piece in cut(pack_request(P.ECHO_REQ, b"w" * 50_000), 1):
            stuck.raw(piece)
    assert stuck.connection.overflowed
    stuck.leave()
    assert world.broker.memory <= before


@pytest.mark.skipif(sys.platform != "linux", reason="how much memory a process has is read from /proc")
def test_a_broker_that_ends_takes_its_large_jobs_with_it():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def play():
        world = World()
        world.peer().submit(b"f", b"w" * 1_000_000, type="_BG")

    play()
    before = resident()
    for _ in range(100):
        play()
    gc.collect()  # the world and its admin commands hold one another
    assert resident() - before < 20_000_000


def test_without_memory_for_it_only_that_submission_is_refused():
    world = World(max_memory=120_000)
    client = world.peer()
    client.submit(b"f", b"w" * 50_000, type="_BG")
    kind, code, _ = client.ask(P.SUBMIT_JOB_BG, b"f", b"", b"w" * 100_000)
    assert (kind, code) == (P.ERROR, b"QUEUE_ERROR")
    whole = pack_request(P.SUBMIT_JOB_BG, b"f", b"", b"w" * 100_000)
    for piece in cut(whole, 20, 90_000):
        client.raw(piece)
    ((kind, code, _),) = client.received()
    assert (kind, code) == (P.ERROR, b"QUEUE_ERROR")
    assert client.ask(P.ECHO_REQ, b"x") == (P.ECHO_RES, b"x")
    assert world.worker(b"f").grab() == handle(1)


def test_a_large_packet_with_a_wrong_magic_is_refused_like_any(world):
    peer = world.peer()
    peer.raw(b"\0RES" + struct.pack(">II", P.ECHO_REQ, 50_000) + b"x" * 100)
    peer.raw(b"x" * 49_900)
    ((kind, code, _),) = peer.received()
    assert (kind, code) == (P.ERROR, b"INVALID_MAGIC")
