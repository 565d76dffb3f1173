"""What npm's package gearman has beyond the jobs of the matrix."""

import pytest

from interop.catalogue import NPM
from interop.harness import Event, admin, counts_of, eventually

pytestmark = pytest.mark.peer(NPM, "client")

worker_test = pytest.mark.peer(NPM, "worker")
admin_test = pytest.mark.peer(NPM, "admin")


@pytest.fixture
def client(port, start):
    return start(NPM.client(port))


@pytest.fixture
def worker(port, start):
    worker = start(NPM.worker(port))
    eventually(lambda: (counts_of(port, "npm.echo") or (0, 0, 0))[2], 1)
    return worker


def test_ping(client, write):
    assert client.ask_one("ping", write(b"any\0thing")) == Event("pong", b"any\0thing")


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
def test_job_that_takes_too_long_goes_to_another_worker(client, worker, port, start, gate, write):
    # This package sends the time as a 32-bit number, where the others send decimal digits.
    events = client.tell("run", "normal", "npm.timed", "", write(bytes(gate.path)))
    assert next(events).name == "created"
    assert next(events) == Event("status", b"1/2")
    gate.replace(b"by another")
    start(NPM.worker(port))
    assert list(events)[-1] == Event("complete", b"by another")


@admin_test
def test_admin_status(client, worker):
    assert client.ask_one("admin_status", "npm.echo") == Event("status", b"0 0 1")


@admin_test
def test_admin_workers(client, worker):
    functions = client.ask_one("admin_workers", "npm-worker").body.split()
    assert b"npm.echo" in functions
    assert b"npm.reverse" in functions


@admin_test
def test_drop_function(client, worker, port, write):
    client.ask_one("background", "normal", "f", "", write(b"w"))
    # The package leaves the end of the line in place.
    assert client.ask_one("drop_function", "nobody") == Event("dropped", b"function not found\r")
    answer = client.ask_one("drop_function", "npm.echo").body
    assert answer == b"there are still connected workers or executing clients\r"
