"""What a worker sends for its jobs while they run, and when they end."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from typing import Any, Final

from gearcore._waiting import WRITE, wait_for
from gearcore.compat.gearman.connection import GearmanConnection
from gearcore.compat.gearman.connection_manager import GearmanConnectionManager
from gearcore.compat.gearman.encoding import NoopEncoder, to_wire
from gearcore.compat.gearman.errors import ConnectionError as ConnectionFailed
from gearcore.compat.gearman.job import GearmanJob
from gearcore.protocol import PacketType
from gearcore.session.worker import WorkerSession

__all__ = ["JobUpdates"]

log = logging.getLogger("gearman.worker")

_SOON: Final = 0.001
"""Seconds from the end of a job to the next grab."""


class JobUpdates(GearmanConnectionManager):
    """The part of a worker that tells the servers of its jobs. A job that has ended is told of no more."""

    def __init__(self, host_list: Iterable[Any] | None = None) -> None:
        super().__init__(host_list)
        self._held = False
        self._ended, self._gap = -math.inf, math.inf

    def send_job_status(
        self, current_job: GearmanJob, numerator: float, denominator: float, poll_timeout: float | None = None
    ) -> None:
        """Say that so much of so much is done."""
        assert type(numerator) in (int, float), "the numerator is a number"
        assert type(denominator) in (int, float), "the denominator is a number"
        self._update(
            current_job,
            PacketType.WORK_STATUS,
            str(numerator).encode(),
            str(denominator).encode(),
            poll_timeout=poll_timeout,
        )

    def send_job_complete(
        self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None
    ) -> None:
        """End a job with its result: None is an empty one, unless there is a ``data_encoder``."""
        if data is None and self.data_encoder is NoopEncoder:
            data = b""
        session, handle = self._in_hand(current_job)
        result = self.encode(data)
        if session is not None:
            session.complete(handle, result)
            self._hold()
            self.wait_until_updates_sent([current_job], poll_timeout=poll_timeout)

    def send_job_failure(self, current_job: GearmanJob, poll_timeout: float | None = None) -> None:
        """End a job as failed."""
        session, handle = self._in_hand(current_job)
        if session is not None:
            session.fail(handle)
            self.wait_until_updates_sent([current_job], poll_timeout=poll_timeout)

    def send_job_exception(
        self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None
    ) -> None:
        """End a job as failed, with a reason for those clients that ask for reasons."""
        session, handle = self._in_hand(current_job)
        reason = self.encode(data)
        if session is not None:
            session.raised(handle, reason)
            self.wait_until_updates_sent([current_job], poll_timeout=poll_timeout)

    def send_job_data(self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None) -> None:
        """Send a part of the result."""
        self._update(current_job, PacketType.WORK_DATA, self.encode(data), poll_timeout=poll_timeout)

    def send_job_warning(self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None) -> None:
        """Send a warning."""
        self._update(current_job, PacketType.WORK_WARNING, self.encode(data), poll_timeout=poll_timeout)

    def wait_until_updates_sent(
        self, multiple_gearman_jobs: Iterable[GearmanJob], poll_timeout: float | None = None
    ) -> None:
        """Wait until the system has taken what was sent for these jobs."""
        end = None if poll_timeout is None else time.monotonic() + poll_timeout
        for job in multiple_gearman_jobs:
            connection = job.connection
            if connection.handler is None:
                continue
            try:
                self._flush(connection, self._held)
                while connection.writable():
                    left = None if end is None else end - time.monotonic()
                    if left is not None and left <= 0:
                        return
                    # Not for what there may be to read: it has to wait until the job has ended.
                    wait_for(connection.fileno(), WRITE, 1.0 if left is None else min(left, 1.0))
                    connection.send()
            except ConnectionFailed as error:
                # The server gives the job to another worker.
                log.warning("job %s: %s", job.handle, error)
                self._drop(connection)

    def _hold(self) -> None:
        """A job has ended: have its result wait for the grab that follows, if that follows soon.

        One segment for both spares the server, and the worker, half of the work. But what is overridden here
        may do anything between the two; as long as it took a while the last time, nothing waits for it.
        """
        self._ended = time.monotonic()
        self._held = self._gap < _SOON and len(self.connection_to_handler_map) == 1

    def _hold_no_more(self, now: float) -> None:
        """What is overridden has been called, and the next grab can be sent."""
        self._gap = now - self._ended
        self._held = False

    def _update(
        self, job: GearmanJob, packet_type: PacketType, *args: bytes, poll_timeout: float | None
    ) -> None:
        session, handle = self._in_hand(job)
        if session is not None:
            session.update(packet_type, handle, *args)
            self.wait_until_updates_sent([job], poll_timeout=poll_timeout)

    def _in_hand(self, job: GearmanJob) -> tuple[WorkerSession | None, bytes]:
        """The session and the handle of a job, if it has not ended; without it there is nobody to tell."""
        handle = to_wire(job.handle)
        session: WorkerSession | None = job.connection.handler
        if session is None or not session.has(handle):
            log.debug("job %s has ended, or its connection has", job.handle)
            return None, handle
        return session, handle

    def _is_in_hand(self, job: GearmanJob) -> bool:
        return self._in_hand(job)[0] is not None

    def _flush(self, connection: GearmanConnection, more: bool = False) -> None:
        parts = connection.handler.parts_to_send()
        for part in parts:
            connection.send(part, more or part is not parts[-1])
        if not parts and connection.writable():
            connection.send(more=more)
