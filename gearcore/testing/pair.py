"""A client and a worker in memory."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from gearcore.client import Client
from gearcore.encoding import Encoding
from gearcore.session.arguments import decode_name
from gearcore.testing.client import PairClient
from gearcore.testing.engine import Engine
from gearcore.testing.switch import Switch
from gearcore.worker import Worker

__all__ = ["Pair"]


class Pair:
    """A client and a worker, joined by a broker in the same thread: no socket, no thread, no waiting.

    ``client`` is a ``gearcore.Client``, and what is registered with ``worker``, a ``gearcore.Worker``, is run
    for its jobs. Give it a program's own worker to have its functions run, whatever its servers; without one
    the pair makes one. It is not to be ``run``. ``namespace`` and ``encoding`` are the client's, and those
    of the worker unless there is one: the client has the worker's by default.

    A job is run before ``submit`` returns. Not so with ``at_once=False``: then jobs are queued until
    ``run_pending`` is called, or something is waited for. In either case what a function submits is run after
    it, or when it waits for it.

    Client, worker and broker speak Gearman's packets, so all is as it is over a server, except for these:
    time stands still (``pass_time``), except between tries in place, which it passes by itself; the
    ``timeout`` of a plain function is not heeded; and a wait that cannot end raises TimedOut at once.
    For one thread.
    """

    def __init__(
        self,
        worker: Worker | None = None,
        *,
        namespace: str | None = None,
        encoding: str | Encoding | None = None,
        at_once: bool = True,
    ) -> None:
        if worker is None:
            worker = Worker(namespace=namespace or "", encoding=encoding or "bytes")
        elif not isinstance(worker, Worker):
            raise TypeError(f"a pair is made of a gearcore.Worker, not of {type(worker).__name__}")
        self.worker = worker
        self._switch = Switch()
        self._engine = Engine(self._switch, worker, self._make_workers_client, at_once)
        self._clients: list[Client] = []
        self.client: Client = self.new_client(namespace=namespace, encoding=encoding)

    @property
    def time(self) -> float:
        """What time it is for the pair, in seconds since 1970. At first it is the real time."""
        return self._switch.unix_time

    def new_client(self, *, namespace: str | None = None, encoding: str | Encoding | None = None) -> Client:
        """Another client; with the worker's namespace and encoding by default. It is closed with the pair."""
        client = PairClient(
            self._switch,
            self._engine,
            namespace=self.worker._namespace if namespace is None else namespace,
            encoding=self.worker._encoding if encoding is None else encoding,
        )
        self._clients.append(client)
        return client

    def run_pending(self) -> int:
        """Run jobs until none is queued, with those that are submitted meanwhile; returns how many ran."""
        return self._engine.run_pending()

    def pass_time(self, seconds: float) -> None:
        """Have so many seconds pass: delayed and periodic jobs that come due are queued, each at its time.

        They are run at their time too, unless the pair was made with ``at_once=False``.
        """
        if seconds < 0:
            raise ValueError(f"time does not pass backwards, by {seconds} s")
        switch, engine = self._switch, self._engine
        end = switch.now + seconds
        engine.look()
        while (due := min(switch.deadline, engine.deadline())) <= end:
            switch.move(due)
            engine.look()
        if switch.now < end:
            switch.move(end)
            engine.look()

    def close(self) -> None:
        """Close the clients. Jobs that are queued are dropped."""
        for client in self._clients:
            client.close()
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _make_workers_client(self) -> Client:
        # As Worker makes it: what is reduced is encoded already.
        return PairClient(
            self._switch,
            self._engine,
            namespace=decode_name(self.worker._namespace),
            encoding="bytes",
        )
