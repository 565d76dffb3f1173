"""The client's end of a connection: requests in flight, and jobs by handle.

It is compiled, since all that a client does passes through it: see ``_requests.pyx``, ``_submissions.pyx``
and ``_session.pyx`` in ``src/gearcore/``.
"""

from __future__ import annotations

from gearcore._requests import JobRequest
from gearcore._session import ClientSession
from gearcore._submissions import Answered, Terms, all_answered, new_job, new_jobs, refused_job

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
