"""What must hold whatever comes in. Each target takes a source of choices, and raises when it does not."""

from __future__ import annotations

import random
from collections.abc import Callable

from kept import Disk, KeptWorld
from world import Peer, World

from fuzz import accelerated
from fuzz.inputs import FUNCTIONS, LIMIT, Inputs
from gearcore._codec import Packet, Parser, pack_request
from gearcore.errors import ProtocolError
from gearcore.protocol import PACKETS, REQUEST_MAGIC, PacketType


def codec(choices: random.Random) -> None:
    """Any bytes are packets, lines or a named offence, and the same ones however they are cut."""
    inputs = Inputs(choices)
    text = inputs.random.random() < 0.5
    stream = inputs.stream(inputs.random.randrange(1, 12), inputs.random.choice([0, 0.1, 0.5]))
    whole = parse([stream], text)
    assert parse(inputs.pieces(stream), text) == whole
    assert parse([bytes([byte]) for byte in stream[:600]], text) == parse([stream[:600]], text)
    for item in whole:
        if isinstance(item, Packet):
            assert Parser().feed(pack_request(item.type, *item.args)) == [item]


def parse(pieces: list[bytes], text: bool) -> list[object]:
    """What a parser makes of a stream: packets, lines, and the classes of the offences."""
    parser = Parser(expect=REQUEST_MAGIC, text=text, max_packet_size=LIMIT)
    found: list[object] = []
    for piece in pieces:
        data = piece
        while True:
            try:
                found += parser.feed(data)
                break
            except ProtocolError as error:
                found += error.packets
                found.append(type(error))
                if not error.recoverable:
                    return found
                data = b""
    return found


def broker(choices: random.Random) -> None:
    """Peers come, send anything, and go; the books balance, and nothing that was queued is lost."""
    inputs = Inputs(choices)
    world = World(**rules(inputs))
    settle(world, converse(inputs, world, lambda: None))


def kept(choices: random.Random) -> None:
    """The same with a store, some of whose commits fail: it has the jobs that the broker has."""
    inputs = Inputs(choices)
    world = KeptWorld(inputs.random.choice([(), (b"f",), True]), **rules(inputs))
    disk = Disk(world)
    failing = inputs.random.choice([0, 0, 0.1, 0.5])
    revived: set[bytes] = set()
    """Of these a failed commit leaves it open whether they are jobs or dead letters."""

    def agree() -> None:
        disk.write_all()
        jobs = {job.handle for job in world.broker.jobs if job.background}
        assert disk.handles() - revived == jobs - revived
        assert jobs <= disk.handles() | {letter.handle for letter in disk.store.dead()}

    def write() -> None:
        if disk.busy and inputs.random.random() < 0.5:
            disk.settle()
        elif not disk.busy and world.keeper.gathered and inputs.random.random() < 0.7:
            fails = inputs.random.random() < failing
            disk.take(committed=not fails or inputs.random.random() < 0.5, refused=fails)
        if inputs.random.random() < 0.05:
            for letter in disk.store.dead()[:1]:
                world.keeper.revive(letter.record)
                revived.add(letter.handle)

    peers = converse(inputs, world, write)
    agree()
    again = world.reborn(disk.records())
    jobs = {job.handle: (job.function, job.unique) for job in again.broker.jobs}
    for job in world.broker.jobs:
        assert not job.background or job.handle in revived or jobs[job.handle] == (job.function, job.unique)
    settle(again, [])
    for peer in peers:
        peer.leave()
    agree()
    settle(world, [])
    agree()


def rules(inputs: Inputs) -> dict[str, object]:
    """What a broker may be told to do."""
    return {
        "max_packet_size": LIMIT,
        "job_retries": inputs.random.choice([-1, -1, 1, 3]),
        "worker_wakeup": inputs.random.choice([-1, -1, 0, 1]),
        "in_order_of_offer": inputs.random.random() < 0.3,
        "max_memory": inputs.random.choice([1 << 40, 1 << 40, 60_000, 120_000]),
        "max_output": inputs.random.choice([1 << 30, 20_000, 60_000]),
    }


def converse(inputs: Inputs, world: World, between: Callable[[], None]) -> list[Peer]:
    """Have peers send anything, with a call in between; return those that are left."""
    peers = [world.peer() for _ in range(4)]
    harm = inputs.random.choice([0, 0, 0.05, 0.5])
    for _ in range(inputs.random.randrange(1, 60)):
        number = inputs.random.randrange(len(peers))
        if peers[number].connection.closing or inputs.random.random() < 0.04:
            peers[number].leave()
            peers[number] = world.peer()
        elif inputs.random.random() < 0.1:
            world.pass_time(inputs.random.choice([0, 0.5, 3, 100]))
        else:
            for piece in inputs.pieces(inputs.stream(inputs.random.randrange(1, 8), harm)):
                peers[number].raw(piece)
        if inputs.random.random() < 0.5:
            world.collect()
        between()
        balance(world)
    return peers


def balance(world: World) -> None:
    """The counts of the functions are those of the jobs."""
    jobs = world.broker.jobs
    assert len(jobs) == len(world.broker)
    assert sorted(job.handle for job in jobs) == sorted({job.handle for job in jobs})
    for function in world.broker.functions:
        mine = [job.state for job in jobs if job.function == function.name]
        assert function.running == mine.count("running")
        assert function.high + function.normal + function.low == len(mine) - function.running


def settle(world: World, peers: list[Peer]) -> None:
    """With everybody gone, what is left is background jobs; one worker gets them all, and nothing is left."""
    for peer in peers:
        peer.leave()
    world.collect()
    balance(world)
    assert all(job.wanted and job.state != "running" for job in world.broker.jobs)
    world.pass_time(1e21)
    left = {job.handle for job in world.broker.jobs}
    worker = world.peer()
    for name in {job.function for job in world.broker.jobs} | set(FUNCTIONS):
        worker.send(PacketType.CAN_DO, name)
    if worker.received():
        return  # refused: the memory is full, as it may be
    before = world.broker.memory
    while (given := worker.grab()) is not None:
        left.remove(given)
        worker.send(PacketType.WORK_COMPLETE, given, b"")
    assert not left
    assert worker.received() == []
    worker.leave()
    assert len(world.broker) == 0
    assert world.broker.memory <= before


def every_type(choices: random.Random) -> None:
    """One packet of every type, from a fresh peer, with a fresh worker and client beside it."""
    inputs = Inputs(choices)
    world = World(max_packet_size=LIMIT)
    worker, client = world.sleeper(b"f"), world.peer()
    client.submit(b"f", unique=b"u")
    worker.received()
    worker.grab()
    for spec in PACKETS:
        stranger = world.peer()
        for piece in inputs.pieces(inputs.packet(spec)):
            stranger.raw(piece)
        stranger.leave()
        balance(world)


TARGETS = {
    "codec": codec,
    **accelerated.TARGETS,
    "broker": broker,
    "kept": kept,
    "types": every_type,
}
