"""gear's server on gearcore, and its command line."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from fake_server import PATIENCE, free_port
from geared import Client, connected, serving

from gearcore.compat import gear
from gearcore.compat.gear.geard import read_acl

pytestmark = pytest.mark.usefixtures("no_hang")


@pytest.fixture
def server():
    server = gear.Server(0)
    yield server
    server.shutdown()


def address_of(server):
    return ("127.0.0.1", server.port)


def test_clients_and_workers(server):
    with serving(address_of(server)), connected(Client(), address_of(server)) as client:
        assert client.run(gear.Job("reverse", b"ab")).data == [b"ba"]


def test_exceptions_need_no_option(server):
    with serving(address_of(server)), connected(Client(), address_of(server)) as client:
        assert client.run(gear.Job("raise", b"x")).exception == b"no: x"


def test_what_it_shows(server):
    assert (server.jobs, server.functions, server.getQueue(), server.total_jobs) == ({}, set(), [], 0)
    with (
        connected(Client(), address_of(server)) as client,
        connected(gear.Worker("tester"), address_of(server)) as worker,
    ):
        jobs = {}
        for precedence in (gear.PRECEDENCE_LOW, gear.PRECEDENCE_NORMAL, gear.PRECEDENCE_HIGH):
            jobs[precedence] = gear.Job("f", b"a\0%d" % precedence, b"u%d" % precedence)
            client.submitJob(jobs[precedence], precedence=precedence)
        queues = (server.normal_queue, server.low_queue, server.high_queue)
        for precedence, queue in enumerate(queues):
            (found,) = queue
            assert (found.handle, found.name) == (jobs[precedence].handle, b"f")
            assert (found.arguments, found.unique) == (b"a\0%d" % precedence, b"u%d" % precedence)
        assert [job.unique for job in server.getQueue()] == [b"u2", b"u0", b"u1"]
        assert (server.total_jobs, server.waiting_jobs, server.running_jobs) == (3, 3, 0)
        worker.registerFunction("f")
        job = worker.getJob()
        assert (server.total_jobs, server.waiting_jobs, server.running_jobs) == (3, 2, 1)
        assert server.functions == {b"f"}
        assert server.high_queue == []
        assert set(server.jobs) == {job.handle for job in jobs.values()}
        found = [connection for connection in server.active_connections if connection.functions]
        assert [(one.client_id, one.functions, one.ssl_subject) for one in found] == [
            (b"tester", {b"f"}, None)
        ]
        job.sendWorkComplete()


def test_it_answers_what_geard_leaves_unanswered(server):
    with connected(Client(), address_of(server)) as client:
        connection = client.active_connections[0]
        assert client.setOption("exceptions", PATIENCE)
        assert connection.echo(b"x", PATIENCE) == b"x"
        for request in (gear.VersionAdminRequest(), gear.ShowJobsAdminRequest()):
            connection.sendAdminRequest(request, PATIENCE)
            assert request.response


def test_every_address_of_the_machine(server):
    hosts = ["127.0.0.1"] + ["::1"] * socket.has_dualstack_ipv6()
    for host in hosts:
        socket.create_connection((host, server.port), PATIENCE).close()


def test_one_address():
    server = gear.Server(0, host="127.0.0.1", keepalive=True, tcp_keepidle=11, server_id="mine")
    try:
        socket.create_connection(("127.0.0.1", server.port), PATIENCE).close()
        assert server.client_id == "mine"
        with pytest.raises(OSError, match="Address already in use"):
            gear.Server(server.port, host="127.0.0.1")
    finally:
        server.shutdown()


def test_a_second_shutdown_is_only_a_warning(caplog):
    server = gear.Server(0)
    server.shutdown()
    server.shutdown()
    assert "not currently running" in caplog.text


class Identities:
    """A server by TLS with an access list, and peers with certificates."""

    def __init__(self, authority, acl) -> None:
        certificate, key = authority.server
        self._authority = authority
        self.server = gear.Server(0, str(key), str(certificate), str(authority.ca_file), acl=acl)

    def address(self, name):
        certificate, key = self._authority.issue(self._authority.directory, name, common_name=name)
        files = (str(key), str(certificate), str(self._authority.ca_file))
        return ("127.0.0.1", self.server.port, *files)

    def wait_for_turn(self):
        """Return when the server has dealt with all who came so far, as far as that goes."""
        with connected(Client(), self.address("client")):
            pass


@pytest.fixture
def acl():
    acl = gear.ACL()
    acl.add(gear.ACLEntry("worker", register="foo"))
    acl.add(gear.ACLEntry("client", invoke="foo"))
    acl.add(gear.ACLEntry("manager", grant=True))
    return acl


@pytest.fixture
def tls(authority, acl):
    identities = Identities(authority, acl)
    yield identities
    identities.server.shutdown()


def test_access_by_certificate(tls, caplog):
    """With gear every function is an error in the server, and the connection ends."""
    functions = {name: lambda job: job.sendWorkComplete(b"done") for name in ("foo-bar", "other")}
    with (
        serving(tls.address("worker"), functions=functions),
        connected(Client(), tls.address("client")) as client,
    ):
        assert client.run(gear.Job("foo-bar", b"")).data == [b"done"]
        with pytest.raises(gear.GearmanError, match="PERMISSION_DENIED"):
            client.submitJob(gear.Job("other", b""), timeout=PATIENCE)
        assert {one.ssl_subject for one in tls.server.active_connections} == {"worker", "client"}
        assert tls.server.functions == {b"foo-bar"}
    assert "may not work 'other'" in caplog.text


def test_a_list_that_changes_while_it_is_used(tls, acl):
    with connected(Client(), tls.address("client")) as client:
        acl.grantInvoke("client", "other")
        client.submitJob(gear.Job("other", b""), background=True, timeout=PATIENCE)
        with pytest.raises(gear.GearmanError):
            client.submitJob(gear.Job("foo", b""), background=True, timeout=PATIENCE)


def test_without_tls_nobody_is_known():
    acl = gear.ACL()
    acl.add(gear.ACLEntry("client", invoke=".*"))
    server = gear.Server(0, acl=acl)
    try:
        with (
            connected(Client(), address_of(server)) as client,
            pytest.raises(gear.GearmanError, match="PERMISSION_DENIED"),
        ):
            client.submitJob(gear.Job("f", b""), timeout=PATIENCE)
    finally:
        server.shutdown()


def test_a_peer_without_a_certificate_is_not_served(authority, tls):
    client = Client()
    client.addServer("127.0.0.1", tls.server.port)
    try:
        client.waitForServer(PATIENCE)  # a connection, which the server will not talk over
        with pytest.raises((gear.GearmanError, gear.NoConnectedServersError)):
            client.submitJob(gear.Job("foo", b""), timeout=0.2)
    finally:
        client.shutdown()
    tls.wait_for_turn()


def test_a_server_of_another_authority_is_not_used(tls, tmp_path):
    from authority import Authority

    other = Authority(tmp_path)
    _, _, key, certificate, _ = tls.address("client")
    client = gear.Client()
    client.addServer("127.0.0.1", tls.server.port, key, certificate, str(other.ca_file))
    try:
        with pytest.raises(gear.TimeoutError):
            client.waitForServer(0.2)
    finally:
        client.shutdown()
    tls.wait_for_turn()


class Line(gear.AdminRequest):
    """An admin command of the test's own, in the words that it is given."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.command = words.encode()

    def isComplete(self, data):  # noqa: N802
        if self.command == b"acl list" and not data.startswith(b"ERR"):
            return super().isComplete(data)
        self.response = data
        return data.endswith(b"\n"), b""


def ask(client, words):
    request = Line(words)
    client.active_connections[0].sendAdminRequest(request, PATIENCE)
    return request.response


def test_the_commands_for_the_access_list(tls, acl):
    with (
        connected(Client(), tls.address("manager")) as manager,
        connected(Client(), tls.address("client")) as client,
    ):
        assert ask(manager, "acl list") == (
            b"client\tregister=None\tinvoke=foo\tgrant=False\n"
            b"manager\tregister=None\tinvoke=None\tgrant=True\n"
            b"worker\tregister=foo\tinvoke=None\tgrant=False\n.\n"
        )
        assert ask(manager, "acl grant register new b.*") == b"OK\n"
        assert ask(manager, "acl grant invoke new c") == b"OK\n"
        assert ask(manager, "acl grant grant new") == b"OK\n"
        assert repr(acl.subjects["new"]) == "<ACLEntry for new register=b.* invoke=c grant=True>"
        assert ask(manager, "acl revoke grant new") == b"OK\n"
        assert not acl.canGrant("new")
        assert ask(manager, "acl revoke all new") == b"OK\n"
        assert "new" not in acl.subjects
        assert ask(manager, "acl grant nonsense new x") == b"ERR UNKNOWN_ACL_VERB\n"
        assert ask(manager, "acl revoke nonsense new") == b"ERR UNKNOWN_ACL_VERB\n"
        assert ask(manager, "acl grant register new (").startswith(b"ERR INVALID_ARGUMENTS")
        assert ask(manager, "acl grant register").startswith(b"ERR INVALID_ARGUMENTS")
        assert ask(manager, "acl self-revoke").startswith(b"ERR INVALID_ARGUMENTS")
        assert ask(manager, "acl").startswith(b"ERR UNKNOWN_COMMAND")
        assert ask(manager, "shutdown").startswith(b"ERR PERMISSION_DENIED")
        assert ask(client, "acl grant invoke client .*") == b"ERR PERMISSION_DENIED\n"
        assert ask(client, "acl self-revoke invoke") == b"OK\n"
        assert not acl.canInvoke("client", "foo")


def test_who_may_cancel(tls):
    with (
        connected(Client(), tls.address("client")) as client,
        connected(Client(), tls.address("manager")) as manager,
    ):
        job = gear.Job("foo", b"")
        client.submitJob(job, background=True, timeout=PATIENCE)
        assert ask(manager, f"cancel job {job.handle.decode()}") == b"ERR PERMISSION_DENIED\n"
        assert ask(client, f"cancel job {job.handle.decode()}") == b"OK\r\n"
        assert ask(client, "cancel job H:nobody:1").startswith(b"ERR UNKNOWN_JOB")


def test_no_access_list(server):
    with connected(Client(), address_of(server)) as client:
        assert ask(client, "acl list") == b"ERR ACL_DISABLED\n"


def test_statistics_go_to_statsd():
    pytest.importorskip("statsd")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE)
        server = gear.Server(0, None, None, None, "127.0.0.1", sock.getsockname()[1], "mine")
        try:
            with connected(Client(), address_of(server)) as client:
                client.submitJob(gear.Job("f", b""), background=True)
            wanted = {"mine.packet.SUBMIT_JOB_BG:1|c", "mine.queue.total:1|g", "mine.queue.waiting:1|g"}
            seen = set()
            while not wanted <= seen:
                seen.add(sock.recv(1000).decode())
        finally:
            server.shutdown()
    (time_taken,) = (line for line in seen if line.startswith("mine.packet.SUBMIT_JOB_BG:") and "|ms" in line)
    assert 0 < float(time_taken.partition(":")[2].partition("|")[0]) < 1000
    assert "mine.queue.running:0|g" in seen


def test_statsd_is_not_there(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "statsd", None)
    server = gear.Server(0, statsd_host="127.0.0.1")
    server.shutdown()
    assert server.statsd is None
    assert "that takes the package statsd" in caplog.text


GEARD = [sys.executable, "-m", "gearcore.compat.gear.geard"]


def wait_until_it_listens(port, process):
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        except ConnectionRefusedError:
            assert process is None or process.poll() is None, process.stderr.read()
            assert time.monotonic() < give_up
            time.sleep(0.01)


@pytest.mark.parametrize(
    "geard", [GEARD, [sys.executable, "-m", "gearcore.compat", "gear", "-m", "gear.cmd.geard"]]
)
def test_geard_in_the_foreground(geard):
    port = free_port()
    command = [*geard, "-d", "-p", str(port), "--listen-address", "127.0.0.1", "--keepalive"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        wait_until_it_listens(port, process)
        with connected(Client(), ("127.0.0.1", port)) as client:
            client.submitJob(gear.Job("f", b""), background=True)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()


def test_geard_as_a_daemon(tmp_path):
    port, pid_file = free_port(), tmp_path / "geard.pid"
    command = [*GEARD, "-p", str(port), "--pidfile", str(pid_file)]
    assert subprocess.run(command, timeout=PATIENCE).returncode == 0
    pid = int(pid_file.read_text())
    try:
        wait_until_it_listens(port, None)
    finally:
        os.kill(pid, signal.SIGTERM)
    give_up = time.monotonic() + PATIENCE
    while pid_file.exists():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_the_file_of_an_access_list(tmp_path):
    path = tmp_path / "acl"
    path.write_text("[worker]\nregister=foo.*\n[client]\ninvoke = bar\ngrant=yes\n")
    assert [repr(entry) for entry in read_acl(str(path)).getEntries()] == [
        "<ACLEntry for client register=None invoke=bar grant=True>",
        "<ACLEntry for worker register=foo.* invoke=None grant=False>",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "No such file"),
        ("[worker]\nregister=(\n", "not a regular expression"),
        ("[worker]\ngrant=perhaps\n", "Not a boolean"),
        ("register=x\n", "no section headers"),
    ],
)
def test_a_bad_file_is_named_in_one_line(tmp_path, text, fault):
    path = tmp_path / "acl"
    if text is not None:
        path.write_text(text)
    done = subprocess.run(
        [*GEARD, "-d", "--acl", str(path)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"geard: ACL {path}: ")
    assert fault in line


def test_the_options_of_geard():
    done = subprocess.run([*GEARD, "--help"], capture_output=True, text=True, timeout=PATIENCE)
    for option in (
        "-d",
        "-p",
        "--listen-address",
        "--log-config",
        "--pidfile",
        "--ssl-ca",
        "--ssl-cert",
        "--ssl-key",
        "--acl",
        "--keepalive",
        "--keepalive-idle",
        "--keepalive-interval",
        "--keepalive-count",
        "--version",
    ):
        assert f"{option} " in done.stdout.replace("\n", " ")
