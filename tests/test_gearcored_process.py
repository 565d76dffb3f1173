"""gearcored as a process: its files, its log, its signals, its user, and the place of gearmand."""

import logging
import os
import pwd
import re
import runpy
import select
import shutil
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

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
from fake_server import free_port
from peers import missing_peer
from served import serving, submit, version_over_tls

from gearcore.cli import gearcored, process

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")
DOCS = Path(__file__).parents[1] / "docs"
SERVER_PAGE = DOCS / "server.md"


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
            ("Postgres", "not served"),
            ("MySQL", "not served"),
            ("redis", "not served"),
            ("libmemcached", "not served"),
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
