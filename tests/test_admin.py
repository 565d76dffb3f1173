"""The admin commands, asked on a broker without a socket."""

import os

import pytest
from world import World

from gearcore import __version__
from gearcore.broker import Admin
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


def test_prioritystatus_counts_what_waits(world):
    client, worker = world.peer(), world.worker(b"f")
    for kind in ("_HIGH", "", "", "_LOW_BG"):
        client.submit(b"f", type=kind)
    worker.grab()
    assert ask(world, b"prioritystatus\n") == b"f\t0\t2\t1\t1\n.\n"


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [
        (b"", (9, 9, 9)),
        (b" 2", (2, 2, 2)),
        (b" 1 2", (1, 2, 9)),
        (b" 1 2 3", (1, 2, 3)),
        (b" -4", (9, 9, 9)),
        (b" many", (9, 9, 9)),
    ],
)
@pytest.mark.parametrize(("position", "kind"), list(enumerate(["_HIGH_BG", "_BG", "_LOW_BG"])))
def test_maxqueue_limits_each_priority(world, sizes, taken, position, kind):
    assert ask(world, b"maxqueue f" + sizes + b"\n") == b"OK\r\n"
    client = world.peer()
    answers = [client.ask(P[f"SUBMIT_JOB{kind}"], b"f", b"", b"")[0] for _ in range(9)]
    assert answers.count(P.JOB_CREATED) == taken[position]


def test_functions_are_created_and_dropped(world):
    assert ask(world, b"create function one\n") == b"OK\r\n"
    assert ask(world, b"create function one\r\n") == b"OK\r\n"
    assert ask(world, b"status\n") == b"one\t0\t0\t0\n.\n"
    assert ask(world, b"drop function ONE\n") == b"OK\r\n"
    assert ask(world, b"drop function one\n") == b"ERR function not found\r\n"
    assert ask(world, b"status\n") == b".\n"


def test_a_function_in_use_is_not_dropped(world):
    worker = world.worker(b"f")
    busy = b"ERR there are still connected workers or executing clients\r\n"
    assert ask(world, b"drop function f\n") == busy
    worker.leave()
    world.peer().submit(b"f", type="_BG")
    assert ask(world, b"drop function f\n") == b"ERR there are still jobs queued\r\n"
    assert world.worker(b"f").grab()
    assert ask(world, b"drop function f\n") == busy


def test_show_lists_jobs_and_uniques(world):
    client, worker = world.peer(), world.worker(b"f")
    client.submit(b"f", unique=b"u")
    client.submit(b"f", type="_BG")
    worker.grab()
    client.leave()
    assert ask(world, b"show jobs\n") == b"H:test:1\t0\t1\t0\nH:test:2\t0\t0\t1\n.\n"
    assert ask(world, b"show unique jobs\n") == b"u\n\n.\n"


def test_cancel_ends_a_job(world):
    client = world.peer()
    client.submit(b"f")
    assert ask(world, b"cancel job H:test:1\n") == b"OK\r\n"
    assert client.received() == [(P.WORK_FAIL, b"H:test:1")]
    assert ask(world, b"cancel job H:test:1\n") == b"ERR UNKNOWN_JOB\r\n"


def test_getpid_and_verbose(world):
    assert ask(world, b"getpid\n") == b"OK %d\n" % os.getpid()
    assert ask(world, b"verbose\n") == b"OK WARNING\n"


@pytest.mark.parametrize("command", [b"create", b"drop"])
@pytest.mark.parametrize("rest", [b"", b" function", b" function a b", b" other x"])
def test_wrong_words_for_create_and_drop(world, command, rest):
    answer = (
        b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+" + command + b"\r\n"
    )
    assert ask(world, command + rest + b"\n") == answer


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (
            b"maxqueue",
            b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+maxqueue",
        ),
        (b"show", b"ERR UNKNOWN_COMMAND Unknown+server+commandshow"),
        (b"show foo", b"ERR UNKNOWN_SHOW_ARGUMENTS"),
        (b"show jobs now", b"ERR UNKNOWN_SHOW_ARGUMENTS"),
        (b"cancel job", b"ERR UNKNOWN_COMMAND Unknown+server+commandcancel"),
        (b"cancel my job", b"ERR UNKNOWN_ERROR"),
        (b"cancel job a b", b"ERR UNKNOWN_ERROR"),
        (b"cancel job nosuch", b"ERR UNKNOWN_JOB"),
        (b"shutdown", b"ERR UNKNOWN_COMMAND Unknown+server+commandshutdown"),
    ],
)
def test_wrong_words_elsewhere(world, line, answer):
    assert ask(world, line + b"\n") == answer + b"\r\n"


@pytest.mark.parametrize(
    ("line", "graceful"), [(b"shutdown", False), (b"shutdown graceful", True), (b"SHUTDOWN Graceful", True)]
)
def test_shutdown_where_it_is_allowed(line, graceful):
    asked = []
    world = World(answer_line=Admin(asked.append))
    assert ask(world, line + b"\n") == b"OK\r\n"
    assert asked == [graceful]
