"""What goes wrong. All of it is a `GearmanError`."""

from __future__ import annotations

__all__ = [
    "ConnectionError",
    "ExceededConnectionAttempts",
    "GearmanError",
    "InvalidAdminClientState",
    "InvalidClientState",
    "InvalidWorkerState",
    "ProtocolError",
    "ServerError",
    "ServerUnavailable",
    "UnknownCommandError",
]


class GearmanError(Exception):
    """The base of all of them."""


class ConnectionError(GearmanError):  # noqa: A001  # it is its name
    """A connection could not be made, or ended. Not Python's own exception of that name."""


class ServerUnavailable(GearmanError):
    """None of the servers can be reached."""


class ProtocolError(GearmanError):
    """What a server sent is not Gearman's protocol, or an admin command got an answer of another kind."""


class UnknownCommandError(GearmanError):
    """Not raised here: a packet that nobody expects is a `ProtocolError`."""


class ExceededConnectionAttempts(GearmanError):
    """A request lost its connection before it was acknowledged, and may not be sent once more."""


class InvalidClientState(GearmanError):
    """Not raised here: an answer that nobody asked for is a `ProtocolError`."""


class InvalidWorkerState(GearmanError):
    """Not raised here: a job that nobody asked for is a `ProtocolError`."""


class InvalidAdminClientState(GearmanError):
    """An admin command has no answer in time, or an echo that is none."""


class ServerError(GearmanError):
    """A server refused a job: its queue is full, for one. The original would wait for ever.

    ``error_code`` and ``error_text`` are the server's own words; ``job_requests`` are all that were submitted
    together, of which the refused ones are FAILED.
    """

    def __init__(self, error_code: str, error_text: str, job_requests: object = ()) -> None:
        super().__init__(f"{error_code}: {error_text}" if error_text else error_code)
        self.error_code = error_code
        self.error_text = error_text
        self.job_requests = job_requests
