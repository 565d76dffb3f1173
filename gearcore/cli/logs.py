"""The log of a command, as text for people or as JSON for machines."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from gearcore.cli._common import LOG_FORMAT

__all__ = ["JsonFormatter", "log_options", "start_log"]


class JsonFormatter(logging.Formatter):
    """Each record as one line of JSON: time, level, logger, message, and the exception if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Make the line."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `start_log`."""
    for option in (
        click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
            default="info",
            show_default=True,
            help="The least severe messages to log.",
        ),
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
            help="How to write them, on stderr.",
        ),
    ):
        command = option(command)
    return command


def start_log(log_level: str, log_format: str) -> None:
    """Log on stderr from now on, for the whole process."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(LOG_FORMAT))
    logging.basicConfig(handlers=[handler], level=log_level.upper())
