"""Workers: functions that are offered to job servers, and run for their jobs."""

from gearcore.worker.dead_letter import DeadLetter
from gearcore.worker.job import WorkerJob
from gearcore.worker.retry import Retry
from gearcore.worker.worker import Worker

__all__ = ["DeadLetter", "Retry", "Worker", "WorkerJob"]
