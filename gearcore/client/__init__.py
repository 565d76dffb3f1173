"""The blocking client: submit jobs and wait for what becomes of them."""

from gearcore.client.client import Client
from gearcore.client.job import Job
from gearcore.session.submissions import Submission

__all__ = ["Client", "Job", "Submission"]
