"""A worker at work for a broker in the same thread: one job after the other, when it is told to."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from gearcore.broker import Connection
from gearcore.client import Client
from gearcore.errors import ConnectionLost
from gearcore.protocol import PacketType
from gearcore.session.worker import Assignment, Submitted, WorkerSession
from gearcore.testing.switch import NAME, Switch
from gearcore.worker import Worker, WorkerJob
from gearcore.worker.endings import describe, end, settle
from gearcore.worker.periodic import Scheduler
from gearcore.worker.reduce import Reducer
from gearcore.worker.running import Runner

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Engine"]

log = logging.getLogger("gearcore.worker")


class Engine:
    """Runs what a worker has registered, over the worker's end of a connection.

    A function that waits for a job has it run meanwhile, as if there were always another worker.
    """

    def __init__(
        self, switch: Switch, worker: Worker, make_client: Callable[[], Client], at_once: bool
    ) -> None:
        self._switch = switch
        self._worker = worker
        self._at_once = at_once
        self._depth = 0
        self._waiting: deque[WorkerJob] = deque()
        self._reducer = Reducer(make_client)
        self._runner = Runner(worker._hooks, self._pause, self._reducer.run)
        self._scheduler = Scheduler([], switch.unix_time)
        self._offered: tuple[object, ...] = ()
        self._session: WorkerSession | None = None
        self._connection: Connection | None = None

    def run_pending(self) -> int:
        """Run jobs until none is queued; returns how many there were."""
        count = 0
        while self._run_next():
            count += 1
        return count

    def run_until(self, done: Callable[[], bool]) -> bool:
        """Run jobs until ``done`` or none is queued; returns whether it is done."""
        while not done() and self._run_next():
            pass
        return done()

    def run_at_once(self) -> None:
        """Run the jobs that were submitted, unless that is for the test to say, or a function runs."""
        if self._at_once and not self._depth:
            self.run_pending()

    def look(self) -> None:
        """Do what the time asks for."""
        self._offer()
        if self._scheduler and self._session is not None:
            self._scheduler.look(self._switch.unix_time, [self._session])
            self._switch.exchange()
        self.run_at_once()

    def deadline(self) -> float:
        """When to look next, as the switch counts the time."""
        if not self._scheduler:
            return math.inf
        return self._switch.moment(self._scheduler.deadline(self._session is not None))

    def close(self) -> None:
        """Run no more jobs."""
        self._reducer.close()
        self._runner.close()

    # What follows is for the sessions and the jobs.

    def data_to_send(self) -> bytes:
        """What the worker has to send to the broker."""
        assert self._session is not None
        return self._session.data_to_send()

    def receive(self, data: Buffer) -> None:
        """Take what the broker sends to the worker."""
        assert self._session is not None
        for item in self._session.receive(data):
            if isinstance(item, Assignment):
                function = self._worker._functions.get(item.function)
                self._waiting.append(WorkerJob(self, item, function, len(self._worker._namespace)))
            elif isinstance(item, Submitted):
                settle(self._session, item)
            else:
                log.warning("%s: %s", NAME, item)

    def lost(self, cause: str) -> None:
        """The broker has closed the worker's connection, over something that the worker sent."""
        self._connection = None
        self._offered = ()
        raise ConnectionLost(f"the worker's connection to {NAME} ended: {cause}")

    def send(self, packet_type: PacketType, handle: bytes, *args: Buffer) -> None:
        """Send an update of a job."""
        assert self._session is not None
        self._session.update(packet_type, handle, *args)
        self._switch.exchange()

    def __str__(self) -> str:
        return NAME

    def _offer(self) -> None:
        """Connect, again if the worker has more to offer than when it was connected."""
        worker = self._worker
        hooks = worker._hooks
        offer = (
            *worker._functions,
            *hooks.before,
            *hooks.failure,
            *hooks.after,
            *map(id, worker._periodic),
        )
        if offer == self._offered or self._depth:
            return
        self._offered = offer
        self._runner.close()
        self._runner = Runner(hooks, self._pause, self._reducer.run)
        self._scheduler = Scheduler(worker._periodic, self._switch.unix_time)
        if self._connection is not None:
            self._switch.disconnect(self._connection)
        self._session = WorkerSession(NAME, worker._functions, worker._settings.client_id)
        self._session.start()
        self._connection = self._switch.connect(self)
        self._switch.exchange()

    def _run_next(self) -> bool:
        self._offer()
        session = self._session
        if session is None:
            return False
        if session.wanted:
            session.grab()
        self._switch.exchange()
        if not self._waiting:
            return False
        job = self._waiting.popleft()
        self._depth += 1
        try:
            outcome = self._runner.run(job)
        except BaseException as error:
            # Of the test, as pytest.fail() raises it. The job is not to come back in what follows.
            session.raised(job._assignment.handle, describe(error).encode("utf-8", "backslashreplace"))
            raise
        finally:
            self._depth -= 1
        end(session, job, outcome, self._switch.unix_time)
        self._switch.exchange()
        return True

    def _pause(self, seconds: float) -> bool:
        """The time between two tries in place passes by itself."""
        self._switch.move(self._switch.now + seconds)
        return False
