"""A server in a thread of a synchronous program."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gearcore.server.server import Server

__all__ = ["ServerThread"]


class ServerThread:
    """Runs a server in a thread with an event loop of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gearcore-server", daemon=True)

    def start(self) -> None:
        """Return once the server listens; raise what kept it from that."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Stop the server, unless it was stopped already, and return when its thread has ended."""
        with suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._server.request_stop)
        self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._server.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._ready.is_set():
                raise
            self._failure = error  # there is no event loop to be had
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._server.start()
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        await self._server.wait_for_stop()
        await self._server.stop()
