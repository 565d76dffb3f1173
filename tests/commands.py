"""The commands as processes of their own: what tests of their output, their ports and their end share."""

import os
import pty
import re
import signal
import socket
import subprocess
import sysconfig
import threading
from contextlib import contextmanager
from pathlib import Path

from gearcore import __version__

SCRIPTS = Path(sysconfig.get_path("scripts"))
PATIENCE = 20
"""Seconds after which a process that should have said or done something is killed, which fails its test."""


def run(program: str, *arguments: str, **options) -> subprocess.CompletedProcess:
    """Run a command that ends by itself."""
    return subprocess.run(
        [SCRIPTS / program, *arguments], capture_output=True, text=True, timeout=PATIENCE, **options
    )


@contextmanager
def running(program: str, *arguments: str, patience: float = PATIENCE, **options):
    """A command that goes on until it is told to end, or for so many seconds."""
    process = subprocess.Popen(
        [SCRIPTS / program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    watchdog = threading.Timer(patience, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def on_a_terminal(
    program: str, *arguments: str, keys: bytes = b"", until: str = "", when=None, any_status=False
) -> str:
    """What a command prints on a terminal of its own, until it ends; well, if ``any_status`` will not do.

    The keys are pressed once it has printed a certain text, and ``when`` has what to call upon others.
    """
    ours, theirs = pty.openpty()
    path = f"{SCRIPTS}:{os.environ['PATH']}"
    process = subprocess.Popen(
        # It must be the terminal of its session for a Ctrl-C to be one.
        ["setsid", "--ctty", "--wait", program, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"PATH": path},
    )
    os.close(theirs)
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    calls = dict(when or {})
    if keys:
        calls[until] = lambda: os.write(ours, keys)
    printed = b""
    try:
        while part := os.read(ours, 65536):
            printed += part
            for text in [text for text in calls if text.encode() in printed]:
                calls.pop(text)()
    except OSError:
        pass  # how Linux tells that the other end has closed
    finally:
        watchdog.cancel()
        os.close(ours)
    assert process.wait() == 0 or any_status, printed
    return printed.decode().replace("\r\n", "\n")


@contextmanager
def detached(*command: str, pid_file: Path):
    """A server that went into the background. Yields what stops it and waits until it has ended."""
    # Not being its parent, the test hears of its end by a pipe whose other end it keeps as long as it lives.
    life, kept = os.pipe()
    try:
        result = run(*command, "-d", "-P", str(pid_file), pass_fds=[kept])
        os.close(kept)
        assert result.returncode == 0, result.stderr
        pid = int(pid_file.read_text())

        def stop():
            os.kill(pid, signal.SIGTERM)
            assert os.read(life, 1) == b""

        watchdog = threading.Timer(PATIENCE, os.kill, (pid, signal.SIGKILL))
        watchdog.start()
        try:
            yield stop
        finally:
            watchdog.cancel()
    finally:
        os.close(life)


def listening(line: str) -> int:
    """Return the port of the line in which a server says where it listens."""
    found = re.search(r"listening on 127\.0\.0\.1:(\d+)( \(\w+\))?$", line)
    assert found, line
    return int(found[1])


def ask_version(port: int) -> bytes:
    """What the server on a port answers to the admin command ``version``."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(b"version\n")
        return connection.makefile("rb").readline()


def assert_one_line(result: subprocess.CompletedProcess, status: int, pattern: str) -> None:
    """A command failed as a user can bear it."""
    assert result.returncode == status
    assert result.stdout == ""
    assert re.fullmatch(pattern + r"\n", result.stderr), result.stderr


OUR_VERSION = b"OK gearcore-%s\n" % __version__.encode()
