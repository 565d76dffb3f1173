"""One test for both clients: it awaits, and the blocking client is awaited in a thread."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import gearcore
import gearcore.aio

PATIENCE = 20.0
_END = object()


def scene(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a coroutine function as a test, and fail rather than hang."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def limited() -> None:
            async with asyncio.timeout(PATIENCE):
                await test(*args, **kwargs)

        asyncio.run(limited())

    return run


class Items:
    """An iterator of the blocking client, each step in a thread."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> Items:
        return self

    async def __anext__(self) -> Any:
        item = await asyncio.to_thread(next, self._items, _END)
        if item is _END:
            raise StopAsyncIteration
        return wrap(item)


WAITING = {"cancel", "close", "echo", "exception", "map_reduce", "ping", "result", "status", "submit"}
WAITING |= {"status_of_unique", "wait"}
ITERATING = {"events", "map", "submit_many"}


class Threaded:
    """A blocking client, or a job of it, whose calls are awaited."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if name in WAITING:

            async def call(*args: Any, **kwargs: Any) -> Any:
                return wrap(await asyncio.to_thread(found, *args, **kwargs))

            return call
        if name in ITERATING:
            return lambda *args, **kwargs: Items(iter(found(*args, **kwargs)))
        return found

    def __await__(self) -> Any:
        return self.result().__await__()

    def __aiter__(self) -> Items:
        return Items(iter(self.real))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Threaded) and self.real is other.real

    def __hash__(self) -> int:
        return hash(self.real)

    def __repr__(self) -> str:
        return repr(self.real)


def wrap(found: Any) -> Any:
    return Threaded(found) if isinstance(found, gearcore.Job) else found


@asynccontextmanager
async def blocking(*args: Any, **kwargs: Any) -> Any:
    client = gearcore.Client(*args, **{"timeout": 5.0, **kwargs})
    try:
        yield Threaded(client)
    finally:
        await asyncio.to_thread(client.close)


@asynccontextmanager
async def awaited(*args: Any, **kwargs: Any) -> Any:
    async with gearcore.aio.Client(*args, **{"timeout": 5.0, **kwargs}) as client:
        yield client


CLIENTS = {"blocking": blocking, "asyncio": awaited}
