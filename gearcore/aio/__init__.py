"""Gearman in an event loop of asyncio: the names of ``gearcore``, and what waits there is awaited here."""

from gearcore.aio.client import Client
from gearcore.aio.job import Job
from gearcore.aio.worker import Worker
from gearcore.aio.worker_job import WorkerJob

__all__ = ["Client", "Job", "Worker", "WorkerJob"]
