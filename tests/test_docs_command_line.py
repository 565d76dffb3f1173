"""The examples of docs/command-line.md: each command is run, in order, and prints what the page says."""

import re
import shlex
from contextlib import ExitStack
from pathlib import Path

from commands import PATIENCE, on_a_terminal, running
from fake_server import free_port

from gearcore import AdminClient, Server
from gearcore.cli import gearcore

PAGE = (Path(__file__).parent.parent / "docs" / "command-line.md").read_text()
CONSOLE = re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """Each command of the page, with the output that it shows for it."""
    found = []
    for block in CONSOLE:
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = example.partition("\n")
            found.append((command, output))
    return found


def matches(shown: str, printed: str) -> bool:
    """Whether an output is what the page shows, but for what is never the same, where … is any text."""
    pattern = re.escape(comparable(shown)).replace("…", ".*")
    return re.fullmatch(pattern, comparable(printed), re.DOTALL) is not None


def comparable(output: str) -> str:
    """An output without what varies: handles, versions, process ids, times, and the widths of columns."""
    for varying in (r"H:\S+:\d+", r"\d\d:\d\d:\d\d", r"\d+\.\d+(?= ms)", r"^\d+(?= 127)"):
        output = re.sub(varying, "(varies)", output, flags=re.MULTILINE)
    output = re.sub(r"gearcore-\S+(  \d+  INFO)?", "(varies)", output)
    return re.sub(r"[ \t]+", " ", output)


def as_seen(printed: str) -> str:
    """What is left on a terminal of lines that were written over."""
    lines = re.sub(r"\x1b\[\??[0-9]*[a-zA-Z]", "", printed).split("\n")
    return "\n".join(line.rpartition("\r")[2] for line in lines)


def test_every_command_of_gearcore_is_there():
    for name in gearcore.commands:
        assert re.search(rf"gearcore {name}( |`|\n)", PAGE), name


def test_the_examples(tmp_path, monkeypatch):
    port = str(free_port())
    (tmp_path / "tasks.py").write_text(PYTHON[0].replace("4730", port))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEARCORE_SERVER", f"127.0.0.1:{port}")
    with ExitStack() as stack:
        started = []
        for command, shown in commands():
            command = command.replace("4730", port)
            if command.endswith(" &"):
                process = stack.enter_context(running(*shlex.split(command)[:-1], patience=10 * PATIENCE))
                started.append(process)
                line = process.stderr.readline()
                assert "listening" in line or "connected" in line
                if "connected" in line:
                    with AdminClient(f"127.0.0.1:{port}") as admin:
                        while [row.workers for row in admin.status()] != [1, 1]:
                            assert process.poll() is None
            else:
                keys = {"keys": b"q", "until": "mail "} if command == "gearcore top" else {}
                printed = on_a_terminal("bash", "-c", command, any_status=True, **keys)
                if not keys:
                    assert matches(shown.replace("4730", port), as_seen(printed)), (command, printed)
        server, _ = started
        assert server.wait() == 0


def test_the_admin_client(capsys):
    with Server(port=0) as server, AdminClient(f"127.0.0.1:{server.port}") as admin:
        exec(PYTHON[1].replace("4730", str(server.port)), {})
        assert [row.function for row in admin.status()] == ["archive"]
        for name in re.findall(r"`(\w+)`", PAGE.partition("The other methods are")[2].partition("\n\n")[0]):
            assert callable(getattr(admin, name))
    assert capsys.readouterr().out == "archive: 0 queued, 0 running, 0 workers\n"
