"""The examples of docs/embedding.md, each in a process of its own."""

import re
import signal
import subprocess
import sys

import pytest
from commands import PATIENCE
from fake_server import free_port
from pages import programs

PROGRAMS = programs("docs/embedding.md")
THAT_END = [program for program in PROGRAMS if "server.run(" not in program]
(THAT_RUNS,) = set(PROGRAMS) - set(THAT_END)


@pytest.mark.parametrize("program", THAT_END)
def test_a_program_prints_what_its_comments_say(program):
    ended = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", program], capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 0, ended.stderr
    expected = re.findall(r"print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert expected
    assert ended.stdout.splitlines() == expected


def test_the_process_serves_until_a_signal():
    program = THAT_RUNS.replace("4730", str(free_port()))
    command = [sys.executable, "-P", "-u", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().startswith("listening on [('127.0.0.1', ")
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
