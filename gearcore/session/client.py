"""The client's end of a connection: requests in flight, and jobs by handle.

It is compiled, since all that a client does passes through it; see ``src/gearcore/_session.pyx``.
"""

from __future__ import annotations

from gearcore._session import (
    Answered,
    ClientSession,
    JobRequest,
    Terms,
    all_answered,
    new_job,
    new_jobs,
    refused_job,
)

__all__ = [
    "Answered",
    "ClientSession",
    "JobRequest",
    "Terms",
    "all_answered",
    "new_job",
    "new_jobs",
    "refused_job",
]
