"""``gearcored``: the job server with the command line of gearmand."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

from gearcore._version import __version__
from gearcore.cli._common import one_line_errors, quit_with
from gearcore.cli.option import GENERAL, Option
from gearcore.cli.options import CONFIG_FILE, GROUPS, OPTIONS, defaults
from gearcore.cli.serving import make_server
from gearcore.server import Server
from gearcore.server.listeners import activated_descriptors
from gearcore.server.systemd import ServiceManager

__all__ = ["main", "parse"]

PROGRAM = "gearcored"

EPILOG = f"""\
An option of the command line comes before one of the configuration file, and that before the environment. The
configuration file holds words of the command line; without --config-file it is {CONFIG_FILE}, if that exists.
SIGTERM and SIGINT stop the server, SIGUSR1 once the last job has ended; SIGHUP opens the log file anew."""

log = logging.getLogger("gearcore.server")


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line, which says where it has what it parses from."""

    source = ""

    def error(self, message: str) -> NoReturn:
        """End the program with what is wrong with its arguments."""
        quit_with(PROGRAM, f"{self.source}{message} (see '{PROGRAM} --help')", 2)


class Once(argparse.Action):
    """Stores a value, and refuses a second one, as gearmand does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take the value of one option."""
        if hasattr(namespace, self.dest):
            raise argparse.ArgumentError(self, "it can be given only once")
        setattr(namespace, self.dest, self.const if self.nargs == 0 else values)


def argument_parser() -> Parser:
    """Return a parser of the options, which leaves out what is not given."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [OPTION]...",
        description="A Gearman job server with the command line of gearmand.",
        epilog=EPILOG,
        argument_default=argparse.SUPPRESS,
        add_help=False,
        allow_abbrev=False,  # gearmand knows none either, and an abbreviation breaks when an option is added
    )
    groups = {name: parser.add_argument_group(name) for name in GROUPS}
    for option in OPTIONS:
        names = ([f"-{option.short}"] if option.short else []) + [f"--{option.name}"]
        settings: dict[str, Any] = {"help": option.help().replace("%", "%%")}
        if not option.metavar:
            settings |= {"action": Once, "nargs": 0, "const": True}
        else:
            settings |= {"metavar": option.metavar, "type": partial(read, option)}
            settings["action"] = "append" if option.several else Once
        groups[option.group].add_argument(*names, **settings)
    general = groups[GENERAL]
    general.add_argument("-h", "--help", action="help", help="Print this help and exit.")
    general.add_argument(
        "-V",
        "--version",
        action="version",
        version=f"{PROGRAM} {__version__}",
        help="Print the version and exit.",
    )
    return parser


def read(option: Option, text: str) -> Any:
    """Read the value of an option, with a complaint that argparse passes on."""
    try:
        return option.read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse(arguments: Sequence[str] | None) -> tuple[dict[str, Any], list[str]]:
    """Read the command line, and what it leaves open from the configuration file and the environment.

    Returns the options' values, and the words of the configuration file that are no options.
    """
    parser = argument_parser()
    given = vars(parser.parse_args(arguments))
    parser.source = "configuration file: "
    configured, ignored = parser.parse_known_args(config_words(given.get("config_file")))
    unknown = [word for word in ignored if word.startswith("-")]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    values = vars(configured) | given

    for option in OPTIONS:
        text = os.environ.get(option.environment, "") if option.key not in values else ""
        if text:
            try:
                values[option.key] = option.read(text)
            except ValueError as error:
                parser.source = f"environment variable {option.environment}: "
                parser.error(str(error))
    return defaults() | values, ignored


def config_words(path: str | None) -> list[str]:
    """Return the words of a configuration file; none, like gearmand, if the default one cannot be read.

    A word that starts with # starts a comment. gearmand takes the words of it that look like options.
    """
    try:
        lines = Path(path or CONFIG_FILE).read_text(errors="surrogateescape").splitlines()
    except OSError:
        if path is None:
            return []
        raise
    return [word for line in lines for word in takewhile(lambda word: word[0] != "#", line.split())]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``gearcored`` with the arguments of the command line, until SIGTERM, SIGINT or SIGUSR1."""
    if sys.platform == "win32":
        quit_with(PROGRAM, "it needs a Unix system: 'gearcore server' runs on this one too", 1)
    # What makes a daemon is Unix's, and its modules are not there on Windows.
    from gearcore.cli.process import SYSLOG, allow_core_dumps, allow_descriptors, become, detach, log_to

    with one_line_errors(PROGRAM), ExitStack() as at_the_end:
        options, ignored = parse(arguments)
        if options["check_args"]:
            make_server(options)
            sys.exit(0)
        allow_descriptors(options["file_descriptors"])
        if options["coredump"]:
            allow_core_dumps()
        if options["user"]:
            become(options["user"])
        faulthandler.enable()  # if it crashes it says where it was, as gearmand does
        log_to(options["log_file"], options["verbose"], SYSLOG if options["syslog"] else None)
        if ignored:
            log.warning("configuration file: words that are no options: %s", " ".join(ignored))
        manager = ServiceManager.of()
        # Before the process detaches, after which it is not the one that they were passed on to.
        activated = activated_descriptors()
        detached = detach() if options["daemon"] else None
        server = make_server(options, activated)
        server.run(partial(started, options["pid_file"], detached, manager, at_the_end))


def started(
    pid_file: str | None,
    detached: Callable[[], None] | None,
    manager: ServiceManager | None,
    at_the_end: ExitStack,
    server: Server,
) -> None:
    """Do what waits until the server listens.

    A second server for the same port does not come as far, so that it leaves the pid file of the first alone.
    """
    from gearcore.cli.process import PidFile

    if pid_file:
        at_the_end.callback(PidFile(pid_file).remove)
    if detached:
        detached()
    if manager:
        at_the_end.callback(manager.close)
        manager.watch(server)
