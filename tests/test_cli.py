"""The commands, as processes of their own: what they print, where they listen, how they end."""

import os
import re
import signal
import socket
import threading

import pytest
from commands import OUR_VERSION, PATIENCE, ask_version, assert_one_line, detached, listening, run, running

from gearcore import __version__
from gearcore.client import Client
from gearcore.server import Server
from gearcore.worker import Worker

SERVERS = [("gearcore", "server", "--port"), ("gearcored", "-p")]
"""Both ways to start a server, up to where the port comes."""

servers = pytest.mark.parametrize("command", SERVERS, ids=["gearcore-server", "gearcored"])


@pytest.fixture
def taken_port():
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture
def free_port():
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        return other.getsockname()[1]


@pytest.fixture
def server():
    with Server(port=0) as server:
        yield server


@pytest.fixture
def address(server):
    return f"127.0.0.1:{server.port}"


@pytest.fixture
def worker(address):
    """A worker of the server, which offers ``ping``."""
    worker = Worker(address)

    @worker.function("ping")
    def ping(job):
        job.send_data(b"first ")
        job.send_warning(b"careful\n")
        return job.workload + b" has received"

    thread = threading.Thread(target=worker.run)
    thread.start()
    # Registered once a job of its has gone through.
    with Client(address) as client:
        client.submit("ping").result(timeout=PATIENCE)
    yield worker
    worker.stop()
    thread.join()


class TestBothServers:
    @servers
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_says_where_it_listens_and_stops_on_a_signal(self, command, number):
        with running(*command, "0") as process:
            port = listening(process.stderr.readline())
            assert ask_version(port) == OUR_VERSION
            process.send_signal(number)
            assert process.wait() == 0
            assert "Traceback" not in process.stderr.read()

    @servers
    def test_a_port_in_use_is_one_line(self, command, taken_port):
        result = run(*command, str(taken_port))
        assert_one_line(
            result, 1, rf"{command[0]}: cannot listen on 127\.0\.0\.1:{taken_port}: Address already in use"
        )

    @servers
    @pytest.mark.parametrize("port", ["65536", "-1", "no-such-service"])
    def test_a_bad_port_is_one_line(self, command, port):
        assert_one_line(run(*command, port), 2, rf"{command[0]}.*{port}.*--help'\)")

    @pytest.mark.parametrize(
        "command", [("gearcore", "server", "--port", "0", "--host"), ("gearcored", "-p", "0", "-L")]
    )
    def test_an_unknown_host_is_one_line(self, command):
        result = run(*command, "no-such-host.invalid")
        assert_one_line(result, 1, rf"{command[0]}: cannot listen on no-such-host\.invalid:0: .+")

    @pytest.mark.parametrize(
        "command", [("gearcore", "server", "--port", "0", "--host"), ("gearcored", "-p", "0", "-L")]
    )
    def test_listens_on_several_addresses(self, command):
        with running(*command, "127.0.0.1", command[-1], "127.0.0.1") as process:
            ports = {listening(process.stderr.readline()) for _ in range(2)}
            assert len(ports) == 2
            assert [ask_version(port) for port in ports] == [OUR_VERSION] * 2

    @pytest.mark.parametrize("program", ["gearcore", "gearcored"])
    def test_version(self, program):
        assert run(program, "--version").stdout == f"{program} {__version__}\n"

    @pytest.mark.parametrize("command", [("gearcore",), ("gearcore", "server"), ("gearcored",)])
    def test_an_unknown_option_is_one_line(self, command):
        assert_one_line(run(*command, "--no-such-option"), 2, rf"{command[0]}.*--no-such-option.*--help'\)")


class TestServer:
    def test_logs_as_much_as_it_is_told(self):
        with running("gearcore", "server", "--port", "0", "--log-level", "debug") as process:
            line = next(line for line in process.stderr if "listening" in line)
            ask_version(listening(line))
            assert " DEBUG " in process.stderr.readline()

    def test_an_unknown_log_level_is_one_line(self):
        assert_one_line(run("gearcore", "server", "--log-level", "loud"), 2, r"gearcore server: .*'loud'.*")


class TestGearcored:
    def test_takes_the_port_from_the_environment(self, free_port):
        with running("gearcored", env=os.environ | {"GEARMAND_PORT": str(free_port)}) as process:
            assert listening(process.stderr.readline()) == free_port

    def test_prefers_the_command_line_to_the_environment(self, free_port, taken_port):
        environment = os.environ | {"GEARMAND_PORT": str(taken_port)}
        with running("gearcored", f"--port={free_port}", env=environment) as process:
            assert listening(process.stderr.readline()) == free_port

    def test_a_bad_port_in_the_environment_is_one_line(self):
        result = run("gearcored", env=os.environ | {"GEARMAND_PORT": "70000"})
        assert_one_line(result, 2, r"gearcored: .*GEARMAND_PORT: .*70000.*")

    def test_writes_its_pid_and_removes_the_file(self, tmp_path):
        pid_file = tmp_path / "pid"
        with running("gearcored", "-p", "0", "-P", str(pid_file), "-l", "stderr") as process:
            port = listening(process.stderr.readline())
            ask_version(port)
            assert pid_file.read_text() == f"{process.pid}\n"
            process.terminate()
            assert process.wait() == 0
        assert not pid_file.exists()

    def test_leaves_the_pid_file_of_the_server_that_has_the_port(self, tmp_path, taken_port):
        pid_file = tmp_path / "pid"
        pid_file.write_text("1\n")
        assert run("gearcored", "-p", str(taken_port), "-P", str(pid_file)).returncode == 1
        assert pid_file.read_text() == "1\n"

    @pytest.mark.parametrize("extra", [(), ("-d",)])
    def test_a_pid_file_that_cannot_be_written_ends_it(self, tmp_path, extra):
        pid_file = tmp_path / "missing" / "pid"
        result = run("gearcored", "-p", "0", "-l", "none", "-P", str(pid_file), *extra)
        assert_one_line(result, 1, rf"gearcored: {pid_file}: No such file or directory")

    def test_appends_to_its_log_file(self, tmp_path, free_port):
        log, pid_file = tmp_path / "log", tmp_path / "pid"
        log.write_text("before\n")
        with detached("gearcored", "-p", str(free_port), "-l", str(log), pid_file=pid_file) as stop:
            # What logrotate does: it moves the file and sends SIGHUP.
            log.rename(tmp_path / "old")
            os.kill(int(pid_file.read_text()), signal.SIGHUP)
            assert ask_version(free_port) == OUR_VERSION
            stop()
        first, *others = (tmp_path / "old").read_text().splitlines()
        assert first == "before"
        assert listening(others[0]) == free_port

    def test_a_log_file_that_cannot_be_written_is_one_line(self, tmp_path):
        result = run("gearcored", "-p", "0", "-l", str(tmp_path))
        assert_one_line(result, 1, rf"gearcored: {tmp_path}: Is a directory")

    def test_logs_nothing_if_told_so(self, tmp_path, free_port):
        pid_file = tmp_path / "pid"
        with detached("gearcored", "-p", str(free_port), "-l", "none", pid_file=pid_file) as stop:
            assert ask_version(free_port) == OUR_VERSION
            stop()
        assert list(tmp_path.iterdir()) == []

    def test_takes_gearmands_threads(self):
        with running("gearcored", "-p", "0", "-t", "4") as process:
            listening(process.stderr.readline())
        assert_one_line(run("gearcored", "-t", "four"), 2, r"gearcored: .*'four'.*")

    def test_daemon(self, tmp_path, free_port):
        pid_file = tmp_path / "pid"
        with detached("gearcored", "-p", str(free_port), pid_file=pid_file) as stop:
            # The command has returned: by now all is in place.
            assert ask_version(free_port) == OUR_VERSION
            pid = int(pid_file.read_text())
            assert os.getsid(pid) == pid
            stop()
        assert not pid_file.exists()

    def test_a_daemon_whose_port_is_in_use_is_reported_by_the_command(self, tmp_path, taken_port):
        pid_file = tmp_path / "pid"
        result = run("gearcored", "-p", str(taken_port), "-P", str(pid_file), "-d")
        assert_one_line(result, 1, rf"gearcored: cannot listen on 127\.0\.0\.1:{taken_port}: .+")
        assert not pid_file.exists()


class TestDemo:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_job_goes_end_to_end_and_more_can_follow(self, number):
        with running("gearcore", "demo", "--port", "0") as process:
            assert process.stdout.readline() == "foo has received\n"
            address = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())[0]
            assert run("gearcore", "submit", "--server", address, "ping", "bar").stdout == "bar has received"
            process.send_signal(number)
            assert process.wait() == 0
            assert process.stderr.read() == ""

    def test_a_port_in_use_is_one_line(self, taken_port):
        result = run("gearcore", "demo", "--port", str(taken_port))
        assert_one_line(result, 1, rf"gearcore: cannot listen on 127\.0\.0\.1:{taken_port}: .+")


class TestSubmit:
    def test_prints_what_the_worker_sends(self, address, worker):
        result = run("gearcore", "submit", "--server", address, "ping", "foo")
        assert (result.returncode, result.stdout) == (0, "first foo has received")
        assert result.stderr == "careful\n"

    def test_reads_the_workload_from_the_standard_input(self, address, worker):
        result = run("gearcore", "submit", "--server", address, "ping", input="foo\n")
        assert result.stdout == "first foo\n has received"

    def test_an_unknown_function_is_one_line(self, address, worker):
        result = run("gearcore", "submit", "--server", address, "pong", "foo")
        assert_one_line(result, 1, rf"gearcore: no worker offers function 'pong' on {address}")

    def test_a_function_whose_worker_left_is_unknown(self, server, address):
        worker = Worker(address)
        worker.register("once", lambda job: b"")
        with Client(address) as client:
            job = client.submit("once")
            worker.run(max_jobs=1)
            job.result(timeout=PATIENCE)
        result = run("gearcore", "submit", "--server", address, "once", "foo")
        assert_one_line(result, 1, rf"gearcore: no worker offers function 'once' on {address}")

    def test_waits_for_a_worker_if_told_so(self, server, address):
        result = run("gearcore", "submit", "--server", address, "--wait", "--timeout", "0.1", "pong", "foo")
        assert_one_line(result, 1, r"gearcore: waited 0\.1 s for .*'pong'.*")

    def test_a_background_job_needs_no_worker(self, address):
        result = run("gearcore", "submit", "--server", address, "--background", "pong", "foo")
        assert result.returncode == 0
        with Client(address) as client:
            assert client.status(result.stdout.strip()).known

    def test_a_server_that_is_not_there_is_one_line(self, free_port):
        address = f"127.0.0.1:{free_port}"
        result = run("gearcore", "submit", "--server", address, "ping", "foo")
        assert_one_line(result, 1, rf"gearcore: no connection to {address}: Connection refused")

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
    def test_what_is_not_a_server_is_one_line(self, answer):
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = f"127.0.0.1:{other.getsockname()[1]}"
            with running("gearcore", "submit", "--server", address, "ping", "foo") as process:
                connection, _ = other.accept()
                with connection:
                    assert connection.recv(100).startswith(b"status\r\n")
                    connection.sendall(answer)
                _, complaint = process.communicate()
        assert process.returncode == 1
        assert complaint == (
            f"gearcore: the connection to {address} ended: the server closed it; "
            "the answer to 'status' had not come\n"
        )

    def test_a_bad_address_is_one_line(self):
        result = run("gearcore", "submit", "--server", "here:there", "ping", "foo")
        assert_one_line(result, 2, r"gearcore submit: .*'here:there'.*--help'\)")
