"""Servers and peers for the interoperability tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from peers import missing_peer

from interop.catalogue import Missing, Peer
from interop.harness import Client, Gate, Worker
from interop.servers import running_server


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "peer(peer, role): the test counts for this peer in this role")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("peer"):
            peer, role = mark.args
            item.user_properties.append(("peer", (peer.name, role)))


@pytest.fixture(autouse=True)
def _peers_are_there(request: pytest.FixtureRequest) -> None:
    for mark in request.node.iter_markers("peer"):
        try:
            mark.args[0].find()
        except Missing as missing:
            missing_peer(str(missing))


class Fleet:
    """A client and a worker of each kind, started when first asked for and kept."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._clients: dict[str, Client] = {}
        self._workers: dict[str, Worker] = {}

    def client(self, peer: Peer) -> Client:
        client = self._clients.get(peer.name)
        if client is None or not client.is_running:  # it is ended when it did not answer
            client = self._clients[peer.name] = peer.client(self.port)
        return client

    def worker(self, peer: Peer) -> Worker:
        worker = self._workers.get(peer.name)
        if worker is None:
            worker = self._workers[peer.name] = peer.worker(self.port)
        assert worker.is_running, worker.errors
        return worker

    def stop(self) -> None:
        for process in [*self._clients.values(), *self._workers.values()]:
            process.kill()


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    with running_server() as port:
        fleet = Fleet(port)
        yield fleet
        fleet.stop()


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that a test has for itself."""
    with running_server() as port:
        yield port


@pytest.fixture
def start(port: int) -> Iterator[Callable]:
    """Starts a process and ends it with the test."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path)
    yield gate
    gate.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    """Puts a workload into a file, for a client to send."""

    def write(workload: bytes) -> Path:
        path = tmp_path / "workload"
        path.write_bytes(workload)
        return path

    return write
