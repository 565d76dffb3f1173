"""The exceptions of gear, each an ``Exception`` of its own as there."""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "ConnectionError",
    "DisconnectError",
    "GearmanError",
    "InterruptedError",
    "InvalidDataError",
    "NoConnectedServersError",
    "RetryIOError",
    "TimeoutError",
    "UnknownJobError",
]


class ConnectionError(Exception):
    """A connection could not be made. It is not Python's exception of that name."""


class InvalidDataError(Exception):
    """What was to be sent, or what came, is no packet of Gearman's."""


class ConfigurationError(Exception):
    """Arguments that do not go together."""


class NoConnectedServersError(Exception):
    """There is no connection to any server."""


class UnknownJobError(Exception):
    """A packet is about a job that its connection does not know, or no more."""


class InterruptedError(Exception):
    """``Worker.getJob`` ended without a job. It is not Python's exception of that name."""


class TimeoutError(Exception):
    """Something did not happen in time. It is not Python's exception of that name."""


class GearmanError(Exception):
    """A server refused, or no server took a job."""


class DisconnectError(Exception):
    """A connection ended. Nothing here raises it; it is there for programs that name it."""


class RetryIOError(Exception):
    """A socket is not ready. Nothing here raises it; it is there for programs that name it."""
