"""A job in hand, as a function in an event loop sees it, and the running of such functions."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import random
import threading
import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gearcore.protocol import PacketType
from gearcore.session.worker import Assignment
from gearcore.worker.endings import GIVEN_BACK, Completed, Outcome
from gearcore.worker.functions import Function, Hooks
from gearcore.worker.job import BaseJob, Failure
from gearcore.worker.job import WorkerJob as ThreadJob
from gearcore.worker.running import RUN_ERRORS, checked, failed, limit, name, packed, raised

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Outlet", "Runner", "WorkerJob", "in_context"]

log = logging.getLogger("gearcore.worker")

T = TypeVar("T")


class Outlet(Protocol):
    """Where the updates of a job go."""

    async def send(self, packet_type: PacketType, handle: bytes, *args: Buffer) -> None:
        """Send an update. Raises ConnectionLost, TimedOut, or ValueError for a job that has ended."""


class WorkerJob(BaseJob):
    """A job in hand, given to the ``async def`` function that runs it.

    What its methods send goes to the clients that wait for the job; a background job has none. They raise
    ConnectionLost or TimedOut when it cannot be sent (the server then gives the job to another worker), and
    ValueError once the job has ended.
    """

    __slots__ = ("_outlet",)

    def __init__(
        self, outlet: Outlet, assignment: Assignment, function: Function | None, namespace_size: int
    ) -> None:
        super().__init__(assignment, function, namespace_size)
        self._outlet = outlet

    async def send_data(self, data: Any) -> None:
        """Send a part of the result (WORK_DATA), in the function's encoding."""
        packed = self._known.encoding.pack(data, "data")
        await self._outlet.send(PacketType.WORK_DATA, self._assignment.handle, packed)

    async def send_warning(self, warning: Buffer) -> None:
        """Send a warning (WORK_WARNING), which is bytes-like in any encoding."""
        await self._outlet.send(PacketType.WORK_WARNING, self._assignment.handle, warning)

    async def send_status(self, numerator: int, denominator: int) -> None:
        """Say that ``numerator`` of ``denominator`` is done (WORK_STATUS)."""
        handle = self._assignment.handle
        await self._outlet.send(PacketType.WORK_STATUS, handle, b"%d" % numerator, b"%d" % denominator)


class Runner:
    """Runs functions: ``async def`` ones in the event loop, the others in a thread each.

    ``pause`` sleeps between tries in place; it returns whether the worker stops meanwhile. ``reduce`` runs a
    function that maps, and gathers what its parts were reduced to.
    """

    def __init__(
        self,
        hooks: Hooks,
        pause: Callable[[float], Awaitable[bool]],
        reduce: Callable[[WorkerJob, Function], Awaitable[Any]],
    ) -> None:
        self._hooks = hooks
        self._hooked = bool(hooks)
        self._pause = pause
        self._reduce = reduce

    async def run(self, job: WorkerJob) -> Outcome:
        """Run a job's function, log how it ended, and say so. Raises CancelledError when it is cancelled."""
        function = job._function
        debug = log.isEnabledFor(logging.DEBUG)
        if debug:
            log.debug("%s: %s starts", job._outlet, name(job))
        outcome: Outcome
        start = time.monotonic()
        tries = 1
        while True:
            try:
                if self._hooked or function is None or not function.is_bare_async:
                    result = await self._call(job)
                else:
                    result = await function.call(job)
                    if type(result) is not bytes:
                        result = b"" if result is None else checked(result)
            except Failure as failure:
                outcome = failed(job, job._outlet, start, failure)
            except RUN_ERRORS as error:
                _give_way(error)
                outcome = raised(job, job._outlet, start, error)
            else:
                if debug:
                    seconds = time.monotonic() - start
                    log.debug("%s: %s is complete after %.3f s", job._outlet, name(job), seconds)
                return Completed(result)
            retry = None if function is None else function.retry
            if retry is None or not retry.in_place or tries > retry.limit:
                return outcome
            if await self._pause(retry.pause(tries, random.random)):
                return GIVEN_BACK
            tries += 1
            log.info("%s: %s is tried again, for the %d. time", job._outlet, name(job), tries)

    async def _call(self, job: WorkerJob) -> Buffer:
        function = job._known
        if not self._hooked:
            return await self._result(job, function)
        result: Buffer = b""
        error: BaseException | None = None
        try:
            for hook in self._hooks.before:
                await _call_hook(hook, job)
            result = await self._result(job, function)
        except (Exception, SystemExit, asyncio.CancelledError) as reason:
            _give_way(reason)
            error = reason
            await self._tell_failure(job, reason)
        for hook in self._hooks.after:
            try:
                await _call_hook(hook, job)
            except (Exception, SystemExit) as reason:
                if error is not None:
                    log.exception("%s: a hook after it raised", name(job))
                else:
                    error = reason
                    await self._tell_failure(job, reason)
        if error is not None:
            raise error
        return result

    async def _tell_failure(self, job: WorkerJob, error: BaseException) -> None:
        for hook in self._hooks.failure:
            try:
                await _call_hook(hook, job, error)
            except (Exception, SystemExit):
                log.exception("%s: a hook on failure raised", name(job))

    async def _result(self, job: WorkerJob, function: Function) -> Buffer:
        if function.aggregate is not None and job._assignment.reducer:
            call: Awaitable[Any] = self._reduce(job, function)
        elif function.is_async:
            call = function.call(job)
        else:
            call = _in_thread(function.call, job)
        value = await call if function.timeout is None else await limit(call, function.timeout)
        return packed(function, value)


@types.coroutine
def in_context(context: contextvars.Context, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Await a coroutine that has a context of its own, in the task that runs."""
    step, value = coroutine.send, None
    try:
        while True:
            waited_for = context.run(step, value)
            try:
                step, value = coroutine.send, (yield waited_for)
            except BaseException as error:
                step, value = coroutine.throw, error
    except StopIteration as end:
        result: T = end.value
        return result


def _give_way(error: BaseException) -> None:
    """Raise a cancellation that came from outside: one that a function let out of itself is its failure."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error


async def _call_hook(hook: Callable[..., object], *args: object) -> None:
    answer = hook(*args)
    if inspect.isawaitable(answer):
        await answer


class _ThreadOutlet:
    """For a job that runs in a thread: waits there for what the event loop does."""

    def __init__(self, outlet: Outlet, loop: asyncio.AbstractEventLoop) -> None:
        self._outlet = outlet
        self._loop = loop

    def send(self, packet_type: PacketType, handle: bytes, *args: Buffer) -> None:
        """Send an update."""
        sending = self._outlet.send(packet_type, handle, *args)
        asyncio.run_coroutine_threadsafe(sending, self._loop).result()


async def _in_thread(call: Callable[[ThreadJob], Any], job: WorkerJob) -> Any:
    """Call a function in a thread of its own, which is left to itself when nobody waits any more."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    outlet = _ThreadOutlet(job._outlet, loop)
    plain = ThreadJob(outlet, job._assignment, job._function, job._namespace_size)
    context = contextvars.copy_context()

    def work() -> None:
        try:
            settle, value = done.set_result, context.run(call, plain)
        except (Exception, SystemExit) as error:
            settle, value = done.set_exception, error
        if not loop.is_closed():
            loop.call_soon_threadsafe(lambda: None if done.done() else settle(value))

    threading.Thread(target=work, name="gearcore function", daemon=True).start()
    return await done
