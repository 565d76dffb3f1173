"""What the Python packages gear and pygearman have beyond the jobs of the matrix."""

import ast

import pytest

from interop.catalogue import GEAR, PYGEARMAN
from interop.harness import Event, admin, counts_of, eventually

BOTH = [
    pytest.param(
        peer, id=peer.name, marks=[pytest.mark.peer(peer, "client"), pytest.mark.peer(peer, "admin")]
    )
    for peer in (GEAR, PYGEARMAN)
]


@pytest.fixture(params=BOTH)
def peer(request):
    return request.param


@pytest.fixture
def client(port, start, peer):
    return start(peer.client(port))


@pytest.fixture
def worker(port, start, peer):
    worker = start(peer.worker(port))
    eventually(lambda: (counts_of(port, f"{peer}.reverse") or (0, 0, 0))[2], 1)
    return worker


@pytest.mark.parametrize("priority", ["normal", "high", "low"])
def test_background_jobs_wait_in_their_queue(client, port, write, priority):
    client.ask_one("background", priority, "f", "mine", write(b"w"))
    high, normal, low = (int(priority == name) for name in ("high", "normal", "low"))
    assert admin(port, "prioritystatus") == f"f\t{high}\t{normal}\t{low}\t0\n"
    assert admin(port, "show unique jobs") == "mine\n"


def test_worker_names_itself(worker, peer, port):
    assert f" {peer}-worker : " in admin(port, "workers")


def test_admin_lists(client, worker, peer, write):
    handle = client.ask_one("background", "normal", "f", "mine", write(b"w")).body
    assert b"f" in client.ask_one("admin_status").body
    assert f"{peer}.reverse".encode() in client.ask_one("admin_workers").body
    assert handle in client.ask_one("admin_jobs").body
    assert b"mine" in client.ask_one("admin_unique_jobs").body
    assert b"OK" in client.ask_one("admin_version").body


def test_cancel(client, port, write):
    handle = client.ask_one("background", "normal", "f", "mine", write(b"w")).body.decode()
    assert b"OK" in client.ask_one("admin_cancel", handle).body
    eventually(lambda: counts_of(port, "f"), (0, 0, 0))
    assert b"ERR" in client.ask_one("admin_cancel", "H:nobody:1").body


@pytest.mark.peer(PYGEARMAN, "admin")
def test_what_only_pygearman_asks(port, start):
    client = start(PYGEARMAN.client(port))
    assert ast.literal_eval(client.ask_one("admin_pid").body.decode()).startswith("OK ")
    assert float(client.ask_one("admin_ping").body) < 5
    assert client.ask_one("admin_status") == Event("answer", b"()")
