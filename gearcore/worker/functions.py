"""What a worker offers: functions with their options, hooks, and what is submitted from time to time."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, overload

from gearcore.encoding import BYTES, Encoding, find_encoding
from gearcore.schedule import Cron, Every, Timetable
from gearcore.session.arguments import decode_name, encode_name
from gearcore.worker.retry import Retry

__all__ = ["Aggregate", "Function", "Hooks", "Periodic", "Registry"]

F = TypeVar("F", bound=Callable[..., Any])

Aggregate = Callable[[list[Any]], Any]
"""Makes one result of those of the reducer, in the order in which the parts were sent."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that is offered, under ``name``, which has the worker's namespace in front."""

    name: bytes
    call: Callable[..., Any]
    encoding: Encoding = BYTES
    timeout: float | None = None
    concurrency: int | None = None
    retry: Retry | None = None
    dead_letter: bytes | None = None
    aggregate: Aggregate | None = None
    is_async: bool = False

    is_plain: bool = field(init=False)
    """Whether it is enough to call it: with the job, for bytes."""

    is_bare_async: bool = field(init=False)
    """Whether it is enough to call and await it, for as long as it takes."""

    def __post_init__(self) -> None:
        bare = self.encoding is BYTES and self.aggregate is None
        object.__setattr__(self, "is_plain", bare and not self.is_async)
        object.__setattr__(self, "is_bare_async", bare and self.is_async and self.timeout is None)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is called beside the functions, in this order."""

    before: list[Callable[[Any], object]] = field(default_factory=list)
    failure: list[Callable[[Any, Exception], object]] = field(default_factory=list)
    after: list[Callable[[Any], object]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.before or self.failure or self.after)


@dataclass(frozen=True, slots=True)
class Periodic:
    """A background job for ``function`` that is submitted at the times of a table."""

    function: bytes
    timetable: Timetable
    workload: bytes


class Decorator(Protocol):
    """What ``@worker.function(...)`` makes."""

    def __call__(self, function: F, /) -> F:
        """Register the function, and return it as it is."""
        ...


class Registry:
    """The part of a worker that needs no connection: the same for the blocking one and asyncio's."""

    def __init__(self, *, namespace: str = "", encoding: str | Encoding = "bytes") -> None:
        self._namespace = encode_name(namespace, "namespace")
        self._encoding = find_encoding(encoding)
        self._functions: dict[bytes, Function] = {}
        self._hooks = Hooks()
        self._periodic: list[Periodic] = []

    @overload
    def function(self, function: F, /) -> F: ...

    @overload
    def function(
        self,
        name: str | bytes | None = None,
        /,
        *,
        timeout: float | None = None,
        encoding: str | Encoding | None = None,
        concurrency: int | None = None,
        retry: Retry | None = None,
        dead_letter: str | bytes | None = None,
        aggregate: Aggregate | None = None,
    ) -> Decorator: ...

    def function(self, function: Any = None, /, **options: Any) -> Any:
        """Register the decorated function, by its own name or by another, with the options of ``register``.

        ``@worker.function``, ``@worker.function("name")`` or ``@worker.function(timeout=10)``.
        """
        if callable(function):
            self.register(function.__name__, function)
            return function

        def decorate(decorated: F) -> F:
            self.register(decorated.__name__ if function is None else function, decorated, **options)
            return decorated

        return decorate

    def register(
        self,
        name: str | bytes,
        function: Callable[..., Any],
        *,
        timeout: float | None = None,
        encoding: str | Encoding | None = None,
        concurrency: int | None = None,
        retry: Retry | None = None,
        dead_letter: str | bytes | None = None,
        aggregate: Aggregate | None = None,
    ) -> None:
        """Offer to run ``function`` for jobs of that name (CAN_DO); a ``str`` is sent as UTF-8.

        ``timeout`` is how many seconds it may take before its job is failed, ``encoding`` that of its
        workload and result instead of the worker's. ``concurrency`` is how many of its jobs may run at once
        in this worker, if fewer than the worker runs. ``retry`` says whether a job that failed is tried
        again, and ``dead_letter`` names the function that gets those that failed for good, as a
        ``DeadLetter``. ``aggregate`` makes it one of map and reduce: see ``docs/worker.md``.

        What is offered is told to the server when the worker connects. gearmand 1.1 gives out jobs of the
        function that was registered first as long as there are any; later servers go by priority. Raises
        ValueError for a name that is registered already or has a NUL, and for an option out of its range.
        """
        raw = self._qualified(name)
        if raw in self._functions:
            raise ValueError(f"function {decode_name(raw)!r} is registered already")
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be more than 0 seconds, and is {timeout}")
        if concurrency is not None and concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, and is {concurrency}")
        self._functions[raw] = Function(
            raw,
            function,
            self._encoding if encoding is None else find_encoding(encoding),
            timeout,
            concurrency,
            retry,
            None if dead_letter is None else self._qualified(dead_letter),
            aggregate,
            inspect.iscoroutinefunction(function),
        )

    def before_job(self, hook: F) -> F:
        """Call the decorated function, with the job, before each function. What it raises fails the job."""
        self._hooks.before.append(hook)
        return hook

    def after_job(self, hook: F) -> F:
        """Call the decorated function, with the job, after each function, however it ended.

        It runs before the job's end is told to the server; what it raises fails the job.
        """
        self._hooks.after.append(hook)
        return hook

    def on_failure(self, hook: F) -> F:
        """Call the decorated function, with the job and the exception, when a job fails.

        That is on every try, before ``after_job``. What it raises is logged.
        """
        self._hooks.failure.append(hook)
        return hook

    def every(self, seconds: float, workload: bytes = b"") -> Decorator:
        """Have the decorated function run every so many seconds: at the multiples of them since 1970.

        The function is registered under its own name unless it is registered already; ``workload`` is that
        of its jobs. However many workers do so, each time one job is submitted. Raises ValueError for less
        than one second.
        """
        return self._at(Every(seconds), workload)

    def cron(self, expression: str, workload: bytes = b"") -> Decorator:
        """Have the decorated function run when a cron expression says, in the local time.

        Five fields: minute, hour, day of the month, month and day of the week, as ``*/5 8-18 * * mon-fri``.
        Otherwise as ``every``. Raises ValueError for what is no such expression.
        """
        return self._at(Cron(expression), workload)

    def _at(self, timetable: Timetable, workload: bytes) -> Decorator:
        def decorate(decorated: F) -> F:
            name = next((f.name for f in self._functions.values() if f.call is decorated), None)
            if name is None:
                name = self._qualified(decorated.__name__)
                self.register(decorated.__name__, decorated)
            self._periodic.append(Periodic(name, timetable, workload))
            return decorated

        return decorate

    def _qualified(self, name: str | bytes) -> bytes:
        return self._namespace + encode_name(name, "function")
