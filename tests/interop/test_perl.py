"""What Perl's Gearman::Client and Gearman::Worker have beyond the jobs of the matrix."""

import pytest

from interop.catalogue import PERL
from interop.harness import Event, admin, counts_of, eventually

pytestmark = pytest.mark.peer(PERL, "client")

worker_test = pytest.mark.peer(PERL, "worker")


@pytest.fixture
def client(port, start):
    return start(PERL.client(port))


@pytest.fixture
def worker(port, start):
    return start(PERL.worker(port))


@worker_test
@pytest.mark.parametrize("priority", ["normal", "high", "low"])
def test_do_task(client, worker, write, priority):
    assert client.ask("do", priority, "perl.reverse", "", write(b"\0ab")) == [Event("complete", b"ba\0")]
    assert client.ask("do", priority, "perl.fail", "", write(b"")) == [Event("fail")]


@worker_test
def test_taskset_of_many(client, worker):
    workloads = [f"w{number}" for number in range(100)]
    events = client.ask("together", "perl.reverse", *workloads)
    assert sorted(event.body.decode()[::-1] for event in events) == sorted(workloads)


@worker_test
def test_worker_that_dies_raises_a_frozen_exception(client, worker, write):
    # After WORK_EXCEPTION this worker sends WORK_FAIL too, whose ERROR it must survive.
    for _ in range(2):
        created, exception = client.ask("run", "normal", "perl.die", "", write(b"why"))
        assert (created.name, exception.name) == ("created", "exception")
        assert b"no: why" in exception.body
    assert client.ask("do", "normal", "perl.echo", "", write(b"alive")) == [Event("complete", b"alive")]


def test_task_with_a_timeout_fails(client, write):
    assert client.ask_one("timed", "0.1", "nobody", "", write(b"w")).name == "fail"


@pytest.mark.parametrize("priority", ["normal", "high", "low"])
def test_background_jobs_wait_in_their_queue(client, port, write, priority):
    created = client.ask_one("background", priority, "f", "", write(b"w"))
    assert client.ask_one("status", created.body.decode()) == Event("status", b"1 0 0 0")
    high, normal, low = (int(priority == name) for name in ("high", "normal", "low"))
    assert admin(port, "prioritystatus") == f"f\t{high}\t{normal}\t{low}\t0\n"


def test_same_unique_id_is_one_job(client, port, write):
    path = write(b"w")
    first, second = (client.ask_one("background", "normal", "f", "mine", path) for _ in range(2))
    assert first == second
    assert counts_of(port, "f") == (1, 0, 0)


def test_unique_id_of_a_dash_is_the_workload(client, port, write):
    for workload in (b"one", b"two", b"one"):
        client.ask_one("background", "normal", "f", "-", write(workload))
    assert counts_of(port, "f") == (2, 0, 0)


def test_unknown_handle(client):
    assert client.ask_one("status", "H:nobody:1") == Event("status", b"0 0 0 0")


@worker_test
def test_status_of_the_server(client, worker, port, write):
    eventually(lambda: (counts_of(port, "perl.echo") or (0, 0, 0))[2], 1)
    assert client.ask_one("server_status", "perl.echo") == Event("status", b"0 0 1")


@worker_test
def test_worker_names_itself(worker, port):
    eventually(lambda: " perl-worker : " in admin(port, "workers"), True)
