"""What makes a process a daemon: its user, its limits, its log, its pid file, its detachment."""

from __future__ import annotations

import logging
import os
import pwd
import resource
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from logging.handlers import SysLogHandler, WatchedFileHandler
from pathlib import Path

from gearcore.cli._common import LOG_FORMAT
from gearcore.cli.values import NOTICE, CannotRun

__all__ = ["SYSLOG", "PidFile", "allow_core_dumps", "allow_descriptors", "become", "detach", "log_to"]

SYSLOG = "/dev/log"
"""Where the system's log takes messages."""


LOADED_LATE = ("concurrent.futures.thread", "encodings.idna", "uvloop")
"""Modules that are not loaded when a server changes its user, who may be unable to read them."""


def log_to(destination: str, level: int, syslog: str | None = None) -> None:
    """Send the log to a file, to the system's log at the socket ``syslog``, or to the standard error.

    ``destination`` is what ``--log-file`` says.
    """
    logging.addLevelName(NOTICE, "NOTICE")
    handlers: list[logging.Handler] = []
    if syslog is not None:
        handlers.append(syslog_handler(syslog))
    if destination == "stderr":
        handlers += [] if handlers else [logging.StreamHandler()]
    elif destination != "none":
        handlers.append(WatchedFileHandler(destination))
    for handler in handlers:
        if handler.formatter is None:
            handler.setFormatter(logging.Formatter(LOG_FORMAT))
    logging.basicConfig(level=level, handlers=handlers or [logging.NullHandler()])
    # Scripts that rotate gearmand's log send SIGHUP afterwards. The handler sees by itself that its file has
    # moved; the signal must not end the server, wherever its log goes.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def syslog_handler(address: str) -> SysLogHandler:
    """Return a handler whose lines the system's log files under the program's name and process."""
    try:
        os.stat(address)  # the handler itself would drop messages until there is something
        handler = SysLogHandler(address, SysLogHandler.LOG_DAEMON)
    except OSError as error:
        raise CannotRun(f"--syslog: {address}: {error.strerror}") from error
    handler.append_nul = False  # it would stand in the log
    handler.setFormatter(logging.Formatter("gearcored[%(process)d]: %(message)s"))
    return handler


def allow_descriptors(count: int | None) -> None:
    """Set how many file descriptors the process may have; None for as many as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    beyond = hard != resource.RLIM_INFINITY and (count or 0) > hard
    try:
        if count is None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        else:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count if beyond else hard))
    except (OSError, ValueError) as error:
        if count is None:
            return  # macOS calls it unlimited, and refuses that
        raise CannotRun(
            f"--file-descriptors {count}: the system allows {hard}; root may have more of it"
        ) from error


def allow_core_dumps() -> None:
    """Have the system write a core file after a crash, as large as it lets this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def become(name: str) -> None:
    """Become a user, with the user's groups, for good."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise CannotRun(f"--user: no such user: {name}") from None
    if os.getuid() == user.pw_uid == os.geteuid():
        return
    if os.geteuid() != 0:
        raise CannotRun(f"--user {name}: only root can become another user")
    for module in LOADED_LATE:
        with suppress(ImportError):
            import_module(module)
    os.initgroups(name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


class PidFile:
    """A file that holds the number of this process, while it runs."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._content = f"{os.getpid()}\n"
        self._path.write_text(self._content)

    def remove(self) -> None:
        """Remove the file, if it is one, and still this process's.

        Another server may have been started with the same file since, and nobody wants /dev/null gone.
        """
        try:
            status = self._path.lstat()
            if stat.S_ISREG(status.st_mode) and self._path.read_text() == self._content:
                self._path.unlink()
        except OSError as error:
            if self._path.exists():
                logging.getLogger("gearcore").warning("cannot remove %s: %s", self._path, error.strerror)


def detach() -> Callable[[], None]:
    """Go on in a child process, and return what the child calls when it is ready.

    The parent stays until then, so that whoever started it learns from its exit status whether the server
    runs, and finds the pid file written. A child that ends before it is ready has said why on stderr; its
    exit status is then the parent's.
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if child:
        os.close(write_end)
        if os.read(read_end, 1):
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        sys.exit(1 if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))

    os.close(read_end)
    os.setsid()

    def ready() -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        os.close(null)
        os.write(write_end, b"\n")
        os.close(write_end)

    return ready
