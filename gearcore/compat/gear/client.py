"""gear's client."""

from __future__ import annotations

from typing import Any, Final

from gearcore.compat.gear import constants, errors
from gearcore.compat.gear.base import BaseClient
from gearcore.compat.gear.connection import Connection
from gearcore.compat.gear.jobs import Job, convert_to_bytes
from gearcore.compat.gear.packet import Packet
from gearcore.compat.gear.tasks import OptionReqTask, SubmitJobTask, Task
from gearcore.protocol import SUBMIT_PACKETS, Priority

__all__ = ["PRECEDENCE_HIGH", "PRECEDENCE_LOW", "PRECEDENCE_NORMAL", "Client"]

PRECEDENCE_NORMAL: Final = 0
PRECEDENCE_LOW: Final = 1
PRECEDENCE_HIGH: Final = 2

_PRIORITIES: Final = {
    PRECEDENCE_NORMAL: Priority.NORMAL,
    PRECEDENCE_LOW: Priority.LOW,
    PRECEDENCE_HIGH: Priority.HIGH,
}

_STREAK: Final = 4
"""Jobs one at a time after which a client takes it that the next is one too."""

_TRIAL: Final = 16
"""One in so many of those is a trial whether they are."""


class Client(BaseClient):
    """A client of any number of servers, which take their turns.

    What comes for a job is put into the job by the methods that begin with ``handle``: whoever overrides one
    of them calls it too. ``client_id`` is for the log.
    """

    def __init__(self, client_id: Any = "unknown") -> None:
        super().__init__(client_id)
        self.options: set[bytes] = set()
        self._alone = 0

    def __repr__(self) -> str:
        return f"<gear.Client 0x{id(self):x}>"

    def submitJob(
        self,
        job: Job,
        background: bool = False,
        precedence: int = PRECEDENCE_NORMAL,
        timeout: float | None = 30,
    ) -> None:
        """Submit a job, and wait until a server has taken it; what becomes of it comes later.

        A server that does not answer in ``timeout`` seconds is disconnected, and the next is asked. Raises
        ConfigurationError for a bad ``precedence``, GearmanError when no server took the job, with what they
        said, and NoConnectedServersError when none is left to be asked.
        """
        priority = _PRIORITIES.get(precedence)
        if priority is None:
            raise errors.ConfigurationError(f"Invalid precedence value: {precedence!r}")
        name, unique = job.binary_name, job.binary_unique or b""
        if b"\0" in name or b"\0" in unique:
            raise errors.InvalidDataError(f"the name and the unique id of {job!r} must have no NUL byte")
        ptype = int(SUBMIT_PACKETS[priority, bool(background)])
        packet = Packet(constants.REQ, ptype, b"\0".join((name, unique, job.binary_arguments)))
        refusal = ""
        asked: list[Connection] = []
        for _ in list(self.active_connections):
            connection = self.getConnection()
            if connection in asked:
                continue
            asked.append(connection)
            error = self._submit(job, packet, connection, SubmitJobTask(job, background), timeout)
            if error is None:
                return
            refusal = error or refusal
        if asked and not self.active_connections:
            raise errors.NoConnectedServersError(f"No connected Gearman servers: {refusal}")
        raise errors.GearmanError(
            "Unable to submit job to any connected servers" + (f": {refusal}" if refusal else "")
        )

    def _submit(
        self, job: Job, packet: Packet, connection: Connection, task: SubmitJobTask, timeout: float | None
    ) -> str | None:
        """Submit a job to one server; returns why it was not taken, None if it was."""
        job.connection = connection
        job.handle = None
        reads_on = not task.background and self._is_one_at_a_time()

        def job_gone() -> bool:
            return job.handle not in connection.related_jobs.foreground

        try:
            self._send(packet, connection, task)
        except OSError as error:
            job.connection = None
            return str(error)
        if not self._pump.wait(lambda: task.ended, timeout, job_gone if reads_on else None):
            task.error = f"{connection!r} did not answer in {timeout} s"
            self._lost(connection, errors.TimeoutError(task.error))
        if task.accepted and not task.error:
            if reads_on and not job.complete:
                self._alone = 0
            return None
        job.connection = None
        return task.error or f"{connection!r} ended"

    def _is_one_at_a_time(self) -> bool:
        """Whether the program has waited for each of its last results before it submitted the next job.

        Then the thread that submits reads the result too: to give that to the thread in the background costs
        more. A job now and then is left to it, to see whether the program still waits.
        """
        self._alone = 0 if self._expects() else self._alone + 1
        return self._alone > _STREAK and self._alone % _TRIAL != 0

    def _send(self, packet: Packet, connection: Connection, task: Task) -> None:
        with connection.send_lock:
            connection.pending_tasks.append(task)
            self.sendPacket(packet, connection)

    def setOption(self, name: Any, timeout: float | None = 30) -> bool:
        """Set an option for all connections, those that are made later too.

        ``timeout``, in seconds, is for each server. Returns whether all that are connected have confirmed it;
        an option that one has not is not set for later connections.
        """
        option = convert_to_bytes(name)
        with self.broadcast_lock:
            self.options.add(option)
            connections = list(self.active_connections)
        confirmed = [self._setOptionConnection(option, connection, timeout) for connection in connections]
        if not all(confirmed):
            self.options.discard(option)
        return all(confirmed)

    def _setOptionConnection(self, name: bytes, conn: Connection, timeout: float | None = 30) -> bool:
        task = OptionReqTask()
        try:
            self._send(Packet(constants.REQ, constants.OPTION_REQ, name), conn, task)
        except OSError:
            return False
        if not self._pump.wait(lambda: task.ended, timeout):
            self.log.error("Connection %s did not answer to the option %r in %s s", conn, name, timeout)
            if task in conn.pending_tasks:
                conn.pending_tasks.remove(task)
        return task.ended and name in conn.options

    def _onConnect(self, conn: Connection) -> None:
        super()._onConnect(conn)
        for name in self.options:
            conn.sendPacket(Packet(constants.REQ, constants.OPTION_REQ, name))

    def _expects(self) -> bool:
        return any(connection.related_jobs.foreground for connection in self.active_connections)

    def handleOptionRes(self, packet: Packet) -> None:
        """OPTION_RES: has ``setOption`` go on."""
        conn = _connection(packet)
        conn.handleOptionRes(packet.getArgument(0))
        task = _first(conn, OptionReqTask)
        if task is not None:
            task.setComplete()

    def handleJobCreated(self, packet: Packet) -> Any:
        """JOB_CREATED: gives the job its handle. Returns the job."""
        conn = _connection(packet)
        task = _first(conn, SubmitJobTask)
        if not isinstance(task, SubmitJobTask):
            raise errors.GearmanError(f"{conn} acknowledged a job that nobody submitted")
        job = task.job
        task.accepted = True
        job.handle = packet.getArgument(0)
        if task.background:
            conn.related_jobs.add_background(job.handle, job)
        else:
            conn.related_jobs[job.handle] = job
        task.setComplete()
        self.log.debug("Job created; %s", job)
        return job

    def handleWorkComplete(self, packet: Packet) -> Any:
        """WORK_COMPLETE: ends the job, with what is left of its data. Returns the job."""
        job = packet.getJob()
        _add_data(job, packet)
        return _end(packet, job, failure=False)

    def handleWorkFail(self, packet: Packet) -> Any:
        """WORK_FAIL: ends the job as failed. Returns the job."""
        return _end(packet, packet.getJob(), failure=True)

    def handleWorkException(self, packet: Packet) -> Any:
        """WORK_EXCEPTION: ends the job as failed, with an exception. Returns the job."""
        job = packet.getJob()
        job.exception = packet.getArgument(1, True)
        return _end(packet, job, failure=True)

    def handleWorkData(self, packet: Packet) -> Any:
        """WORK_DATA: adds to the job's data. Returns the job."""
        job = packet.getJob()
        _add_data(job, packet)
        return job

    def handleWorkWarning(self, packet: Packet) -> Any:
        """WORK_WARNING: adds to the job's data, and notes the warning. Returns the job."""
        job = packet.getJob()
        _add_data(job, packet)
        job.warning = True
        return job

    def handleWorkStatus(self, packet: Packet) -> Any:
        """WORK_STATUS: notes the progress. Returns the job."""
        job = packet.getJob()
        _note_progress(job, packet.getArgument(1), packet.getArgument(2))
        return job

    def handleStatusRes(self, packet: Packet) -> Any:
        """STATUS_RES: notes what the server says of the job. Returns the job."""
        job = packet.getJob()
        job.known = packet.getArgument(1) == b"1"
        job.running = packet.getArgument(2) == b"1"
        _note_progress(job, packet.getArgument(3), packet.getArgument(4))
        return job


def _connection(packet: Packet) -> Connection:
    if packet.connection is None:
        raise errors.InvalidDataError(f"{packet!r} came over no connection")
    return packet.connection


def _first(connection: Connection, kind: type[Task]) -> Task | None:
    """The first of those that wait for this kind of answer: geard leaves options without one."""
    for task in connection.pending_tasks:
        if isinstance(task, kind):
            connection.pending_tasks.remove(task)
            return task
    return None


def _add_data(job: Any, packet: Packet) -> None:
    data = packet.getArgument(1, True)
    if data:
        job.data.append(data)


def _end(packet: Packet, job: Any, failure: bool) -> Any:
    _connection(packet).related_jobs.pop(packet.getArgument(0), None)
    job.failure = failure
    job.complete = True
    return job


def _note_progress(job: Any, numerator: bytes, denominator: bytes) -> None:
    if not numerator and not denominator:  # of a job that has sent none
        return
    job.numerator = numerator
    job.denominator = denominator
    try:
        job.fraction_complete = float(numerator) / float(denominator)
    except (ValueError, ZeroDivisionError):
        job.fraction_complete = None
