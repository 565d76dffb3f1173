"""For the tests of programs that use gearcore: a client and a worker in memory, and workers beside a test.

The fixtures for pytest are there once gearcore is installed; see ``docs/testing.md``.
"""

from gearcore.testing.beside import worker_as_task, worker_in_thread
from gearcore.testing.pair import Pair

__all__ = ["Pair", "worker_as_task", "worker_in_thread"]
