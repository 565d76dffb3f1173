"""Processes of foreign clients and workers, and what they say.

A client is a program that takes a port and then lines on its standard input, words with tabs between them:

    run PRIORITY FUNCTION UNIQUE FILE           submit the file's content, and tell all that comes of it
    background PRIORITY FUNCTION UNIQUE FILE    submit, and tell the handle
    status HANDLE                               tell "KNOWN RUNNING NUMERATOR DENOMINATOR"

and more that only some of them know. It answers each with events, of which ``end`` is the last: a line
``NAME LENGTH``, that many bytes, and a newline. A worker takes a port and a prefix for the names of its
functions.
"""

import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PATIENCE = 15.0
"""Seconds after which what has not come is taken not to come."""


class Event(NamedTuple):
    name: str
    body: bytes = b""

    def __repr__(self) -> str:
        body = self.body if len(self.body) <= 80 else self.body[:60] + b"... of %d bytes" % len(self.body)
        return f"{self.name}({body!r})"


_WATCH = 'read -r _; kill -s KILL -- "-$0"'
"""A shell's program that ends a process group when its standard input does."""


class Process:
    """A peer's process, with all that it starts itself. None outlives the tests, however they end."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (open for as long as the process runs)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | (environment or {}),
            start_new_session=True,  # a group of its own, which can be killed as a whole
        )
        # Whoever kills the tests closes the other end of this pipe. A worker whose server is gone would spin.
        self._watchdog = subprocess.Popen(
            ["sh", "-c", _WATCH, str(self._process.pid)], stdin=subprocess.PIPE, start_new_session=True
        )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        return self._process.wait(PATIENCE)

    @property
    def errors(self) -> str:
        """The end of what it wrote to its standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-2000:]

    def kill(self) -> None:
        """End it and all that it started, at once."""
        # First, since the number of the group may be that of others soon.
        self._watchdog.kill()
        self._watchdog.wait()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._watchdog.stdin, self._errors):
            with suppress(BrokenPipeError):
                stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()


class Worker(Process):
    """A worker, of which only the jobs that it does are seen."""


class Client(Process):
    """A client that does as it is told by lines."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        super().__init__(command, environment)
        self._buffer = bytearray()
        self._events: Iterator[Event] = iter(())

    def ask(self, *words: str | Path, patience: float = PATIENCE) -> list[Event]:
        """Everything that it answers to a line."""
        self.tell(*words, patience=patience)
        return list(self._events)

    def ask_one(self, *words: str | Path) -> Event:
        """What it answers to a line that has one answer."""
        (event,) = self.ask(*words)
        return event

    def tell(self, *words: str | Path, patience: float = PATIENCE) -> Iterator[Event]:
        """The same, one event at a time: to be read to its end before the next."""
        self._process.stdin.write("\t".join(map(str, words)).encode() + b"\n")
        self._process.stdin.flush()
        self._events = self._read_events(" ".join(map(str, words)), time.monotonic() + patience)
        return self._events

    def _read_events(self, line: str, deadline: float) -> Iterator[Event]:
        try:
            while True:
                while b"\n" not in self._buffer:
                    self._read(deadline)
                head, _, _ = bytes(self._buffer).partition(b"\n")
                name, length = head.decode().split(" ")
                end = len(head) + 1 + int(length)
                while len(self._buffer) <= end:
                    self._read(deadline)
                body = bytes(self._buffer[len(head) + 1 : end])
                del self._buffer[: end + 1]
                if name == "end":
                    return
                yield Event(name, body)
        except (EOFError, TimeoutError, ValueError) as error:
            said = self.errors
            self.kill()  # whatever it still says would be taken for the answer to the next line
            raise AssertionError(f"no end of the answer to {line!r}: {error!r}\n{said}") from error

    def _read(self, deadline: float) -> None:
        stdout = self._process.stdout.fileno()
        ready, _, _ = select.select([stdout], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError("it says no more")
        data = os.read(stdout, 1 << 20)
        if not data:
            raise EOFError("it ended")
        self._buffer += data


class Gate:
    """A named pipe that a worker's ``gate`` function reads: the job runs until the test lets it end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gate"
        os.mkfifo(self.path)
        self._pipe: int | None = None

    def wait(self) -> None:
        """Return when a worker waits at the gate."""

        def opens() -> bool:
            try:
                self._pipe = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads yet
                return False
            return True

        eventually(opens, True)

    def replace(self, result: bytes) -> None:
        """Leave the worker at a gate that nobody will open; the next one finds a file with this result."""
        self.wait()
        other = self.path.with_suffix(".open")
        other.write_bytes(result)
        os.replace(other, self.path)

    def open(self, result: bytes) -> None:
        """Let the job end with this result."""
        os.write(self._pipe, result)
        self.close()

    def close(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None


def eventually(ask: Callable[[], object], expected: object) -> None:
    """Ask until the answer is as expected: for what a server learns from a peer that reports no end of it."""
    deadline = time.monotonic() + PATIENCE
    while (answer := ask()) != expected:
        assert time.monotonic() < deadline, f"still {answer!r}, not {expected!r}"
        time.sleep(0.005)


def admin(port: int, line: str) -> str:
    """The answer to an admin command: all its lines up to a lone dot where it is a list."""
    is_list = line.split()[0] in ("status", "workers", "prioritystatus", "show")
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(line.encode() + b"\n")
        lines = []
        with connection.makefile("rb") as answer:
            for line in answer:
                if line == b".\n":
                    break
                lines.append(line.decode())
                if not is_list:
                    break
    return "".join(lines)


def counts_of(port: int, function: str) -> tuple[int, ...] | None:
    """How many jobs a function has, how many of them run, and how many workers it has."""
    for line in admin(port, "status").splitlines():
        name, *counts = line.split("\t")
        if name == function:
            return tuple(map(int, counts))
    return None
