"""gearcore's asyncio client and worker, on uvloop as its users would run them."""

from __future__ import annotations

import uvloop
from stopwatch import Load, Stopwatch, run

from gearcore import aio


async def submit(load: Load, watch: Stopwatch) -> None:
    """Background jobs one at a time."""
    function, workload = load.function, load.workload
    async with aio.Client(load.server) as client:
        for _ in range(load.warm_up):
            await client.submit(function, workload, background=True)
        watch.start()
        for _ in watch.operations():
            await client.submit(function, workload, background=True)
        watch.stop()


async def submit_many(load: Load, watch: Stopwatch) -> None:
    """Background jobs, pipelined."""
    item = (load.function, load.workload)
    async with aio.Client(load.server) as client:
        async for _ in client.submit_many([item] * load.warm_up, background=True):
            pass
        watch.start()
        async for _ in client.submit_many(watch.operations(item), background=True):
            pass
        watch.stop()


async def foreground(load: Load, watch: Stopwatch) -> None:
    """Foreground jobs one at a time."""
    function, workload = load.function, load.workload
    async with aio.Client(load.server) as client:
        for _ in range(load.warm_up):
            await (await client.submit(function, workload))
        watch.start()
        for _ in watch.operations():
            await (await client.submit(function, workload))
        watch.stop()


async def work(load: Load, watch: Stopwatch) -> None:
    """Jobs that wait in the queue."""
    await serve(aio.Worker(load.server), load, watch)


async def prefetch(load: Load, watch: Stopwatch) -> None:
    """Jobs that wait in the queue, several in hand at once."""
    await serve(aio.Worker(load.server, prefetch=load.depth), load, watch)


async def serve(worker: aio.Worker, load: Load, watch: Stopwatch) -> None:
    """Give each job its workload back."""

    @worker.function(load.function)
    async def echo(job: aio.WorkerJob) -> bytes:
        if watch.job():
            worker.stop()
        return job.workload

    await worker.run()


if __name__ == "__main__":
    run(
        **{
            mode.__name__: lambda load, watch, mode=mode: uvloop.run(mode(load, watch))
            for mode in (submit, submit_many, foreground, work, prefetch)
        }
    )
