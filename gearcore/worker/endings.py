"""How a job ends: with a result, as failed, or with another try, a dead letter, or back at the server.

No I/O: what is to be sent goes into the session, and the time comes as an argument.
"""

from __future__ import annotations

import logging
import math
import random
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearcore.protocol import PacketType
from gearcore.session.worker import Submitted, WorkerSession
from gearcore.worker.dead_letter import DeadLetter
from gearcore.worker.job import BaseJob
from gearcore.worker.retry import read_unique, write_unique

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["GIVEN_BACK", "Completed", "Failed", "GivenBack", "Outcome", "Raised", "describe", "settle", "end"]

log = logging.getLogger("gearcore.worker")


@dataclass(slots=True)
class Completed:
    """The function returned."""

    result: Buffer


@dataclass(frozen=True, slots=True)
class Failed:
    """The function said that the job failed: WORK_FAIL."""

    reason: str


@dataclass(frozen=True, slots=True)
class Raised:
    """The function raised, or worse: WORK_EXCEPTION."""

    text: str


@dataclass(frozen=True, slots=True)
class GivenBack:
    """The job did not end here: the server gives it to a worker again."""


GIVEN_BACK = GivenBack()

Outcome = Completed | Failed | Raised | GivenBack


@dataclass(frozen=True, slots=True)
class _Settling:
    """A job that ends as failed once the server has taken what is submitted for it."""

    job: BaseJob
    outcome: Failed | Raised
    is_retry: bool


def end(session: WorkerSession, job: BaseJob, outcome: Outcome, unix_time: float) -> None:
    """Tell the server how a job ended, now or when the server has acknowledged another try of it.

    A result for which no packet is large enough counts as an exception.
    """
    handle = job._assignment.handle
    if type(outcome) is Completed:
        try:
            session.complete(handle, outcome.result)
        except ValueError as error:
            outcome = Raised(describe(error))
        else:
            return
    if isinstance(outcome, GivenBack):
        session.give_back(handle)
        return
    assert not isinstance(outcome, Completed)
    retry = None if job._function is None else job._function.retry
    if retry is not None and not retry.in_place and job.tries <= retry.limit:
        pause = retry.pause(job.tries, random.random)
        _submit_retry(session, job, outcome, math.ceil(unix_time + pause) if pause else 0)
    else:
        _bury(session, job, outcome)


def settle(session: WorkerSession, submitted: Submitted) -> None:
    """The server answered what was submitted for a job that failed."""
    settling = submitted.token
    if not isinstance(settling, _Settling):
        if submitted.error is not None:
            log.error("%s: %s was refused: %s", session.server, submitted.token, submitted.error)
        return
    job, outcome = settling.job, settling.outcome
    if submitted.error is None:
        _fail(session, job, outcome)
    elif settling.is_retry:
        log.error("%s: %r cannot be tried again: %s", session.server, job, submitted.error)
        _bury(session, job, outcome)
    else:
        log.error("%s: the dead letter of %r was refused: %s", session.server, job, submitted.error)
        _fail(session, job, outcome)


def describe(error: BaseException) -> str:
    """The text that clients get of an exception: ``TypeName: message``."""
    try:
        text = str(error)
    except Exception:
        text = "(its text raises an exception)"
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def _submit_retry(session: WorkerSession, job: BaseJob, outcome: Failed | Raised, epoch: int) -> None:
    assignment = job._assignment
    tries, unique = read_unique(assignment.unique)
    log.info("%s: %r is tried again, for the %d. time", session.server, job, tries + 1)
    session.delay(epoch)
    session.submit(
        _Settling(job, outcome, True),
        PacketType.SUBMIT_JOB_EPOCH,
        assignment.function,
        write_unique(tries + 1, unique, secrets.token_hex(8).encode()),
        b"%d" % epoch,
        assignment.workload,
    )


def _bury(session: WorkerSession, job: BaseJob, outcome: Failed | Raised) -> None:
    function = job._function
    if function is None or function.dead_letter is None:
        _fail(session, job, outcome)
        return
    error = outcome.reason if isinstance(outcome, Failed) else outcome.text
    letter = DeadLetter(job.function, job.unique, job.handle, job.tries, error, job.workload)
    session.submit(
        _Settling(job, outcome, False),
        PacketType.SUBMIT_JOB_BG,
        function.dead_letter,
        b"",
        letter.pack(),
    )


def _fail(session: WorkerSession, job: BaseJob, outcome: Failed | Raised) -> None:
    handle = job._assignment.handle
    if isinstance(outcome, Failed):
        session.fail(handle)
    else:
        session.raised(handle, outcome.text.encode("utf-8", "backslashreplace"))
