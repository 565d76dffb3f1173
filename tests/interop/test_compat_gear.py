"""gear itself beside gearcore.compat.gear: as its clients and workers, and with its server."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from fake_server import free_port

from gearcore import __version__
from gearcore.compat import gear
from interop.catalogue import COMMON, GEAR, SCRIPTS, Peer, Program, tell_all
from interop.harness import Event, eventually
from interop.servers import accepts
from interop.test_matrix import JOBS


def find_compat() -> Program:
    command = [sys.executable, "-m", "gearcore.compat", "gear"]
    scripts = (str(SCRIPTS / f"gear_{role}.py") for role in ("client", "worker"))
    return Program(__version__, *([*command, script] for script in scripts))


COMPAT = Peer("compat.gear", find_compat, COMMON | {"unique"}, tell_all, asks_status=False)

pytestmark = pytest.mark.peer(GEAR, "worker")

PAIRS = [(GEAR, GEAR), (GEAR, COMPAT), (COMPAT, GEAR), (COMPAT, COMPAT)]


@pytest.fixture
def port() -> Iterator[int]:
    """The port of gearcore's server in the place of gear's."""
    server = gear.Server(0)
    yield server.port
    server.shutdown()


@pytest.mark.parametrize(("client", "worker"), PAIRS, ids=lambda peer: peer.name)
def test_jobs(port, start, write, client, worker):
    start(worker.worker(port))
    asker = start(client.client(port))
    for job in JOBS:
        events = asker.ask("run", job.priority, f"{worker}.{job.function}", "", write(job.workload))
        assert [event for event in events if event.name != "created"] == job.expected
    *_, last = asker.ask("run", "normal", f"{worker}.unique", "mine", write(b"w"))
    assert last == Event("complete", b"mine")


@pytest.fixture
def geard() -> Iterator[int]:
    """The port of gear's own server."""
    port = free_port()
    python, _ = GEAR.find().client
    program = [python, "-c", "from gear.cmd.geard import main; main()", "-d", "-p", str(port)]
    process = subprocess.Popen([*program, "--listen-address", "127.0.0.1"], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: accepts(port), True)
        yield port
    finally:
        process.kill()
        process.wait()


def test_gears_own_server(geard):
    """It answers no option, sends what fails with the magic of requests, and lists no versions."""
    client = gear.Client("tester")
    worker = gear.Worker("tester")
    try:
        for one in (client, worker):
            one.addServer("127.0.0.1", geard)
            one.waitForServer(15)
        assert client.setOption("exceptions", timeout=0.1) is False
        worker.registerFunction("f")
        for result in (b"one", b"two"):
            job = gear.Job("f", b"w")
            client.submitJob(job, timeout=15)
            found = worker.getJob()
            assert found.handle == job.handle
            found.sendWorkComplete(result)
            eventually(lambda job=job: job.complete, True)
            assert job.data == [result]
        request = gear.StatusAdminRequest()
        client.active_connections[0].sendAdminRequest(request, 15)
        assert request.response == b"f\t0\t0\t1\n.\n"
        job = gear.Job("f", b"w")
        client.submitJob(job, timeout=15)
        worker.getJob()
        worker.shutdown()  # for which geard fails the job
        eventually(lambda: (job.complete, job.failure), (True, True))
    finally:
        for one in (client, worker):
            if one.running:
                one.shutdown()
