"""aiogear, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiogear
from stopwatch import Load, Stopwatch, run


async def connect(load: Load, protocol: Any) -> Any:
    """The client or worker, connected."""
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: protocol, load.host, load.port)
    return protocol


async def submit(load: Load, watch: Stopwatch) -> None:
    """Background jobs one at a time."""
    client = await connect(load, aiogear.Client())
    workload = load.workload
    for _ in range(load.warm_up):
        await client.submit_job_bg(load.function, workload)
    watch.start()
    for _ in watch.operations():
        await client.submit_job_bg(load.function, workload)
    watch.stop()


async def submit_many(load: Load, watch: Stopwatch) -> None:
    """Background jobs, many coroutines at once."""
    client = await connect(load, aiogear.Client())
    workload = load.workload
    for _ in range(load.warm_up):
        await client.submit_job_bg(load.function, workload)
    watch.start()
    for count in watch.batches(load.depth):
        await asyncio.gather(*(client.submit_job_bg(load.function, workload) for _ in range(count)))
    watch.stop()


async def foreground(load: Load, watch: Stopwatch) -> None:
    """Foreground jobs one at a time."""
    client = await connect(load, aiogear.Client())
    workload = load.workload

    async def one() -> None:
        job = await client.submit_job(load.function, workload)
        await client.wait_job(job.handle)

    for _ in range(load.warm_up):
        await one()
    watch.start()
    for _ in watch.operations():
        await one()
    watch.stop()


async def work(load: Load, watch: Stopwatch) -> None:
    """Jobs that wait in the queue."""
    done = asyncio.Event()

    def echo(job: Any) -> str:
        if watch.job():
            done.set()
        return job.workload  # type: ignore[no-any-return]

    await connect(load, aiogear.Worker((echo, load.function)))
    await done.wait()


def started(
    mode: Callable[[Load, Stopwatch], Coroutine[Any, Any, None]],
) -> Callable[[Load, Stopwatch], None]:
    """A mode as a plain function."""
    return lambda load, watch: asyncio.run(mode(load, watch))


if __name__ == "__main__":
    run(
        submit=started(submit),
        submit_many=started(submit_many),
        foreground=started(foreground),
        work=started(work),
    )
