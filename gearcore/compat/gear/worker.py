"""gear's worker."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from gearcore.compat.gear import constants, errors
from gearcore.compat.gear.base import BaseClient
from gearcore.compat.gear.connection import Connection
from gearcore.compat.gear.jobs import FunctionRecord, TextWorkerJob, WorkerJob, convert_to_bytes
from gearcore.compat.gear.packet import Packet

__all__ = ["TextWorker", "Worker"]

_LONGEST_SLEEP: Final = 60.0
"""Seconds after which a worker that heard nothing asks for a job again: gearmand 1.1 wakes nobody for a
delayed one."""

_PATIENCE: Final = 5.0
"""Seconds that ``stopWaitingForJobs`` has for the answers that are on their way."""


class Worker(BaseClient):
    """A worker of any number of servers, which gives the jobs to whoever calls ``getJob``.

    ``client_id`` is what the servers list it as; it must be given (``worker_id`` is an old name for it).
    Servers are asked for no more jobs than there are threads in ``getJob``.
    """

    job_class: type[WorkerJob] = WorkerJob

    def __init__(self, client_id: Any = None, worker_id: Any = None) -> None:
        client_id = worker_id if client_id is None else client_id
        if client_id is None:
            raise Exception("A client_id must be provided")
        super().__init__(client_id)
        self.worker_id = client_id
        self.functions: dict[bytes, FunctionRecord] = {}
        self.job_lock = threading.Lock()
        self.waiting_for_jobs = 0
        self.job_queue: deque[WorkerJob] = deque()
        self._stops = 0

    def __repr__(self) -> str:
        return f"<gear.Worker 0x{id(self):x}>"

    def registerFunction(self, name: Any, timeout: Any = None) -> None:
        """Offer a function. ``timeout`` is how many seconds a job of it may take, None for any time."""
        record = FunctionRecord(convert_to_bytes(name), timeout)
        packet = _offer(record)
        with self.broadcast_lock:
            self.functions[record.name] = record
            self.broadcast(packet)
        self._wakeUp()

    def unRegisterFunction(self, name: Any) -> None:
        """Offer a function no more. Raises KeyError for one that is not offered."""
        name = convert_to_bytes(name)
        with self.broadcast_lock:
            del self.functions[name]
            self.broadcast(Packet(constants.REQ, constants.CANT_DO, name))

    def setFunctions(self, functions: Iterable[FunctionRecord]) -> None:
        """Offer these functions and no others. Raises InvalidDataError for what is no FunctionRecord."""
        records = list(functions)
        if not all(isinstance(record, FunctionRecord) for record in records):
            raise errors.InvalidDataError("An iterable of FunctionRecords is required.")
        records = [FunctionRecord(convert_to_bytes(record.name), record.timeout) for record in records]
        offers = [_offer(record) for record in records]
        with self.broadcast_lock:
            before, self.functions = self.functions, {record.name: record for record in records}
            # Not by RESET_ABILITIES, which has the server take back the jobs in hand of all functions.
            gone = [name for name in before if name not in self.functions]
            for packet in (*(Packet(constants.REQ, constants.CANT_DO, name) for name in gone), *offers):
                self.broadcast(packet)
        self._wakeUp()

    def getJob(self) -> Any:
        """Wait for a job. Any number of threads may. Raises InterruptedError when they are to stop."""
        found: list[WorkerJob] = []
        with self.job_lock:
            if not self.running:
                raise errors.InterruptedError
            self.waiting_for_jobs += 1
            stops = self._stops

        def done() -> bool:
            with self.job_lock:
                if self.job_queue:
                    found.append(self.job_queue.popleft())
                    self._noteEnd(stops)
                return bool(found) or self._stops != stops

        try:
            self._updateStateMachines()
            while not self._pump.wait(done, _LONGEST_SLEEP) and self.running:
                self._wakeUp()
        finally:
            if not found:
                with self.job_lock:
                    self._noteEnd(stops)
        if not found:
            raise errors.InterruptedError
        return found[0]

    def stopWaitingForJobs(self) -> None:
        """Have every ``getJob`` that waits raise InterruptedError.

        A job that a server hands out meanwhile is for the next ``getJob``.
        """
        with self.job_lock:
            self._stopThoseWhoWait()
            for connection in self.active_connections:
                if connection.state == "SLEEP":
                    connection.changeState("IDLE")
        self._pump.poke()
        self._pump.wait(lambda: not any(map(_is_grabbing, self.active_connections)), _PATIENCE)

    def _shutdown(self) -> None:
        with self.job_lock:
            self._stopThoseWhoWait()
        self._pump.poke()

    def _stopThoseWhoWait(self) -> None:
        # Nothing is asked for on their account from now on, even if they notice late.
        self._stops += 1
        self.waiting_for_jobs = 0

    def _noteEnd(self, stops: int) -> None:
        if self._stops == stops:
            self.waiting_for_jobs -= 1

    def _onConnect(self, conn: Connection) -> None:
        conn.sendPacket(Packet(constants.REQ, constants.SET_CLIENT_ID, self.client_id))
        for record in self.functions.values():
            conn.sendPacket(_offer(record))

    def _onActiveConnection(self, conn: Connection) -> None:
        conn.changeState("IDLE")
        self._updateStateMachines()

    def _wakeUp(self) -> None:
        """Have the connections that sleep ask again."""
        with self.job_lock:
            for connection in self.active_connections:
                if connection.state == "SLEEP":
                    connection.changeState("IDLE")
        self._updateStateMachines()

    def _updateStateMachines(self) -> None:
        """Ask for a job for each thread that waits for one, at the connections that are idle."""
        grabbing = []
        with self.job_lock:
            connections = self.active_connections
            missing = self.waiting_for_jobs - len(self.job_queue)
            if missing > 0:
                missing -= sum(map(_is_grabbing, connections))
            if missing <= 0:
                return
            # Each has its turn to be the first.
            self.connection_index += 1
            first = self.connection_index % len(connections) if connections else 0
            for connection in (*connections[first:], *connections[:first]):
                if missing > 0 and connection.state == "IDLE":
                    connection.changeState("GRAB_WAIT")
                    grabbing.append(connection)
                    missing -= 1
        for connection in grabbing:
            self._sendGrabJobUniq(connection)

    def _sendGrabJobUniq(self, connection: Connection) -> None:
        self._try(Packet(constants.REQ, constants.GRAB_JOB_UNIQ, b""), connection)

    def _sendPreSleep(self, connection: Connection) -> None:
        self._try(Packet(constants.REQ, constants.PRE_SLEEP, b""), connection)

    def _try(self, packet: Packet, connection: Connection) -> None:
        try:
            self.sendPacket(packet, connection)
        except OSError as error:
            self.log.debug("%s could not be sent to %s: %s", packet, connection, error)

    def handleNoop(self, packet: Packet) -> None:
        """NOOP: there may be a job, for which the server is asked if anyone waits."""
        assert packet.connection is not None
        if packet.connection.state == "SLEEP":
            packet.connection.changeState("IDLE")
            self._updateStateMachines()

    def handleNoJob(self, packet: Packet) -> None:
        """NO_JOB: the server is asked to say when there is one."""
        assert packet.connection is not None
        with self.job_lock:
            sleeps = self.waiting_for_jobs > 0
            packet.connection.changeState("SLEEP" if sleeps else "IDLE")
        if sleeps:
            self._sendPreSleep(packet.connection)
        self._updateStateMachines()

    def handleJobAssign(self, packet: Packet) -> Any:
        """JOB_ASSIGN: there is a job for whoever waits. Returns it."""
        handle, name = packet.getArgument(0), packet.getArgument(1)
        return self._handleJobAssignment(packet, handle, name, packet.getArgument(2, True), b"")

    def handleJobAssignUnique(self, packet: Packet) -> Any:
        """JOB_ASSIGN_UNIQ: there is a job for whoever waits. Returns it."""
        handle, name, unique = (packet.getArgument(index) for index in range(3))
        return self._handleJobAssignment(packet, handle, name, packet.getArgument(3, True), unique)

    def _handleJobAssignment(
        self, packet: Packet, handle: bytes, name: bytes, arguments: bytes, unique: bytes
    ) -> WorkerJob:
        assert packet.connection is not None
        job = self.job_class(handle, name, arguments, unique or None)
        job.connection = packet.connection
        self.job_queue.append(job)
        packet.connection.changeState("IDLE")
        self._updateStateMachines()
        return job


class TextWorker(Worker):
    """A worker whose jobs have texts, which travel as UTF-8."""

    job_class = TextWorkerJob


def _is_grabbing(connection: Connection) -> bool:
    return connection.state == "GRAB_WAIT"


def _offer(record: FunctionRecord) -> Packet:
    if not isinstance(record.name, bytes | bytearray):
        raise TypeError(f"the name of a function must be str or bytes, not {type(record.name).__name__}")
    if record.timeout is None:
        return Packet(constants.REQ, constants.CAN_DO, record.name)
    timeout = convert_to_bytes(record.timeout)
    if not isinstance(timeout, bytes | bytearray):
        timeout = b"%d" % math.ceil(timeout)  # the protocol has whole seconds
    return Packet(constants.REQ, constants.CAN_DO_TIMEOUT, record.name + b"\0" + timeout)
