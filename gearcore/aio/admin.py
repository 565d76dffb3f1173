"""Admin commands that an asyncio client gives, on a connection of their own."""

from __future__ import annotations

import asyncio
import contextlib
import math

from gearcore._connecting import explain
from gearcore.aio.links import Links
from gearcore.errors import ConnectionLost, GearcoreError, ServerError, TimedOut
from gearcore.session import commands
from gearcore.session.fleet import Place

__all__ = ["cancel_job"]


async def cancel_job(links: Links, place: Place, handle: str, seconds: float) -> bool:
    """Have a server drop a job; returns whether it could. Raises TimedOut and ConnectionLost."""
    command = commands.cancel(handle)
    session = commands.AdminSession(place.name)
    try:
        async with asyncio.timeout(None if seconds == math.inf else seconds):
            reader, writer = await links.open(place, seconds)
            try:
                writer.write(session.ask(command))
                while not session.answered:
                    data = await reader.read(1024)
                    if not data:
                        raise ConnectionLost(f"the connection to {place.name} ended: the server closed it")
                    session.receive(data)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError as error:
        raise TimedOut(f"waited {seconds:g} s for {place.name} to cancel job {handle}") from error
    except GearcoreError:
        raise
    except OSError as error:
        raise ConnectionLost(f"the connection to {place.name} ended: {explain(error)}") from error
    try:
        return session.answer(command)
    except ServerError:  # it knows no such command
        return False
