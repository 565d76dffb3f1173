"""What a caller says of a submission, and what it means."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from gearcore._submissions import Terms
from gearcore.encoding import BYTES, EMPTY, Encoding, find_encoding
from gearcore.protocol import SUBMIT_PACKETS, PacketType, Priority
from gearcore.session.arguments import encode_name

__all__ = ["OnLoss", "Submission", "TermsMaker", "Time", "TimeSpan", "check_on_loss"]

OnLoss = Literal["report", "resubmit"]
Time = datetime | float
TimeSpan = timedelta | float

_REDUCE: Final = {False: PacketType.SUBMIT_REDUCE_JOB, True: PacketType.SUBMIT_REDUCE_JOB_BACKGROUND}


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to be, for ``submit_many``. The fields are the arguments of ``Client.submit``.

    What is None is as the call of ``submit_many`` says.
    """

    function: str | bytes
    workload: Any = EMPTY
    unique: str | bytes | None = None
    priority: Priority | None = None
    background: bool | None = None
    at: Time | None = None
    delay: TimeSpan | None = None
    reducer: str | bytes | None = None
    job_timeout: float | None = None
    encoding: str | Encoding | None = None
    on_loss: OnLoss | None = None


class TermsMaker:
    """Makes the terms of submissions for one client. ``clock`` tells the Unix time, for delays."""

    def __init__(
        self,
        owner: object,
        clock: Callable[[], float],
        *,
        namespace: str | bytes,
        encoding: str | Encoding,
        on_loss: OnLoss,
    ) -> None:
        self._owner = owner
        self._clock = clock
        self._encoding = find_encoding(encoding)
        self._resubmit = check_on_loss(on_loss)
        self._usual: dict[tuple[Priority, bool], Terms] = {}
        self.prefix = encode_name(namespace, "namespace")

    def make(
        self,
        *,
        priority: Priority = Priority.NORMAL,
        background: bool = False,
        at: Time | None = None,
        delay: TimeSpan | None = None,
        reducer: str | bytes | None = None,
        job_timeout: float | None = None,
        encoding: str | Encoding | None = None,
        on_loss: OnLoss | None = None,
    ) -> Terms:
        """The terms of a submission. Raises ValueError for what does not go together."""
        if (at, delay, reducer, job_timeout, encoding, on_loss) == _NOTHING_ELSE:
            terms = self._usual.get((priority, background))
            if terms is None:
                terms = self._new(priority, background, None, None, None, None, None, None)
                self._usual[priority, background] = terms
            return terms
        return self._new(priority, background, at, delay, reducer, job_timeout, encoding, on_loss)

    def _new(
        self,
        priority: Priority,
        background: bool,
        at: Time | None,
        delay: TimeSpan | None,
        reducer: str | bytes | None,
        job_timeout: float | None,
        encoding: str | Encoding | None,
        on_loss: OnLoss | None,
    ) -> Terms:
        delayed = at is not None or delay is not None
        if at is not None and delay is not None:
            raise ValueError("a job has a time (at) or a delay, not both")
        for given, what in ((job_timeout, "job_timeout"), (on_loss, "on_loss")):
            if given is not None and (background or delayed):
                raise ValueError(f"{what} is for foreground jobs: nobody hears of a background job's end")
        if priority is not Priority.NORMAL and (delayed or reducer is not None):
            what = "a job with a time or a delay" if delayed else "a job with a reducer"
            raise ValueError(f"{what} has normal priority: the protocol has no packet for others")
        if delayed and reducer is not None:
            raise ValueError("a job with a reducer cannot have a time or a delay: there is no packet for it")
        extra = None
        if delayed:
            packet_type, extra, background = PacketType.SUBMIT_JOB_EPOCH, self._epoch(at, delay), True
        elif reducer is not None:
            packet_type = _REDUCE[bool(background)]
            extra = self.prefix + encode_name(reducer, "reducer") + b"\0"  # and an empty aggregator
        else:
            packet_type = SUBMIT_PACKETS[Priority(priority), bool(background)]
        chosen = self._encoding if encoding is None else find_encoding(encoding)
        return Terms(
            packet_type,
            prefix=self.prefix,
            background=bool(background),
            extra=extra,
            encoding=None if chosen is BYTES else chosen,
            resubmit=not background and (self._resubmit if on_loss is None else check_on_loss(on_loss)),
            allowed=-1.0 if job_timeout is None else max(float(job_timeout), 0.0),
            owner=self._owner,
        )

    def _epoch(self, at: Time | None, delay: TimeSpan | None) -> bytes:
        if isinstance(at, datetime):
            if at.tzinfo is None:
                raise ValueError(f"at={at!r} has no time zone: nobody knows which moment it is")
            at = at.timestamp()
        elif at is None:
            seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
            assert seconds is not None, "there is a time or a delay"
            at = self._clock() + seconds
        if not 0 <= at < 2.0**62:
            raise ValueError(f"a job cannot be run at {at} seconds since 1970")
        return b"%d" % math.ceil(at)


_NOTHING_ELSE: Final = (None,) * 6


def check_on_loss(on_loss: str) -> bool:
    """Whether to resubmit. Raises ValueError for what is neither "report" nor "resubmit"."""
    if on_loss not in ("report", "resubmit"):
        raise ValueError(f"on_loss is 'report' or 'resubmit', not {on_loss!r}")
    return on_loss == "resubmit"
