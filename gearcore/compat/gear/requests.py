"""Admin commands as objects, whose ``response`` is the server's answer as it came."""

from __future__ import annotations

import threading
from typing import Any

from gearcore.compat.gear.jobs import convert_to_bytes

__all__ = [
    "AdminRequest",
    "CancelJobAdminRequest",
    "ShowJobsAdminRequest",
    "ShowUniqueJobsAdminRequest",
    "StatusAdminRequest",
    "VersionAdminRequest",
    "WorkersAdminRequest",
]

_ENDS = (b".\n", b".\r\n")


class AdminRequest:
    """An admin command, for ``Connection.sendAdminRequest``. A subclass says which by ``command``.

    ``arguments`` are the words behind it, as bytes or texts. ``response`` is the answer, with its terminator.
    """

    command: bytes | None = None
    arguments: Any = ()
    response: bytes | None = None

    _complete_position = 0

    def __init__(self, *arguments: Any) -> None:
        if type(self) is AdminRequest:
            # gear's own answer, for programs that try it
            raise NotImplementedError("AdminRequest must be subclassed")
        self.wait_event = threading.Event()
        self.arguments = arguments

    def getCommand(self) -> bytes:
        """The line to send."""
        assert self.command is not None
        return b" ".join((self.command, *map(convert_to_bytes, self.arguments))) + b"\n"

    def isComplete(self, data: bytes) -> tuple[bool, bytes | None]:
        """Whether an answer is complete, of which ``data`` has come so far, and what stands behind it.

        It is a list here, which ends with a line of one dot; what was looked at is not looked at again.
        """
        at = self._complete_position  # where the line begins that was not complete
        while (end := data.find(b"\n", at) + 1) > 0:
            if data[at:end] in _ENDS:
                self.response = data[:end]
                return True, data[end:]
            at = end
        self._complete_position = at
        return False, None

    def setComplete(self) -> None:
        """Have ``waitForResponse`` return."""
        self.wait_event.set()

    def waitForResponse(self, timeout: float | None = None) -> bool:
        """Wait until the answer has come, for so many seconds; returns whether it has."""
        return self.wait_event.wait(timeout)

    def __repr__(self) -> str:
        return f"<gear.AdminRequest 0x{id(self):x} command: {self.command!r}>"


class _Line(AdminRequest):
    """A command whose answer is a line."""

    def isComplete(self, data: bytes) -> tuple[bool, bytes | None]:
        """Whether the line is complete, and what stands behind it."""
        end = data.find(b"\n") + 1
        if not end:
            return False, None
        self.response = data[:end]
        return True, data[end:]


class StatusAdminRequest(AdminRequest):
    """``status``: the functions, with their jobs and workers."""

    command = b"status"

    def __init__(self) -> None:
        super().__init__()


class ShowJobsAdminRequest(AdminRequest):
    """``show jobs``: the jobs."""

    command = b"show jobs"

    def __init__(self) -> None:
        super().__init__()


class ShowUniqueJobsAdminRequest(AdminRequest):
    """``show unique jobs``: the unique ids of the jobs."""

    command = b"show unique jobs"

    def __init__(self) -> None:
        super().__init__()


class WorkersAdminRequest(AdminRequest):
    """``workers``: the connections, with the functions that they offer."""

    command = b"workers"

    def __init__(self) -> None:
        super().__init__()


class CancelJobAdminRequest(_Line):
    """``cancel job``: drop the job with this handle."""

    command = b"cancel job"

    def __init__(self, handle: bytes | str) -> None:
        super().__init__(convert_to_bytes(handle))


class VersionAdminRequest(_Line):
    """``version``: the server's version."""

    command = b"version"

    def __init__(self) -> None:
        super().__init__()
