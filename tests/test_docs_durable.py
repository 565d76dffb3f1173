"""docs/durable-queues.md: its servers are started, and its job is submitted."""

import pytest
from console import Console, commands
from fake_server import free_port

COMMANDS = commands("docs/durable-queues.md")


@pytest.mark.parametrize("examples", [COMMANDS[:2], COMMANDS[2:]])
def test_the_commands(examples, tmp_path, monkeypatch):
    port = str(free_port())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEARCORE_SERVER", f"127.0.0.1:{port}")
    assert examples
    with Console(port) as console:
        console.follow(examples)
