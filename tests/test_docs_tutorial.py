"""docs/tutorial.md, worked through from the server on: its programs are files, its commands are run."""

from console import Console, commands
from fake_server import free_port
from pages import ROOT, blocks

PAGE = "docs/tutorial.md"
COMMANDS = commands(PAGE)
PROGRAMS = blocks(PAGE, "python")
NAMES = ["tasks.py", "client.py", "background.py", "failing.py", "slow.py"]
"""What the text above each program calls it."""


def test_the_programs_have_their_names():
    places = [(ROOT / PAGE).read_text().index(f"`{name}`") for name in NAMES]
    assert len(PROGRAMS) == len(NAMES)
    assert places == sorted(places)


def test_the_tutorial(tmp_path, monkeypatch):
    port = str(free_port())
    for name, program in zip(NAMES, PROGRAMS, strict=True):
        (tmp_path / name).write_text(program.replace("4730", port))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEARCORE_SERVER", f"127.0.0.1:{port}")
    with Console(port) as console:
        console.follow(COMMANDS)
        server, killed, _ = console.started
        assert server.wait() == 0
        assert killed.wait() == -9
