"""pygearman and python3-gearman, which have one API, and gearcore's module that has it too.

The environment has one of the first two, or else gearcore.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from stopwatch import Load, Stopwatch, run

library: ModuleType
for name in ("gearman", "python3_gearman", "gearcore.compat.gearman"):
    try:
        library = import_module(name)
    except ImportError:
        continue
    break

PYGEARMAN = library.__name__ == "gearman"

LONG = 3600.0
"""Seconds to wait. Without a number pygearman does not wait for a result at all."""


def workload_of(load: Load) -> Any:
    """Text, which python3-gearman takes and nothing else, and which is what gearcore has in that place."""
    return load.workload if PYGEARMAN else load.workload.decode()


def submit(load: Load, watch: Stopwatch) -> None:
    """Background jobs one at a time."""
    one_at_a_time(load, watch, background=True)


def foreground(load: Load, watch: Stopwatch) -> None:
    """Foreground jobs one at a time."""
    one_at_a_time(load, watch, background=False)


def one_at_a_time(load: Load, watch: Stopwatch, background: bool) -> None:
    """Submit a job and wait for what comes back."""
    function, workload = load.function, workload_of(load)
    client = library.GearmanClient([load.server])
    for _ in range(load.warm_up):
        client.submit_job(function, workload, background=background, poll_timeout=LONG)
    watch.start()
    for _ in watch.operations():
        request = client.submit_job(function, workload, background=background, poll_timeout=LONG)
        if not request.complete:
            raise RuntimeError(f"a job is {request.state}")
    watch.stop()


def submit_many(load: Load, watch: Stopwatch) -> None:
    """Background jobs, as many at once as pipelining allows."""
    job = {"task": load.function, "data": workload_of(load)}
    client = library.GearmanClient([load.server])
    client.submit_multiple_jobs([dict(job)] * load.warm_up, background=True)
    watch.start()
    for count in watch.batches(load.depth):
        client.submit_multiple_jobs([dict(job)] * count, background=True, wait_until_complete=False)
    watch.stop()


def work(load: Load, watch: Stopwatch) -> None:
    """Jobs that wait in the queue."""
    done = False

    class Worker(library.GearmanWorker):  # type: ignore[misc, name-defined]
        def after_poll(self, any_activity: bool) -> bool:
            return not done

    def echo(worker: Any, job: Any) -> Any:
        nonlocal done
        done = watch.job() or done
        return job.data

    worker = Worker([load.server])
    # pygearman compares the name with the bytes that come from the server.
    name = load.function.encode() if PYGEARMAN else load.function
    worker.register_task(name, echo)
    worker.work()


if __name__ == "__main__":
    run(submit=submit, submit_many=submit_many, foreground=foreground, work=work)
