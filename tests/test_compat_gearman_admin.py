"""The admin client of gearcore's module with python-gearman's API."""

import pytest
from fake_server import FakeServer, free_port
from gearman_programs import Stoppable, clients_of, working

from gearcore.compat import gearman
from gearcore.compat.gearman.errors import (
    GearmanError,
    InvalidAdminClientState,
    ProtocolError,
    ServerUnavailable,
)

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.fixture
def admin(server):
    admin = gearman.GearmanAdminClient([str(server)])
    yield admin
    admin.shutdown()


def test_status_and_jobs(server, admin):
    with clients_of(server) as client:
        handle = client.submit_job("queued", "", unique="mine", background=True).job.handle
    assert admin.get_status() == ({"task": "queued", "queued": 1, "running": 0, "workers": 0},)
    assert admin.get_jobs() == ({"handle": handle, "queued": 0, "canceled": 0, "enabled": 1},)
    assert admin.get_unique_jobs() == ({"unique": ["mine"]},)
    assert admin.cancel_job(handle) == "OK"


def test_workers(server, admin):
    tasks = {"one": lambda worker, job: "", "two": lambda worker, job: ""}
    worker = Stoppable([str(server)])
    worker.set_client_id("somebody")
    with working(worker, tasks), clients_of(server) as client:
        client.submit_job("one", "")
        [row] = [row for row in admin.get_workers() if row["tasks"]]
    assert int(row["file_descriptor"]) >= 0
    assert (row["ip"], row["client_id"]) == ("127.0.0.1", "somebody")
    assert sorted(row["tasks"]) == ["one", "two"]
    assert type(row["tasks"]) is tuple


def test_its_connection_is_like_those_of_others(admin):
    connection = admin.establish_connection(admin.connection_list[0])
    assert connection.connected
    assert admin.poll_connections_until_stopped([connection], lambda any_activity: True, timeout=0.01)
    assert admin.get_version().startswith("OK ")
    admin.shutdown()
    assert not connection.connected


def test_what_is_one_line(admin):
    assert admin.get_version().startswith("OK ")
    word, pid = admin.get_pid().split()
    assert word == "OK"
    assert int(pid) > 0
    assert 0 < admin.ping_server() < 10


def test_shutdown_is_refused(admin):
    # Neither server allows it: gearmand has not since 1.1.15, and gearcore has an option.
    with pytest.raises(ProtocolError, match="UNKNOWN_COMMAND"):
        admin.send_shutdown()


@pytest.mark.parametrize("hosts", [None, ["127.0.0.1", "127.0.0.2"]])
@pytest.mark.parametrize("error", [GearmanError, ValueError])
def test_exactly_one_server(hosts, error):
    with pytest.raises(error, match="exactly one server"):
        gearman.GearmanAdminClient(hosts)


def test_no_server():
    admin = gearman.GearmanAdminClient([f"127.0.0.1:{free_port()}"])
    with pytest.raises(ServerUnavailable):
        admin.get_version()
    with pytest.raises(ServerUnavailable):
        admin.ping_server()


def test_a_server_that_does_not_answer():
    def script(peer):
        peer.wait_until_closed()

    with FakeServer(script) as server:
        admin = gearman.GearmanAdminClient([str(server)], poll_timeout=0.1)
        with pytest.raises(InvalidAdminClientState):
            admin.get_version()
