"""``gearcore ping``: whether a server is there and answers."""

from __future__ import annotations

import sys
from typing import Any

import click

from gearcore.cli._common import complain
from gearcore.cli._report import json_option, print_json
from gearcore.cli._servers import Target, server_options
from gearcore.errors import GearcoreError

__all__ = ["ping"]


@click.command()
@server_options
@json_option
def ping(target: Target, as_json: bool) -> None:
    """Have a server send a few bytes back, and show how long it took.

    The exit status is 1 if a server did not.
    """
    answers: list[dict[str, Any]] = []
    for server in target.servers:
        with target.client((server,)) as client:
            try:
                client.ping()  # the first one connects as well
                answers.append({"server": str(server), "seconds": client.ping()})
            except GearcoreError as error:
                answers.append({"server": str(server), "error": str(error)})
    if as_json:
        print_json(answers)
    for answer in answers:
        if "error" in answer:
            complain("gearcore", answer["error"])
        elif not as_json:
            click.echo(f"{answer['server']}: {answer['seconds'] * 1000:.3f} ms")
    if any("error" in answer for answer in answers):
        sys.exit(1)
