"""The examples of docs/worker.md: each worker in a process of its own, with the client that follows it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gearcore import Server

PAGE = Path(__file__).parent.parent / "docs" / "worker.md"

BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
PAIRS = list(zip(BLOCKS[::2], BLOCKS[1::2], strict=True))


def pattern(expected: str) -> str:
    """What a comment says is printed; three dots stand for anything."""
    return ".*".join(map(re.escape, expected.split("...")))


def test_workers_and_clients_take_turns():
    assert all("worker.run(" in worker and "worker.run(" not in client for worker, client in PAIRS)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize(("worker", "client"), PAIRS)
def test_a_client_prints_what_its_comments_say(worker, client, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Server(port=0) as server:
        worker, client = (block.replace("4730", str(server.port)) for block in (worker, client))
        with subprocess.Popen([sys.executable, "-P", "-c", worker], stderr=subprocess.DEVNULL) as process:
            try:
                exec(compile(client, str(PAGE), "exec"), {})
            finally:
                process.send_signal(signal.SIGINT)
    printed = capsys.readouterr().out
    expected = re.findall(r"print\(.*\)  # (.*)$", client, re.MULTILINE)
    assert expected
    for line in expected:
        assert re.search(pattern(line), printed), printed
