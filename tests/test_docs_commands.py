"""The commands of README.md and docs/server.md: servers, their options and configuration, and other tools."""

import re
import shlex
import subprocess

import pytest
from commands import OUR_VERSION, PATIENCE, SCRIPTS, ask_version, detached, listening, run
from commands import running as started
from fake_server import free_port
from pages import blocks
from peers import missing_peer, needs

from gearcore import Client, Server, Worker

SERVERS, TOOLS, ADMIN = blocks("README.md", "sh")
(PHP,) = blocks("README.md", "php")
(PERL,) = blocks("README.md", "perl")
MORE_SERVERS, OPTIONS = blocks("docs/server.md", "sh")
(CONFIGURATION,) = blocks("docs/server.md", "text")
(DROP_IN,) = blocks("docs/server.md", "ini")

LINES = [line.partition("   #")[0] for block in (SERVERS, MORE_SERVERS) for line in block.splitlines()]
DAEMONS = [line for line in LINES if line.startswith("gearcored ")]
IN_THE_FOREGROUND = [line for line in LINES if line not in DAEMONS]
ITSELF_A_DAEMON = re.compile(r" (-d|--daemon)\b| (-P |--pid-file=)\S+")


def bash(line: str) -> str:
    """What a line prints that ends well."""
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("line", IN_THE_FOREGROUND)
def test_a_server_in_the_foreground(line):
    port = str(free_port())
    with started(*shlex.split(line.replace("4730", port))) as process:
        assert listening(process.stderr.readline()) == int(port)
        assert ask_version(int(port)) == OUR_VERSION


@pytest.mark.parametrize("line", DAEMONS)
def test_a_daemon(line, tmp_path):
    words = ITSELF_A_DAEMON.sub("", line)
    assert len(ITSELF_A_DAEMON.findall(line)) == 2
    words = words.replace("/var/log", str(tmp_path)).replace(" -p 4730", "").split()
    port = free_port()
    with detached(*words, "-p", str(port), pid_file=tmp_path / "pid") as stop:
        assert ask_version(port) == OUR_VERSION
        assert "listening on" in (tmp_path / "gearcored.log").read_text()
        stop()


def test_there_are_servers_of_both_kinds():
    assert len(DAEMONS) == len(IN_THE_FOREGROUND) == 2


def test_the_options_of_the_service(tmp_path):
    options = OPTIONS.replace("/run/gearcored", str(tmp_path))
    bash(f"{options}\n{shlex.quote(str(SCRIPTS / 'gearcored'))} --check-args $GEARCORED_OPTIONS")


def test_the_configuration_file(tmp_path):
    path = tmp_path / "gearmand.conf"
    path.write_text(CONFIGURATION)
    assert run("gearcored", "--check-args", "--config-file", str(path)).returncode == 0
    path.write_text(CONFIGURATION.replace("--job-retries 3", "--job-retries many"))
    assert run("gearcored", "--check-args", "--config-file", str(path)).returncode == 2


def test_the_certificates_of_the_service(tmp_path, authority):
    named = set(re.findall(r"LoadCredential=([\w.]+):", DROP_IN))
    assert named == {file.name for file in authority.issue(tmp_path, "server", "localhost")}
    (command,) = re.findall(r"^ExecStart=/opt/gearcore/bin/(.*)$", DROP_IN.replace("\\\n", ""), re.MULTILINE)
    command = command.replace("${CREDENTIALS_DIRECTORY}", str(tmp_path)).replace("$GEARCORED_OPTIONS", "-p 0")
    with started(*shlex.split(command)) as process:
        assert "(TLS)" in process.stderr.readline()


@pytest.fixture
def port(running):
    """The port of a server with a worker for ``reverse``."""
    with Server(port=0) as server, Client(server.addresses) as client:
        worker = Worker(server.addresses)
        worker.register("reverse", lambda job: job.workload[::-1])
        with running(worker):
            # A list of functions has it only once the worker is there, and idle.
            assert client.submit("reverse", b"hello").result(PATIENCE) == b"olleh"
            yield str(server.port)


def test_the_tools_of_libgearman():
    needs("gearman", "gearman-tools")
    needs("rev", "bsdextrautils")
    with Server(port=0) as server:
        worker, client = TOOLS.replace("4730", str(server.port)).splitlines()
        with subprocess.Popen(["bash", "-c", f"exec {worker}"]) as process:
            try:
                assert bash(client) == "olleh\n"
            finally:
                process.kill()


def test_admin_tools(port):
    needs("gearadmin", "gearman-tools")
    gearadmin, nc = ADMIN.replace("4730", port).splitlines()
    assert bash(gearadmin) == "reverse\t0\t0\t1\n.\n"
    needs("nc", "netcat-openbsd")
    assert re.search(r" : reverse\n(.*\n)*\.\n$", bash(nc))


def test_php(port):
    needs("php", "php-cli")
    if "gearman" not in bash("php -m").split():
        missing_peer("PHP has no extension gearman: it is in Debian's package php-gearman")
    assert bash(shlex.join(["php", "-r", PHP.replace("4730", port)])) == "olleh\n"


def test_perl(port):
    needs("perl", "perl")
    if subprocess.run(["perl", "-MGearman::Client", "-e", "1"], capture_output=True).returncode:
        missing_peer("Perl has no Gearman::Client: it is in Debian's package libgearman-client-perl")
    assert bash(shlex.join(["perl", "-e", PERL.replace("4730", port)])) == "olleh\n"
