"""The admin commands, asked on a broker without a socket."""

import pytest
from world import World

from gearcore import __version__
from gearcore.protocol import PacketType as P


@pytest.fixture
def world():
    return World()


def ask(world: World, line: bytes) -> bytes:
    peer = world.peer("198.51.100.9", 42)
    peer.raw(line)
    answer = peer.output()
    peer.leave()
    return answer


def test_status_counts_queued_and_running_jobs_and_workers(world):
    client, worker = world.peer(), world.worker(b"f", b"g")
    for kind in ("_HIGH", "", "_LOW_BG"):
        client.submit(b"f", type=kind)
    worker.grab()
    client.submit(b"h")
    assert ask(world, b"status\n") == b"f\t3\t1\t1\ng\t0\t0\t1\nh\t1\t0\t0\n.\n"


def test_workers_lists_every_connection(world):
    worker = world.peer("192.0.2.7", 11)
    worker.send(P.SET_CLIENT_ID, b"me and my id")
    worker.send(P.CAN_DO, b"f")
    worker.send(P.CAN_DO, b"g")
    assert ask(world, b"workers\n") == b"42 198.51.100.9 - :\n11 192.0.2.7 me and my id : g f\n.\n"


def test_a_client_id_is_cut_to_127_bytes_and_shown_up_to_a_nul(world):
    worker = world.peer()
    worker.send(P.SET_CLIENT_ID, b"x" * 200)
    assert worker.connection.client_id == b"x" * 127
    worker.send(P.SET_CLIENT_ID, b"a\0b")
    assert worker.connection.client_id == b"a"


def test_version_names_the_package(world):
    assert ask(world, b"version\n") == b"OK gearcore-%s\n" % __version__.encode()


@pytest.mark.parametrize("line", [b"VERSION\n", b"version\r\n", b"version  and more\n", b"version\0more\n"])
def test_commands_are_read_as_gearmand_reads_them(world, line):
    assert ask(world, line) == ask(world, b"version\n")


@pytest.mark.parametrize(("line", "word"), [(b"bogus x\n", b"bogus"), (b"\n", b""), (b" status\n", b"")])
def test_an_unknown_command_is_named(world, line, word):
    assert ask(world, line) == b"ERR UNKNOWN_COMMAND Unknown+server+command" + word + b"\r\n"
