"""Workloads and results of 32 megabytes, from and to each library; less where it takes a library minutes.

All go at once: libgearman asks for socket buffers so small that it spends most of the time waiting for
acknowledgements. Perl's library, which carries anything at once, is at the other end of each.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from interop.catalogue import PEERS, PERL, Missing, Peer, counts_for
from interop.harness import Event
from interop.servers import running_server

PATIENCE = 50.0

PAIRS = [(peer, PERL) for peer in PEERS] + [(PERL, peer) for peer in PEERS if peer is not PERL]


def size_for(client: Peer, worker: Peer) -> int:
    return min(client.largest_to_send, worker.largest_to_work)


def reverse(port: int, client: Peer, worker: Peer, path: str) -> Event:
    """The last event of a job with the file's content."""
    prefix = f"{client}-{worker}"
    with worker.worker(port, prefix), client.client(port) as process:
        return process.ask("run", "normal", f"{prefix}.reverse", "", path, patience=PATIENCE)[-1]


@pytest.fixture(scope="module")
def workload() -> bytes:
    return os.urandom(max(size_for(*pair) for pair in PAIRS))


@pytest.fixture(scope="module")
def jobs(workload, tmp_path_factory) -> Iterator[dict[tuple[Peer, Peer], Future[Event]]]:
    folder = tmp_path_factory.mktemp("large")
    with running_server() as port, ThreadPoolExecutor(len(PAIRS)) as pool:
        futures = {}
        for client, worker in PAIRS:
            if is_there(client) and is_there(worker):
                path = folder / f"{client}-{worker}"
                path.write_bytes(workload[: size_for(client, worker)])
                futures[client, worker] = pool.submit(reverse, port, client, worker, str(path))
        yield futures


def is_there(peer: Peer) -> bool:
    try:
        peer.find()
    except Missing:
        return False
    return True


@pytest.mark.parametrize(
    ("client", "worker"),
    [pytest.param(*pair, id=f"{pair[0]}-{pair[1]}", marks=counts_for(*pair)) for pair in PAIRS],
)
def test_large_workload(jobs, workload, client, worker):
    last = jobs[client, worker].result()
    assert last.name == "complete"
    assert last.body == workload[: size_for(client, worker)][::-1]
