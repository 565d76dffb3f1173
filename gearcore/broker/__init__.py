"""The job server without its sockets: connections, functions, queues, jobs."""

from gearcore._broker import Broker, Connection, FunctionStatus, JobStatus, retain_memory
from gearcore.broker.admin import Admin

__all__ = ["Admin", "Broker", "Connection", "FunctionStatus", "JobStatus", "retain_memory"]
