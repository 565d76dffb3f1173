"""The client: jobs are submitted, waited for, and asked about."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Collection, Iterable
from typing import Any, Final, TypeVar

from gearcore.compat.gearman.connection import GearmanConnection
from gearcore.compat.gearman.connection_manager import GearmanConnectionManager
from gearcore.compat.gearman.constants import (
    JOB_PENDING,
    JOB_UNKNOWN,
    PRIORITIES,
    PRIORITY_NONE,
)
from gearcore.compat.gearman.encoding import to_wire
from gearcore.compat.gearman.errors import (
    ConnectionError as ConnectionFailed,
)
from gearcore.compat.gearman.errors import (
    ExceededConnectionAttempts,
    ProtocolError,
    ServerError,
    ServerUnavailable,
)
from gearcore.compat.gearman.job import GearmanJobRequest
from gearcore.compat.gearman.request_updates import Sent, ask, is_news, settle
from gearcore.errors import ProtocolError as Offence
from gearcore.errors import ServerError as Refusal
from gearcore.protocol import SUBMIT_PACKETS
from gearcore.session.client import ClientSession, Terms, new_job
from gearcore.session.routing import Ring

__all__ = ["GearmanClient"]

C = TypeVar("C", bound=Collection[GearmanJobRequest])

_TERMS: Final = {
    (priority, background): Terms(SUBMIT_PACKETS[ours, background], background=background)
    for priority, ours in PRIORITIES.items()
    for background in (False, True)
}


class GearmanClient(GearmanConnectionManager):
    """Submits jobs. For ``host_list`` see the base class; not for several threads at a time.

    A job without a unique id gets one of ``2 * random_unique_bytes`` random hexadecimal digits. A job goes to
    a server by consistent hashing of its unique id, so that equal jobs meet, and from there on to the next if
    that one cannot be reached.
    """

    def __init__(self, host_list: Iterable[Any] | None = None, random_unique_bytes: int = 16) -> None:
        super().__init__(host_list)
        self.random_unique_bytes = random_unique_bytes
        self._losses = 0
        self._looked: set[GearmanConnection] | None = None
        self._ring: tuple[list[str], Ring] | None = None

    def submit_job(
        self,
        task: str | bytes,
        data: Any,
        unique: str | bytes | None = None,
        priority: str | None = PRIORITY_NONE,
        background: bool = False,
        wait_until_complete: bool = True,
        max_retries: int = 0,
        poll_timeout: float | None = None,
    ) -> GearmanJobRequest:
        """Submit a job, and wait for its end: of a background job, for its acknowledgement.

        ``wait_until_complete`` false: wait for the acknowledgement in any case. ``max_retries`` is how often
        it is sent again when its connection is lost before it is acknowledged. ``poll_timeout`` is how many
        seconds to wait in all, None without a limit: ``timed_out`` of what is returned tells.

        Raises ServerUnavailable, ExceededConnectionAttempts, ServerError when the server refuses the job, and
        TypeError for data that the encoder does not take.
        """
        job = {"task": task, "data": data, "unique": unique, "priority": priority}
        requests = self.submit_multiple_jobs(
            [job],
            background=background,
            wait_until_complete=wait_until_complete,
            max_retries=max_retries,
            poll_timeout=poll_timeout,
        )
        return requests[0]

    def submit_multiple_jobs(
        self,
        jobs_to_submit: Collection[dict[str, Any]],
        background: bool = False,
        wait_until_complete: bool = True,
        max_retries: int = 0,
        poll_timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Submit jobs, each a dict with ``task``, ``data``, and perhaps ``unique`` and ``priority``.

        For the rest see `submit_job`. Returns the requests in the order of the jobs.
        """
        assert type(jobs_to_submit) in (list, tuple, set), "jobs come in a list, a tuple or a set"
        requests = [self._make_request(job, background, max_retries) for job in jobs_to_submit]
        self.submit_multiple_requests(requests, wait_until_complete, poll_timeout)
        return requests

    def submit_multiple_requests(
        self, job_requests: C, wait_until_complete: bool = True, poll_timeout: float | None = None
    ) -> C:
        """Submit requests, and wait for their acknowledgements, and their ends. Returns what it is given."""
        assert type(job_requests) in (list, tuple, set), "requests come in a list, a tuple or a set"
        begun = 0.0 if poll_timeout is None else time.monotonic()
        self.wait_until_jobs_accepted(job_requests, poll_timeout=poll_timeout)
        if wait_until_complete:
            if poll_timeout is not None:
                poll_timeout = max(poll_timeout - (time.monotonic() - begun), 0.0)
            self.wait_until_jobs_completed(job_requests, poll_timeout=poll_timeout)
        return job_requests

    def wait_until_jobs_accepted(self, job_requests: C, poll_timeout: float | None = None) -> C:
        """Send the requests that are UNKNOWN, and wait until none is PENDING any more.

        What loses its connection meanwhile is sent again as long as its ``max_retries`` allow. Raises
        ServerError when a server refuses one of them, after the others are acknowledged.
        """
        assert type(job_requests) in (list, tuple, set), "requests come in a list, a tuple or a set"
        left = list(job_requests)
        losses = self._losses - 1

        def go_on(any_activity: bool) -> bool:
            nonlocal losses
            while losses != self._losses:
                losses = self._losses
                # Nothing is heard between the requests of one batch: it is enough to look once.
                self._looked = set()
                try:
                    for request in left:
                        if request.state == JOB_UNKNOWN:
                            self.send_job_request(request)
                finally:
                    self._looked = None
            while left and left[-1].state not in _UNACCEPTED:
                left.pop()
            return bool(left)

        self.poll_connections_until_stopped(self.connection_list, go_on, timeout=poll_timeout)
        for request in job_requests:
            request.timed_out = request.state == JOB_PENDING
        self._raise_refusals(job_requests)
        return job_requests

    def wait_until_jobs_completed(self, job_requests: C, poll_timeout: float | None = None) -> C:
        """Wait until the requests are complete, or have become UNKNOWN since their connection was lost.

        Raises ServerUnavailable when there was no other connection.
        """
        assert type(job_requests) in (list, tuple, set), "requests come in a list, a tuple or a set"
        left = [request for request in job_requests if not request.complete]

        def go_on(any_activity: bool) -> bool:
            while left and (left[-1].complete or left[-1].state == JOB_UNKNOWN):
                left.pop()
            return bool(left)

        if not left:
            for request in job_requests:
                request.timed_out = False
            self._raise_refusals(job_requests)
            return job_requests
        self.poll_connections_until_stopped(self.connection_list, go_on, timeout=poll_timeout)
        lost = False
        for request in job_requests:
            request.timed_out = not request.complete
            lost = lost or request.state == JOB_UNKNOWN
        if lost and not any(connection.connected for connection in self.connection_list):
            raise ServerUnavailable(f"no server is connected: {self.connection_list!r}")
        self._raise_refusals(job_requests)
        return job_requests

    def get_job_status(
        self, current_request: GearmanJobRequest, poll_timeout: float | None = None
    ) -> GearmanJobRequest:
        """Ask the server of a request's job how it stands, for ``status``. Returns the request."""
        return self.get_job_statuses([current_request], poll_timeout=poll_timeout)[0]

    def get_job_statuses(
        self, job_requests: Iterable[GearmanJobRequest], poll_timeout: float | None = None
    ) -> list[GearmanJobRequest]:
        """The same for several requests."""
        requests = list(job_requests)
        for request in requests:
            connection = request.job.connection
            try:
                self._refresh(connection)
                self.establish_connection(connection)
            except ConnectionFailed as error:
                raise ServerUnavailable(str(error)) from error
            request._question = ask(request, connection.handler)  # type: ignore[attr-defined]
        return self.wait_until_job_statuses_received(requests, poll_timeout=poll_timeout)

    def wait_until_job_statuses_received(
        self, job_requests: Iterable[GearmanJobRequest], poll_timeout: float | None = None
    ) -> list[GearmanJobRequest]:
        """Wait until there is an answer for each of the requests that was asked about."""
        requests = list(job_requests)
        left = list(requests)

        def go_on(any_activity: bool) -> bool:
            while left and left[-1]._question.answered:  # type: ignore[attr-defined]
                left.pop()
            return bool(left)

        self.poll_connections_until_stopped(self.connection_list, go_on, timeout=poll_timeout)
        for request in requests:
            question = request._question  # type: ignore[attr-defined]
            request.timed_out = not question.answered
            if question.error is not None:
                raise ServerUnavailable(str(question.error)) from question.error
        return requests

    def send_job_request(self, current_request: GearmanJobRequest) -> GearmanJobRequest:
        """Send a request, to a server that `establish_request_connection` chooses."""
        attempts = current_request.connection_attempts
        if attempts >= current_request.max_connection_attempts:
            raise ExceededConnectionAttempts(
                f"{current_request!r} lost its connection, and was sent {attempts} times: see max_retries"
            )
        connection = self.establish_request_connection(current_request)
        job = current_request.job
        try:
            terms = _TERMS[current_request.priority, bool(current_request.background)]
        except KeyError:
            raise KeyError(f"a priority is None, 'LOW' or 'HIGH', not {current_request.priority!r}") from None
        data = self.encode(job.data)
        try:
            sent = new_job(Sent, terms, job.task, data, job.unique)
        except (TypeError, ValueError) as error:
            raise ProtocolError(str(error)) from error
        sent.owner = current_request
        sent.watcher = is_news
        job.connection = connection
        current_request.state = JOB_PENDING
        current_request.connection_attempts = attempts + 1
        current_request.timed_out = False
        connection.handler.ask(sent)
        return current_request

    def establish_request_connection(self, current_request: GearmanJobRequest) -> GearmanConnection:
        """A connection for a request, to the first server that can be reached. Raises ServerUnavailable."""
        reason: Exception | None = None
        looked = self._looked
        for connection in self._order(current_request):
            if looked is not None and connection in looked and connection.connected:
                return connection
            try:
                self._refresh(connection)
                return self.establish_connection(connection)
            except ConnectionFailed as error:
                reason = error
        servers = ", ".join(str(connection.address) for connection in self.connection_list)
        raise ServerUnavailable(f"no server can be reached of [{servers}]: {reason}") from reason

    def _raise_refusals(self, job_requests: Collection[GearmanJobRequest]) -> None:
        """Raise what servers said instead of acknowledging a job, the first of it."""
        refused: ServerError | None = None
        for request in job_requests:
            if type(request.exception) is Refusal:
                error, request.exception = request.exception, request.exception.text
                self.on_gearman_error(error.code, error.text)
                refused = refused or ServerError(error.code, error.text, job_requests)
        if refused is not None:
            raise refused

    def _order(self, request: GearmanJobRequest) -> list[GearmanConnection]:
        """The servers in the order in which a request tries them: those that just failed at the end."""
        connections = self.connection_list
        if len(connections) < 2:
            return connections
        names = [str(connection.address) for connection in connections]
        if self._ring is None or self._ring[0] != names:
            self._ring = names, Ring(names)
        unique = to_wire(request.job.unique) if request.job.unique else os.urandom(8)
        order = [connections[index] for index in self._ring[1].order(unique)]
        return sorted(order, key=lambda connection: not connection.connected and connection.cooling)

    def handle_error(self, current_connection: GearmanConnection) -> None:
        # What the server said before it closed may answer what is in flight.
        self._read_all(current_connection)
        super().handle_error(current_connection)

    def _refresh(self, connection: GearmanConnection) -> None:
        """Notice that a connection has ended while nobody looked, before anything is sent on it."""
        if connection.handler is not None and (connection._link is None or not connection._link.idle):
            self._read_all(connection)
        if self._looked is not None:
            self._looked.add(connection)

    def _read_all(self, connection: GearmanConnection) -> None:
        """Take all that has come, and close the connection if it has ended."""
        try:
            while connection.handler is not None and (data := connection.receive()):
                self._take(connection, data)
        except ConnectionFailed:
            self._drop(connection)
        except Offence as error:
            self._drop(connection)
            raise ProtocolError(str(error)) from error

    def _make_request(self, job: dict[str, Any], background: bool, max_retries: int) -> GearmanJobRequest:
        unique = job.get("unique")
        if not unique:
            size = self.random_unique_bytes
            unique = _random_bits(8 * size).to_bytes(size, "big").hex()
        made = self.job_class(None, None, job["task"], unique, job["data"])
        return self.job_request_class(made, job.get("priority", PRIORITY_NONE), background, max_retries + 1)

    def _make_handler(self, connection: GearmanConnection) -> ClientSession:
        return ClientSession(str(connection.address))

    def _take(self, connection: GearmanConnection, data: Any) -> None:
        failure: Exception | None = None
        for changed in connection.handler.receive(data):
            try:
                if type(changed) is Sent:
                    settle(self, changed)
                else:
                    changed.watcher(changed)
            except Exception as error:  # what an encoder raises; the others are not to miss their news by it
                failure = failure or error
        if failure is not None:
            raise failure

    def _flush(self, connection: GearmanConnection) -> None:
        for part in connection.handler.parts_to_send():
            connection.send(part)
        if connection.writable():
            connection.send()

    def _waits_for_one(self) -> bool:
        awaited: int = sum([handler.awaited for handler in self.handler_to_connection_map])
        return awaited == 1

    def _lost(self, handler: Any) -> None:
        self._losses += 1
        for request in handler.release():
            request.fail(ConnectionFailed("the connection was lost"))
            if isinstance(request, Sent) and request.owner is not None:
                request.owner.state = JOB_UNKNOWN
                request.owner = None


_UNACCEPTED = (JOB_UNKNOWN, JOB_PENDING)

# Not that of the random module, which a program may have seeded; os.urandom is a call of the system for each.
_random = random.Random()
_random_bits = _random.getrandbits
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)
