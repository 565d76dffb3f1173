"""The blocking worker."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time

from gearcore.address import Servers, parse_servers
from gearcore.client import Client
from gearcore.encoding import Encoding
from gearcore.session.arguments import decode_name
from gearcore.tls import ClientTls
from gearcore.worker.child import make_enough, serve
from gearcore.worker.engine import Engine
from gearcore.worker.executor import Executor
from gearcore.worker.functions import Registry
from gearcore.worker.inline import Inline
from gearcore.worker.periodic import Scheduler
from gearcore.worker.processes import Processes
from gearcore.worker.reduce import Reducer
from gearcore.worker.running import Runner
from gearcore.worker.settings import make_settings
from gearcore.worker.signals import Halt, StopSignals
from gearcore.worker.threads import Threads

__all__ = ["Worker"]


class Worker(Registry):
    """A worker of one job server or several, which runs functions for jobs.

    ``servers`` is ``"host:port"``, ``"[IPv6]:port"``, ``"unix:/path"`` or ``(host, port)``, or a sequence of
    them; the port is 4730 unless it is given. It works for all of them at once, and prefers none.
    ``client_id`` is a name for humans, which ``gearadmin --workers`` shows; it has no spaces. ``timeout`` is
    how many seconds a server has to answer a request for a job, and to take what the worker sends.
    ``connect_timeout`` is how many seconds a connection may take. ``tls`` is an ``ssl.SSLContext`` or a
    ``ClientTls``, None for plain connections. ``namespace`` is put in front of the functions' names, and
    ``encoding`` is that of workloads and results: "bytes", "text", "json", "msgpack" or an ``Encoding``.

    It runs one job at a time, in the thread that calls ``run``; or as many at a time as there are
    ``threads``, or ``processes``. A process is replaced once it has run ``max_jobs_per_process`` jobs, or
    takes more than ``max_memory_per_process`` bytes after one. ``prefetch`` is how many jobs a connection may
    have in hand beyond those that can start at once, if jobs are short. ``grace`` is how many seconds the
    jobs that run have to end when the worker stops; the others, and they then, are given back.

    A function takes a ``WorkerJob`` and returns the result: bytes-like, or what its encoding takes, or None
    for an empty one. It may be an ``async def`` function. An exception ends the job with WORK_EXCEPTION and
    the text ``TypeName: message``, which clients see that asked for exceptions (others see that the job
    failed); it is logged to ``gearcore.worker`` with its traceback, and does not stop the worker. To fail
    without a text see ``WorkerJob.fail``.
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
        threads: int | None = None,
        processes: int | None = None,
        max_jobs_per_process: int | None = None,
        max_memory_per_process: int | None = None,
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
        self.set_concurrency(threads=threads, processes=processes)
        self._process_limits = (max_jobs_per_process, max_memory_per_process)
        self._stopping = False
        self._stopped = threading.Event()
        self._engine: Engine | None = None

    def set_concurrency(self, *, threads: int | None = None, processes: int | None = None) -> None:
        """Have the next ``run`` use so many threads or processes, whatever the worker was made with.

        Raises ValueError for both, or for less than one, and RuntimeError for processes on a system that
        cannot fork.
        """
        if threads is not None and processes is not None:
            raise ValueError("a worker has threads or processes, not both")
        for what, number in (("threads", threads), ("processes", processes)):
            if number is not None and number < 1:
                raise ValueError(f"{what} must be at least 1, and is {number}")
        if processes is not None and not hasattr(os, "fork"):
            raise RuntimeError("this system cannot fork: use threads instead of processes")
        self._threads = threads
        self._processes = processes

    def run(self, *, max_jobs: int | None = None, install_signals: bool = False) -> None:
        """Work until ``stop()`` is called, or ``max_jobs`` jobs have ended, in whatever way.

        Until a server has answered once, what is wrong is raised when no server is left to be tried:
        ServerUnavailable, ConnectionLost, TimedOut, ProtocolError or ServerError. From then on it is logged,
        and the worker connects again to each server, after pauses that grow from a tenth of a second to half
        a minute.

        With ``install_signals``, for the main thread, SIGTERM and SIGINT end it as ``stop()`` does, and the
        second of them at once. Without, KeyboardInterrupt closes the connections and is raised; the servers
        give what it interrupts to other workers.

        Raises RuntimeError when there is no function to run, or when the worker is running already.
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
        settings = self._settings

        def make_executor(engine: Engine) -> Executor:
            return self._make_executor(engine, runner)

        engine = Engine(settings, self._functions, scheduler, max_jobs, make_executor)
        self._engine = engine
        try:
            if self._stopping:
                engine.stop()
            if install_signals:
                with contextlib.suppress(Halt), StopSignals(self.stop, engine.halt, settings.grace):
                    engine.run()
            else:
                engine.run()
        finally:
            reducer.close()
            self._engine = None
            self._stopping = False
            self._stopped.clear()

    def stop(self) -> None:
        """Take no more jobs, and end ``run()`` when those in hand have ended, at once if there is none.

        Those that have not ended ``grace`` seconds later go back to the servers; except one that runs in the
        thread that called ``run()``, which is waited for. To be called from any thread, a signal handler, or
        a function. If the worker does not run, the next ``run()`` ends at once.
        """
        self._stopping = True
        self._stopped.set()
        engine = self._engine
        if engine is not None:
            engine.stop()

    def __repr__(self) -> str:
        return f"<Worker {', '.join(map(str, self._settings.servers))}>"

    def _pause(self, seconds: float) -> bool:
        return self._stopped.wait(seconds)

    def _make_client(self) -> Client:
        settings = self._settings
        return Client(
            settings.servers,
            timeout=settings.timeout,
            connect_timeout=settings.connect_timeout,
            tls=settings.tls,
            namespace=decode_name(self._namespace),
        )

    def _make_executor(self, engine: Engine, runner: Runner) -> Executor:
        if self._processes is not None:
            namespace_size = self._settings.namespace_size
            enough = make_enough(*self._process_limits)

            def serve_functions(sock: socket.socket) -> None:
                serve(sock, runner, self._functions, namespace_size, enough)

            return Processes(engine, runner, self._processes, serve_functions)
        # A function with a timeout cannot be ended in this thread.
        if self._threads is not None or any(f.timeout is not None for f in self._functions.values()):
            return Threads(engine, runner, engine.lock, self._threads or 1)
        return Inline(engine, runner, engine.lock, self._settings.prefetch)
