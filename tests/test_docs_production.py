"""The examples of docs/workers-in-production.md: the worker as its unit starts it, and the check."""

import re
import signal
import socket
import subprocess

import pytest
from commands import PATIENCE, running
from pages import ROOT, blocks
from peers import needs

from gearcore import AdminClient, Client, Server
from gearcore.codec import pack_request
from gearcore.protocol import PacketType

PAGE = "docs/workers-in-production.md"
TEXT = (ROOT / PAGE).read_text()
TASKS, CLIENT, CHECK = blocks(PAGE, "python")
(UNIT,) = blocks(PAGE, "ini")


@pytest.mark.usefixtures("no_hang")
def test_the_worker_and_its_client(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = re.search(r"^ExecStart=/opt/shop/bin/(.*)$", UNIT, re.MULTILINE)[1].split()
    with Server(port=0) as server:
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop" / "tasks.py").write_text(TASKS.replace("4730", str(server.port)))
        with running(*command, patience=10 * PATIENCE) as process:
            assert '"message": "127.0.0.1:' in process.stderr.readline()
            exec(compile(CLIENT.replace("4730", str(server.port)), PAGE, "exec"), {})
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 0
    (expected,) = re.findall(r"print\(.*\)  # (.*)$", CLIENT, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == [expected]


def test_the_unit(tmp_path):
    needs("systemd-analyze", "systemd")
    path = tmp_path / "shop-worker@.service"
    path.write_text(re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", UNIT, flags=re.MULTILINE))
    verified = subprocess.run(
        ["systemd-analyze", "verify", path], capture_output=True, text=True, timeout=PATIENCE
    )
    assert str(path.name) not in verified.stderr
    assert verified.returncode == 0, verified.stderr


def test_it_stops_the_worker_later_than_the_worker_itself():
    grace = int(re.search(r"grace=(\d+)", TASKS)[1])
    assert int(re.search(r"TimeoutStopSec=(\d+)", UNIT)[1]) > grace


class TestTheCheck:
    def run(self, port: int, capsys) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            exec(compile(CHECK.replace("4730", str(port)), PAGE, "exec"), {})
        return ended.value.code, capsys.readouterr().out

    def test_all_is_well(self, capsys):
        with Server(port=0) as server, AdminClient(server.addresses[0]) as admin:
            admin.create_function("idle")
            assert self.run(server.port, capsys) == (0, "all is well\n")

    def test_there_is_no_worker(self, capsys):
        with Server(port=0) as server, Client(server.addresses) as client:
            client.submit("lonely", background=True)
            assert self.run(server.port, capsys) == (2, "lonely: 1 jobs, and no worker\n")

    def test_there_are_too_many_jobs(self, capsys):
        with Server(port=0) as server, Client(server.addresses) as client, busy_worker(server.port):
            for _ in client.submit_many((("slow", b"") for _ in range(1002)), background=True):
                pass
            code, printed = self.run(server.port, capsys)
        assert code == 2
        assert re.fullmatch(r"slow: 100[12] jobs wait for 1 workers\n", printed)

    def test_there_is_no_server(self, capsys):
        with Server(port=0) as server:
            port = server.port
        code, printed = self.run(port, capsys)
        assert code == 2
        assert "Connection refused" in printed


def busy_worker(port: int):
    """A connection that offers a function, and does nothing for it."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(pack_request(PacketType.CAN_DO, b"slow"))
    return sock
