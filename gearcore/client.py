"""The blocking client: submit jobs and wait for what becomes of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from gearcore._blocking import Connection, Deadline, Waker
from gearcore.address import ServerAddress, parse_address
from gearcore.errors import ConnectionLost, GearcoreError, ProtocolError, TimedOut
from gearcore.protocol import Priority
from gearcore.session.client import ClientSession
from gearcore.session.requests import (
    JobData,
    JobEvent,
    JobProgress,
    JobRequest,
    JobStatus,
    JobWarning,
    Request,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Client", "Job"]

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound="Request[Any]")


class Client:
    """A client of one job server, for any number of threads.

    ``server`` is ``"host:port"``, ``"[IPv6]:port"`` or ``(host, port)``; the port is 4730 unless it is given.
    ``timeout`` is how many seconds a call waits for the server's answer, ``None`` without a limit; the time
    that a job takes does not count. ``connect_timeout`` is how many of them a connection may take.

    The client connects at the first call, not before, and again at the next call after a connection is lost.
    It never submits a job a second time by itself: a job that was in flight ends with ConnectionLost, and its
    worker may have run it or not.

    The methods raise, all from ``gearcore.errors``: ServerUnavailable when there is no connection,
    ConnectionLost when it ends while the call waits, TimedOut, ServerError when the server refuses, and
    ProtocolError when what answers does not speak Gearman. After ``close()`` they raise RuntimeError.
    """

    def __init__(
        self,
        server: str | tuple[str, int] = "127.0.0.1:4730",
        *,
        timeout: float | None = 30.0,
        connect_timeout: float = 5.0,
    ) -> None:
        self._address = parse_address(server)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        # The lock guards everything below. Of the threads that wait for the server one does so, without the
        # lock, for all: ``_led`` is true meanwhile. The others wait for what it brings.
        self._changed = threading.Condition(threading.Lock())
        self._led = False
        self._link: _Link | None = None
        self._closed = False

    def submit(
        self,
        function: str | bytes,
        workload: Buffer = b"",
        *,
        unique: str | bytes | None = None,
        priority: Priority = Priority.NORMAL,
        background: bool = False,
        timeout: float | None = None,
    ) -> Job:
        """Submit a job (SUBMIT_JOB and its kin); returns when the server has acknowledged it.

        A ``str`` as ``function`` or ``unique`` is sent as UTF-8. ``workload`` is bytes-like; nobody but the
        worker reads it. Jobs of a function with the same ``unique`` are one job for the server as long as it
        is queued or running; without it they are not. A ``background`` job has no result, and outlives the
        client. ``timeout``, in seconds, replaces the client's for this call.

        ServerError has the code ``QUEUE_ERROR`` when the function's queue is full. Raises TypeError for a
        workload that is not bytes-like and ValueError for a NUL in a name.
        """
        request = self._call(
            lambda session: session.submit(
                function, workload, unique=unique, priority=priority, background=background
            ),
            timeout,
        )
        return Job(self, request)

    def status(self, handle: str | bytes, *, timeout: float | None = None) -> JobStatus:
        """Ask the server how the job with this handle stands (GET_STATUS), whoever submitted it.

        ``timeout``, in seconds, replaces the client's for this call. Raises ValueError for what cannot be a
        handle.
        """
        return self._call(lambda session: session.status(handle), timeout).answer

    def echo(self, data: Buffer, *, timeout: float | None = None) -> bytes:
        """Have the server send bytes back (ECHO_REQ), to see that it is there and answers.

        ``timeout``, in seconds, replaces the client's for this call.
        """
        return self._call(lambda session: session.echo(data), timeout).answer

    def ping(self, *, timeout: float | None = None) -> float:
        """Have the server send a few bytes back; returns the seconds that it took.

        ``timeout``, in seconds, replaces the client's for this call.
        """
        start = time.perf_counter()
        self.echo(b"ping", timeout=timeout)
        return time.perf_counter() - start

    def close(self) -> None:
        """Close the connection. Jobs in flight end with ConnectionLost; the server drops foreground jobs."""
        with self._changed:
            self._closed = True
            self._drop(f"the client of {self._address} was closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._address}>"

    def _call(self, ask: Callable[[ClientSession], R], timeout: float | None) -> R:
        deadline = Deadline(self._timeout if timeout is None else timeout)
        with self._changed:
            link = self._connected(deadline)
            request = ask(link.session)
            self._send(link)
            self._wait(lambda: request.answered, deadline, request)
        if request.error is not None:
            raise request.error
        return request

    def _wait_for(self, job: JobRequest, done: Callable[[], bool], deadline: Deadline) -> None:
        """For ``Job``: wait until ``done``. Raises TimedOut."""
        with self._changed:
            self._wait(done, deadline, job)

    # What follows needs the lock, and gives it up while it waits.

    def _connected(self, deadline: Deadline) -> _Link:
        while True:
            if self._closed:
                self._drop("it was opened too late")
                raise RuntimeError(f"the client of {self._address} is closed")
            if not self._led:
                # The connection may have ended while nobody looked. Now is the time to notice: once the
                # request is sent there is no telling whether the server took it.
                while self._link is not None and self._receive(self._link) and not deadline.expired:
                    pass
            if self._link is not None:
                return self._link
            if not self._led:
                self._link = self._lead(_Link, self._address, deadline.sooner(self._connect_timeout))
            else:
                self._changed.wait(deadline.remaining())
                if self._link is None and deadline.expired:
                    raise TimedOut(f"waited {deadline.seconds:g} s for a connection to {self._address}")

    def _wait(self, done: Callable[[], bool], deadline: Deadline, request: Request[Any]) -> None:
        while not done():
            if self._led:
                self._changed.wait(deadline.remaining())
            else:
                link = self._link
                assert link is not None, "what is in flight ends with its connection"
                try:
                    self._lead(link.connection.wait, deadline)
                finally:
                    if self._link is not link:
                        link.close()
                if self._link is link:
                    self._send(link)
                if self._link is link:
                    self._receive(link)
            if deadline.expired and not done():
                raise TimedOut(f"waited {deadline.seconds:g} s for {request.what} from {self._address}")

    def _lead(self, wait: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._led = True
        self._changed.release()
        try:
            return wait(*args, **kwargs)
        finally:
            self._changed.acquire()
            self._led = False
            self._changed.notify_all()

    def _send(self, link: _Link) -> None:
        try:
            link.connection.send(link.session.data_to_send())
        except ConnectionLost as error:
            # What the server said before it closed may answer what is in flight.
            while self._receive(link):
                pass
            if self._link is link:
                self._drop(error)
        else:
            if self._led and link.connection.unsent:
                link.waker.wake()  # The thread that waits does not wait for room yet.

    def _receive(self, link: _Link) -> bool:
        try:
            data = link.connection.receive()
            if data:
                link.session.receive(data)
        except (ConnectionLost, ProtocolError) as error:
            self._drop(error)
            return False
        return bool(data)

    def _drop(self, cause: object) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.session.connection_lost(cause)
            if self._led:
                link.waker.wake()  # The thread that waits on the connection closes it.
            else:
                link.close()


class Job:
    """A job that was submitted and acknowledged: a handle, and in time what the worker sends.

    What a job sent is kept until the object is dropped. Waiting in one thread brings what it waits for to the
    jobs of all threads.

    A call that waits raises the reason why there is no result: JobFailed (the worker said no more than
    that), JobException (with the worker's text, and its bytes as ``data``), ConnectionLost, or ProtocolError.
    TimedOut ends the call, not the job: it can be waited for again. A background job has no result, so for it
    they raise JobError at once.
    """

    def __init__(self, client: Client, request: JobRequest) -> None:
        self._client = client
        self._request = request

    @property
    def handle(self) -> str:
        """The name that the server gave the job."""
        return self._request.handle

    @property
    def function(self) -> str:
        """The function that the job was submitted to."""
        return self._request.function

    @property
    def unique(self) -> str:
        """The unique id that the job was submitted with, or an empty one."""
        return self._request.unique

    @property
    def background(self) -> bool:
        """Whether nobody will hear of the job's end."""
        return self._request.background

    @property
    def data(self) -> list[bytes]:
        """The parts of the job's data (WORK_DATA) that have come so far."""
        return [event.data for event in self._request.events if isinstance(event, JobData)]

    @property
    def warnings(self) -> list[bytes]:
        """The warnings (WORK_WARNING) that have come so far."""
        return [event.data for event in self._request.events if isinstance(event, JobWarning)]

    @property
    def progress(self) -> JobProgress | None:
        """The progress (WORK_STATUS) that came last, or None."""
        reports = (event for event in reversed(self._request.events) if isinstance(event, JobProgress))
        return next(reports, None)

    def done(self) -> bool:
        """Whether the job has ended, so that ``result()`` returns or raises at once. Does not wait."""
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, for so many seconds, until the job has ended; returns whether it has. None: no limit."""
        try:
            self._client._wait_for(self._request, lambda: self._request.ended, Deadline(timeout))
        except TimedOut:
            return False
        return True

    def result(self, timeout: float | None = None) -> bytes:
        """The job's result (WORK_COMPLETE), which is waited for, for so many seconds. None: no limit.

        The parts that the worker sent before are not in it: see ``data``.
        """
        failure = self.exception(timeout)
        if failure is not None:
            raise failure
        return self._request.result

    def exception(self, timeout: float | None = None) -> GearcoreError | None:
        """What ``result`` would raise, or None for a job that ended well. Raises TimedOut as it does."""
        self._client._wait_for(self._request, lambda: self._request.ended, Deadline(timeout))
        return self._request.failure

    def events(self, timeout: float | None = None) -> Iterator[JobEvent]:
        """All data, warnings and progress, from the first on, as they come, until the job ends.

        Ends by raising the reason when the job does not end with a result. ``timeout`` is in seconds, and
        goes for the whole: TimedOut when the job has not ended then. None: no limit.
        """
        return self._events(Deadline(timeout))

    def __iter__(self) -> Iterator[bytes]:
        """The parts of the job's data (WORK_DATA) as they come, like ``events()``."""
        return (event.data for event in self.events() if isinstance(event, JobData))

    def __repr__(self) -> str:
        state = "pending" if not self._request.ended else "failed" if self._request.failure else "complete"
        return f"<Job {self.handle} {self.function!r} {'background' if self.background else state}>"

    def _events(self, deadline: Deadline) -> Iterator[JobEvent]:
        request = self._request
        seen = 0

        def news() -> bool:
            return request.ended or len(request.events) > seen

        while seen < len(request.events) or not request.ended:
            self._client._wait_for(request, news, deadline)
            for event in request.events[seen:]:
                seen += 1
                yield event
        if request.failure is not None:
            raise request.failure


class _Link:
    """One connection of a client, with what is in flight on it."""

    def __init__(self, address: ServerAddress, deadline: Deadline) -> None:
        self.session = ClientSession(str(address))
        self.waker = Waker()
        try:
            self.connection = Connection.open(address, deadline, self.waker)
        except BaseException:
            self.waker.close()
            raise

    def close(self) -> None:
        self.connection.close()
        self.waker.close()
