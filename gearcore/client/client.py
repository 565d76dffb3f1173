"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from ssl import SSLContext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gearcore.address import Servers, parse_servers
from gearcore.client.exchange import Exchange
from gearcore.client.flow import Mapping, Submitting
from gearcore.client.job import Job
from gearcore.client.links import Links
from gearcore.encoding import EMPTY, Encoding
from gearcore.errors import GearcoreError
from gearcore.protocol import Priority
from gearcore.session.batches import Flight, Packer
from gearcore.session.client import Answered, Terms, new_job
from gearcore.session.events import JobStatus
from gearcore.session.fleet import Place
from gearcore.session.requests import Question, ask_echo, ask_status, ask_status_of_unique, read_status
from gearcore.session.submissions import OnLoss, Submission, TermsMaker, Time, TimeSpan
from gearcore.tls import ClientTls, client_context

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Client"]


class Client:
    """A client of one job server or several, for any number of threads.

    ``servers`` is the address of one, or a sequence of them: ``"host:port"``, ``"[IPv6]:port"``, ``(host,
    port)`` or ``"unix:/path"``; the port is 4730 unless it is given. ``timeout`` is how many seconds a call
    waits for a server's answer, ``None`` without a limit; the time that a job takes does not count.
    ``connect_timeout`` is how many of them a connection may take. ``tls`` says how to connect by TLS: files,
    or a context of the ``ssl`` module. ``namespace`` is put before the name of every function. ``encoding``
    is that of workloads, results and data: "bytes", "text", "json", "msgpack", or an ``Encoding``.

    A job with a unique id goes to a server by consistent hashing of it, so that equal jobs meet, and any
    other to one at random. A server that cannot be reached is left alone for a while, from a tenth of a
    second to half a minute, as long as there are others. What was submitted and not acknowledged when a
    connection was lost is submitted to another server, so it may run twice; with one server it ends with
    ConnectionLost. What becomes of a foreground job that was acknowledged is said by ``on_loss``: "report"
    ends it with ConnectionLost, "resubmit" submits it again, up to 5 times.

    The client connects at the first call, not before. In a process that was forked it opens connections of
    its own; the jobs that were in flight are the parent's, and end with ConnectionLost in the child.

    The methods raise, all from ``gearcore.errors``: ServerUnavailable when no server can be reached,
    ConnectionLost when the connection ends while the call waits, TimedOut, ServerError when the server
    refuses, and ProtocolError when what answers does not speak Gearman. After ``close()`` they raise
    RuntimeError.
    """

    def __init__(
        self,
        servers: Servers = "127.0.0.1:4730",
        *,
        timeout: float | None = 30.0,
        connect_timeout: float = 5.0,
        tls: ClientTls | SSLContext | None = None,
        namespace: str | bytes = "",
        encoding: str | Encoding = "bytes",
        on_loss: OnLoss = "report",
    ) -> None:
        self._terms = TermsMaker(self, time.time, namespace=namespace, encoding=encoding, on_loss=on_loss)
        self._links: Exchange = Links(
            parse_servers(servers), tls=client_context(tls), timeout=timeout, connect_timeout=connect_timeout
        )

    def submit(
        self,
        function: str | bytes,
        workload: Any = EMPTY,
        *,
        unique: str | bytes | None = None,
        priority: Priority = Priority.NORMAL,
        background: bool = False,
        at: Time | None = None,
        delay: TimeSpan | None = None,
        reducer: str | bytes | None = None,
        timeout: float | None = None,
        job_timeout: float | None = None,
        encoding: str | Encoding | None = None,
        on_loss: OnLoss | None = None,
    ) -> Job:
        """Submit a job (SUBMIT_JOB and its kin); returns when a server has acknowledged it.

        A ``str`` as ``function`` or ``unique`` is sent as UTF-8. ``workload`` is bytes-like, or what the
        encoding takes; without one it is empty, in any encoding. Jobs of a function with the same ``unique``
        are one job for the server as long as it is queued or running; without it they are not. A
        ``background`` job has no result, and outlives the client. With ``at``, an aware datetime or a Unix
        time, or ``delay``, seconds or a timedelta, it is a background job that is not run before then, in
        whole seconds. ``reducer`` names a function for the worker to reduce the results with. ``timeout``, in
        seconds, replaces the client's for this call. ``job_timeout`` is how many seconds after its
        acknowledgement the job ends with TimedOut if there is no result; the server is not told. ``encoding``
        and ``on_loss`` replace the client's for this job.

        ServerError has the code ``QUEUE_ERROR`` when the function's queue is full. Raises TypeError for a
        workload that is not bytes-like, EncodingError for one that the encoding does not take, and ValueError
        for a NUL in a name and for arguments that do not go together.
        """
        terms = self._terms.make(
            priority=priority,
            background=background,
            at=at,
            delay=delay,
            reducer=reducer,
            job_timeout=job_timeout,
            encoding=encoding,
            on_loss=on_loss,
        )
        job = new_job(Job, terms, function, workload, unique)
        self._links.call(job, self._links.deadline(timeout))
        return job

    def submit_many(
        self,
        submissions: Iterable[Submission | tuple[Any, ...]],
        *,
        window: int = 1000,
        priority: Priority = Priority.NORMAL,
        background: bool = False,
        timeout: float | None = None,
        job_timeout: float | None = None,
        encoding: str | Encoding | None = None,
        on_loss: OnLoss | None = None,
    ) -> Iterator[Job]:
        """Submit many jobs without waiting for each to be acknowledged; gives them in their order.

        ``submissions`` are tuples of a function, a workload and perhaps a unique id, or ``Submission``
        objects; what those do not say is said by the other arguments, which ``submit`` explains. They are
        taken as the jobs are, with up to ``window`` submissions under way. Nothing is submitted before the
        first job is taken. A submission that fails is raised in its place, and the next can still be taken.
        """

        def terms_of(submission: Submission) -> Terms:
            background_too = background or submission.at is not None or submission.delay is not None
            return self._terms.make(
                priority=priority if submission.priority is None else submission.priority,
                background=background if submission.background is None else submission.background,
                at=submission.at,
                delay=submission.delay,
                reducer=submission.reducer,
                job_timeout=_first(submission.job_timeout, None if background_too else job_timeout),
                encoding=_first(submission.encoding, encoding),
                on_loss=_first(submission.on_loss, None if background_too else on_loss),
            )

        terms = self._terms.make(
            priority=priority,
            background=background,
            job_timeout=job_timeout,
            encoding=encoding,
            on_loss=on_loss,
        )
        packer = Packer(Job, terms, terms_of, window, time.monotonic)
        return Answered(Submitting(self._links, packer, iter(submissions), timeout).next_batch)

    def map(
        self,
        function: str | bytes,
        workloads: Iterable[Any],
        *,
        in_flight: int = 100,
        ordered: bool = True,
        return_exceptions: bool = False,
        priority: Priority = Priority.NORMAL,
        timeout: float | None = None,
        job_timeout: float | None = None,
        encoding: str | Encoding | None = None,
        on_loss: OnLoss | None = None,
    ) -> Iterator[Any]:
        """Submit a job for each workload, and give the results: in their order, or else as they come.

        Up to ``in_flight`` jobs are submitted and have no result yet; ``workloads`` are taken as there is
        room. The failure of a job is raised in its place, and the next can still be taken; with
        ``return_exceptions`` it is given like a result. For the other arguments see ``submit``.
        """
        terms = self._terms.make(
            priority=priority, job_timeout=job_timeout, encoding=encoding, on_loss=on_loss
        )
        packer = Packer(Job, terms, lambda submission: terms, in_flight, time.monotonic)
        flight = Flight(packer, ordered, self._links.deadline(timeout).seconds)
        source = ((function, workload) for workload in workloads)
        return Mapping(self._links, flight, source, timeout, return_exceptions)

    def map_reduce(
        self,
        function: str | bytes,
        workload: Any,
        reducer: str | bytes,
        *,
        unique: str | bytes | None = None,
        timeout: float | None = None,
        job_timeout: float | None = None,
        encoding: str | Encoding | None = None,
        on_loss: OnLoss | None = None,
    ) -> Any:
        """Submit a job with a reducer (SUBMIT_REDUCE_JOB) and return its result. See ``submit``."""
        return self.submit(
            function,
            workload,
            unique=unique,
            reducer=reducer,
            timeout=timeout,
            job_timeout=job_timeout,
            encoding=encoding,
            on_loss=on_loss,
        ).result()

    def status(self, handle: str | bytes, *, timeout: float | None = None) -> JobStatus:
        """Ask how the job with this handle stands (GET_STATUS), whoever submitted it.

        Of several servers each is asked until one knows the job; ``Job.status`` asks the right one.
        ``timeout``, in seconds, replaces the client's for this call. Raises ValueError for what cannot be a
        handle.
        """
        return self._status(ask_status, handle, timeout)

    def status_of_unique(self, unique: str | bytes, *, timeout: float | None = None) -> JobStatus:
        """Ask how the job with this unique id stands (GET_STATUS_UNIQUE), and how many clients wait for it.

        For the rest see ``status``.
        """
        return self._status(ask_status_of_unique, unique, timeout)

    def echo(self, data: Buffer, *, timeout: float | None = None) -> bytes:
        """Have a server send bytes back (ECHO_REQ), to see that it is there and answers.

        ``timeout``, in seconds, replaces the client's for this call.
        """
        question = ask_echo(data)
        self._links.call(question, self._links.deadline(timeout))
        return question.answer[0]

    def ping(self, *, timeout: float | None = None) -> float:
        """Have a server send a few bytes back; returns the seconds that it took.

        ``timeout``, in seconds, replaces the client's for this call.
        """
        start = time.perf_counter()
        self.echo(b"ping", timeout=timeout)
        return time.perf_counter() - start

    def close(self) -> None:
        """Close the connections. Jobs in flight end with ConnectionLost; servers drop foreground jobs."""
        self._links.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._links.name}>"

    def _status(self, ask: Any, name: str | bytes, timeout: float | None) -> JobStatus:
        deadline = self._links.deadline(timeout)
        status: JobStatus | None = None
        failure: GearcoreError | None = None
        for place in self._links.places(ask(name).route):
            question: Question = ask(name)
            try:
                self._links.call(question, deadline, place)
            except GearcoreError as error:
                failure = error
            else:
                status = read_status(question)
                if status.known:
                    break
        if status is None:
            assert failure is not None, "there is a server"
            raise failure
        return status

    def _status_of(self, job: Job, timeout: float | None) -> JobStatus:
        question = ask_status(job.handle)
        self._links.call(question, self._links.deadline(timeout), self._place_of(job))
        return read_status(question)

    def _cancel(self, job: Job, timeout: float | None) -> bool:
        return self._links.cancel(self._place_of(job), job.handle, self._links.deadline(timeout))

    def _place_of(self, job: Job) -> Place:
        assert job.session is not None, "a job that the user has was submitted"
        place: Place = job.session.link.place
        return place


def _first(chosen: Any, default: Any) -> Any:
    return default if chosen is None else chosen
