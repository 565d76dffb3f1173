"""gearcored as a service of systemd: what it says of itself, the sockets it is given, and its unit files."""

import logging
import os
import secrets
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from click import UsageError
from commands import OUR_VERSION, PATIENCE, SCRIPTS, ask_version, listening, running
from peers import needs

from gearcore.cli import gearcored
from gearcore.cli.serving import make_listeners
from gearcore.server.listeners import InheritedListener
from gearcore.server.systemd import ServiceManager

UNITS = Path(__file__).parents[1] / "packaging" / "systemd"


@contextmanager
def service_manager(address: str):
    """The socket that systemd would listen on; yields what receives one message."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify_socket:
        notify_socket.bind(address)
        notify_socket.settimeout(PATIENCE)
        yield lambda: notify_socket.recv(1000).decode().splitlines()


@pytest.fixture(params=["path", "abstract"])
def address(request, tmp_path):
    """What NOTIFY_SOCKET may hold: the path of a socket, or @ and its name in the abstract."""
    return str(tmp_path / "notify") if request.param == "path" else f"@gearcore-{secrets.token_hex(8)}"


def test_says_that_it_is_ready_alive_and_stopping(address):
    with service_manager(address.replace("@", "\0")) as receive:
        environment = os.environ | {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}
        with running("gearcored", "-p", "0", env=environment) as process:
            port = listening(process.stderr.readline())
            assert receive() == ["READY=1", f"STATUS=Listening on 127.0.0.1 port {port}"]
            # It is really there when it says so, and it goes on to give signs of life.
            assert ask_version(port) == OUR_VERSION
            assert [receive() for _ in range(3)] == [["WATCHDOG=1"]] * 3
            process.send_signal(signal.SIGTERM)
            said = ["WATCHDOG=1"]
            while said == ["WATCHDOG=1"]:
                said = receive()
            assert said == ["STOPPING=1", "STATUS=Stopping"]
            assert process.wait() == 0
            assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("environment", "period"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_environment(environment, period):
    others = {"PATH": "/bin"}
    variables = environment | others
    assert ServiceManager.of(variables) is None
    assert variables == others  # nothing is left for children

    variables = environment | others | {"NOTIFY_SOCKET": "/run/notify"}
    manager = ServiceManager.of(variables)
    manager.close()
    assert (manager.watchdog, variables) == (period, others)


def test_a_manager_that_is_gone_is_only_logged(tmp_path, caplog):
    manager = ServiceManager(str(tmp_path / "nowhere"))
    with caplog.at_level(logging.WARNING):
        manager.tell("READY=1")
    manager.close()
    assert caplog.messages == ["cannot notify systemd: No such file or directory"]


class TestSockets:
    def listeners(self, *words, activated):
        values, _ = gearcored.parse(words)
        return make_listeners(values, activated)

    def test_take_the_place_of_the_port(self):
        listeners = self.listeners("-p", "4000", activated=[(3, "gearman"), (4, "unknown")])
        assert listeners == [InheritedListener(3), InheritedListener(4)]

    def test_by_name(self):
        sockets = [(3, "gearman"), (4, "tls"), (5, "http")]
        plain, tls, web = self.listeners("--ssl-certificate=file", activated=sockets)
        assert (plain.tls, plain.http) == (None, False)
        assert (tls.tls.certificate, tls.http) == ("file", False)
        assert (web.tls, web.http) == (None, True)
        with pytest.raises(UsageError, match="certificate"):
            self.listeners(activated=sockets)

    def test_with_tls_for_the_port_it_is_for_the_socket(self):
        words = ["--ssl", "--ssl-certificate=file", "--unix-socket=/run/other"]
        listener, other = self.listeners(*words, activated=[(3, "gearman")])
        assert listener.tls.certificate == "file"
        assert other.path == "/run/other"


class TestUnits:
    @pytest.fixture
    def units(self, tmp_path):
        """The units, with the path of the program that is tested."""
        for unit in UNITS.iterdir():
            text = unit.read_text().replace("/opt/gearcore/bin/", f"{SCRIPTS}/")
            (tmp_path / unit.name).write_text(text)
        return tmp_path

    def test_systemd_finds_nothing_wrong(self, units):
        needs("systemd-analyze", "systemd")
        result = subprocess.run(
            ["systemd-analyze", "verify", *sorted(units.iterdir())],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert (result.returncode, result.stderr) == (0, "")

    def test_its_command_is_one_that_gearcored_takes(self):
        text = (UNITS / "gearcored.service").read_text()
        (command,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
        assert command == "ExecStart=/opt/gearcore/bin/gearcored $GEARCORED_OPTIONS"
