"""gear, the library of OpenStack, or gearcore's module in its place: threads, and nothing that pipelines.

The environment has one of the two.
"""

from __future__ import annotations

import threading
from typing import Any

from stopwatch import Load, Stopwatch, run

try:
    import gear
except ImportError:
    from gearcore.compat import gear


class Waiting(gear.Client):  # type: ignore[misc]
    """A client that can wait for a result, which gear's own cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()

    def handleWorkComplete(self, packet: Any) -> Any:  # noqa: N802 (gear's name)
        job = super().handleWorkComplete(packet)
        self.ended.set()
        return job


def connected(client: Any, load: Load) -> Any:
    """The client or worker, when it has a connection."""
    client.addServer(load.host, load.port)
    client.waitForServer()
    return client


def submit(load: Load, watch: Stopwatch) -> None:
    """Background jobs one at a time."""
    client = connected(gear.Client(), load)
    for _ in range(load.warm_up):
        client.submitJob(gear.Job(load.function, load.workload), background=True)
    workload = load.workload
    watch.start()
    for _ in watch.operations():
        client.submitJob(gear.Job(load.function, workload), background=True)
    watch.stop()
    client.shutdown()


def foreground(load: Load, watch: Stopwatch) -> None:
    """Foreground jobs one at a time."""
    client = connected(Waiting(), load)
    workload = load.workload

    def one() -> None:
        client.ended.clear()
        client.submitJob(gear.Job(load.function, workload))
        client.ended.wait()

    for _ in range(load.warm_up):
        one()
    watch.start()
    for _ in watch.operations():
        one()
    watch.stop()
    client.shutdown()


def work(load: Load, watch: Stopwatch) -> None:
    """Jobs that wait in the queue."""
    worker = connected(gear.Worker("bench"), load)
    worker.registerFunction(load.function)
    done = False
    while not done:
        job = worker.getJob()
        done = watch.job()
        job.sendWorkComplete(job.arguments)
    worker.shutdown()


if __name__ == "__main__":
    run(submit=submit, foreground=foreground, work=work)
