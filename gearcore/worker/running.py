"""Running a function for a job: hooks around it, its encoding, its event loop, its exceptions."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from gearcore.encoding import BYTES, TEXT
from gearcore.errors import TimedOut
from gearcore.session.arguments import check_payload
from gearcore.worker.endings import GIVEN_BACK, Completed, Failed, Outcome, Raised, describe
from gearcore.worker.functions import Function, Hooks
from gearcore.worker.job import BaseJob, Failure, WorkerJob

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["RUN_ERRORS", "Runner", "checked", "failed", "limit", "name", "packed", "raised", "timed_out"]

log = logging.getLogger("gearcore.worker")

RUN_ERRORS = (Exception, SystemExit, asyncio.CancelledError)
"""What a function may raise without harm to the worker. KeyboardInterrupt is for the worker itself."""

Call = Callable[[WorkerJob, Function], Any]
Reduce = Callable[[WorkerJob, Function, Call], Any]


class Runner:
    """Runs functions, in the thread that calls ``run``.

    ``wait`` sleeps between tries in place; it returns whether the worker stops meanwhile. ``reduce`` runs a
    function that maps, by the call that it is given, and gathers what its parts were reduced to.
    """

    def __init__(self, hooks: Hooks, wait: Callable[[float], bool], reduce: Reduce) -> None:
        self.hooks = hooks
        self._hooked = bool(hooks)
        self._wait = wait
        self._reduce = reduce
        self._loops = threading.local()

    def run(self, job: WorkerJob) -> Outcome:
        """Run a job's function, log how it ended, and say so. Raises nothing but KeyboardInterrupt."""
        function = job._function
        debug = log.isEnabledFor(logging.DEBUG)
        if debug:
            log.debug("%s: %s starts", job._outlet, name(job))
        outcome: Outcome
        start = time.monotonic()
        tries = 1
        while True:
            try:
                if self._hooked or function is None or not function.is_plain:
                    result = self._call(job)
                else:
                    result = function.call(job)
                    if type(result) is not bytes:
                        result = b"" if result is None else checked(result)
            except Failure as failure:
                outcome = failed(job, job._outlet, start, failure)
            except RUN_ERRORS as error:
                outcome = raised(job, job._outlet, start, error)
            else:
                if debug:
                    seconds = time.monotonic() - start
                    log.debug("%s: %s is complete after %.3f s", job._outlet, name(job), seconds)
                return Completed(result)
            retry = None if function is None else function.retry
            if retry is None or not retry.in_place or tries > retry.limit:
                return outcome
            if self._wait(retry.pause(tries, random.random)):
                return GIVEN_BACK
            tries += 1
            log.info("%s: %s is tried again, for the %d. time", job._outlet, name(job), tries)

    def close(self) -> None:
        """Close the event loop of the thread that calls."""
        runner = self._loops.__dict__.pop("runner", None)
        if runner is not None:
            runner.close()

    def _call(self, job: WorkerJob) -> Buffer:
        function = job._known
        if not self._hooked:
            return self._result(job, function)
        result: Buffer = b""
        error: BaseException | None = None
        try:
            for hook in self.hooks.before:
                self._call_hook(hook, job)
            result = self._result(job, function)
        except RUN_ERRORS as reason:
            error = reason
            self.tell_failure(job, reason)
        for hook in self.hooks.after:
            try:
                self._call_hook(hook, job)
            except RUN_ERRORS as reason:
                if error is not None:
                    log.exception("%s: a hook after it raised", name(job))
                else:
                    error = reason
                    self.tell_failure(job, reason)
        if error is not None:
            raise error
        return result

    def tell_failure(self, job: WorkerJob, error: BaseException) -> None:
        """Call the hooks for a job that failed."""
        for hook in self.hooks.failure:
            try:
                self._call_hook(hook, job, error)
            except RUN_ERRORS:
                log.exception("%s: a hook on failure raised", name(job))

    def _call_hook(self, hook: Callable[..., object], *args: object) -> None:
        answer = hook(*args)
        if inspect.iscoroutine(answer):
            self._await(answer)

    def _result(self, job: WorkerJob, function: Function) -> Buffer:
        if function.aggregate is not None and job._assignment.reducer:
            value = self._reduce(job, function, self._value)
        else:
            value = self._value(job, function)
        return packed(function, value)

    def _value(self, job: WorkerJob, function: Function) -> Any:
        if function.is_async:
            return self._await(function.call(job), function.timeout)
        return function.call(job)

    def _await(self, coroutine: Coroutine[Any, Any, Any], timeout: float | None = None) -> Any:
        runner = getattr(self._loops, "runner", None)
        if runner is None:
            runner = self._loops.runner = asyncio.Runner()
        return runner.run(coroutine if timeout is None else limit(coroutine, timeout))


async def limit(call: Awaitable[Any], seconds: float) -> Any:
    """Await something for so many seconds. Raises TimedOut, after it has been cancelled."""
    try:
        async with asyncio.timeout(seconds) as scope:
            return await call
    except TimeoutError as error:
        if scope.expired():
            raise timed_out(seconds) from error
        raise


def timed_out(seconds: float) -> TimedOut:
    """What a job fails with whose function takes too long."""
    return TimedOut(f"its function took longer than {seconds:g} s")


def packed(function: Function, value: Any) -> Buffer:
    """What a function returned as it is sent. Bytes and text have no None: it is an empty result there."""
    if value is None and (function.encoding is BYTES or function.encoding is TEXT):
        return b""
    return checked(function.encoding.pack(value, "result"))


def checked(result: Any) -> Buffer:
    """A result that can be sent. Raises TypeError or BufferError for any other."""
    check_payload(result, "result")
    try:
        view = memoryview(result)
    except TypeError:
        raise TypeError(f"result must be bytes-like, not {type(result).__name__}") from None
    if not view.c_contiguous:
        raise BufferError("result must be bytes in one piece, and has gaps")
    return view


def failed(job: BaseJob, server: object, start: float, failure: Failure) -> Failed:
    """Log that a function said that its job failed."""
    seconds = time.monotonic() - start
    log.warning("%s: %s failed after %.3f s: %s", server, name(job), seconds, failure)
    return Failed(str(failure))


def raised(job: BaseJob, server: object, start: float, error: BaseException) -> Raised:
    """Log what a function raised."""
    seconds = time.monotonic() - start
    log.error("%s: %s raised after %.3f s", server, name(job), seconds, exc_info=error)
    return Raised(describe(error))


def name(job: BaseJob) -> str:
    """What the log calls a job."""
    return f"job {job.handle} of function {job.function!r}"
