"""Workers on gearcore's module with python-gearman's API that run beside a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from authority import Authority
from fake_server import PATIENCE

from gearcore.compat import gearman

__all__ = ["Stoppable", "TASKS", "clients_of", "tls_entry", "working"]


class Stoppable(gearman.GearmanWorker):
    """A worker that ends soon after ``stopped`` is set."""

    def __init__(self, host_list: Any = None) -> None:
        super().__init__(host_list)
        self.stopped = threading.Event()
        self.error: BaseException | None = None

    def after_poll(self, any_activity: bool) -> bool:
        return not self.stopped.is_set()


def chatter(worker, job):
    worker.send_job_data(job, "one")
    worker.send_job_data(job, "two")
    worker.send_job_warning(job, "careful")
    worker.send_job_status(job, 1, 2)
    return "end"


def raise_it(worker, job):
    raise LookupError(job.data)


TASKS: dict[str, Callable[[Any, Any], Any]] = {
    "echo": lambda worker, job: job.data,
    "chatter": chatter,
    "raise": raise_it,
    "nothing": lambda worker, job: None,
    "number": lambda worker, job: 5,
}


@contextmanager
def working(worker: Stoppable, tasks: dict[Any, Callable[[Any, Any], Any]] = TASKS) -> Iterator[Stoppable]:
    """Have a worker run beside the test until the end of the ``with`` statement; raises what it raised."""

    def run() -> None:
        try:
            worker.work(poll_timeout=0.05)
        except BaseException as error:
            worker.error = error

    for task, function in tasks.items():
        worker.register_task(task, function)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stopped.set()
        thread.join(PATIENCE)
        worker.shutdown()
        assert not thread.is_alive(), "the worker does not end"
    if worker.error is not None:
        raise worker.error


@contextmanager
def clients_of(*servers: object, cls: type[gearman.GearmanClient] = gearman.GearmanClient) -> Iterator[Any]:
    """A client that is shut down in the end."""
    client = cls([str(server) for server in servers])
    try:
        yield client
    finally:
        client.shutdown()


def tls_entry(authority: Authority, directory: Path, port: int) -> dict[str, Any]:
    """What a ``host_list`` has for a server that wants a certificate, which is put into the directory."""
    certificate, key = (str(path) for path in authority.issue(directory, "peer", "peer"))
    ca_certs = str(authority.ca_file)
    return {"host": "127.0.0.1", "port": port, "keyfile": key, "certfile": certificate, "ca_certs": ca_certs}
