"""The job server without its sockets: connections, functions, queues, jobs."""

from gearcore._broker import Broker, Connection, FunctionStatus
from gearcore.broker.admin import answer_line

__all__ = ["Broker", "Connection", "FunctionStatus", "answer_line"]
