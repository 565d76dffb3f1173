"""The commands of a page of documentation, each run in its turn as on a terminal, and what they print."""

import re
import shlex
import subprocess
from contextlib import ExitStack

from commands import PATIENCE, on_a_terminal, running
from pages import blocks

from gearcore import AdminClient


def commands(page: str) -> list[tuple[str, str]]:
    """Each command of the page, with the output that it shows for it."""
    found = []
    for block in blocks(page, "console"):
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


class Console(ExitStack):
    """Runs commands, in the directory and environment of the test, with ``port`` in the place of 4730.

    What goes on behind a command that ends with ``&`` is ended with the ``with`` statement; ``%1`` is the
    first of these, as for a shell.
    """

    def __init__(self, port: str) -> None:
        super().__init__()
        self._port = port
        self.started: list[subprocess.Popen] = []

    def follow(self, examples: list[tuple[str, str]]) -> None:
        """Run commands one after the other, and check that they print what is shown for them."""
        for command, shown in examples:
            command = command.replace("4730", self._port)
            if command.endswith(" &"):
                self._start(command.removesuffix(" &"))
            else:
                printed = self.run(command)
                assert matches(shown.replace("4730", self._port), printed), (command, printed)

    def run(self, command: str, **keys: object) -> str:
        """Run a command to its end, and return what is seen of it on the terminal."""
        command = re.sub(r"%(\d)", lambda found: str(self.started[int(found[1]) - 1].pid), command)
        return as_seen(on_a_terminal("bash", "-c", command, any_status=True, **keys))

    def _start(self, command: str) -> None:
        """Run a server or worker from now on; returns when it is ready."""
        words = shlex.split(command)
        process = self.enter_context(running(*words, patience=10 * PATIENCE))
        self.started.append(process)
        line = process.stderr.readline()
        if " jobs from sqlite:" in line:
            line = process.stderr.readline()
        assert "listening" in line or "connected" in line, line
        if "connected" in line:
            with AdminClient(f"127.0.0.1:{self._port}") as admin:
                while not any(peer.functions for peer in admin.workers()):
                    assert process.poll() is None
