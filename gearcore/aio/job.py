"""A job that an asyncio client submitted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any

from gearcore.aio.links import news_of
from gearcore.errors import GearcoreError, TimedOut
from gearcore.session.events import JobData, JobEvent, JobStatus
from gearcore.session.jobs import SubmittedJob

if TYPE_CHECKING:
    from gearcore.aio.client import Client

__all__ = ["Job"]


class Job(SubmittedJob):
    """A job that was submitted and acknowledged: a handle, and in time what the worker sends.

    ``await job`` is ``await job.result()``. What a job sent is kept until the object is dropped.

    A call that waits raises the reason why there is no result: JobFailed (the worker said no more than
    that), JobException (with the worker's text, and its bytes as ``data``), ConnectionLost, ProtocolError, or
    TimedOut when the job took longer than its ``job_timeout``. A call's own TimedOut ends the call, not the
    job: it can be waited for again. A background job has no result, so for it they raise JobError at once.
    """

    __slots__ = ()

    owner: Client

    # The base classes have: handle, function, unique, background, server, data, warnings, progress.

    def done(self) -> bool:
        """Whether the job has ended, so that ``result()`` returns or raises at once."""
        return self.ended

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait, for so many seconds, until the job has ended; returns whether it has. None: no limit."""
        try:
            await self.owner._links.wait_for_job(self, lambda: self.ended, timeout)
        except TimedOut:
            return False
        return True

    async def result(self, timeout: float | None = None) -> Any:
        """The job's result (WORK_COMPLETE), which is waited for, for so many seconds. None: no limit.

        It is bytes unless the job was submitted with another encoding; EncodingError says that it cannot be
        decoded. The parts that the worker sent before are not in it: see ``data``.
        """
        if not self.ended:
            await self.owner._links.wait_for_job(self, lambda: self.ended, timeout)
        if self.failure is not None:
            raise self.failure
        return self._decode(self.outcome, "result")

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result().__await__()

    async def exception(self, timeout: float | None = None) -> GearcoreError | None:
        """What ``result`` would raise, or None for a job that ended well. Raises TimedOut as it does."""
        if not self.ended:
            await self.owner._links.wait_for_job(self, lambda: self.ended, timeout)
        return self.failure

    async def cancel(self, timeout: float | None = None) -> bool:
        """Ask the server to drop the job; returns whether it could.

        A queued job is not run then, and ends with JobFailed. Servers leave one alone that a worker runs
        already, as far as the worker goes: gearmand forgets its clients. ``timeout``, in seconds, replaces
        the client's for this call.
        """
        return not (self.ended and not self.background) and await self.owner._cancel(self, timeout)

    async def status(self, timeout: float | None = None) -> JobStatus:
        """Ask the job's server how it stands (GET_STATUS); ``timeout`` replaces the client's."""
        return await self.owner._status_of(self, timeout)

    async def events(self, timeout: float | None = None) -> AsyncIterator[JobEvent]:
        """All data, warnings and progress, from the first on, as they come, until the job ends.

        Ends by raising the reason when the job does not end with a result. ``timeout`` is in seconds, and
        goes for the whole: TimedOut when the job has not ended then. None: no limit.
        """
        clock = asyncio.get_running_loop().time
        end = None if timeout is None else clock() + timeout
        seen = 0

        def news() -> bool:
            return self.ended or len(self.news) > seen

        while seen < len(self.news) or not self.ended:
            await self.owner._links.wait_for_job(self, news, None if end is None else end - clock())
            for event in self.news[seen:]:
                seen += 1
                yield event
        if self.failure is not None:
            raise self.failure

    async def __aiter__(self) -> AsyncIterator[Any]:
        """The parts of the job's data (WORK_DATA) as they come, decoded like the result: see ``events``."""
        async for event in self.events():
            if isinstance(event, JobData):
                yield self._decode(event.data, "data")

    def add_done_callback(self, callback: Callable[[Job], object]) -> None:
        """Call this with the job once it has ended, or at once if it has.

        It is called in the event loop, and must not wait. What it raises is logged to ``gearcore.client``.
        """
        news_of(self).add_for_end(self, callback)

    def add_event_callback(self, callback: Callable[[Job, JobEvent], object]) -> None:
        """Call this with the job and each data, warning and progress, from the first on.

        For the rest see ``add_done_callback``.
        """
        news_of(self).add_for_events(self, callback)
