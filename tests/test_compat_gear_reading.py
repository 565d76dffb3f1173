"""Who reads what comes for gear's client: who submits one job at a time reads its result too."""

import socket
import sys
import threading
from statistics import median

import pytest
from fake_server import PATIENCE
from geared import Client, connected, serving

from gearcore.compat import gear
from gearcore.compat.gear import client as client_module
from gearcore.compat.gear import pump

pytestmark = pytest.mark.usefixtures("no_hang")

STREAK = client_module._STREAK
MANY = 3 * client_module._TRIAL


@pytest.fixture
def let_go():
    return threading.Event()


@pytest.fixture
def client(server, let_go):
    def hold(job):
        assert let_go.wait(PATIENCE)
        job.sendWorkComplete(b"held")

    with (
        serving(server.address),
        serving(server.address, functions={"hold": hold}),
        connected(Client("tester"), server.address) as client,
    ):
        yield client
        let_go.set()


@pytest.fixture
def patient(monkeypatch):
    """Reads on as long as it takes: without it a machine that is busy is too late for the moment."""
    monkeypatch.setattr(pump, "_MOMENT", PATIENCE)


def submit(client, name="reverse"):
    job = gear.Job(name, b"ab")
    client.submitJob(job, timeout=PATIENCE)
    return job


def test_who_submits_one_at_a_time_has_the_result(client, patient):
    complete = []
    for _ in range(MANY):
        job = submit(client)
        complete.append(job.complete)
        client.wait_for(lambda job=job: job.complete)
    # One job in so many is left to the thread in the background.
    assert sum(complete[STREAK:]) >= MANY - STREAK - 3


def test_who_has_several_jobs_under_way_does_not_wait(client, patient, let_go):
    held = submit(client, "hold")
    for _ in range(MANY):
        client.run(gear.Job("reverse", b"ab"))
    other = submit(client, "hold")  # which would take for ever
    assert not held.complete
    assert not other.complete
    let_go.set()
    client.wait_for(lambda: held.complete and other.complete)


def test_a_result_that_does_not_come_at_once_comes_later(client, let_go):
    for _ in range(MANY):
        client.run(gear.Job("reverse", b"ab"))
    job = submit(client, "hold")
    assert not job.complete
    let_go.set()
    client.wait_for(lambda: job.complete)
    assert job.data == [b"held"]


def test_a_connection_that_ends_ends_the_reading(client, patient):
    for _ in range(MANY):
        client.run(gear.Job("reverse", b"ab"))
    connection = client.active_connections[0]
    submitting = threading.Thread(target=submit, args=(client, "hold"))
    submitting.start()
    client.wait_for(lambda: client.seen.count("JOB_CREATED") > MANY)
    connection.conn.shutdown(socket.SHUT_RDWR)
    submitting.join(PATIENCE / 2)
    assert not submitting.is_alive()


def test_a_handler_that_submits_the_next_job_is_not_called_ever_deeper(client, patient):
    depths = []

    class Chaining(Client):
        def handleWorkComplete(self, packet):  # noqa: N802
            job = super().handleWorkComplete(packet)
            depths.append(depth())
            if len(depths) < 4 * MANY:
                self.submitJob(gear.Job("reverse", b"ab"), timeout=PATIENCE)
            return job

    connection = client.active_connections[0]
    with connected(Chaining(), (connection.host, connection.port)) as chaining:
        submit(chaining)
        chaining.wait_for(lambda: len(depths) == 4 * MANY)
    # Now and then a handler has the result of what it submitted in its hands already: not each time.
    assert median(depths) - min(depths) < 30


def depth():
    frame, count = sys._getframe(), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1
    return count
