"""Map and reduce in an event loop: see ``gearcore.worker.reduce``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gearcore.aio.client import Client
from gearcore.aio.job import Job
from gearcore.aio.worker_job import WorkerJob
from gearcore.worker.functions import Function

__all__ = ["MappingJob", "Reducer"]


class MappingJob(WorkerJob):
    """A job whose parts go to the reducer that the client named, and not to the client."""

    __slots__ = ("_client", "_parts")

    _client: Client
    _parts: list[Job]

    async def send_data(self, data: Any) -> None:
        """Submit a part to the reducer."""
        packed = self._known.encoding.pack(data, "data")
        self._parts.append(await self._client.submit(self.reducer, packed))


class Reducer:
    """Runs functions that map, with a client of its own that is made when it is needed first."""

    def __init__(self, make_client: Callable[[], Client]) -> None:
        self._make_client = make_client
        self._client: Client | None = None

    async def run(self, job: WorkerJob, function: Function) -> Any:
        """Run a function, have its parts reduced, and make one value of what came of them.

        What the function returns, unless it is None, is the last part. Raises what a part failed with.
        """
        assert function.aggregate is not None
        if not function.is_async:
            raise TypeError("a function with an aggregate must be an async def function here")
        if self._client is None:
            self._client = self._make_client()
        mapping = MappingJob(job._outlet, job._assignment, function, job._namespace_size)
        mapping._client = self._client
        mapping._parts = []
        last = await function.call(mapping)
        if last is not None:
            await mapping.send_data(last)
        results = [await part.result() for part in mapping._parts]
        return function.aggregate([function.encoding.unpack(result, "part") for result in results])

    async def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            await self._client.close()
