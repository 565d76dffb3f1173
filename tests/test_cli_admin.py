"""What ``gearadmin`` does, by ``gearcore``: the same output, JSON, exit statuses, and errors of one line."""

import json
import os
import socket
import subprocess
from contextlib import contextmanager

import pytest
from authority import Authority
from commands import PATIENCE, assert_one_line, listening, on_a_terminal, run, running
from fake_server import Peer, free_port
from peers import needs

from gearcore import AdminClient, Client, Server
from gearcore.cli import gearcore as gearcore_group
from gearcore.cli.options import OPTIONS
from gearcore.protocol import PacketType as P
from gearcore.server.listeners import TcpListener, UnixListener


@pytest.fixture
def address(server):
    return str(server)


@pytest.fixture
def busy(server, client):
    """A server with jobs, functions with odd names, and a worker with a job in hand."""
    with Peer.connect(server.address) as worker:
        worker.send(P.SET_CLIENT_ID, b"the worker")
        for name in (b"resize", b"a b", b"t\tt"):
            worker.send(P.CAN_DO, name)
        for number in range(3):
            client.submit("resize", unique=f"unique {number}", background=True)
        client.submit("ma\udcffil", background=True)
        worker.send(P.GRAB_JOB)
        worker.receive(P.JOB_ASSIGN)
        yield server


@pytest.fixture
def nothing():
    """An address that nobody listens on."""
    return f"127.0.0.1:{free_port()}"


def gearcore(*arguments: str, **options) -> subprocess.CompletedProcess:
    return run("gearcore", *arguments, errors="surrogateescape", **options)


def gearadmin(server, option: str, *arguments: str) -> list[str]:
    """The lines that Debian's tool prints, but for the dot behind a list."""
    needs("gearadmin", "gearman-tools")
    done = subprocess.run(
        ["gearadmin", "-h", "127.0.0.1", "-p", str(server.address[1]), option, *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line != "."]


class TestTheSameOutput:
    @pytest.mark.parametrize(
        ("command", "option"),
        [
            (("status",), "--status"),
            (("status", "--priorities"), "--priority-status"),
            (("jobs",), "--show-jobs"),
            (("jobs", "--unique"), "--show-unique-jobs"),
        ],
        ids=" ".join,
    )
    def test_lists(self, busy, command, option):
        result = gearcore(*command, "--server", str(busy))
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.splitlines() == gearadmin(busy, option)
        assert len(result.stdout.splitlines()) >= 4

    def test_workers(self, busy):
        # The asking connection is one of them, and has another number each time.
        ours = gearcore("workers", "--server", str(busy)).stdout.splitlines()
        theirs = gearadmin(busy, "--workers")
        assert sorted(line for line in ours if "worker" in line) == sorted(
            line for line in theirs if "worker" in line
        )
        assert len(ours) == len(theirs)

    def test_info(self, server, address):
        ours = gearcore("info", "--server", address).stdout.rstrip("\n").split("\t")
        assert [[each] for each in ours] == [
            gearadmin(server, option) for option in ("--server-version", "--getpid", "--server-verbose")
        ]

    def test_a_function_comes_and_goes(self, server, address):
        for command in ("create-function", "drop-function"):
            result = gearcore(command, "f", "--server", address)
            assert (result.returncode, result.stdout.splitlines()) == (
                0,
                gearadmin(server, f"--{command}", "g"),
            )
            listed = gearcore("status", "--server", address).stdout
            assert [name in listed for name in "fg"] == [command == "create-function"] * 2

    def test_cancel(self, server, client, address):
        one, other = (client.submit("f", background=True).handle for _ in range(2))
        result = gearcore("cancel", one, "--server", address)
        assert (result.returncode, result.stdout.splitlines()) == (
            0,
            gearadmin(server, "--cancel-job", other),
        )


class TestJson:
    def ask(self, address, *command):
        (answer,) = json.loads(gearcore(*command, "--json", "--server", address).stdout)
        assert answer.pop("server") == address
        return answer

    def test_status(self, busy):
        answer = self.ask(str(busy), "status")
        assert sorted(answer["functions"], key=lambda row: row["jobs"])[-1] == {
            "function": "resize",
            "jobs": 3,
            "running": 1,
            "workers": 1,
        }
        assert "ma\udcffil" in [row["function"] for row in answer["functions"]]

    def test_priorities(self, busy):
        answer = self.ask(str(busy), "status", "--priorities")
        assert {"function": "resize", "high": 0, "normal": 2, "low": 0, "workers": 1} in answer["functions"]

    def test_workers(self, busy):
        rows = [row for row in self.ask(str(busy), "workers")["workers"] if row["functions"]]
        (row,) = rows
        assert isinstance(row.pop("descriptor"), int)
        assert sorted(row.pop("functions")) == ["a b", "resize", "t\tt"]
        assert row == {"address": "127.0.0.1", "client_id": "the worker"}

    def test_jobs(self, busy):
        rows = self.ask(str(busy), "jobs")["jobs"]
        assert len(rows) == 4
        for row in rows:
            assert row["handle"].startswith("H:")
            assert (row["retries"], row["ignored"], row["queued"]) == (0, False, True)

    def test_unique_jobs(self, busy):
        assert {"unique 0", "unique 1", "unique 2"} < set(
            self.ask(str(busy), "jobs", "--unique")["unique_jobs"]
        )

    def test_info(self, server, address):
        with AdminClient(server.address) as admin:
            assert self.ask(address, "info") == {
                "version": admin.version(),
                "pid": admin.getpid(),
                "log_level": admin.verbose(),
            }

    def test_ping(self, address):
        assert 0 < self.ask(address, "ping")["seconds"] < PATIENCE

    @pytest.mark.parametrize(
        "command", [("create-function", "f"), ("maxqueue", "f", "1"), ("maxqueue", "f", "1", "2", "3")]
    )
    def test_commands(self, address, command):
        assert self.ask(address, *command) == {"ok": True}

    def test_cancel(self, client, address):
        handle = client.submit("f", background=True).handle
        result = gearcore("cancel", handle, "H:none:1", "--json", "--server", address)
        assert result.returncode == 1
        assert json.loads(result.stdout) == [
            {"handle": handle, "cancelled": True, "server": address},
            {"handle": "H:none:1", "cancelled": False, "server": None},
        ]


class TestTerminal:
    def test_a_table(self, busy):
        lines = on_a_terminal("gearcore", "status", "--server", str(busy)).splitlines()
        assert lines[0] == "FUNCTION    JOBS  RUNNING  WORKERS"
        assert "resize         3        1        1" in lines
        assert "t\\tt           0        0        1" in lines
        assert r"ma\udcffil     1        0        0" in lines

    def test_every_listing_has_one(self, busy):
        heads = [
            on_a_terminal("gearcore", *command, "--server", str(busy)).splitlines()[0].split()
            for command in (
                ("status", "--priorities"),
                ("workers",),
                ("jobs",),
                ("jobs", "--unique"),
                ("info",),
            )
        ]
        assert heads == [
            ["FUNCTION", "HIGH", "NORMAL", "LOW", "WORKERS"],
            ["FD", "ADDRESS", "CLIENT", "ID", "FUNCTIONS"],
            ["HANDLE", "RETRIES", "IGNORED", "QUEUED"],
            ["UNIQUE"],
            ["VERSION", "PID", "LOG", "LEVEL"],
        ]

    def test_the_server_is_named_if_there_are_several(self, busy):
        with Server(port=0) as other:
            addresses = [str(busy), f"127.0.0.1:{other.port}"]
            lines = on_a_terminal(
                "gearcore", "info", "--server", addresses[0], "--server", addresses[1]
            ).splitlines()
        assert [line.split()[0] for line in lines] == ["SERVER", *addresses]


class TestServers:
    @pytest.fixture
    def two(self):
        with Server(port=0) as one, Server(port=0) as other:
            addresses = [f"127.0.0.1:{server.port}" for server in (one, other)]
            with Client(addresses[1]) as client:
                client.submit("f", background=True)
            yield addresses

    def test_several(self, two):
        result = gearcore("status", "--server", two[0], "--server", two[1])
        assert result.stdout == f"{two[1]}\tf\t1\t0\t0\n"
        result = gearcore("create-function", "g", "--server", two[0], "--server", two[1])
        assert result.stdout == f"{two[0]}\tOK\n{two[1]}\tOK\n"

    def test_from_the_environment(self, two):
        result = gearcore("status", env=os.environ | {"GEARCORE_SERVER": " ".join(two)})
        assert result.stdout == f"{two[1]}\tf\t1\t0\t0\n"

    def test_the_command_line_is_preferred(self, two, nothing):
        result = gearcore("status", "--server", two[1], env=os.environ | {"GEARCORE_SERVER": nothing})
        assert (result.returncode, result.stdout) == (0, "f\t1\t0\t0\n")

    def test_host_and_port_as_gearadmin_has_them(self, two):
        port = two[1].partition(":")[2]
        assert gearcore("status", "-h", "127.0.0.1", "-p", port).stdout == "f\t1\t0\t0\n"
        assert gearcore("status", "--port", port).stdout == "f\t1\t0\t0\n"

    def test_one_is_away(self, two, nothing):
        result = gearcore("status", "--server", nothing, "--server", two[1])
        assert result.returncode == 1
        assert result.stdout == f"{two[1]}\tf\t1\t0\t0\n"
        assert result.stderr == f"gearcore: no connection to {nothing}: Connection refused\n"

    def test_one_is_away_in_json(self, two, nothing):
        for command in ("status", "ping", "info"):
            result = gearcore(command, "--json", "--server", nothing, "--server", two[1])
            assert result.returncode == 1
            bad, good = json.loads(result.stdout)
            assert bad == {"server": nothing, "error": f"no connection to {nothing}: Connection refused"}
            assert good["server"] == two[1]
            assert len(good) > 1

    def test_cancel_finds_the_one_with_the_job(self, two):
        with AdminClient(two[1]) as admin:
            (job,) = admin.jobs()
        result = gearcore("cancel", job.handle, "--json", "--server", two[0], "--server", two[1])
        assert json.loads(result.stdout) == [{"handle": job.handle, "cancelled": True, "server": two[1]}]

    def test_a_unix_socket(self, tmp_path):
        path = str(tmp_path / "socket")
        with Server(host=(), listeners=[UnixListener(path)]):
            assert gearcore("create-function", "f", "--server", f"unix:{path}").stdout == "OK\n"
            assert gearcore("status", "--server", f"unix:{path}").stdout == "f\t0\t0\t0\n"

    def test_tls(self, tmp_path):
        authority = Authority(tmp_path)
        certificate, key = authority.issue(tmp_path, "admin", common_name="admin")
        listener = TcpListener("127.0.0.1", 0, authority.files())
        with Server(host=(), listeners=[listener]) as server:
            address = f"127.0.0.1:{server.addresses[0][1]}"
            options = ("--tls-ca", authority.ca_file, "--tls-certificate", certificate, "--tls-key", key)
            assert gearcore("create-function", "f", "--server", address, *options).stdout == "OK\n"
            refused = gearcore("status", "--server", address, "--tls")
            assert_one_line(refused, 1, rf"gearcore: no connection to {address}: .*certificate.*")


class TestErrors:
    @pytest.mark.parametrize(
        "command", ["status", "workers", "jobs", "info", "ping", "cancel x", "maxqueue f 1", "shutdown"]
    )
    def test_a_server_that_is_not_there(self, command, nothing):
        result = gearcore(*command.split(), "--server", nothing)
        assert_one_line(result, 1, rf"gearcore: no connection to {nothing}: Connection refused")

    def test_a_refusal(self, address):
        result = gearcore("drop-function", "f", "--server", address)
        assert_one_line(result, 1, rf"gearcore: ERR: function not found \(from {address}\)")

    def test_an_unknown_job(self, address):
        result = gearcore("cancel", "H:none:1", "--server", address)
        assert_one_line(result, 1, rf"gearcore: no such job: 'H:none:1' on {address}")

    def test_shutdown_that_is_not_allowed(self, address):
        result = gearcore("shutdown", "--server", address)
        assert_one_line(result, 1, r"gearcore: UNKNOWN_COMMAND: .*")

    def test_a_server_that_does_not_answer(self):
        with silent() as address:
            result = gearcore("status", "--timeout", "0.1", "--server", address)
        assert_one_line(result, 1, rf"gearcore: waited 0\.1 s for the answer to 'status' from {address}")

    @pytest.mark.parametrize(
        ("command", "complaint"),
        [
            (("status", "--server", "here:there"), r"gearcore status: .*'here:there'.*"),
            (("status", "--server", "x", "-p", "4730"), "gearcore status: .*not beside --server.*"),
            (("status", "--timeout", "0"), r"gearcore status: .*--timeout.*"),
            (("status", "more"), "gearcore status: .*more.*"),
            (("cancel",), "gearcore cancel: Missing argument 'HANDLE...'.*"),
            (("cancel", "a b"), "gearcore cancel: handle 'a b' .*"),
            (("create-function", "a b"), "gearcore create-function: function 'a b' .*"),
            (("maxqueue", "f"), "gearcore maxqueue: Missing argument.*"),
            (("maxqueue", "f", "1", "2"), "gearcore maxqueue: maxqueue takes one limit, or three.*"),
            (("maxqueue", "f", "many"), "gearcore maxqueue: .*'many'.*"),
        ],
    )
    def test_a_mistake_in_the_usage(self, command, complaint):
        assert_one_line(gearcore(*command), 2, complaint + r" \(see 'gearcore .* --help'\)")

    def test_a_key_without_a_certificate(self, nothing):
        result = gearcore("status", "--tls-key", "/none", "--server", nothing)
        assert_one_line(result, 1, r"gearcore: TLS key /none: .*")


@contextmanager
def silent():
    """The address of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_maxqueue(client, address):
    client.submit("f", background=True)
    assert gearcore("maxqueue", "f", "1", "--server", address).stdout == "OK\n"
    refused = gearcore("submit", "-b", "f", "x", "--server", address)
    assert_one_line(refused, 1, r"gearcore: QUEUE_ERROR.*")
    assert gearcore("maxqueue", "f", "1", "0", "1", "--server", address).stdout == "OK\n"
    assert gearcore("submit", "-b", "f", "x", "--server", address).returncode == 0


@pytest.mark.parametrize("option", [(), ("--graceful",)])
def test_shutdown(option):
    with running("gearcore", "server", "--port", "0", "--allow-shutdown") as process:
        address = f"127.0.0.1:{listening(process.stderr.readline())}"
        assert gearcore("shutdown", *option, "--server", address).stdout == "OK\n"
        assert process.wait() == 0


def test_ping(address):
    result = gearcore("ping", "--server", address)
    assert result.returncode == 0
    assert result.stdout.startswith(f"{address}: ")
    assert result.stdout.endswith(" ms\n")


@pytest.mark.parametrize("command", gearcore_group.commands)
def test_help(command):
    assert command in gearcore("--help").stdout
    result = gearcore(command, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"Usage: gearcore {command} ")


class TestCompletion:
    def test_bash(self):
        script = gearcore("completion", "bash").stdout + "complete -p gearcore"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=PATIENCE)
        assert done.stdout == "complete -o nosort -F _gearcore_completion gearcore\n"
        environment = os.environ | {"COMP_WORDS": "gearcore sta", "COMP_CWORD": "1"}
        words = gearcore(env=environment | {"_GEARCORE_COMPLETE": "bash_complete"}).stdout
        assert words == "plain,status\n"

    def test_the_options_of_gearcored_in_bash(self):
        script = gearcore("completion", "bash").stdout
        done = subprocess.run(
            ["bash", "-c", f"{script}complete -p gearcored"], capture_output=True, text=True, timeout=PATIENCE
        )
        words = done.stdout.partition("'")[2].partition("'")[0].split()
        assert words == [f"--{option.name}" for option in OPTIONS] + ["--help", "--version"]

    def test_the_options_of_gearcored_in_fish(self):
        lines = gearcore("completion", "fish").stdout.splitlines()
        (line,) = [line for line in lines if " --long-option ssl-key " in line]
        assert line == (
            "complete --command gearcored --long-option ssl-key --require-parameter"
            " --description 'The key that belongs to it'"
        )
        (line,) = [line for line in lines if " --long-option keepalive " in line]
        assert line.endswith("--description 'Of no effect, and there for gearmand\\'s sake: it is always on'")
        (line,) = [line for line in lines if " --long-option port " in line]
        assert "--short-option p --exclusive" in line

    @pytest.mark.parametrize("shell", ["zsh", "fish"])
    def test_the_shells_take_it(self, shell):
        needs(shell, shell)
        script = gearcore("completion", shell).stdout
        before = {"zsh": "autoload -U compinit; compinit -u -D\n", "fish": ""}[shell]
        behind = {"zsh": "echo $_comps[gearcored]", "fish": "complete -C 'gearcored --ssl-k' | cut -f1"}[
            shell
        ]
        done = subprocess.run(
            [shell, "-c", before + script + behind], capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.stdout == {"zsh": "_gnu_generic\n", "fish": "--ssl-key\n"}[shell]
        assert done.stderr == ""

    @pytest.mark.parametrize("shell", ["zsh", "fish"])
    def test_others(self, shell):
        script = gearcore("completion", shell).stdout
        assert f"_GEARCORE_COMPLETE={shell}_complete" in script

    def test_an_unknown_shell(self):
        assert_one_line(gearcore("completion", "cmd"), 2, r"gearcore completion: .*'cmd'.*")
