"""``gearcore top``: a live screen of functions, queues and workers."""

from __future__ import annotations

import os
import select
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from gearcore import AdminClient, GearcoreError
from gearcore.cli._servers import Target, server_options
from gearcore.cli.screen import Sample, Watched, render

__all__ = ["top"]

ENTER = "\x1b[?1049h\x1b[?25l"
"""To the terminal's other screen, without a cursor."""

LEAVE = "\x1b[?25h\x1b[?1049l"

HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


@click.command()
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    help="How long to wait between two looks at a server.",
)
@click.option("--once", is_flag=True, help="Look twice, print what a screen would show, and end.")
@server_options
def top(target: Target, interval: float, once: bool) -> None:
    """Show functions, queues and workers on a live screen, until q or Ctrl-C is pressed.

    CHANGE/S is how many jobs more there are each second: below 0, they are done faster than they come. The
    functions of several servers are added up.
    """
    if not once and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the screen needs a terminal; --once prints it to a pipe")
    if not once and sys.platform == "win32":
        raise click.UsageError("the screen needs a Unix system; --once prints it on this one too")
    watched = [Watched(str(server)) for server in target.servers]
    clients = [target.admin(server) for server in target.servers]
    if once:
        look_twice(watched, clients, interval)
    else:
        live(watched, clients, interval)


def look(one: Watched, admin: AdminClient) -> None:
    """Take a sample of a server."""
    try:
        version = admin.version()
        functions, queues, peers = admin.status(), admin.priority_status(), admin.workers()
    except GearcoreError as error:
        one.failed(str(error))
    else:
        one.took(Sample(time.monotonic(), version, functions, queues, peers))


def look_twice(watched: list[Watched], clients: list[AdminClient], interval: float) -> None:
    """Print the screen after a second look, whole and without colours or cursors."""
    for turn in range(2):
        if turn:
            time.sleep(interval)
        for one, admin in zip(watched, clients, strict=True):
            with admin:
                look(one, admin)
    click.echo("\n".join(render(watched, time.strftime("%H:%M:%S"), None, None)))
    if not any(one.last for one in watched):
        sys.exit(1)


def live(watched: list[Watched], clients: list[AdminClient], interval: float) -> None:
    """Keep the screen up to date. A thread for each server asks it, since one that is away takes its time."""
    stopped = threading.Event()

    def keep_looking(one: Watched, admin: AdminClient) -> None:
        with admin:
            while not stopped.is_set():
                look(one, admin)
                stopped.wait(interval)

    threads = [
        threading.Thread(target=keep_looking, args=pair, daemon=True)
        for pair in zip(watched, clients, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        with screen() as show:
            while True:
                size = shutil.get_terminal_size()
                show(render(watched, time.strftime("%H:%M:%S"), size.lines, size.columns))
                if key_pressed(min(interval, 0.25) if not all_asked(watched) else interval) in (b"q", b"Q"):
                    return
    except KeyboardInterrupt:
        pass  # the other way to end it
    finally:
        stopped.set()


def all_asked(watched: list[Watched]) -> bool:
    """Whether something is known of every server, good or bad."""
    return all(one.last or one.error for one in watched)


def key_pressed(seconds: float) -> bytes | None:
    """A key, if one is pressed within that time; the end of the input counts as q."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return (os.read(sys.stdin.fileno(), 1) or b"q") if ready else None


@contextmanager
def screen() -> Iterator[Callable[[list[str]], None]]:
    """The terminal as a screen: yields what shows lines on it. It is as it was in the end."""
    import termios  # not on Windows
    import tty

    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    tty.setcbreak(stdin)
    sys.stdout.write(ENTER)
    try:
        yield show
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


def show(lines: list[str]) -> None:
    """Write lines over those that are there: cleared first, the screen would flicker."""
    text = f"{END_OF_LINE}\r\n".join(lines)
    sys.stdout.write(f"{HOME}{text}{END_OF_LINE}{END_OF_SCREEN}")
    sys.stdout.flush()
