"""``gearcore server``: a job server in the foreground, which logs on stderr."""

from __future__ import annotations

import logging

import click

from gearcore.cli._common import DEFAULT_HOST, LOG_FORMAT, port_option
from gearcore.server import Server

__all__ = ["server"]


@click.command()
@click.option(
    "--host",
    "hosts",
    metavar="ADDRESS",
    multiple=True,
    default=[DEFAULT_HOST],
    show_default=True,
    help="Address or name to listen on; give it again for another one.",
)
@port_option
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="The least severe messages to log.",
)
def server(hosts: tuple[str, ...], port: int, log_level: str) -> None:
    """Run a Gearman job server until SIGTERM or SIGINT."""
    logging.basicConfig(format=LOG_FORMAT, level=log_level.upper())
    Server(hosts, port).run()
