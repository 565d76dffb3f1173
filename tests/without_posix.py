"""Take away what Windows lacks, so that a run here shows what cannot work there: ``pytest -p without_posix``.

What asks for the system while it is imported, and is not gearcore, is imported here before that.

It is a plugin of pytest, and a module that a program can import before anything else. It does not show what
Windows does differently with what it has.
"""

import asyncio
import ctypes  # noqa: F401
import functools
import importlib.abc
import importlib.machinery
import os
import select
import signal
import socket
import ssl  # noqa: F401
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

import click  # noqa: F401

MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty", "uvloop", "gearcore._direct"}

NAMES: dict[ModuleType, tuple[str, ...]] = {
    os: ("fork", "getuid", "geteuid", "getgid", "initgroups", "mkfifo", "setsid", "sysconf", "WNOHANG"),
    select: ("poll", "epoll"),
    signal: ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGUSR1", "SIGUSR2", "alarm", "pthread_kill", "setitimer"),
    socket: ("AF_UNIX", "SO_PEERCRED", "SO_REUSEPORT", "TCP_QUICKACK", "TCP_USER_TIMEOUT"),
}


class Absent(importlib.abc.MetaPathFinder):
    """Finds that a module is not there."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def not_implemented(*_: object) -> NoReturn:
    raise NotImplementedError


def take_away() -> None:
    """Do it, for the rest of the process. What has been imported from these modules already stays."""
    # Before the event loop, which imports what it needs of Unix as soon as it is asked for.
    loop = asyncio.SelectorEventLoop
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Absent())
    # There is one on Windows, made of something else.
    socket.socketpair = functools.partial(socket.socketpair, socket.AF_UNIX)
    for module, names in NAMES.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for method in (
        "add_signal_handler",
        "remove_signal_handler",
        "create_unix_server",
        "create_unix_connection",
    ):
        setattr(loop, method, not_implemented)
    # The event loop that Windows has by default waits for whole operations, not for descriptors.
    for method in ("add_reader", "add_writer"):
        setattr(loop, method, not_implemented)
    os.name = "nt-like"
    sys.platform = "win32"


take_away()
