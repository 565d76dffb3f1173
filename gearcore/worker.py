"""The blocking worker: one server, one job at a time."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, Final, NoReturn, ParamSpec, TypeVar, overload

from gearcore._blocking import Connection, Deadline, Waker
from gearcore.address import parse_address
from gearcore.errors import GearcoreError, ServerError, TimedOut
from gearcore.session.arguments import decode_name, encode_name
from gearcore.session.worker import Assignment, WorkerSession, WorkerState

if TYPE_CHECKING:
    from typing_extensions import Buffer

    Function = Callable[["WorkerJob"], Buffer | None]

__all__ = ["Worker", "WorkerJob"]

P = ParamSpec("P")
F = TypeVar("F", bound="Function")

log = logging.getLogger("gearcore.worker")

_LONGEST_SLEEP: Final = 60.0
"""Seconds after which a worker that heard nothing asks for a job again."""

_FIRST_PAUSE: Final = 0.1
"""Seconds before the first attempt to connect again; each further pause is twice as long."""

_LONGEST_PAUSE: Final = 30.0


class Worker:
    """A worker of one job server, which runs functions for jobs, one at a time.

    ``server`` is ``"host:port"``, ``"[IPv6]:port"`` or ``(host, port)``; the port is 4730 unless it is given.
    ``client_id`` is a name for humans, which ``gearadmin --workers`` shows; it has no spaces. ``timeout`` is
    how many seconds the server has to answer a request for a job, and to take what the worker sends.
    ``connect_timeout`` is how many seconds a connection may take.

    A function takes a ``WorkerJob`` and returns the result: bytes-like, or None for an empty one. An
    exception ends the job with WORK_EXCEPTION and the text ``TypeName: message``, which clients see that
    asked for exceptions (others see that the job failed); it is logged to ``gearcore.worker`` with its
    traceback, and does not stop the worker. To fail without a text see ``WorkerJob.fail``.
    """

    def __init__(
        self,
        server: str | tuple[str, int] = "127.0.0.1:4730",
        *,
        client_id: str | None = None,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
    ) -> None:
        if client_id is not None and (" " in client_id or not client_id.isprintable()):
            raise ValueError(f"client_id {client_id!r} has a space or a character that cannot be shown")
        self._address = parse_address(server)
        self._client_id = None if client_id is None else client_id.encode()
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._functions: dict[bytes, Function] = {}
        self._stopping = False
        self._waker: Waker | None = None
        self._jobs_left = math.inf

    @overload
    def function(self, function: F, /) -> F: ...

    @overload
    def function(self, name: str | bytes, /) -> Callable[[F], F]: ...

    def function(self, function: F | str | bytes, /) -> F | Callable[[F], F]:
        """Register the decorated function, by its own name, or by another: ``@worker.function("name")``."""
        if callable(function):
            self.register(function.__name__, function)
            return function

        def decorate(decorated: F) -> F:
            self.register(function, decorated)
            return decorated

        return decorate

    def register(self, name: str | bytes, function: Function) -> None:
        """Offer to run ``function`` for jobs of that name (CAN_DO); a ``str`` is sent as UTF-8.

        What is offered is told to the server when the worker connects. gearmand 1.1 gives out jobs of the
        function that was registered first as long as there are any; later servers go by priority. Raises
        ValueError for a name that is registered already or has a NUL.
        """
        raw = encode_name(name, "function")
        if raw in self._functions:
            raise ValueError(f"function {decode_name(raw)!r} is registered already")
        self._functions[raw] = function

    def run(self, *, max_jobs: int | None = None) -> None:
        """Work until ``stop()`` is called, or ``max_jobs`` jobs have ended, in whatever way.

        Until the server has answered once, what is wrong with it is raised: ServerUnavailable,
        ConnectionLost, TimedOut, ProtocolError or ServerError. From then on it is logged, and the worker
        connects again, after pauses that grow from a tenth of a second to half a minute.

        KeyboardInterrupt, and whatever else is not an Exception, closes the connection and is raised; the
        server gives a job that it interrupts to another worker. Raises RuntimeError when there is no function
        to run, or when the worker is running already.
        """
        if not self._functions:
            raise RuntimeError("the worker has no function to run")
        if self._waker is not None:
            raise RuntimeError("the worker is running already")
        if max_jobs is not None and max_jobs < 1:
            raise ValueError(f"max_jobs must be at least 1, and is {max_jobs}")
        self._jobs_left = math.inf if max_jobs is None else max_jobs
        self._waker = Waker()
        try:
            self._run(self._waker)
        finally:
            self._waker.close()
            self._waker = None
            self._stopping = False

    def stop(self) -> None:
        """End ``run()`` when the job in hand has ended, at once if there is none.

        To be called from any thread, a signal handler, or a function. If the worker does not run, the next
        ``run()`` ends at once.
        """
        self._stopping = True
        waker = self._waker
        if waker is not None:
            waker.wake()

    def __repr__(self) -> str:
        return f"<Worker {self._address}>"

    def _run(self, waker: Waker) -> None:
        answered = False
        failures = 0
        while self._jobs_left and not self._stopping:
            session = WorkerSession(str(self._address), self._functions, self._client_id)
            try:
                connection = Connection.open(self._address, Deadline(self._connect_timeout), waker)
                log.info("%s: connected, offering %d functions", self._address, len(self._functions))
                try:
                    self._serve(_Link(session, connection, self._timeout))
                finally:
                    connection.close()
                log.info("%s: disconnected", self._address)
            except GearcoreError as error:
                answered = answered or session.answered
                if not answered and not self._stopping:
                    raise
                if self._stopping or not self._jobs_left:
                    log.warning("%s", error)
                    return
                failures = 0 if session.answered else failures + 1
                pause = min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)
                log.warning("%s; next attempt in %.1f s", error, pause)
                waker.wait(pause)

    def _serve(self, link: _Link) -> None:
        session = link.session
        session.start()
        state: WorkerState | None = None
        deadline = Deadline(self._timeout)
        while True:
            if self._stopping:
                session.stop()
            link.flush()
            if session.state is WorkerState.STOPPED:
                return
            if link.events:
                event = link.events.popleft()
                if isinstance(event, Assignment):
                    self._perform(link, event)
                else:
                    log.warning("%s: %s", self._address, event)
                state = None
            elif state is not session.state:
                state = session.state
                deadline = Deadline(_LONGEST_SLEEP if state is WorkerState.SLEEPING else self._timeout)
            elif not deadline.expired:
                link.wait(deadline)
            elif state is WorkerState.SLEEPING:
                session.oversleep()
            else:
                raise TimedOut(f"waited {deadline.seconds:g} s for {self._address} to answer a grab")

    def _perform(self, link: _Link, assignment: Assignment) -> None:
        session = link.session
        self._jobs_left -= 1
        if not self._jobs_left:
            session.stop()
        job = WorkerJob(link, assignment)
        name = f"job {job.handle} of function {job.function!r}"
        log.debug("%s: %s starts", self._address, name)
        start = time.monotonic()
        try:
            result = self._find(job)(job)
            self._end(link, session.complete, assignment.handle, b"" if result is None else result)
        except _Failure as failure:
            self._end(link, session.fail, assignment.handle)
            log.warning(
                "%s: %s failed after %.3f s: %s", self._address, name, time.monotonic() - start, failure
            )
        except Exception as error:
            self._end(link, session.raised, assignment.handle, _describe(error))
            log.exception("%s: %s raised after %.3f s", self._address, name, time.monotonic() - start)
        else:
            log.debug("%s: %s is complete after %.3f s", self._address, name, time.monotonic() - start)

    def _find(self, job: WorkerJob) -> Function:
        try:
            return self._functions[job._assignment.function]
        except KeyError:
            raise LookupError(f"this worker does not offer {job.function!r}") from None

    def _end(self, link: _Link, end: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        # Before the end and not after it: else the end would grab another job.
        if self._stopping:
            link.session.stop()
        with link.lock:
            end(*args, **kwargs)


class WorkerJob:
    """A job in hand, given to the function that runs it. Its methods may be called from any thread.

    What they send goes to the clients that wait for the job; a background job has none. They raise
    ConnectionLost or TimedOut when it cannot be sent (the server then gives the job to another worker), and
    ValueError once the job has ended.
    """

    def __init__(self, link: _Link, assignment: Assignment) -> None:
        self._link = link
        self._assignment = assignment

    @property
    def handle(self) -> str:
        """The name that the server gave the job."""
        return decode_name(self._assignment.handle)

    @property
    def function(self) -> str:
        """The function that the job was submitted to."""
        return decode_name(self._assignment.function)

    @property
    def unique(self) -> str:
        """The unique id that the job was submitted with, or an empty one."""
        return decode_name(self._assignment.unique)

    @property
    def reducer(self) -> str:
        """The function that the client named to reduce the results with, or an empty one."""
        return decode_name(self._assignment.reducer)

    @property
    def workload(self) -> bytes:
        """What the client gave the job to work on."""
        return self._assignment.workload

    def send_data(self, data: Buffer) -> None:
        """Send a part of the result (WORK_DATA)."""
        self._send(self._link.session.send_data, data)

    def send_warning(self, warning: Buffer) -> None:
        """Send a warning (WORK_WARNING)."""
        self._send(self._link.session.send_warning, warning)

    def send_status(self, numerator: int, denominator: int) -> None:
        """Say that ``numerator`` of ``denominator`` is done (WORK_STATUS)."""
        self._send(self._link.session.send_status, numerator, denominator)

    def fail(self, reason: str = "") -> NoReturn:
        """End the function, and the job as failed (WORK_FAIL). The reason is logged; clients get none."""
        raise _Failure(reason)

    def __repr__(self) -> str:
        return f"<WorkerJob {self.handle} {self.function!r}>"

    def _send(self, send: Callable[Concatenate[bytes, P], None], *args: P.args, **kwargs: P.kwargs) -> None:
        with self._link.lock:
            send(self._assignment.handle, *args, **kwargs)
            self._link.flush()


class _Failure(Exception):  # not a JobFailed: that is what a client is told
    """What ``WorkerJob.fail`` raises."""


class _Link:
    """One connection of a worker, with what came from it that nobody has taken yet.

    While a function runs, its threads send under ``lock``; at other times the worker has it for itself.
    """

    def __init__(self, session: WorkerSession, connection: Connection, timeout: float) -> None:
        self.session = session
        self.connection = connection
        self.timeout = timeout
        self.lock = threading.Lock()
        self.events: deque[Assignment | ServerError] = deque()

    def flush(self) -> None:
        """Send all that there is to send."""
        self.connection.send(self.session.data_to_send())
        if self.connection.unsent:
            deadline = Deadline(self.timeout)
            while self.connection.unsent:
                if deadline.expired:
                    raise TimedOut(f"waited {deadline.seconds:g} s for {self.session.server} to take data")
                self.wait(deadline)

    def wait(self, deadline: Deadline) -> None:
        """Wait for the server, and take what it sent. Also returns when somebody wakes the worker."""
        self.connection.wait(deadline)
        self.connection.send()
        data = self.connection.receive()
        if data:
            self.events += self.session.receive(data)


def _describe(error: Exception) -> bytes:
    try:
        text = str(error)
    except Exception:
        text = "(its text raises an exception)"
    name = type(error).__name__
    return (f"{name}: {text}" if text else name).encode("utf-8", "backslashreplace")
