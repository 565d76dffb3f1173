"""The worker: one loop over its servers, and one job at a time."""

from __future__ import annotations

import logging
import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final

from gearcore.compat.gearman.connection import GearmanConnection
from gearcore.compat.gearman.connection_manager import Connections
from gearcore.compat.gearman.encoding import to_wire
from gearcore.compat.gearman.errors import ConnectionError as ConnectionFailed
from gearcore.compat.gearman.errors import ProtocolError, ServerUnavailable
from gearcore.compat.gearman.job import GearmanJob
from gearcore.compat.gearman.job_updates import JobUpdates
from gearcore.errors import ServerError as Complaint
from gearcore.session.worker import Assignment, WorkerSession, WorkerState

__all__ = ["POLL_TIMEOUT_IN_SECONDS", "GearmanWorker"]

log = logging.getLogger("gearman.worker")

POLL_TIMEOUT_IN_SECONDS: Final = 60.0

_LONGEST_SLEEP: Final = 60.0
"""Seconds after which a worker that heard nothing asks for a job again."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Callback = Callable[[Any, Any], Any]


class GearmanWorker(JobUpdates):
    """Runs jobs, one at a time. For ``host_list`` see the base class; not for several threads at a time.

    It is made to be inherited: ``on_job_execute``, ``on_job_exception``, ``on_job_complete``, ``after_poll``
    and ``after_job`` are to be overridden.
    """

    def __init__(self, host_list: Iterable[Any] | None = None) -> None:
        super().__init__(host_list)
        self.randomized_connections: list[GearmanConnection] | None = None
        self.worker_abilities: dict[Any, Callback] = {}
        self.worker_client_id: Any = None
        self.command_handler_holding_job_lock: Any = None
        self._tasks: dict[bytes, Any] = {}
        self._released = False
        self._heard = False
        self._heard_at: dict[WorkerSession, float] = {}
        self._changed = False

    # What the worker can do.

    def register_task(self, task: str | bytes, callback_function: Callback) -> str | bytes:
        """Offer to run jobs of this name: ``callback_function(worker, job)`` returns the result.

        The job's ``task`` is then of the type that it has here. Servers are told at once, or when the job
        that runs has ended. Returns the task.
        """
        wire = to_wire(task)
        if b"\0" in wire:
            raise ProtocolError(f"task {task!r} has a NUL, which would divide it in two")
        self._forget(wire)
        self.worker_abilities[task] = callback_function
        self._tasks[wire] = task
        self._offer()
        return task

    def unregister_task(self, task: str | bytes) -> str | bytes:
        """Offer it no more. One that was not registered is let pass."""
        self._forget(to_wire(task))
        self._offer()
        return task

    def set_client_id(self, client_id: str | bytes) -> str | bytes:
        """Tell the servers, now and whenever it connects, what to call this worker."""
        self.worker_client_id = client_id
        for session in self._sessions():
            session.identify(to_wire(client_id))
        self._flush_all()
        return client_id

    # Work.

    def work(self, poll_timeout: float | None = POLL_TIMEOUT_IN_SECONDS) -> None:
        """Run jobs until `after_poll` or `after_job` returns something false, and close the connections.

        Servers that were lost are tried again every ``poll_timeout`` seconds, and at once when none is left.
        Raises ServerUnavailable when none can be reached.
        """
        go_on = True
        connections: list[GearmanConnection] = []
        while go_on:
            connections = self.establish_worker_connections()
            self._heard = False
            try:
                go_on = self.poll_connections_until_stopped(
                    connections, self._call_hooks, timeout=poll_timeout
                )
            except ServerUnavailable:
                # A server that was restarted is there again; but one that hangs up on everybody is none.
                if not self._heard:
                    raise
        for connection in connections:
            if connection.connected:
                connection.link.push()
            self._drop(connection)

    def establish_worker_connections(self) -> list[GearmanConnection]:
        """Connect to those servers that can be reached, in a random order; returns their connections.

        Raises ServerUnavailable when there is none.
        """
        self.randomized_connections = random.sample(self.connection_list, len(self.connection_list))
        connections = []
        reason: Exception | None = None
        for connection in self.randomized_connections:
            self._look_after(connection)
            try:
                connections.append(self.establish_connection(connection))
            except ConnectionFailed as error:
                reason = error
                log.warning("%s", error)
        if not connections:
            servers = ", ".join(str(connection.address) for connection in self.connection_list)
            raise ServerUnavailable(f"no server can be reached of [{servers}]: {reason}") from reason
        return connections

    def after_poll(self, any_activity: bool) -> Any:
        """To be overridden: returns whether to go on. Called after each wait, and before the first."""
        return True

    def after_job(self) -> Any:
        """To be overridden: returns whether to go on. Called after each job."""
        return True

    # A job.

    def on_job_execute(self, current_job: GearmanJob) -> Any:
        """Run a job. To be overridden."""
        try:
            result = self.worker_abilities[current_job.task](self, current_job)
        except Exception:
            return self.on_job_exception(current_job, sys.exc_info())
        try:
            return self.on_job_complete(current_job, result)
        except Exception:
            # A result that cannot be sent is an error of this job, not of the worker.
            if not self._is_in_hand(current_job):
                raise
            return self.on_job_exception(current_job, sys.exc_info())

    def on_job_exception(self, current_job: GearmanJob, exc_info: ExcInfo) -> Any:
        """A job's function raised. To be overridden. Here it is logged, and the job fails."""
        log.error("job %s of task %r raised", current_job.handle, current_job.task, exc_info=exc_info)
        self.send_job_failure(current_job)
        return False

    def on_job_complete(self, current_job: GearmanJob, job_result: Any) -> Any:
        """A job's function returned. To be overridden. Here its result is sent."""
        self.send_job_complete(current_job, job_result)
        return True

    def create_job(
        self, command_handler: Any, job_handle: Any, task: Any, unique: Any, data: Any
    ) -> GearmanJob:
        """The object that is given to the function of a job."""
        connection = self.handler_to_connection_map[command_handler]
        return self.job_class(connection, job_handle, task, unique, data)

    # One job at a time, whatever the number of servers.

    def has_job_lock(self) -> bool:
        """Whether a job is being run."""
        return self.command_handler_holding_job_lock is not None

    def check_job_lock(self, command_handler: Any) -> bool:
        """Whether a job of this session is being run."""
        return self.command_handler_holding_job_lock is command_handler

    def set_job_lock(self, command_handler: Any, lock: bool) -> bool:
        """Note that a job of this session is being run, or no more. Returns whether that could be."""
        holder = self.command_handler_holding_job_lock
        if holder is not (None if lock else command_handler):
            return False
        self.command_handler_holding_job_lock = command_handler if lock else None
        self._released = self._released or not lock
        return True

    def poll_connections_once(
        self,
        submitted_connections: Any,
        connection_map: Mapping[int, GearmanConnection] | float | None = None,
        timeout: float | None = None,
    ) -> tuple[Connections, Connections, Connections]:
        now = time.monotonic()
        self._hold_no_more(now)
        self._grab(now)
        return super().poll_connections_once(submitted_connections, connection_map, timeout)

    def _call_hooks(self, any_activity: bool) -> bool:
        go_on = True
        if self._released:
            self._released = False
            go_on = bool(self.after_job())
        return bool(self.after_poll(any_activity)) and go_on

    def _look_after(self, connection: GearmanConnection) -> None:
        """See to a connection on which nothing was heard for long."""
        session = connection.handler
        if session is None or time.monotonic() - self._heard_at.get(session, -math.inf) < _LONGEST_SLEEP:
            return
        if session.expects:
            log.warning("%s has not answered for %g s", connection.address, _LONGEST_SLEEP)
            self._drop(connection)
        elif session.state is WorkerState.SLEEPING:
            # There may be jobs that it was not woken for: a grab finds those.
            self._heard_at[session] = time.monotonic()
            session.oversleep()

    def _grab(self, now: float) -> None:
        """Ask one server for a job, unless one is asked."""
        sessions = self._sessions()
        if len(sessions) > 1:
            random.shuffle(sessions)  # none is preferred
        if any(session.grabs for session in sessions):
            return
        for session in sessions:
            if session.wanted:
                session.grab()
                self._heard_at[session] = now
                return

    def _run(self, session: WorkerSession, assignment: Assignment) -> None:
        wire = assignment.handle
        task = self._tasks.get(assignment.function)
        if task is None:
            task = self.name(assignment.function)
        handle, unique = self.name(wire), self.name(assignment.unique)
        self.set_job_lock(session, True)
        try:
            try:
                data = self.decode(assignment.workload)
            except Exception:
                job = self.create_job(session, handle, task, unique, None)
                self.on_job_exception(job, sys.exc_info())
            else:
                self.on_job_execute(self.create_job(session, handle, task, unique, data))
        except Exception:
            # It leaves work(). If the job were left too, it would do the same to the next worker.
            if session.has(wire):
                session.fail(wire)
                self._flush_all()
            raise
        finally:
            self.set_job_lock(session, False)
            if self._changed:
                self._offer()

    def _forget(self, wire: bytes) -> None:
        task = self._tasks.pop(wire, None)
        if task is not None:
            self.worker_abilities.pop(task, None)

    def _offer(self) -> None:
        # A server takes back the job in hand of a function that is not offered any more.
        self._changed = self.has_job_lock()
        if self._changed:
            return
        for session in self._sessions():
            session.offer(self._tasks)
        self._flush_all()

    def _sessions(self) -> list[WorkerSession]:
        return [connection.handler for connection in self.connection_list if connection.handler is not None]

    def _flush_all(self) -> None:
        for connection in list(self.connection_to_handler_map):
            try:
                self._flush(connection)
            except ConnectionFailed as error:
                log.warning("%s", error)
                self._drop(connection)

    def _make_handler(self, connection: GearmanConnection) -> WorkerSession:
        client_id = self.worker_client_id
        session = WorkerSession(
            str(connection.address), self._tasks, None if client_id is None else to_wire(client_id)
        )
        session.start()
        self._heard_at[session] = time.monotonic()
        return session

    def _take(self, connection: GearmanConnection, data: Any) -> None:
        session: WorkerSession = connection.handler
        self._heard = True
        self._heard_at[session] = time.monotonic()
        try:
            news = session.receive(data)
        except Complaint as error:
            self.on_gearman_error(error.code, error.text)
            raise connection.failure(error) from error
        for item in news:
            if type(item) is Assignment:
                self._run(session, item)
            elif isinstance(item, Complaint):
                self.on_gearman_error(item.code, item.text)

    def _lost(self, handler: Any) -> None:
        self._heard_at.pop(handler, None)
