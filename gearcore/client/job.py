"""A job that a blocking client submitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gearcore._blocking import Deadline
from gearcore.errors import GearcoreError, TimedOut
from gearcore.session.callbacks import Callbacks
from gearcore.session.events import JobData, JobEvent, JobStatus
from gearcore.session.jobs import SubmittedJob

if TYPE_CHECKING:
    from gearcore.client.client import Client

__all__ = ["Job"]


class Job(SubmittedJob):
    """A job that was submitted and acknowledged: a handle, and in time what the worker sends.

    What a job sent is kept until the object is dropped. Waiting in one thread brings what it waits for to the
    jobs of all threads.

    A call that waits raises the reason why there is no result: JobFailed (the worker said no more than
    that), JobException (with the worker's text, and its bytes as ``data``), ConnectionLost, ProtocolError, or
    TimedOut when the job took longer than its ``job_timeout``. A call's own TimedOut ends the call, not the
    job: it can be waited for again. A background job has no result, so for it they raise JobError at once.
    """

    __slots__ = ()

    owner: Client

    # The base classes have: handle, function, unique, background, server, data, warnings, progress.

    def done(self) -> bool:
        """Whether the job has ended, so that ``result()`` returns or raises at once. Does not wait."""
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, for so many seconds, until the job has ended; returns whether it has. None: no limit."""
        if not self.ended:
            try:
                self.owner._links.wait_for_job(self, lambda: self.ended, Deadline(timeout))
            except TimedOut:
                return False
        return True

    def result(self, timeout: float | None = None) -> Any:
        """The job's result (WORK_COMPLETE), which is waited for, for so many seconds. None: no limit.

        It is bytes unless the job was submitted with another encoding; EncodingError says that it cannot be
        decoded. The parts that the worker sent before are not in it: see ``data``.
        """
        if not self.ended:
            self.owner._links.wait_for_job(self, lambda: self.ended, Deadline(timeout))
        if self.failure is not None:
            raise self.failure
        return self._decode(self.outcome, "result")

    def exception(self, timeout: float | None = None) -> GearcoreError | None:
        """What ``result`` would raise, or None for a job that ended well. Raises TimedOut as it does."""
        if not self.ended:
            self.owner._links.wait_for_job(self, lambda: self.ended, Deadline(timeout))
        return self.failure

    def cancel(self, timeout: float | None = None) -> bool:
        """Ask the server to drop the job; returns whether it could.

        A queued job is not run then, and ends with JobFailed. Servers leave one alone that a worker runs
        already, as far as the worker goes: gearmand forgets its clients. ``timeout``, in seconds, replaces
        the client's for this call.
        """
        return not (self.ended and not self.background) and self.owner._cancel(self, timeout)

    def status(self, timeout: float | None = None) -> JobStatus:
        """Ask the job's server how it stands (GET_STATUS); ``timeout`` replaces the client's."""
        return self.owner._status_of(self, timeout)

    def events(self, timeout: float | None = None) -> Iterator[JobEvent]:
        """All data, warnings and progress, from the first on, as they come, until the job ends.

        Ends by raising the reason when the job does not end with a result. ``timeout`` is in seconds, and
        goes for the whole: TimedOut when the job has not ended then. None: no limit.
        """
        return self._stream(Deadline(timeout))

    def __iter__(self) -> Iterator[Any]:
        """The parts of the job's data (WORK_DATA) as they come, decoded like the result: see ``events``."""
        return (self._decode(event.data, "data") for event in self.events() if isinstance(event, JobData))

    def add_done_callback(self, callback: Callable[[Job], object]) -> None:
        """Call this with the job once it has ended, or at once if it has.

        It is called in a thread that waits for something from the same client when the end comes, and must
        not wait long itself. What it raises is logged to ``gearcore.client``.
        """
        self._callbacks().add_for_end(self, callback)

    def add_event_callback(self, callback: Callable[[Job, JobEvent], object]) -> None:
        """Call this with the job and each data, warning and progress, from the first on.

        For the rest see ``add_done_callback``.
        """
        self._callbacks().add_for_events(self, callback)

    def _callbacks(self) -> Callbacks:
        if not isinstance(self.watcher, Callbacks):
            self.watcher = Callbacks()
        return self.watcher

    def _stream(self, deadline: Deadline) -> Iterator[JobEvent]:
        seen = 0

        def news() -> bool:
            return self.ended or len(self.news) > seen

        while seen < len(self.news) or not self.ended:
            if not news():
                self.owner._links.wait_for_job(self, news, deadline)
            for event in self.news[seen:]:
                seen += 1
                yield event
        if self.failure is not None:
            raise self.failure
