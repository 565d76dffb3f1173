"""The asyncio worker."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import time
from collections.abc import Iterator

from gearcore.address import Servers, parse_servers
from gearcore.aio.client import Client
from gearcore.aio.worker_engine import Engine
from gearcore.aio.worker_job import Runner, WorkerJob
from gearcore.aio.worker_reduce import Reducer
from gearcore.encoding import Encoding
from gearcore.session.arguments import decode_name
from gearcore.tls import ClientTls
from gearcore.worker.functions import Registry
from gearcore.worker.periodic import Scheduler
from gearcore.worker.settings import make_settings

__all__ = ["Worker", "WorkerJob"]


class Worker(Registry):
    """A worker in an event loop: ``gearcore.Worker`` with ``concurrency`` tasks instead of threads.

    The arguments are those of ``gearcore.Worker``. ``async def`` functions run as tasks, and are cancelled
    when their time is over; what waits in a ``WorkerJob`` is to be awaited. A plain function runs in a thread
    of its own, and gets the job of the blocking worker. Hooks may be either; plain ones run in the event
    loop.
    """

    def __init__(
        self,
        servers: Servers = "127.0.0.1:4730",
        *,
        client_id: str | None = None,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        tls: ssl.SSLContext | ClientTls | None = None,
        namespace: str = "",
        encoding: str | Encoding = "bytes",
        concurrency: int = 1,
        prefetch: int = 0,
        grace: float = 30.0,
    ) -> None:
        super().__init__(namespace=namespace, encoding=encoding)
        self._settings = make_settings(
            parse_servers(servers),
            client_id=client_id,
            timeout=timeout,
            connect_timeout=connect_timeout,
            tls=tls,
            prefetch=prefetch,
            grace=grace,
            namespace=self._namespace,
        )
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, and is {concurrency}")
        self._concurrency = concurrency
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False

    async def run(self, *, max_jobs: int | None = None, install_signals: bool = False) -> None:
        """Work until ``stop()`` is called, or ``max_jobs`` jobs have ended, as ``gearcore.Worker.run`` does.

        With ``install_signals``, for the main thread, SIGTERM and SIGINT end it as ``stop()`` does, and the
        second of them at once. Cancelling it cancels the functions that run, and gives their jobs back.
        """
        if not self._functions:
            raise RuntimeError("the worker has no function to run")
        if self._engine is not None:
            raise RuntimeError("the worker is running already")
        if max_jobs is not None and max_jobs < 1:
            raise ValueError(f"max_jobs must be at least 1, and is {max_jobs}")
        reducer = Reducer(self._make_client)
        runner = Runner(self._hooks, self._pause, reducer.run)
        scheduler = Scheduler(self._periodic, time.time())
        engine = Engine(self._settings, self._functions, scheduler, max_jobs, self._concurrency, runner)
        self._engine, self._loop = engine, asyncio.get_running_loop()
        try:
            if self._stopping:
                engine.stop()
            with _stop_signals(engine) if install_signals else contextlib.nullcontext():
                await engine.run()
        finally:
            self._engine = self._loop = None
            self._stopping = False
            await reducer.close()

    def stop(self) -> None:
        """Take no more jobs, and end ``run()`` when those in hand have ended, at once if there is none.

        Those that have not ended ``grace`` seconds later are cancelled, and go back to the servers. To be
        called from any thread, or a function. If the worker does not run, the next ``run()`` ends at once.
        """
        self._stopping = True
        engine, loop = self._engine, self._loop
        if engine is not None and loop is not None:
            engine.asks = False
            loop.call_soon_threadsafe(engine.stop)

    def __repr__(self) -> str:
        return f"<Worker {', '.join(map(str, self._settings.servers))}>"

    async def _pause(self, seconds: float) -> bool:
        assert self._engine is not None
        return await self._engine.pause(seconds)

    def _make_client(self) -> Client:
        settings = self._settings
        return Client(
            settings.servers,
            timeout=settings.timeout,
            connect_timeout=settings.connect_timeout,
            tls=settings.tls,
            namespace=decode_name(self._namespace),
        )


@contextlib.contextmanager
def _stop_signals(engine: Engine) -> Iterator[None]:
    """SIGTERM and SIGINT: the first stops, the second halts."""
    loop = asyncio.get_running_loop()
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]

    def handle() -> None:
        if engine.stopping:
            engine.halt()
        else:
            engine.stop()

    for number, _ in before:
        try:
            loop.add_signal_handler(number, handle)
        except NotImplementedError:  # Windows' event loops take no signals
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(handle))
    try:
        yield
    finally:
        for number, handler in before:
            with contextlib.suppress(NotImplementedError):  # nor have they any to remove
                loop.remove_signal_handler(number)
            signal.signal(number, handler)
