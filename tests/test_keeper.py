"""A broker whose store is played by the test: what is kept, when it is acknowledged, what comes back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from struct import unpack

import pytest
from kept import KeptWorld
from records import numbers, read, record
from world import Peer, handle

from gearcore._codec import pack_request
from gearcore._keeper import workload_of
from gearcore.protocol import PacketType as P
from gearcore.server.loop import HAS_DIRECT_SOCKETS, DirectSockets

CREATED = P.JOB_CREATED

PATIENCE = 20.0


@pytest.fixture
def world() -> KeptWorld:
    return KeptWorld()


def submit(peer: Peer, workload: bytes = b"w", unique: bytes = b"", type: str = "_BG", function=b"f") -> None:
    peer.send(P[f"SUBMIT_JOB{type}"], function, unique, workload)


def test_a_job_is_acknowledged_when_it_is_stored(world):
    client = world.peer()
    submit(client)
    assert client.received() == []
    batch = world.take()
    assert read(batch["added"]) == [(1, 0)]
    assert batch["last_number"] == 1
    assert client.received() == []
    world.keeper.batch_stored()
    assert client.received() == [(CREATED, handle(1))]
    assert not world.keeper.gathered


def test_what_comes_behind_an_acknowledgement_waits_for_it(world):
    client = world.peer()
    client.send(P.ECHO_REQ, b"before")
    submit(client)
    client.send(P.ECHO_REQ, b"after")
    client.raw(b"version\n")
    assert client.received() == [(P.ECHO_RES, b"before")]
    world.take()
    submit(client)
    client.send(P.ECHO_REQ, b"last")
    assert client.received() == []
    world.keeper.batch_stored()
    output = client.output()
    assert output.endswith(b"\n")
    assert output.index(b"H:test:1") < output.index(b"after") < output.index(b"OK gearcore")
    assert b"last" not in output
    world.store()
    assert b"H:test:2" in (output := client.output())
    assert output.endswith(b"last")


def test_other_peers_do_not_wait(world):
    client, other = world.peer(), world.peer()
    submit(client)
    assert other.ask(P.ECHO_REQ, b"x") == (P.ECHO_RES, b"x")
    assert other.ask(P.SUBMIT_JOB, b"f", b"", b"w") == (CREATED, handle(2))
    assert client.received() == []


def test_large_payloads_keep_their_place_behind_an_acknowledgement(world):
    client = world.peer()
    large = bytes(range(256)) * 256
    client.send(P.ECHO_REQ, large)
    submit(client)
    client.send(P.ECHO_REQ, large)
    world.take()
    submit(client)
    client.send(P.ECHO_REQ, large[::-1])
    assert client.received() == [(P.ECHO_RES, large)]
    world.keeper.batch_refused("no")
    refused, *rest = client.received()
    assert refused[0] is P.ERROR
    assert rest == [(P.ECHO_RES, large)]
    world.store()
    assert client.received() == [(CREATED, handle(2)), (P.ECHO_RES, large[::-1])]


def test_foreground_jobs_are_not_kept(world):
    client = world.peer()
    assert client.ask(P.SUBMIT_JOB, b"f", b"", b"w") == (CREATED, handle(1))
    assert not world.keeper.gathered
    worker = world.worker(b"f")
    worker.send(P.WORK_COMPLETE, worker.grab(), b"")
    assert not world.keeper.gathered


@pytest.mark.parametrize(
    "end",
    [
        lambda world, worker: worker.send(P.WORK_COMPLETE, worker.grab(), b""),
        lambda world, worker: worker.send(P.WORK_FAIL, worker.grab()),
        lambda world, worker: worker.send(P.WORK_EXCEPTION, worker.grab(), b"x"),
        lambda world, worker: world.broker.cancel(handle(1)),
        lambda world, worker: (worker.grab(), world.broker.cancel(handle(1))),
    ],
)
def test_a_job_that_ended_is_forgotten(world, end):
    submit(world.peer())
    world.store()
    end(world, world.worker(b"f"))
    assert world.store() == {"forgotten": numbers(1), "last_number": 1}
    assert not world.keeper.gathered


def test_a_job_that_joins_one_that_is_not_stored_yet_waits_with_it(world):
    a, b, c = world.peer(), world.peer(), world.peer()
    submit(a, unique=b"u")
    world.take()
    submit(b, unique=b"u")
    submit(c)
    assert b.received() == []
    world.keeper.batch_stored()
    assert a.received() == b.received() == [(CREATED, handle(1))]
    assert c.received() == []
    submit(b, unique=b"u")
    assert b.received() == [(CREATED, handle(1))]
    assert read(world.store()["added"]) == [(2, 0)]


def test_a_foreground_job_is_kept_from_when_a_background_job_joins_it(world):
    a, b = world.peer(), world.peer()
    submit(a, b"work", unique=b"u", type="")
    submit(b)
    world.store()
    assert b.received() == [(CREATED, handle(2))]
    submit(b, b"other", unique=b"u")
    assert b.received() == []
    batch = world.take()
    assert read(batch["late"]) == [(1, 0)]
    assert workload_of(batch["late"]) == b"work"
    assert "added" not in batch
    submit(b, b"other", unique=b"u")
    world.keeper.batch_stored()
    assert b.received() == [(CREATED, handle(1))] * 2
    assert not world.keeper.gathered
    a.leave()
    worker = world.worker(b"f")
    worker.send(P.WORK_COMPLETE, worker.grab(), b"")
    assert world.store() == {"forgotten": numbers(1), "last_number": 2}


def test_jobs_come_back_as_they_were(world):
    client = world.peer()
    submit(client, b"low", type="_LOW_BG")
    submit(client, b"w\0w", b"unique", "_HIGH_BG", b"g")
    submit(client, b"", b"-")
    submit(client, b"same", b"-")
    client.send(P.SUBMIT_REDUCE_JOB_BACKGROUND, b"f", b"u", b"reducer", b"", b"reduced")
    client.send(P.SUBMIT_JOB_EPOCH, b"f", b"e", b"%d" % (world.unix_time + 10), b"later")
    batch = world.store()
    assert [job for _, job in client.received()] == [handle(number) for number in range(1, 7)]

    again = world.reborn(batch["added"], last_number=batch["last_number"])
    assert [(job.handle, job.function, job.unique, job.state) for job in again.broker.jobs] == [
        (job.handle, job.function, job.unique, job.state) for job in world.broker.jobs
    ]
    client = again.peer()
    assert client.ask(P.GET_STATUS, handle(4)) == (P.STATUS_RES, handle(4), b"1", b"0", b"0", b"0")
    submit(client, b"ignored", b"unique", function=b"g")
    submit(client, b"same", b"-")
    submit(client, b"more")
    again.store()
    assert [job for _, job in client.received()] == [handle(2), handle(4), handle(7)]
    worker = again.worker(b"f", b"g")
    grabbed = [worker.ask(P.GRAB_JOB_ALL) for _ in range(6)]
    assert [job[0] for _, *job in grabbed] == [handle(number) for number in (2, 3, 4, 5, 7, 1)]
    assert grabbed[0][1:] == (handle(2), b"g", b"unique", b"w\0w")
    assert grabbed[3][1:] == (handle(5), b"f", b"u", b"reducer", b"reduced")
    assert worker.grab() is None
    again.pass_time(11)
    assert worker.grab() == handle(6)


def test_a_job_that_was_running_is_run_again_and_its_tries_are_known(world):
    submit(world.peer())
    added = world.store()["added"]
    for _ in range(2):
        worker = world.worker(b"f")
        worker.grab()
        worker.leave()
    tries = world.store()["tries"]
    assert unpack("<4Q", tries) == (1, 1, 1, 2)
    again = world.reborn(record(1, b"w", tries=2))
    assert again.broker.jobs[0].failures == 2
    assert world.reborn(added).worker(b"f").grab() == handle(1)


def test_loading_twice_changes_nothing(world):
    again = world.reborn(record(3), record(3), last_number=5)
    assert len(again.broker) == 1
    client = again.peer()
    submit(client)
    again.store()
    assert client.received() == [(CREATED, handle(6))]


@pytest.mark.parametrize(
    "damage", [lambda r: r[:-1], lambda r: r[:20], lambda r: b"\xff" * 40, lambda r: r + b"x"]
)
def test_what_is_no_record_is_refused(world, damage):
    with pytest.raises(ValueError, match="cannot be read"):
        world.keeper.load(damage(record(1, b"work")))


def test_a_refused_batch_is_refused_to_everybody_who_waits_for_it(world):
    a, b, worker = world.peer(), world.peer(), world.sleeper(b"g")
    submit(a, b"1")
    submit(a, b"2", unique=b"u", function=b"g")
    a.send(P.ECHO_REQ, b"x")
    submit(a, b"3")
    world.take()
    submit(b, b"2", unique=b"u", function=b"g")
    submit(b, b"4")
    world.keeper.batch_refused("the disk is full")
    error = (P.ERROR, b"QUEUE_ERROR", b"Background jobs cannot be kept: the disk is full")
    assert a.received() == [error, error, (P.ECHO_RES, b"x"), error]
    assert b.received() == [error]
    assert [job.handle for job in world.broker.jobs] == [handle(4)]
    assert worker.received() == [(P.NOOP,)]
    assert worker.grab() is None
    batch = world.store()
    assert read(batch["added"]) == [(4, 0)]
    assert batch["forgotten"] == numbers(1, 2, 3)
    assert b.received() == [(CREATED, handle(4))]


def test_a_job_of_a_refused_batch_that_runs_is_not_run_again(world):
    client, waiting = world.peer(), world.peer()
    submit(client, unique=b"u")
    world.take()
    submit(waiting, unique=b"u", type="")
    worker, other = world.worker(b"f"), world.worker(b"f")
    submit(client)
    assert worker.grab() == handle(1)
    assert other.grab() == handle(2)
    world.keeper.batch_refused("no")
    assert waiting.received() == [(CREATED, handle(1))]
    worker.send(P.WORK_COMPLETE, handle(1), b"result")
    assert waiting.received() == [(P.WORK_COMPLETE, handle(1), b"result")]
    world.take()
    world.keeper.batch_refused("no")
    other.leave()
    assert len(world.broker) == 0


def test_nothing_but_jobs_is_lost_with_a_refused_batch(world):
    client = world.peer()
    submit(client)
    submit(client)
    world.store()
    worker = world.worker(b"f")
    worker.send(P.WORK_COMPLETE, worker.grab(), b"")
    worker.grab()
    worker.leave()
    world.take()
    world.keeper.batch_refused("no")
    assert world.store() == {"forgotten": numbers(1), "tries": numbers(2, 1), "last_number": 2}


def test_while_the_store_is_down_only_what_it_has_is_acknowledged(world):
    client = world.peer()
    submit(client, unique=b"u")
    world.store()
    client.received()
    world.keeper.refuse_background("it is down")
    submit(client, unique=b"u")
    submit(client)
    submit(client, unique=b"fg", type="")
    submit(client, unique=b"fg")
    error = (P.ERROR, b"QUEUE_ERROR", b"Background jobs cannot be kept: it is down")
    assert client.received() == [(CREATED, handle(1)), error, (CREATED, handle(2)), error]
    assert not world.keeper.gathered
    world.keeper.refuse_background(None)
    submit(client)
    world.store()
    assert client.received() == [(CREATED, handle(3))]


def test_a_peer_may_leave_while_it_waits(world):
    client = world.peer()
    submit(client)
    world.take()
    submit(client)
    client.leave()
    world.keeper.batch_stored()
    world.store()
    assert len(world.broker) == 2


def letters(world: KeptWorld) -> list[tuple]:
    return world.store()["died"]


def test_a_job_that_had_its_runs_becomes_a_dead_letter():
    world = KeptWorld(job_retries=2)
    submit(world.peer(), b"work", b"unique")
    world.store()
    for _ in range(2):
        worker = world.worker(b"f")
        worker.grab()
        worker.leave()
    assert len(world.broker) == 0
    batch = world.store()
    ((number, name, function, unique, tries, error, died_at, kept),) = batch["died"]
    assert (number, name, function, unique, tries) == (1, handle(1), b"f", b"unique", 2)
    assert error == b"its worker vanished, or gave the function up"
    assert died_at == world.unix_time
    assert workload_of(kept) == b"work"
    assert batch["forgotten"] == numbers(1)


def test_a_job_that_takes_too_long_says_so():
    world = KeptWorld(job_retries=1)
    submit(world.peer())
    worker = world.peer()
    worker.send(P.CAN_DO_TIMEOUT, b"f", b"1000")
    worker.grab()
    world.pass_time(2)
    ((*_, error, _, _),) = letters(world)
    assert error == b"it took longer than its worker allowed"


@pytest.mark.parametrize(("keeps", "kept"), [((b"f",), [b"f"]), (True, [b"f", b"g"]), ((), [])])
def test_failed_jobs_are_kept_for_the_functions_that_are_named(keeps, kept):
    world = KeptWorld(keeps_failed=keeps)
    client, worker = world.peer(), world.worker(b"f", b"g")
    for function in (b"f", b"g"):
        submit(client, function=function)
        submit(client, function=function, type="")
    for _ in range(4):
        worker.send(P.WORK_EXCEPTION, worker.grab(), b"it\0broke")
    died = world.store().get("died", [])
    assert sorted(letter[2] for letter in died) == kept
    assert all(letter[4:6] == (1, b"WORK_EXCEPTION: it\0broke") for letter in died)
    submit(client)
    worker.send(P.WORK_FAIL, worker.grab())
    assert [letter[5] for letter in world.store().get("died", [])] == ([b"WORK_FAIL"] if b"f" in kept else [])


def test_a_dead_letter_runs_again_under_its_old_handle():
    world = KeptWorld(job_retries=1)
    submit(world.peer(), b"work")
    worker = world.worker(b"f")
    worker.grab()
    worker.leave()
    ((*_, kept),) = letters(world)
    world.keeper.revive(kept)
    batch = world.take()
    assert batch["gone"] == numbers(1)
    assert read(batch["late"]) == [(1, 0)]
    world.keeper.batch_refused("no")
    assert len(world.broker) == 0
    assert "gone" not in world.store()  # it is a dead letter still
    world.keeper.revive(kept)
    world.store()
    worker = world.worker(b"f")
    assert worker.ask(P.GRAB_JOB)[1:] == (handle(1), b"f", b"work")
    worker.leave()
    assert letters(world)[0][4] == 1


def test_memory_is_given_back():
    world = KeptWorld()
    client = world.peer()
    submit(client)
    world.store()
    before = world.broker.memory
    for _ in range(10):
        submit(client, b"w" * 1000)
    world.store()
    assert world.broker.memory > before + 10_000
    worker = world.worker(b"f")
    while (job := worker.grab()) is not None:
        worker.send(P.WORK_COMPLETE, job, b"")
    worker.leave()
    world.store()
    assert world.broker.memory < before


def test_what_is_forgotten_may_wait_for_more(world):
    submit(world.peer())
    submit(world.peer())
    assert world.keeper.due
    world.store()
    worker = world.worker(b"f")
    worker.send(P.WORK_COMPLETE, worker.grab(), b"")
    assert not world.keeper.due
    assert world.broker.deadline == pytest.approx(world.now + 0.005)
    world.pass_time(0.003)
    worker.send(P.WORK_COMPLETE, worker.grab(), b"")
    assert not world.keeper.due
    world.pass_time(0.003)
    assert world.keeper.due
    world.keeper.refuse_background("it is down")
    assert not world.keeper.due
    assert world.broker.deadline is None
    world.keeper.refuse_background(None)
    assert world.take()["forgotten"] == numbers(1, 2)
    assert world.broker.deadline is None


def test_a_job_that_was_refused_may_be_kept_later(world):
    """The batch may have been committed: what it left there is forgotten, unless it is kept again."""
    client, waiting = world.peer(), world.peer()
    waiting.submit(b"f", b"w", b"u")
    submit(client, unique=b"u")
    world.take()
    world.keeper.batch_refused("no")
    assert client.received()[0][0] is P.ERROR
    submit(client, unique=b"u")
    batch = world.take()
    assert (read(batch["late"]), batch["forgotten"]) == ([(1, 0)], numbers(0))
    world.keeper.batch_refused("no")
    world.take()
    submit(client, unique=b"u")
    world.keeper.batch_refused("no")
    batch = world.take()
    assert read(batch["late"]) == [(1, 0)]
    assert 1 not in unpack(f"<{len(batch['forgotten']) // 8}Q", batch["forgotten"])


@pytest.fixture
def lingering(world) -> Iterator[KeptWorld]:
    """A world whose driver can wait for less than a millisecond."""
    if not HAS_DIRECT_SOCKETS:
        pytest.skip("needs epoll")
    near, far = socket.socketpair()
    with near, far:
        sockets = DirectSockets(world.broker)
        sockets.heed(near.fileno())
        yield world


def test_jobs_wait_for_those_that_clients_will_send_once_they_hear_of_the_last(lingering):
    world, client = lingering, lingering.peer()
    for first, followed in ((1, True), (4, False)):
        submit(client)
        assert world.keeper.due  # nobody else waits
        world.take()
        submit(client)
        world.pass_time(0.004)
        world.keeper.batch_stored()
        assert client.received() == [(CREATED, handle(first))]
        assert world.broker.deadline == pytest.approx(world.now + 0.002)
        assert not world.keeper.due
        if followed:
            submit(client)
        else:
            world.pass_time(0.0021)
        assert world.keeper.due
        world.store()
        client.received()


def test_direct_sockets_acknowledge_as_soon_as_the_thread_of_the_store_says_so(world):
    if not HAS_DIRECT_SOCKETS:
        pytest.skip("needs epoll")
    near, far = socket.socketpair()
    wakes, waking = socket.socketpair()
    with near, far, wakes, waking:
        far.setblocking(False)
        sockets = DirectSockets(world.broker)
        sockets.heed(wakes.fileno())
        connection = world.broker.connect("peer", near.fileno())
        sockets.add(connection, near.fileno())
        far.sendall(pack_request(P.SUBMIT_JOB_BG, b"f", b"", b"w"))
        sockets.serve(PATIENCE)
        world.take()
        waking.send(b"1")  # as an event loop is woken
        sockets.serve(PATIENCE)
        with pytest.raises(BlockingIOError):
            far.recv(100)
        world.keeper.batch_committed()
        sockets.serve(PATIENCE)
        assert far.recv(100).endswith(handle(1))
        world.keeper.batch_stored()
        sockets.write_all()
        with pytest.raises(BlockingIOError):  # there is no second one
            far.recv(100)
        sockets.remove(connection)


def test_what_another_thread_said_of_a_batch_says_nothing_of_the_next(world):
    client = world.peer()
    submit(client)
    world.take()
    world.keeper.batch_committed()
    world.keeper.batch_stored()
    assert client.received() == [(CREATED, handle(1))]
    submit(client)
    world.take()
    world.pass_time(0)
    assert client.received() == []


def test_jobs_of_the_first_client_to_hear_of_a_commit_wait_for_those_of_the_others(lingering):
    world, clients = lingering, (lingering.peer(), lingering.peer())
    for client in clients:
        submit(client)
    world.take()
    world.pass_time(0.004)
    world.keeper.batch_stored()
    submit(clients[0])
    assert not world.keeper.due
    assert world.broker.deadline == pytest.approx(world.now + 0.002)
    submit(clients[1])
    assert world.keeper.due


def test_one_client_with_one_job_at_a_time_waits_for_nobody(lingering):
    world, client = lingering, lingering.peer()
    for _ in range(3):
        submit(client)
        assert world.keeper.due
        world.take()
        world.pass_time(0.004)
        world.keeper.batch_stored()
