"""README.md's Python, run as it stands, but on a port of the test's own."""

import re
import threading

import pytest
from pages import programs

from gearcore.client import Client
from gearcore.server import Server

BLOCKS = programs("README.md")
WORKERS = [block for block in BLOCKS if "worker.run()" in block]
OTHERS = [block for block in BLOCKS if block not in WORKERS]


def execute(block: str, port: int, namespace: dict) -> None:
    """Run a block of README.md, against the server on a port."""
    exec(compile(block.replace("4730", str(port)), "README.md", "exec"), namespace)


@pytest.fixture
def port():
    """The port of a server, with the workers of README.md at work."""
    namespaces = [{} for _ in WORKERS]
    with Server(port=0) as server:
        threads = [
            threading.Thread(target=execute, args=(block, server.port, namespace))
            for block, namespace in zip(WORKERS, namespaces, strict=True)
        ]
        for thread in threads:
            thread.start()
        with Client(f"127.0.0.1:{server.port}") as client:
            client.submit("reverse").result(timeout=20)
        yield server.port
        for namespace, thread in zip(namespaces, threads, strict=True):
            namespace["worker"].stop()
            thread.join()


def test_there_is_a_worker_a_client_and_a_server():
    assert len(WORKERS) == 1
    assert any("client.submit" in block for block in OTHERS)
    assert any("async with Server" in block for block in OTHERS)


@pytest.mark.parametrize("block", OTHERS)
def test_a_block_prints_what_its_comments_say(block, port, capsys):
    execute(block, port, {})
    printed = capsys.readouterr().out.splitlines()
    for expected in re.findall(r"print\(.*\)  # (.*)$", block, re.MULTILINE):
        assert expected in printed
