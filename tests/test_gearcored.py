"""gearcored's options about jobs, ports and bounds: each for what it does and not only for being taken."""

import os
import re
import resource
import socket
import subprocess
from contextlib import ExitStack, suppress
from urllib.request import Request, urlopen

import pytest
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
from peers import needs
from served import grab, run_and_vanish, serving, submit, version_over_tls, work

from gearcore._codec import pack_request
from gearcore.cli import gearcored
from gearcore.protocol import PacketType as P


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

    def test_who_finds_no_descriptor_left_is_served_when_there_is_one(self):
        with serving("-f", "40", "--max-connections=100") as served, ExitStack() as open_peers:
            peers = [open_peers.enter_context(served.peer()) for _ in range(50)]
            error = next(line for line in served.process.stderr if "ERROR" in line)
            assert re.search(r"no connection (is|can be) accepted.*: Too many open files", error)
            for peer in peers[:-1]:
                peer.close()
            peers[-1].send(P.ECHO_REQ, b"late")
            assert peers[-1].receive(P.ECHO_RES) == (b"late",)

    def test_more_descriptors_than_the_kernel_has_are_one_line(self):
        result = run("gearcored", "-p", "0", f"--file-descriptors={1 << 40}")
        assert_one_line(result, 1, r"gearcored: --file-descriptors 1099511627776: the system allows .*")

    def test_core_dumps(self):
        def none():
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))

        with serving("--coredump", preexec_fn=none) as served:
            soft, hard = served.limits("Max core file size")
            assert soft == hard
