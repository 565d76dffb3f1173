"""A web service that leaves the work to worker.py, and awaits it."""

import os
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request

from gearcore import JobException, TimedOut, aio


@asynccontextmanager
async def lifespan(app):
    server = os.environ.get("GEARMAN_SERVER", "127.0.0.1:4730")
    async with aio.Client(server, encoding="json") as client:
        app.state.gearman = client
        yield


def gearman(request: Request) -> aio.Client:
    return request.app.state.gearman


app = FastAPI(lifespan=lifespan)


@app.get("/primes")
async def primes(below: int, client: Annotated[aio.Client, Depends(gearman)]) -> list[int]:
    # Equal jobs have the same unique id: however many ask at the same time, they are worked out once.
    job = await client.submit("primes", below, unique=f"primes:{below}", job_timeout=30)
    try:
        return await job
    except JobException as error:
        raise HTTPException(422, str(error)) from error
    except TimedOut as error:
        raise HTTPException(504, str(error)) from error
