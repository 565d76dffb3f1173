"""The examples of docs/command-line.md: each command is run, in order, and prints what the page says."""

import re

from console import Console, commands
from fake_server import free_port
from pages import ROOT, blocks

from gearcore import AdminClient, Server
from gearcore.cli import gearcore

PAGE = "docs/command-line.md"
TEXT = (ROOT / PAGE).read_text()
TASKS, ADMIN = blocks(PAGE, "python")
COMMANDS = commands(PAGE)
MANUAL = commands("docs/man/gearcore.1.md")


def test_every_command_of_gearcore_is_there():
    for name in gearcore.commands:
        assert re.search(rf"gearcore {name}( |`|\n)", TEXT), name


def test_the_examples(tmp_path, monkeypatch):
    port = str(free_port())
    (tmp_path / "tasks.py").write_text(TASKS.replace("4730", port))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GEARCORE_SERVER", f"127.0.0.1:{port}")
    with Console(port) as console:
        top = COMMANDS.index(("gearcore top", ""))
        console.follow(COMMANDS[:top])
        console.run("gearcore top", keys=b"q", until="mail ")
        console.follow(COMMANDS[top + 1 :])
        assert console.started[0].wait() == 0


def test_the_examples_of_the_manual(monkeypatch):
    port = str(free_port())
    monkeypatch.setenv("GEARCORE_SERVER", f"127.0.0.1:{port}")
    with Console(port) as console:
        console.follow(MANUAL)


def test_the_admin_client(capsys):
    with Server(port=0) as server, AdminClient(f"127.0.0.1:{server.port}") as admin:
        exec(ADMIN.replace("4730", str(server.port)), {})
        assert [row.function for row in admin.status()] == ["archive"]
        for name in re.findall(r"`(\w+)`", TEXT.partition("The other methods are")[2].partition("\n\n")[0]):
            assert callable(getattr(admin, name))
    assert capsys.readouterr().out == "archive: 0 queued, 0 running, 0 workers\n"
