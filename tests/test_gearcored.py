"""gearcored's options: each at least once, for what it does and not only for being taken."""

import logging
import os
import pwd
import re
import resource
import runpy
import select
import shutil
import signal
import socket
import ssl
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from authority import Authority
from commands import (
    OUR_VERSION,
    PATIENCE,
    SCRIPTS,
    ask_version,
    assert_one_line,
    listening,
    run,
    running,
)
from fake_server import Peer, free_port
from peers import missing_peer, needs

from gearcore._codec import pack_request
from gearcore.cli import gearcored, process
from gearcore.protocol import PacketType as P

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")


DOCS = Path(__file__).parents[1] / "docs"
SERVER_PAGE = DOCS / "server.md"


class Served:
    """A gearcored that listens."""

    def __init__(self, process: subprocess.Popen, ports: list[int]) -> None:
        self.process = process
        self.port, *self.other_ports = ports

    def peer(self) -> Peer:
        return Peer.connect(("127.0.0.1", self.port))

    def admin(self, line: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(line.encode() + b"\n")
            return connection.makefile("rb").readline()

    def limits(self, name: str) -> tuple[str, str]:
        """The soft and the hard limit of the process."""
        line = re.search(
            rf"^{name} +(\S+) +(\S+)", Path(f"/proc/{self.process.pid}/limits").read_text(), re.M
        )
        return line[1], line[2]

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait() == 0


@contextmanager
def serving(*options: str, ports: int = 1, before: int = 0, **popen):
    """A gearcored with some options, behind as many lines about its ports, and other lines before those."""
    with running("gearcored", "-p", "0", *options, **popen) as process:
        preface = [process.stderr.readline() for _ in range(before)]
        served = Served(process, [listening(process.stderr.readline()) for _ in range(ports)])
        served.preface = preface
        yield served


def submit(peer: Peer, function: bytes = b"f", type: P = P.SUBMIT_JOB) -> bytes:
    """Submit a job and return its handle."""
    peer.send(type, function, b"", b"")
    return peer.receive(P.JOB_CREATED)[0]


def grab(peer: Peer) -> tuple[bytes, ...] | None:
    """Grab a job: its handle, function and data."""
    peer.send(P.GRAB_JOB)
    return peer.receive(P.JOB_ASSIGN, P.NO_JOB) or None


def work(peer: Peer, *functions: bytes) -> None:
    """Offer functions, and return when the server knows it."""
    for function in functions:
        peer.send(P.CAN_DO, function)
    peer.send(P.ECHO_REQ, b"")
    peer.receive(P.ECHO_RES)


def run_and_vanish(served: Served) -> tuple[bytes, ...] | None:
    """Be a worker that takes a job, if there is one, and is gone."""
    with served.peer() as worker:
        work(worker, b"f")
        return grab(worker)


class TestJobs:
    @pytest.mark.parametrize("option", ["-j1", "--job-retries=1", "--job-retries=0"])
    def test_job_retries_limit_the_runs(self, option):
        warnings = option.endswith("0")
        with serving(option, before=warnings) as served, served.peer() as client:
            assert not warnings or "WARNING job_retries 0" in served.preface[0]
            handle = submit(client)
            assert run_and_vanish(served)[0] == handle
            assert client.receive(P.WORK_FAIL) == (handle,)

    @pytest.mark.parametrize("options", [["-j", "-1"], ["-j", "0", "--compat", "1.1"], ["-j", "2"]])
    def test_a_job_is_run_again(self, options):
        with serving(*options) as served, served.peer() as client:
            handle = submit(client)
            assert run_and_vanish(served)[0] == handle
            with served.peer() as worker:
                work(worker, b"f")
                worker.send(P.PRE_SLEEP)
                worker.receive(P.NOOP)
                assert grab(worker)[0] == handle

    @pytest.mark.parametrize(
        ("options", "order"),
        [
            ([], [b"b", b"a", b"b", b"a"]),
            (["--compat=1.1"], [b"b", b"b", b"a", b"a"]),
            (["--compat=1.1", "-R"], [b"b", b"a", b"b", b"a"]),
            (["--compat=2.0", "--round-robin"], [b"b", b"a", b"b", b"a"]),
        ],
    )
    def test_the_order_of_functions(self, options, order):
        with serving(*options) as served, served.peer() as client, served.peer() as worker:
            work(worker, b"a", b"b")
            for function in (b"a", b"a", b"b", b"b"):
                submit(client, function)
            assert [grab(worker)[1] for _ in order] == order

    @pytest.mark.parametrize(
        ("options", "woken"), [(["-w", "1"], 1), (["--worker-wakeup=0"], 2), (["--compat=1.1"], 2), ([], 1)]
    )
    def test_how_many_workers_are_woken(self, options, woken):
        with serving(*options) as served, served.peer() as one, served.peer() as two:
            for worker in (one, two):
                work(worker, b"f")
                worker.send(P.PRE_SLEEP)
                worker.send(P.ECHO_REQ, b"")
                worker.receive(P.ECHO_RES)
            with served.peer() as client:
                submit(client, type=P.SUBMIT_JOB_BG)
                count = 0
                for worker in (one, two):
                    worker.send(P.ECHO_REQ, b"")
                    while not worker.receive(P.NOOP, P.ECHO_RES):
                        count += 1
                assert count == woken

    @pytest.mark.parametrize("option", ["--exceptions", None])
    def test_exceptions_for_everybody(self, option):
        with serving(*filter(None, [option])) as served, served.peer() as client, served.peer() as worker:
            handle = submit(client)
            work(worker, b"f")
            grab(worker)
            worker.send(P.WORK_EXCEPTION, handle, b"why")
            if option:
                assert client.receive(P.WORK_EXCEPTION) == (handle, b"why")
            else:
                assert client.receive(P.WORK_FAIL) == (handle,)

    def test_the_prefix_of_handles(self):
        with serving("--job-handle-prefix", "here") as served, served.peer() as client:
            assert submit(client) == b"here:1"
        result = run("gearcored", "--job-handle-prefix", "x" * 60)
        assert_one_line(result, 2, r"gearcored: a handle prefix has at most 42 bytes.*--help'\)")

    def test_shutdown_only_if_allowed(self):
        with serving() as served:
            assert served.admin("shutdown").startswith(b"ERR UNKNOWN_COMMAND")
        with serving("--allow-shutdown") as served:
            assert served.admin("shutdown") == b"OK\r\n"
            assert served.process.wait() == 0


class TestPorts:
    def test_several_addresses(self):
        with serving("-L", "127.0.0.1", "--listen=127.0.0.1", ports=2) as served:
            assert [ask_version(port) for port in (served.port, *served.other_ports)] == [OUR_VERSION] * 2

    def test_backlog(self):
        needs("ss", "iproute2")
        with serving("-b", "7") as served:
            queues = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True)
            assert re.search(rf"^LISTEN +0 +7 +127\.0\.0\.1:{served.port}\b", queues.stdout, re.M)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ([], {60, 20, 3}),
            (
                ["--keepalive", "--keepalive-idle=33", "--keepalive-interval=7", "--keepalive-count=5"],
                {33, 7, 5},
            ),
        ],
    )
    def test_keepalive(self, options, expected):
        values, _ = gearcored.parse(options)
        server = gearcored.make_server(values)
        assert {server.keepalive.idle, server.keepalive.interval, server.keepalive.count} == expected

    def test_unix_socket(self, tmp_path):
        path = tmp_path / "socket"
        with running("gearcored", "-p", "0", f"--unix-socket={path}") as process:
            assert [bool(re.search(r"listening on", process.stderr.readline())) for _ in range(2)] == [
                True
            ] * 2
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(b"version\n")
                assert connection.recv(100) == OUR_VERSION
            process.terminate()
            assert process.wait() == 0
        assert not path.exists()

    @pytest.mark.parametrize("name", ["-r", "--protocol"])
    def test_http(self, name):
        with serving(name, "http", "--http-port=0", ports=2) as served, served.peer() as worker:
            address = f"http://127.0.0.1:{served.other_ports[0]}/f"
            request = Request(address, b"work", {"X-Gearman-Background": "true"})
            with urlopen(request, timeout=PATIENCE) as response:
                assert response.headers["X-Gearman-Command"] == "JOB_CREATED"
            work(worker, b"f")
            assert grab(worker)[1:] == (b"f", b"work")

    def test_the_port_of_http_alone_opens_nothing(self):
        with serving("--http-port=0") as served:
            served.stop()
            assert "listening" not in served.process.stderr.read()

    def test_an_unknown_protocol_is_one_line(self):
        assert_one_line(run("gearcored", "-r", "gopher"), 1, r"gearcored: .*gopher.*")

    def test_inherited_sockets_take_the_place_of_the_port(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            # LISTEN_PID must be the server's own, which only a process in between can know.
            command = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -L 10.0.0.1 3<&{listener.fileno()}'
            with subprocess.Popen(
                ["bash", "-c", command, SCRIPTS / "gearcored"],  # sh knows descriptors of one digit only
                pass_fds=[listener.fileno()],
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                assert listening(process.stderr.readline()) == listener.getsockname()[1]
                assert ask_version(listener.getsockname()[1]) == OUR_VERSION
                process.terminate()
                assert "listening" not in process.stderr.read()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def version_over_tls(port: int, context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(b"version\n")
        return connection.recv(100)


class TestTls:
    def test_on_the_main_port(self, authority):
        certificate, key = map(str, authority.server)
        with serving("--ssl", "--ssl-certificate", certificate, f"--ssl-key={key}") as served:
            assert version_over_tls(served.port, authority.client()) == OUR_VERSION

    def test_beside_the_plain_port(self, authority):
        certificate, key = map(str, authority.server)
        with serving(
            "--tls-port=0", f"--ssl-certificate={certificate}", f"--ssl-key={key}", ports=2
        ) as served:
            assert ask_version(served.port) == OUR_VERSION
            assert version_over_tls(served.other_ports[0], authority.client()) == OUR_VERSION

    def test_files_of_the_environment_with_an_authority(self, authority, tmp_path):
        certificate, key = map(str, authority.server)
        access = tmp_path / "access.toml"
        access.write_text('[[peer]]\nname = "admin.example"\nadmin = ["version"]\n')
        environment = os.environ | {
            "GEARMAND_CA_CERTIFICATE": str(authority.ca_file),
            "GEARMAND_SERVER_PEM": str(tmp_path / "the command line comes first"),
            "GEARMAND_SERVER_KEY": key,
        }
        options = ["--ssl", f"--ssl-certificate={certificate}", f"--access-list={access}"]
        with serving(*options, env=environment) as served:
            assert version_over_tls(served.port, authority.client(common_name="admin.example")) == OUR_VERSION
            assert version_over_tls(served.port, authority.client("other.example")).startswith(
                b"ERR PERMISSION"
            )
            # A client of TLS 1.3 hears of it by its first read, or finds the connection closed.
            with suppress(OSError):
                assert version_over_tls(served.port, authority.client()) == b""

    def test_a_stalled_handshake_ends(self, authority):
        certificate, key = map(str, authority.server)
        options = ["--ssl", f"--ssl-certificate={certificate}", f"--ssl-key={key}", "--handshake-timeout=0.1"]
        with serving(*options) as served, served.peer() as silent:
            silent.wait_until_closed()

    @pytest.mark.parametrize("option", [["--ssl"], ["--tls-port=0"]])
    def test_a_missing_certificate_is_one_line(self, option):
        assert_one_line(run("gearcored", "-p", "0", *option), 2, r"gearcored: TLS needs a certificate.*")

    def test_a_bad_certificate_is_one_line(self):
        result = run("gearcored", "-p", "0", "--ssl", "--ssl-certificate=/nowhere.pem")
        assert_one_line(result, 1, r"gearcored: cannot listen on .*: TLS certificate /nowhere\.pem: .*")

    def test_a_bad_access_list_is_one_line(self):
        assert_one_line(
            run("gearcored", "-p", "0", "--access-list=/nowhere"), 1, r"gearcored: access list /nowhere: .*"
        )


class TestBounds:
    def test_a_packet(self):
        with serving("--max-packet-size", "1k") as served, served.peer() as client:
            client.send(P.SUBMIT_JOB_BG, b"f", b"", bytes(2000))
            assert client.receive(P.ERROR)[0] == b"ARGUMENT_TOO_LARGE"

    def test_memory(self):
        with serving("--max-memory=20k") as served, served.peer() as client:
            client.send(P.SUBMIT_JOB_BG, b"f", b"", bytes(30_000))
            assert client.receive(P.ERROR)[0] == b"QUEUE_ERROR"

    def test_functions(self):
        with serving("--max-functions=1") as served, served.peer() as client:
            submit(client, b"a")
            client.send(P.SUBMIT_JOB_BG, b"b", b"", b"")
            client.receive(P.ERROR)

    def test_connections(self):
        with serving("--max-connections=1") as served, served.peer() as first:
            work(first)
            with served.peer() as second:
                second.wait_until_closed()

    def test_unread_output(self):
        with serving("--max-output=100k", "--max-packet-size=1M") as served:
            packets = pack_request(P.ECHO_REQ, bytes(500_000)) * 100
            with served.peer() as client, pytest.raises(OSError, match=r"reset|Broken"):
                client.send_bytes(packets)  # and never read the answers
            assert "does not read" in next(line for line in served.process.stderr if "WARNING" in line)

    def test_file_descriptors(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

        def fewer():
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 200), hard))

        with serving("-f", "150") as served:
            assert served.limits("Max open files")[0] == "150"
        with serving(preexec_fn=fewer) as served:
            assert served.limits("Max open files") == (str(hard), str(hard))

    def test_more_descriptors_than_the_kernel_has_are_one_line(self):
        result = run("gearcored", "-p", "0", f"--file-descriptors={1 << 40}")
        assert_one_line(result, 1, r"gearcored: --file-descriptors 1099511627776: the system allows .*")

    def test_core_dumps(self):
        def none():
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))

        with serving("--coredump", preexec_fn=none) as served:
            soft, hard = served.limits("Max core file size")
            assert soft == hard


class TestConfigFile:
    def test_the_command_line_comes_first_and_the_environment_last(self, tmp_path, monkeypatch):
        config = tmp_path / "conf"
        config.write_text("--port 4001 -w3\n--listen=10.0.0.1 --exceptions\n")
        monkeypatch.setenv("GEARMAND_PORT", "4002")
        options, _ = gearcored.parse([f"--config-file={config}", "-L", "127.0.0.9", "--worker-wakeup", "1"])
        assert (options["port"], options["worker_wakeup"], options["listen"]) == (4001, 1, ["127.0.0.9"])
        assert options["exceptions"]
        options, _ = gearcored.parse([f"--config-file={config}", "--port=4003"])
        assert (options["port"], options["worker_wakeup"], options["listen"]) == (4003, 3, ["10.0.0.1"])
        config.write_text("")
        assert gearcored.parse([f"--config-file={config}"])[0]["port"] == 4002

    def test_comments_and_other_words(self, tmp_path):
        config = tmp_path / "conf"
        config.write_text("# --job-retries=3\nport=1 hello\n--job-handle-prefix=a#b # --exceptions\n")
        with serving(f"--config-file={config}", before=1) as served, served.peer() as client:
            assert re.search(r"WARNING.*configuration file.*port=1 hello$", served.preface[0])
            assert submit(client) == b"a#b:1"

    def test_a_missing_file_is_one_line_if_it_was_named(self, tmp_path, monkeypatch):
        missing = tmp_path / "conf"
        result = run("gearcored", "--config-file", str(missing))
        assert_one_line(result, 1, rf"gearcored: {missing}: No such file or directory")
        monkeypatch.setattr(gearcored, "CONFIG_FILE", str(missing))
        assert gearcored.parse([])[0]["port"] == 4730

    @pytest.mark.parametrize("word", ["--no-such-option", "--job-retries=x", "-p 1 -p 2"])
    def test_a_mistake_in_it_is_one_line(self, tmp_path, word):
        config = tmp_path / "conf"
        config.write_text(word)
        assert_one_line(run("gearcored", f"--config-file={config}"), 2, r"gearcored: configuration file: .*")


class TestLog:
    @pytest.mark.parametrize(
        ("name", "level", "answer"),
        [
            ("FATAL", logging.CRITICAL, b"FATAL"),
            ("ALERT", logging.CRITICAL, b"FATAL"),
            ("CRITICAL", logging.CRITICAL, b"FATAL"),
            ("ERROR", logging.ERROR, b"ERROR"),
            ("WARNING", logging.WARNING, b"WARNING"),
            ("NOTICE", 25, b"NOTICE"),
            ("INFO", logging.INFO, b"INFO"),
            ("DEBUG", logging.DEBUG, b"DEBUG"),
        ],
    )
    def test_levels(self, name, level, answer):
        assert gearcored.parse(["--verbose", name])[0]["verbose"] == level

    def test_says_no_more_than_the_level(self):
        with running("gearcored", "-p", "0", "--verbose=DEBUG") as process:
            port = listening(next(line for line in process.stderr if "listening" in line))
            assert ask_version(port) == OUR_VERSION
            assert "DEBUG" in process.stderr.readline()

    @pytest.mark.parametrize("level", ["LOUD", "info"])
    def test_an_unknown_level_ends_it_as_it_ends_gearmand(self, level):
        assert_one_line(run("gearcored", "--verbose", level), 1, rf"gearcored: --verbose: .*'{level}'.*")

    @pytest.mark.parametrize("word", ["-v", "-vvv", "@conf", "word", "--verb=INFO"])
    def test_refuses_what_gearmand_refuses(self, word):
        assert_one_line(run("gearcored", word), 2, rf"gearcored: .*{word}.*--help'\)")

    def test_syslog(self, tmp_path, monkeypatch):
        address, file = str(tmp_path / "log"), tmp_path / "file"
        root = logging.getLogger()
        monkeypatch.setattr(root, "handlers", [])
        before, disposition = root.level, signal.getsignal(signal.SIGHUP)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system_log:
            system_log.bind(address)
            system_log.settimeout(PATIENCE)
            try:
                process.log_to(str(file), logging.INFO, address)
                logging.getLogger("gearcore.server").warning("said")
                # 28: a warning (4) of a daemon (3 << 3)
                assert system_log.recv(1000) == b"<28>gearcored[%d]: said" % os.getpid()
                assert file.read_text().endswith("WARNING said\n")
            finally:
                for handler in root.handlers:
                    handler.close()
                root.setLevel(before)
                signal.signal(signal.SIGHUP, disposition)

    @pytest.mark.skipif(Path("/dev/log").exists(), reason="the log of this system would get it")
    def test_a_system_without_log_is_one_line(self):
        assert_one_line(run("gearcored", "-p", "0", "--syslog"), 1, r"gearcored: --syslog: /dev/log: .*")

    def test_outlives_sighup(self):
        with serving() as served:
            served.process.send_signal(signal.SIGHUP)
            assert ask_version(served.port) == OUR_VERSION


class TestProcess:
    @AS_ROOT
    def test_user(self, tmp_path):
        tmp_path.chmod(0o755)
        nobody = pwd.getpwnam("nobody")
        with serving("-u", "nobody", env=os.environ | {"HOME": "/"}) as served:
            status = Path(f"/proc/{served.process.pid}/status").read_text()
            assert re.search(rf"^Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}\t", status, re.M)
            assert re.search(rf"^Gid:\t{nobody.pw_gid}\t{nobody.pw_gid}\t{nobody.pw_gid}\t", status, re.M)
            assert re.search(rf"^Groups:\t{nobody.pw_gid} ?$", status, re.M)

    def test_a_user_that_cannot_be_had_is_one_line(self, monkeypatch):
        assert_one_line(run("gearcored", "--user", "no-such-user"), 1, r"gearcored: --user: .*no-such-user")
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(process.CannotRun, match="only root"):
            process.become("root")

    @pytest.mark.parametrize(
        ("options", "status"),
        [(["--check-args"], 0), (["--check-args", "-q", "redis"], 1), (["--check-args", "--ssl"], 2)],
    )
    def test_check_args(self, options, status):
        assert run("gearcored", *options).returncode == status

    def test_what_is_taken_without_meaning(self):
        with serving(
            "--threads=0", "--hashtable-buckets=7", "--keepalive", "-q", "BuiltIn", "--redis-prefix=x"
        ):
            pass

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("libsqlite3", "not there yet"),
            ("Postgres", "not supported"),
            ("MySQL", "not supported"),
            ("redis", "not supported"),
            ("libmemcached", "not supported"),
            ("nonsense", "no such queue"),
        ],
    )
    def test_a_queue_that_is_not_there_is_one_line(self, name, words):
        assert_one_line(run("gearcored", "-q", name), 1, rf"gearcored: --queue-type {name}: {words}; .*")

    @pytest.mark.parametrize(
        "option",
        [
            "--job-retries=256",
            "--job-retries=-2",
            "--worker-wakeup=-2",
            "--backlog=x",
            "--max-memory=1T",
            "--max-memory=0",
            "--max-packet-size=4G",
            "--handshake-timeout=0",
            "--handshake-timeout=soon",
            "--compat=1.2",
            "--http-port=65536",
            "--daemon=1",
            "--pid-file=a --pid-file=b",
            "-R -R",
            "--port",
        ],
    )
    def test_a_bad_value_is_one_line(self, option):
        name = option.split("=")[0].split()[0]
        assert_one_line(run("gearcored", *option.split()), 2, rf"gearcored: .*{name}.*--help'\)")


class TestPidFile:
    def test_a_file_that_is_none_stays(self, tmp_path):
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        with serving("-P", str(fifo)) as served:
            served.stop()
        os.close(reader)
        assert fifo.is_fifo()

    def test_the_file_of_another_server_stays(self, tmp_path):
        pid_file = tmp_path / "pid"
        with serving("-P", str(pid_file)) as served:
            assert ask_version(served.port) == OUR_VERSION
            pid_file.write_text("1\n")
            served.stop()
        assert pid_file.read_text() == "1\n"

    def test_a_file_that_is_gone_is_no_matter(self, tmp_path):
        pid_file = tmp_path / "pid"
        with serving("-P", str(pid_file)) as served:
            assert ask_version(served.port) == OUR_VERSION
            pid_file.unlink()
            served.stop()
            assert "Traceback" not in served.process.stderr.read()


class TestGearcoreServer:
    def test_has_the_same_options_under_its_own_names(self, authority, tmp_path):
        certificate, key = map(str, authority.server)
        options = ["--handle-prefix=mine", "--tls", f"--tls-certificate={certificate}", f"--tls-key={key}"]
        options += ["--host", "127.0.0.1", "--job-retries=3", "--max-memory=1G", "--compat=1.1"]
        with running("gearcore", "server", "--port=0", *options) as process:
            port = listening(process.stderr.readline())
            assert version_over_tls(port, authority.client()) == OUR_VERSION

    @pytest.mark.parametrize("option", ["--job-retries=256", "--max-memory=lots", "--compat=3", "--tls"])
    def test_a_bad_value_is_one_line(self, option):
        assert_one_line(run("gearcore", "server", option), 2, r"gearcore.*")


class End:
    """The end of a process that is not a child of the test's."""

    def __init__(self, pid: int) -> None:
        self._fd = os.pidfd_open(pid)

    def wait(self) -> None:
        ready, _, _ = select.select([self._fd], [], [], PATIENCE)
        os.close(self._fd)
        assert ready, "the process has not ended"


@contextmanager
def ended_at_last(pid_file: Path):
    """End the server of a pid file, if a test has left it running."""
    try:
        yield
    finally:
        if pid_file.exists():
            os.kill(int(pid_file.read_text()), signal.SIGKILL)


class TestPlaceOfGearmand:
    """Debian's service file and init script, with gearcored for gearmand and a directory for the root."""

    @pytest.fixture
    def free_port(self):
        return free_port()

    @pytest.fixture
    def parameters(self, tmp_path, free_port):
        """What /etc/default/gearman-job-server has in PARAMS."""
        text = Path("/etc/default/gearman-job-server")
        if not text.exists():
            missing_peer("Debian's package gearman-job-server is not installed")
        shell = f'. {text}; PARAMS="$PARAMS --port={free_port}"; printf "%s\\n" $PARAMS'
        words = subprocess.run(
            ["/bin/sh", "-c", shell], capture_output=True, text=True, check=True
        ).stdout.split()
        assert words[:2] == ["--listen=localhost", "--daemon"]
        return [word.replace("/var/log/gearman-job-server", str(tmp_path)) for word in words]

    def test_the_service_file(self, parameters, tmp_path, free_port):
        unit = Path("/lib/systemd/system/gearman-job-server.service").read_text()
        command = re.search(r"^ExecStart=/usr/sbin/gearmand (.*)$", unit, re.M)[1]
        pid_file = tmp_path / "gearmand.pid"
        before, after = command.replace("/run/gearman/gearmand.pid", str(pid_file)).split("$PARAMS")
        with ended_at_last(pid_file):
            result = run("gearcored", *before.split(), *parameters, *after.split())
            # Type=forking: the service is up, and PIDFile= is there, once the command has ended.
            assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
            pid = int(pid_file.read_text())
            assert ask_version(free_port) == OUR_VERSION
            assert str(free_port) in (tmp_path / "gearmand.log").read_text()
            end = End(pid)
            os.kill(pid, signal.SIGTERM)  # as systemd stops it
            end.wait()
            assert not pid_file.exists()

    @AS_ROOT
    def test_the_init_script(self, parameters, tmp_path, free_port):
        text = Path("/etc/init.d/gearman-job-server").read_text()
        try:
            user = pwd.getpwnam("gearman")
        except KeyError:
            missing_peer("Debian's package gearman-job-server has made no user gearman")
        os.chown(tmp_path, user.pw_uid, user.pw_gid)  # as the package leaves /var/log/gearman-job-server
        for parent in tmp_path.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o111)
        place, run_directory = tmp_path / "gearmand", tmp_path / "run"
        place.symlink_to(SCRIPTS / "gearcored")
        (tmp_path / "default").write_text(f'PARAMS="{" ".join(parameters)}"\n')
        # The executable of a Python program is the interpreter: the edit that the page tells of.
        edit = re.search(r"^    sed -i (.*) /etc/init.d/gearman-job-server$", SERVER_PAGE.read_text(), re.M)[
            1
        ]
        sed = ["/bin/sh", "-c", f"sed {edit}"]
        text = subprocess.run(sed, input=text, capture_output=True, text=True, check=True).stdout
        for old, new in (
            ("${exec_prefix}/sbin/${NAME}", place),
            ("/run/gearman", run_directory),
            ("/etc/default/gearman-job-server", tmp_path / "default"),
        ):
            assert old in text
            text = text.replace(old, str(new))
        script = tmp_path / "init"
        script.write_text(text)

        def call(action):
            result = subprocess.run(
                ["/bin/sh", script, action], capture_output=True, text=True, timeout=PATIENCE
            )
            return result.returncode

        pid_file = run_directory / "gearmand.pid"
        with ended_at_last(pid_file):
            assert call("start") == 0
            pid = int(pid_file.read_text())
            assert ask_version(free_port) == OUR_VERSION
            assert Path(f"/proc/{pid}").stat().st_uid == user.pw_uid
            assert call("status") == 0
            end = End(pid)
            assert call("stop") == 0
            end.wait()
            assert not pid_file.exists()
            assert call("status") == 3


class TestDocumentation:
    def test_has_every_option_of_gearmand(self):
        """Long and short, as the gearmand that is installed lists them."""
        path = shutil.which("gearmand", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if path is None:
            missing_peer("gearmand is not installed: it is in Debian's package gearman-job-server")
        text = subprocess.run([path, "--help"], capture_output=True, text=True, timeout=PATIENCE).stdout
        theirs = re.findall(r"^  (?:-(\w) \[ )?--([\w-]+)", text, re.M)
        assert len(theirs) > 40
        ours = re.findall(r"^  (?:-(\w).*?, )?--([\w-]+)", run("gearcored", "--help").stdout, re.M)
        assert set(theirs) <= set(ours)

        beside = runpy.run_path(str(DOCS / "generate_options.py"))["compatibility_table"]()
        for _, name in theirs:
            assert f"`--{name}`" in beside.rpartition("gearmand has no")[0]

    @pytest.mark.parametrize("name", ["server.md", "compatibility.md"])
    def test_the_tables_are_those_of_the_options(self, name):
        page = DOCS / name
        render = runpy.run_path(str(DOCS / "generate_options.py"))["render"]
        assert page.read_text(encoding="utf-8") == render(page), "run python docs/generate_options.py"
