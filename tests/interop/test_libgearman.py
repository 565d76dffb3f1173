"""What libgearman has beyond the jobs of the matrix: ways to grab, map and reduce, delays, retries."""

import time

import pytest

from interop.catalogue import LIBGEARMAN, PEERS, counts_for
from interop.harness import Event, admin, counts_of, eventually

pytestmark = pytest.mark.peer(LIBGEARMAN, "client")

worker_test = pytest.mark.peer(LIBGEARMAN, "worker")


@pytest.fixture
def client(port, start):
    return start(LIBGEARMAN.client(port))


@pytest.fixture
def work(port, start):
    """Starts a worker by a prefix and options; returns when the server knows it."""

    def work(prefix: str = "c", *options: str):
        before = (counts_of(port, f"{prefix}.echo") or (0, 0, 0))[2]
        worker = start(LIBGEARMAN.worker(port, prefix, *options))
        eventually(lambda: (counts_of(port, f"{prefix}.echo") or (0, 0, 0))[2], before + 1)
        return worker

    return work


@worker_test
@pytest.mark.parametrize("priority", ["normal", "high", "low"])
def test_do(client, work, write, priority):
    work()
    assert client.ask("do", priority, "c.reverse", "", write(b"\0ab")) == [Event("complete", b"ba\0")]
    assert client.ask("do", priority, "c.fail", "", write(b"w")) == [Event("fail")]


@worker_test
@pytest.mark.parametrize(("grab", "seen"), [("all", b"mine"), ("unique", b"mine"), ("plain", b"")])
def test_ways_to_grab(client, work, write, grab, seen):
    work("c", grab)
    assert client.ask("do", "normal", "c.unique", "mine", write(b"w")) == [Event("complete", seen)]


@worker_test
def test_exception_without_the_option_is_a_failure(client, work, write):
    work()
    assert client.ask("do", "normal", "c.exception", "", write(b"w")) == [Event("fail")]


@worker_test
def test_tasks_together(client, work):
    work()
    events = client.ask("together", "c.reverse", *(f"w{number}" for number in range(12)))
    results = {event.body for event in events if event.name == "complete"}
    assert results == {f"w{number}"[::-1].encode() for number in range(12)}


def test_timeout(client, write):
    assert client.ask_one("timed", "100", "nobody", "", write(b"w")).name == "timeout"


def test_ping(client, write):
    assert client.ask_one("ping", write(b"any\0thing")) == Event("pong")


def test_options(client):
    assert client.ask_one("option", "exceptions") == Event("accepted")
    assert client.ask_one("option", "bogus") == Event("refused")


@pytest.mark.parametrize("priority", ["normal", "high", "low"])
def test_background_jobs_wait_in_their_queue(client, port, write, priority):
    created = client.ask_one("background", priority, "f", "mine", write(b"w"))
    assert client.ask_one("status", created.body.decode()) == Event("status", b"1 0 0 0")
    assert client.ask_one("unique_status", "mine") == Event("status", b"1 0 0 0")
    high, normal, low = (int(priority == name) for name in ("high", "normal", "low"))
    assert admin(port, "prioritystatus") == f"f\t{high}\t{normal}\t{low}\t0\n"


def test_unknown_job(client):
    assert client.ask_one("status", "H:nobody:1") == Event("status", b"0 0 0 0")
    assert client.ask_one("unique_status", "nobody") == Event("status", b"0 0 0 0")


def test_hash_as_unique_id_is_made_from_the_workload(client, port, write):
    for workload in (b"one", b"two", b"one"):
        client.ask_one("background", "normal", "f", "#", write(workload))
    assert counts_of(port, "f") == (2, 0, 0)


@worker_test
def test_worker_that_wants_a_retry_gets_the_job_again(client, work, write):
    # Its function returns GEARMAN_ERROR at first, on which the library drops the connection.
    work()
    assert client.ask("do", "normal", "c.retry", "", write(b"again")) == [Event("complete", b"again")]


@worker_test
def test_job_that_takes_too_long_goes_to_another_worker(client, work, port, start, gate, write):
    work("c", "all", "1000")
    events = client.tell("run", "normal", "c.gate", "", write(bytes(gate.path)))
    assert next(events).name == "created"
    assert next(events) == Event("status", b"1/2")
    gate.replace(b"by another")
    second = start(LIBGEARMAN.worker(port, "c"))
    assert list(events)[-1] == Event("complete", b"by another")
    assert second.is_running


@worker_test
def test_delayed_job_wakes_a_sleeping_worker(client, work, port, gate, write):
    work()
    created = client.ask_one("epoch", "2", "c.gate", "mine", write(bytes(gate.path)))
    submitted = time.monotonic()
    assert created.name == "created"
    assert client.ask_one("status", created.body.decode()) == Event("status", b"1 0 0 0")
    gate.wait()
    # Whole seconds are counted, and the first of them had begun.
    assert 0.9 < time.monotonic() - submitted < 4
    gate.open(b"")
    eventually(lambda: counts_of(port, "c.gate"), (0, 0, 1))


REDUCERS = [
    pytest.param(peer, id=peer.name, marks=counts_for(LIBGEARMAN, peer))
    for peer in PEERS
    if peer is not LIBGEARMAN
]


@worker_test
@pytest.mark.parametrize("peer", REDUCERS)
def test_partition_with_a_reducer_of_each_kind(client, work, port, start, write, peer):
    work()
    start(peer.worker(port))
    (answer,) = client.ask("partition", "normal", "c.partition", f"{peer}.reverse", write(b"one two three"))
    assert answer.name == "complete"
    assert sorted(answer.body.split(b",")) == [b"eerht", b"eno", b"owt"]


@worker_test
def test_partition_whose_reducer_fails(client, work, write):
    work("c")
    work("d")
    answer = client.ask("partition", "normal", "c.partition", "d.fail", write(b"one two"))
    assert [event.name for event in answer] == ["fail"]


@worker_test
@pytest.mark.parametrize("grab", ["unique", "plain"])
def test_partition_without_the_reducer(client, work, write, grab):
    """A worker that does not ask for the reducer gets a plain job, whose parts are the answer's data."""
    work("c", grab)
    (answer,) = client.ask("partition", "normal", "c.partition", "d.reverse", write(b"one two"))
    assert answer.name == "complete"


@worker_test
def test_partition_in_the_background(client, work, port, start, gate, write):
    work("c")
    work("d")
    created = client.ask_one("partition", "background", "c.partition", "d.gate", write(bytes(gate.path)))
    assert created.name == "created"
    gate.wait()
    eventually(lambda: client.ask_one("status", created.body.decode()), Event("status", b"1 1 0 0"))
    gate.open(b"")
    eventually(lambda: client.ask_one("status", created.body.decode()), Event("status", b"0 0 0 0"))
