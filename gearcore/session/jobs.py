"""What a job of the blocking client and one of the asyncio client have in common: what has come so far."""

from __future__ import annotations

from typing import Any

from gearcore._requests import JobRequest
from gearcore.session.events import JobData, JobProgress, JobWarning

__all__ = ["SubmittedJob"]


class SubmittedJob(JobRequest):
    """A submission as its client's user sees it, apart from all that waits."""

    __slots__ = ()

    @property
    def data(self) -> list[Any]:
        """The parts of the job's data (WORK_DATA) that have come so far, decoded as the result is."""
        return [self._decode(event.data, "data") for event in self.news if isinstance(event, JobData)]

    @property
    def warnings(self) -> list[bytes]:
        """The warnings (WORK_WARNING) that have come so far."""
        return [event.data for event in self.news if isinstance(event, JobWarning)]

    @property
    def progress(self) -> JobProgress | None:
        """The progress (WORK_STATUS) that came last, or None."""
        return next((event for event in reversed(self.news) if isinstance(event, JobProgress)), None)

    def __repr__(self) -> str:
        state = "pending" if not self.ended else "failed" if self.failure else "complete"
        return f"<Job {self.handle} {self.function!r} {'background' if self.background else state}>"

    def _decode(self, data: bytes, what: str) -> Any:
        return data if self.encoding is None else self.encoding.unpack(data, what)
