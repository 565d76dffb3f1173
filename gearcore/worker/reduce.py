"""Map and reduce: a function's parts become jobs of the reducer, and their results one result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gearcore.client import Client, Job
from gearcore.worker.functions import Function
from gearcore.worker.job import WorkerJob

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["MappingJob", "Reducer"]


class MappingJob(WorkerJob):
    """A job whose parts go to the reducer that the client named, and not to the client."""

    __slots__ = ("_parts", "_submit")

    _parts: list[Job]
    _submit: Callable[[str, Buffer], Job]

    def send_data(self, data: Any) -> None:
        """Submit a part to the reducer."""
        packed = self._known.encoding.pack(data, "data")
        self._parts.append(self._submit(self.reducer, packed))


class Reducer:
    """Runs functions that map, with a client of its own that is made when it is needed first."""

    def __init__(self, make_client: Callable[[], Client]) -> None:
        self._make_client = make_client
        self._client: Client | None = None
        self._guard = threading.Lock()

    def run(self, job: WorkerJob, function: Function, call: Callable[[WorkerJob, Function], Any]) -> Any:
        """Run a function by ``call``, have its parts reduced, and make one value of what came of them.

        What the function returns, unless it is None, is the last part. Raises what a part failed with.
        """
        assert function.aggregate is not None
        with self._guard:
            if self._client is None:
                self._client = self._make_client()
        mapping = MappingJob(job._outlet, job._assignment, function, job._namespace_size)
        mapping._submit = self._client.submit
        mapping._parts = []
        last = call(mapping, function)
        if last is not None:
            mapping.send_data(last)
        results = [part.result() for part in mapping._parts]
        return function.aggregate([function.encoding.unpack(result, "part") for result in results])

    def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            self._client.close()
