"""What is known of a connection: the answers that are due, and the jobs."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, MutableMapping
from typing import Any

from gearcore.compat.gear.jobs import Job

__all__ = ["OptionReqTask", "RelatedJobs", "SubmitJobTask", "Task"]


class Task:
    """A packet that the server owes an answer to. ``error`` is that answer where it is a refusal."""

    def __init__(self) -> None:
        self.ended = False
        self.error = ""

    def setComplete(self) -> None:
        """The answer has come, or will not."""
        self.ended = True


class SubmitJobTask(Task):
    """A job that was submitted; ``accepted`` once the server has taken it."""

    def __init__(self, job: Job, background: bool = False) -> None:
        super().__init__()
        self.job = job
        self.background = background
        self.accepted = False


class OptionReqTask(Task):
    """An option that was asked for."""


class RelatedJobs(MutableMapping[bytes, Any]):
    """The jobs of a connection by their handles, as a dictionary.

    No packet says that a background job has ended, so that it is here only as long as somebody else has it.
    """

    def __init__(self) -> None:
        self.foreground: dict[bytes, Any] = {}
        self._background: weakref.WeakValueDictionary[bytes, Any] = weakref.WeakValueDictionary()

    def add_background(self, handle: bytes, job: Any) -> None:
        """Have a background job as long as somebody else has it."""
        self._background[handle] = job

    def __getitem__(self, handle: bytes) -> Any:
        job = self.foreground.get(handle)
        return self._background[handle] if job is None else job

    def __setitem__(self, handle: bytes, job: Any) -> None:
        self.foreground[handle] = job

    def __delitem__(self, handle: bytes) -> None:
        if self.foreground.pop(handle, None) is None:
            del self._background[handle]

    def __iter__(self) -> Iterator[bytes]:
        yield from list(self.foreground)
        yield from list(self._background.keys())

    def __len__(self) -> int:
        return len(self.foreground) + len(self._background)

    def __repr__(self) -> str:
        return repr(dict(self))
