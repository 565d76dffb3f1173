"""What becomes of a request, as gearcore's session tells it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gearcore.compat.gearman.constants import JOB_COMPLETE, JOB_CREATED, JOB_FAILED, JOB_PENDING
from gearcore.errors import JobException
from gearcore.session.client import ClientSession, JobRequest
from gearcore.session.events import JobData, JobEvent, JobProgress
from gearcore.session.requests import Question, ask_status, read_status

if TYPE_CHECKING:
    from gearcore.compat.gearman.client import GearmanClient
    from gearcore.compat.gearman.job import GearmanJobRequest

__all__ = ["Sent", "ask", "is_news", "settle"]


class Sent(JobRequest):
    """A submission on its way. ``owner`` is the request that it is for, until there is no more to hear."""

    __slots__ = ()


def is_news(sent: Sent) -> None:
    """The watcher of what is sent: it has the session tell of it, and `settle` is called with the client."""


def settle(client: GearmanClient, sent: Any) -> None:
    """Note what has changed for a request."""
    request = sent.owner
    if request is None:
        return
    if request.state == JOB_PENDING:
        if sent.error is not None:
            request.state = JOB_FAILED
            request.exception = sent.error
            sent.owner = None
            return
        handle = sent.handle
        request.job.handle = handle if client.text else handle.encode("utf-8", "surrogateescape")
        request.state = JOB_CREATED
        if sent.background:
            sent.owner = None
            return
    if sent.news:
        news = sent.news[:]
        sent.news.clear()
        for event in news:
            _note(client, request, event)
    if sent.ended:
        sent.owner = None
        failure = sent.failure
        if failure is None:
            request.state = JOB_COMPLETE
            request.result = client.decode(sent.outcome)
        else:
            request.state = JOB_FAILED
            if type(failure) is JobException:
                request.exception = _decode_reason(client, failure.data)


def _note(client: GearmanClient, request: GearmanJobRequest, event: JobEvent) -> None:
    if isinstance(event, JobProgress):
        request.status = {
            "handle": request.job.handle,
            "known": True,
            "running": True,
            "numerator": event.numerator,
            "denominator": event.denominator,
            "time_received": time.time(),
        }
    elif isinstance(event, JobData):
        request.data_updates.append(client.decode(event.data))
    else:
        request.warning_updates.append(client.decode(event.data))


def _decode_reason(client: GearmanClient, raw: bytes) -> Any:
    """The reason of a failure: in the data's encoding, or plain text, as from a worker of another library."""
    try:
        return client.decode(raw)
    except Exception:
        return client.name(raw)


def ask(request: GearmanJobRequest, session: ClientSession) -> Question:
    """Ask how the job of a request stands; the answer is noted when it comes."""
    question = ask_status(request.job.handle)
    request.status["last_time_received"] = request.status.get("time_received")

    def take(answered: Question) -> None:
        if question.error is None:
            status = read_status(question)
            request.status.update(
                handle=request.job.handle,
                known=status.known,
                running=status.running,
                numerator=status.numerator,
                denominator=status.denominator,
                time_received=time.time(),
            )

    question.watcher = take
    session.ask(question)
    return question
