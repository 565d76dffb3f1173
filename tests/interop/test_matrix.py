"""Each kind of client with each kind of worker: what a worker of one sends, a client of another sees."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from interop.catalogue import PEERS, Peer, counts_for
from interop.harness import Event, eventually

EVERY_BYTE = bytes(range(256))


@dataclass(frozen=True)
class Job:
    """A job, and what the server sends the client for it after JOB_CREATED."""

    id: str
    function: str
    workload: bytes
    expected: list[Event]
    priority: str = "normal"


JOBS = [
    Job("echo", "echo", b"hello", [Event("complete", b"hello")]),
    Job("echo-high", "echo", b"\0", [Event("complete", b"\0")], "high"),
    Job("echo-low", "echo", b"a\nb\n", [Event("complete", b"a\nb\n")], "low"),
    Job("empty", "echo", b"", [Event("complete")]),
    Job("binary", "reverse", EVERY_BYTE * 40, [Event("complete", EVERY_BYTE[::-1] * 40)]),
    Job("fail", "fail", b"in vain", [Event("fail")]),
    Job("exception", "exception", b"a reason", [Event("exception", b"no: a reason")]),
    Job("data", "data", b"\0one\0two", [Event("data", b"\0one"), Event("data", b"\0two"), Event("complete")]),
    Job("warning", "warning", b"careful", [Event("warning", b"careful"), Event("complete", b"done")]),
    Job("status", "status", b"so far", [Event("status", b"3/4"), Event("complete", b"so far")]),
]


def pairs() -> Iterator[tuple[Peer, Peer]]:
    for client in PEERS:
        for worker in PEERS:
            yield client, worker


@pytest.mark.parametrize(
    ("client", "worker", "job"),
    [
        pytest.param(client, worker, job, id=f"{client}-{worker}-{job.id}", marks=counts_for(client, worker))
        for client, worker in pairs()
        for job in JOBS
        if job.function in worker.functions and (job.workload or client.sends_empty)
    ],
)
def test_job(fleet, write, client, worker, job):
    fleet.worker(worker)
    words = ("run", job.priority, f"{worker}.{job.function}", "", write(job.workload))
    events = fleet.client(client).ask(*words)
    assert [event for event in events if event.name != "created"] == client.tells(job.expected)


@pytest.mark.parametrize(
    ("client", "worker"),
    [
        pytest.param(client, worker, id=f"{client}-{worker}", marks=counts_for(client, worker))
        for client, worker in pairs()
        if "unique" in worker.functions
    ],
)
def test_unique_id_reaches_the_worker(fleet, write, client, worker):
    fleet.worker(worker)
    unique = f"id-{client}-{worker}"
    *_, last = fleet.client(client).ask("run", "normal", f"{worker}.unique", unique, write(b"w"))
    assert last == Event("complete", unique.encode())


@pytest.mark.parametrize(
    ("client", "worker"),
    [
        pytest.param(client, worker, id=f"{client}-{worker}", marks=counts_for(client, worker))
        for client, worker in pairs()
        if "gate" in worker.functions and client.asks_status
    ],
)
def test_background_job_can_be_watched(fleet, write, gate, client, worker):
    fleet.worker(worker)
    asker = fleet.client(client)
    path = write(bytes(gate.path))
    (created,) = asker.ask("background", "normal", f"{worker}.gate", "", path)
    assert created.name == "created"
    handle = created.body.decode()
    gate.wait()
    eventually(lambda: asker.ask_one("status", handle), Event("status", b"1 1 1 2"))
    gate.open(b"done")
    eventually(lambda: asker.ask_one("status", handle), Event("status", b"0 0 0 0"))
