"""What the commands share: where a server listens, and errors that a person can read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from gearcore.errors import GearcoreError
from gearcore.protocol import DEFAULT_PORT

__all__ = ["DEFAULT_HOST", "LOG_FORMAT", "complain", "one_line_errors", "port_option", "quit_with", "visible"]

DEFAULT_HOST = "127.0.0.1"
"""Where a server listens unless it is told: other machines do not reach it by accident."""

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"

port_option = click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)


def complain(program: str, message: str) -> None:
    """Print one line on stderr."""
    print(f"{program}: {visible(' '.join(message.split()))}", file=sys.stderr)


def visible(text: str) -> str:
    """A text for the terminal, which what a stranger named a function must not command."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def quit_with(program: str, message: str, status: int) -> NoReturn:
    """End the program with one line on stderr."""
    complain(program, message)
    sys.exit(status)


@contextmanager
def one_line_errors(program: str) -> Iterator[None]:
    """Turn what a user can cause into one line and an exit status: 2 for the usage, 1 for the rest.

    Everything else is a defect of gearcore, and keeps its traceback.
    """
    try:
        yield
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else program
        quit_with(command, f"{error.format_message()} (see '{command} --help')", error.exit_code)
    except click.ClickException as error:
        quit_with(program, error.format_message(), error.exit_code)
    except GearcoreError as error:
        quit_with(program, str(error), 1)
    except OSError as error:
        named = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        quit_with(program, named, 1)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)  # what a shell reports for SIGINT
