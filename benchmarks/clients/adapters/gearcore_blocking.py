"""gearcore's blocking client and worker."""

from __future__ import annotations

from collections import deque

from stopwatch import Load, Stopwatch, run

from gearcore import Client, Worker, WorkerJob


def submit(load: Load, watch: Stopwatch) -> None:
    """Background jobs one at a time."""
    function, workload = load.function, load.workload
    with Client(load.server) as client:
        for _ in range(load.warm_up):
            client.submit(function, workload, background=True)
        watch.start()
        for _ in watch.operations():
            client.submit(function, workload, background=True)
        watch.stop()


def submit_many(load: Load, watch: Stopwatch) -> None:
    """Background jobs, pipelined."""
    item = (load.function, load.workload)
    with Client(load.server) as client:
        exhaust(client.submit_many([item] * load.warm_up, background=True))
        watch.start()
        exhaust(client.submit_many(watch.operations(item), background=True))
        watch.stop()


exhaust = deque(maxlen=0).extend


def foreground(load: Load, watch: Stopwatch) -> None:
    """Foreground jobs one at a time."""
    function, workload = load.function, load.workload
    with Client(load.server) as client:
        for _ in range(load.warm_up):
            client.submit(function, workload).result()
        watch.start()
        for _ in watch.operations():
            client.submit(function, workload).result()
        watch.stop()


def work(load: Load, watch: Stopwatch) -> None:
    """Jobs that wait in the queue."""
    serve(Worker(load.server), load, watch)


def prefetch(load: Load, watch: Stopwatch) -> None:
    """Jobs that wait in the queue, several in hand at once."""
    serve(Worker(load.server, prefetch=load.depth), load, watch)


def serve(worker: Worker, load: Load, watch: Stopwatch) -> None:
    """Give each job its workload back."""

    @worker.function(load.function)
    def echo(job: WorkerJob) -> bytes:
        if watch.job():
            worker.stop()
        return job.workload

    worker.run()


if __name__ == "__main__":
    run(submit=submit, submit_many=submit_many, foreground=foreground, work=work, prefetch=prefetch)
