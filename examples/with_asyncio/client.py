"""A client of worker.py, in an event loop."""

import asyncio
import os
import sys

from gearcore import aio


async def main(words):
    server = os.environ.get("GEARMAN_SERVER", "127.0.0.1:4730")
    async with aio.Client(server, encoding="text") as client:
        # Parts of the result as they come, and then the result.
        job = await client.submit("shout", " ".join(words))
        async for part in job:
            print("part:", part)
        print("result:", await job)

        # Many at once.
        async for result in client.map("shout", words):
            print(result)


asyncio.run(main(sys.argv[1:]))
