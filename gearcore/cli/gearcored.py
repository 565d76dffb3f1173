"""``gearcored``: the job server with the command line of gearmand."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import NoReturn

from gearcore._version import __version__
from gearcore.cli._common import DEFAULT_HOST, LOG_FORMAT, one_line_errors, quit_with
from gearcore.protocol import DEFAULT_PORT
from gearcore.server import Server

__all__ = ["main"]

PROGRAM = "gearcored"


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """End the program with what is wrong with its arguments."""
        quit_with(PROGRAM, f"{message} (see '{PROGRAM} --help')", 2)


def option_table() -> Parser:
    """Return the options, in the groups and the order of gearmand's own help."""
    parser = Parser(
        prog=PROGRAM,
        description="A Gearman job server with the command line of gearmand.",
        epilog="The environment variable GEARMAND_PORT holds the port where --port is not given.",
        add_help=False,
        allow_abbrev=False,  # gearmand knows none either, and an abbreviation breaks when an option is added
    )

    general = parser.add_argument_group("General options")
    general.add_argument(
        "-d",
        "--daemon",
        action="store_true",
        help="Detach and run in the background, once the port is taken.",
    )
    general.add_argument("-h", "--help", action="help", help="Print this help and exit.")
    general.add_argument(
        "-l",
        "--log-file",
        metavar="FILE",
        default="stderr",
        help="File to append the log to; 'stderr' for the standard error, 'none' for no log. It may be moved "
        "away at any time, as logrotate does: a new one is made. Default: %(default)s.",
    )
    general.add_argument(
        "-L",
        "--listen",
        metavar="ADDRESS",
        action="append",
        help="Address or name to listen on; give it again for another one. "
        f"Default: {DEFAULT_HOST}, where gearmand takes every address of the machine.",
    )
    general.add_argument(
        "-P",
        "--pid-file",
        metavar="FILE",
        help="File to write the process ID to, removed at the end. Default: none.",
    )
    general.add_argument(
        "-t",
        "--threads",
        metavar="N",
        type=thread_count,
        help="Accepted for gearmand's sake and without effect: one thread does all the work.",
    )
    general.add_argument(
        "-V",
        "--version",
        action="version",
        version=f"{PROGRAM} {__version__}",
        help="Print the version and exit.",
    )

    gear = parser.add_argument_group("Gear")
    gear.add_argument(
        "-p",
        "--port",
        type=port_number,
        help=f"Port to listen on, a number or a service's name; 0 takes a free one. Default: {DEFAULT_PORT}.",
    )
    return parser


def port_number(text: str) -> int:
    """Read a port: its number, or the name that the system's services have for it."""
    try:
        port = int(text)
    except ValueError:
        try:
            return socket.getservbyname(text, "tcp")
        except OSError:
            raise argparse.ArgumentTypeError(f"no port and no service: {text!r}") from None
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"not in 0..65535: {port}")
    return port


def thread_count(text: str) -> int:
    """Read a number of threads, which gearmand lets be 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"not a number of threads: {text!r}")
    return int(text)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and the environment for what it leaves open."""
    parser = option_table()
    options = parser.parse_args(arguments)
    if options.port is None:
        try:
            options.port = port_number(os.environ.get("GEARMAND_PORT") or str(DEFAULT_PORT))
        except argparse.ArgumentTypeError as error:
            parser.error(f"environment variable GEARMAND_PORT: {error}")
    return options


def log_to(destination: str) -> None:
    """Send the log to where ``--log-file`` says."""
    handler: logging.Handler
    if destination == "stderr":
        handler = logging.StreamHandler()
    elif destination == "none":
        handler = logging.NullHandler()
    else:
        handler = WatchedFileHandler(destination)
        # Scripts that rotate gearmand's log send SIGHUP afterwards. The handler has seen by itself that the
        # file has moved; the signal must not end the server.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logging.basicConfig(format=LOG_FORMAT, level=logging.INFO, handlers=[handler])


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``gearcored`` with the arguments of the command line, until SIGTERM or SIGINT."""
    with one_line_errors(PROGRAM), ExitStack() as at_the_end:
        options = parse(arguments)
        log_to(options.log_file)
        ready = detach() if options.daemon else None

        def started(_: Server) -> None:
            # Not before the port is taken: a second server must not overwrite the pid file of the first.
            if options.pid_file:
                pid_file = Path(options.pid_file)
                pid_file.write_text(f"{os.getpid()}\n")
                at_the_end.callback(pid_file.unlink, missing_ok=True)
            if ready:
                ready()

        Server(options.listen or DEFAULT_HOST, options.port).run(started)
