"""A worker in an event loop: up to a hundred jobs at a time, as tasks."""

import asyncio
import os

from gearcore import aio

worker = aio.Worker(os.environ.get("GEARMAN_SERVER", "127.0.0.1:4730"), encoding="text", concurrency=100)


@worker.function(timeout=10)
async def shout(job):
    for word in job.data.split():
        await asyncio.sleep(0.01)  # ask a database, or another service
        await job.send_data(word.upper())
    return job.data.upper() + "!"


if __name__ == "__main__":
    asyncio.run(worker.run(install_signals=True))
