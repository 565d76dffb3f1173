"""``gearcore bench``: what it measures, and that it leaves nothing behind."""

import os
import re
import subprocess
import sys

from caller import Caller
from click.testing import CliRunner
from fake_server import free_port

from gearcore import Server
from gearcore.cli import gearcore
from gearcore.errors import ServerError

PATIENCE = 120


def test_bench_measures_a_server_and_leaves_nothing_behind(server):
    result = CliRunner().invoke(
        gearcore, ["bench", "--server", str(server), "--jobs", "50", "--clients", "3", "--size", "100"]
    )
    assert result.exit_code == 0, result.output
    loads = re.findall(r"^(\w[\w, ]*?) {2,}[\d,]+\b", result.stdout, re.MULTILINE)
    assert loads == ["ping", "background", "background, pipelined", "drain, pipelined", "foreground"]
    assert b"gearcore-bench" not in server.admin("status")


def test_bench_of_a_server_that_is_not_there():
    program = "from gearcore.cli import main; main()"
    command = [sys.executable, "-c", program, "bench", "--server", f"127.0.0.1:{free_port()}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert re.fullmatch(r"gearcore: no connection to 127\.0\.0\.1:\d+: Connection refused\n", done.stderr)
    assert not done.stdout


def test_bench_that_is_refused_takes_its_jobs_back():
    function = f"gearcore-bench-{os.getpid()}"
    with Server(port=0) as server, Caller(server) as admin:
        assert admin.line(f"maxqueue {function} 5\n".encode()) == b"OK\r\n"
        result = CliRunner().invoke(gearcore, ["bench", "--server", f"127.0.0.1:{server.port}"])
        assert isinstance(result.exception, ServerError)
        assert "QUEUE_ERROR" in str(result.exception)
        assert admin.line(b"status\n") == b".\n"
