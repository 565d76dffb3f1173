"""What PHP's GearmanClient and GearmanWorker have beyond the jobs of the matrix."""

import pytest

from interop.catalogue import PHP
from interop.harness import Event, admin, counts_of, eventually

pytestmark = pytest.mark.peer(PHP, "client")

worker_test = pytest.mark.peer(PHP, "worker")


@pytest.fixture
def client(port, start):
    return start(PHP.client(port))


@pytest.fixture
def worker(port, start):
    return start(PHP.worker(port))


@worker_test
@pytest.mark.parametrize("priority", ["normal", "high", "low"])
def test_do(client, worker, write, priority):
    assert client.ask("do", priority, "php.reverse", "", write(b"\0ab")) == [Event("complete", b"ba\0")]


@worker_test
def test_do_returns_all_data_together(client, worker, write):
    path = write(b"abcd")
    assert client.ask("do", "normal", "php.data", "", path) == [Event("complete", b"abcd")]
    assert client.ask("do", "normal", "php.warning", "", path)[-1].name == "complete"
    assert client.ask("do", "normal", "php.status", "", path) == [Event("complete", b"abcd")]
    assert client.ask("do", "normal", "php.fail", "", path) == [Event("fail")]


@worker_test
def test_tasks_together(client, worker):
    events = client.ask("together", "php.reverse", *(f"w{number}" for number in range(50)))
    results = {event.body for event in events if event.name == "complete"}
    assert results == {f"w{number}"[::-1].encode() for number in range(50)}


def test_timeout(client, write):
    assert client.ask_one("timed", "100", "nobody", "", write(b"w")).name == "timeout"


def test_ping(client, write):
    assert client.ask_one("ping", write(b"any\0thing")) == Event("pong")


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


def test_same_unique_id_is_one_job(client, port, write):
    path = write(b"w")
    first, second = (client.ask_one("background", "normal", "f", "mine", path) for _ in range(2))
    assert first == second
    assert counts_of(port, "f") == (1, 0, 0)


@worker_test
def test_worker_names_itself(worker, port):
    eventually(lambda: " php-worker : " in admin(port, "workers"), True)
