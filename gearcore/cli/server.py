"""``gearcore server``: a job server in the foreground, which logs on stderr."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from gearcore.cli._common import LOG_FORMAT
from gearcore.cli.option import Option
from gearcore.cli.options import OPTIONS, defaults
from gearcore.cli.serving import make_server

__all__ = ["server"]


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command those options of the table that it has a name for."""
    for option in reversed(OPTIONS):  # as decorators are, from the last to the first
        if option.server_name:
            command = as_click_option(option)(command)
    return command


def as_click_option(option: Option) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the decorator for one option of the table."""
    if not option.metavar:
        return click.option(f"--{option.server_name}", option.key, is_flag=True, help=option.text)
    return click.option(
        f"--{option.server_name}",
        option.key,
        metavar=option.metavar,
        callback=partial(read, option),
        multiple=option.several,
        help=option.help(environment=False),
    )


def read(option: Option, context: click.Context, parameter: click.Parameter, given: Any) -> Any:
    """Read what was given for an option: a text, several, or nothing."""
    try:
        if option.several:
            return [option.read(text) for text in given]
        return option.default if given is None else option.read(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@with_options
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="The least severe messages to log.",
)
def server(log_level: str, **values: Any) -> None:
    """Run a Gearman job server until SIGTERM or SIGINT, or until SIGUSR1 and the end of the last job."""
    logging.basicConfig(format=LOG_FORMAT, level=log_level.upper())
    make_server(defaults() | values).run()
