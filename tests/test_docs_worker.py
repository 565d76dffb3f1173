"""The examples of pages on workers: each worker in a process of its own, with the client that follows it."""

import os
import re
import signal
import subprocess
import sys

import pytest
from pages import blocks

from gearcore import Server

PAGES = ["docs/worker.md", "docs/map-reduce.md"]


def pairs(page: str) -> list[tuple[str, str]]:
    """The workers of a page, each with the client behind it."""
    found = blocks(page, "python")
    return list(zip(found[::2], found[1::2], strict=True))


def pattern(expected: str) -> str:
    """What a comment says is printed; three dots stand for anything."""
    return ".*".join(map(re.escape, expected.split("...")))


@pytest.mark.parametrize("page", PAGES)
def test_workers_and_clients_take_turns(page):
    assert all("worker.run(" in worker and "worker.run(" not in client for worker, client in pairs(page))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize(
    ("page", "worker", "client"), [(page, *pair) for page in PAGES for pair in pairs(page)]
)
def test_a_client_prints_what_its_comments_say(page, worker, client, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Server(port=0) as server:
        worker, client = (block.replace("4730", str(server.port)) for block in (worker, client))
        with subprocess.Popen([sys.executable, "-P", "-c", worker], stderr=subprocess.DEVNULL) as process:
            try:
                exec(compile(client, page, "exec"), {})
            finally:
                process.send_signal(signal.SIGINT)
    printed = capsys.readouterr().out
    expected = re.findall(r"print\(.*\)  # (.*)$", client, re.MULTILINE)
    assert expected
    for line in expected:
        assert re.search(pattern(line), printed), printed
