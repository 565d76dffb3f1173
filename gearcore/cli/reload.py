"""Running a command anew whenever a Python file changes, for development."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from gearcore._blocking import Waker

__all__ = ["files_below", "run_again_on_change"]

log = logging.getLogger("gearcore.reload")

PAUSE = 0.5
"""Seconds between two looks at the files."""


def run_again_on_change(command: Sequence[str], directory: Path) -> int:
    """Run a command, and anew each time a Python file below the directory changes; returns its exit status.

    A command that fails is run again after the next change; one that ends well is not. SIGTERM and SIGINT are
    passed on, and end it all.
    """
    runner = Runner(command)
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, runner.pass_on) for number in signals}
    try:
        return runner.run(directory)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        runner.close()


class Runner:
    """The command that runs, and what was said to it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._waker = Waker()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def pass_on(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: it is the command's as well."""
        self._stopping = True
        # On Windows a terminal's Ctrl-C reaches the command by itself, and no program can pass one on.
        if self._process is not None and sys.platform != "win32":
            self._process.send_signal(number)
        self._waker.wake()

    def run(self, directory: Path) -> int:
        """Run the command until it has ended for good."""
        status = None
        while status is None:
            seen = dict(files_below(directory))
            # In a group of its own, where there are groups: a terminal's Ctrl-C would reach it a second time,
            # past its parent.
            self._process = subprocess.Popen(self._command, process_group=0)
            if self._stopping:
                self._process.terminate()  # the signal came before there was anybody to pass it on to
            status = self._wait_for_end(directory, seen)
        return status

    def _wait_for_end(self, directory: Path, seen: dict[str, int]) -> int | None:
        """Wait until the command has ended; returns its status, or None if it is to be run again."""
        assert self._process is not None
        failed = False
        while True:
            status = self._process.poll()
            if status is not None and (self._stopping or not status):
                return status if status >= 0 else 128 - status
            if status is not None and not failed:
                log.error("ended with status %d; the next change of a file starts it again", status)
                failed = True
            now = dict(files_below(directory))
            if now != seen and not self._stopping:
                changed = sorted(path for path, _ in now.items() ^ seen.items())
                log.info("starting again: %s has changed", changed[0])
                self._process.terminate()
                self._process.wait()
                return 0 if self._stopping else None
            self._waker.wait(PAUSE)

    def close(self) -> None:
        """Give the file descriptors back."""
        self._waker.close()


def files_below(directory: Path) -> Iterator[tuple[str, int]]:
    """The Python files below a directory, each with the time of its last change.

    What is hidden is left out, and so are virtual environments.
    """
    for place, directories, files in os.walk(directory):
        if "pyvenv.cfg" in files:
            directories.clear()
            continue
        directories[:] = [name for name in directories if not name.startswith((".", "__pycache__"))]
        for name in files:
            path = os.path.join(place, name)
            with contextlib.suppress(FileNotFoundError):  # it went away just now
                if name.endswith(".py"):
                    yield path, os.stat(path).st_mtime_ns


def same_command_without(option: str) -> list[str]:
    """The command line of this process, without an option."""
    return [sys.executable, *(word for word in sys.argv if word != option)]
