"""What a function for dead letters gets: a job that failed for good, and why."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from typing import Self

__all__ = ["DeadLetter"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that failed its last try, as the workload of a job for the function that takes those.

    ``function`` and ``unique`` are those that the job was submitted with, ``handle`` its last one; ``tries``
    is how often it was tried, ``error`` why the last try failed, and ``workload`` what it had to work on.
    """

    function: str
    unique: str
    handle: str
    tries: int
    error: str
    workload: bytes

    def pack(self) -> bytes:
        """The letter as JSON, with the workload in base 64."""
        fields = asdict(self) | {"workload": b64encode(self.workload).decode()}
        return json.dumps(fields).encode()

    @classmethod
    def unpack(cls, workload: bytes) -> Self:
        """Read the workload of a job for dead letters. Raises ValueError for what is none."""
        try:
            fields = json.loads(workload)
            return cls(**fields | {"workload": b64decode(fields["workload"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no dead letter: {error!r}") from error
