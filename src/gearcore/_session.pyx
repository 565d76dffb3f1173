"""What one connection of a client knows: what was asked on it, and which jobs run. sans-I/O."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcmp

cimport cython

from gearcore._codec cimport Packet, Parser
from gearcore._requests cimport JobRequest, Outgoing, Question, Request
from gearcore._wire cimport (
    HEADER_SIZE,
    PT_ERROR,
    PT_JOB_CREATED,
    PT_OPTION_REQ,
    PT_OPTION_RES,
    PT_WORK_COMPLETE,
    PT_WORK_DATA,
    PT_WORK_EXCEPTION,
    PT_WORK_FAIL,
    PT_WORK_STATUS,
    PT_WORK_WARNING,
    RESPONSE_MAGIC,
    read_u32,
)

from gearcore.errors import (
    ConnectionLost as _ConnectionLost,
    JobException as _JobException,
    JobFailed as _JobFailed,
    ProtocolError as _ProtocolError,
    ServerError as _ServerError,
)
from gearcore.protocol import RESPONSE_MAGIC as _RESPONSE_MAGIC, PacketType as _PacketType
from gearcore.session.arguments import (
    blame as _blame,
    decode_text as _decode_text,
    read_number as _read_number,
)
from gearcore.session.events import (
    JobData as _JobData,
    JobProgress as _JobProgress,
    JobWarning as _JobWarning,
)

cdef enum:
    LONGEST_HANDLE = 1024  # bytes of one that is taken without a packet being made of it


@cython.final
cdef class ClientSession:
    """One connection's requests and jobs. ``server`` is what the errors call the server.

    The server answers the requests of a connection in order and each with one packet, so answers belong to
    the oldest request that has none. WORK_* packets belong to the job whose handle they carry, in any order.

    Foreground submissions with the same function and unique id share a job, hence a handle, and each gets
    all that the job sends. gearmand sends every packet once for each of them, the copies one after the
    other; so the first goes to all, and the copies that are still due to none. A server that sends no
    copies is understood too, as long as no packet of such a job equals the one before.

    ``ignored`` counts the WORK_* packets for jobs that this session does not know, or no more. ``accepted``
    says whether the server has answered anything yet. ``link`` is the driver's.
    """

    cdef readonly str server
    cdef readonly Py_ssize_t ignored
    cdef public object link
    cdef Parser _parser
    cdef bytes _tail                # of what came: the beginning of a JOB_CREATED
    cdef Outgoing _outgoing
    cdef list _unanswered           # from _first on
    cdef Py_ssize_t _first
    cdef dict _jobs                 # by handle: a job, or a list of those that share it
    cdef double _now
    cdef Packet _copied
    cdef Py_ssize_t _copies
    cdef readonly bint accepted

    def __init__(self, str server not None, link=None):
        self.server = server
        self.link = link
        self._parser = Parser(expect=_RESPONSE_MAGIC)
        self._outgoing = Outgoing()
        self._unanswered = []
        self._jobs = {}
        # Without this option gearmand turns an exception into a failure without a text. A server that does
        # not know the option says so with an ERROR, which is as good an answer to this as any.
        exceptions = Question(
            PT_OPTION_REQ, (b"exceptions",), PT_OPTION_RES, "the confirmation of an option"
        )
        exceptions.abandoned = True
        self.ask(exceptions)

    @property
    def in_flight(self):
        """How many requests have no answer yet, and how many jobs are known and have not ended."""
        return len(self._unanswered) - self._first, len(self._jobs)

    @property
    def awaited(self):
        """How many of the requests and jobs are still in flight."""
        return len(self._unanswered) - self._first + len(self._jobs)

    cpdef ask(self, Request request):
        """Send a request, which is not in flight on any session."""
        request.write(self._outgoing)
        request.session = self
        self._unanswered.append(request)

    def ask_all(self, list requests not None):
        """Send many requests, except those that have an answer already."""
        cdef Request request
        for request in requests:
            if request.answered:
                continue
            request.write(self._outgoing)
            request.session = self
            self._unanswered.append(request)

    def data_to_send(self):
        """What to send to the server now, in one piece; it is given once."""
        return b"".join(self.parts_to_send())

    def parts_to_send(self):
        """What to send to the server now, in one or more pieces, or none; they are given once."""
        return self._outgoing.take()

    def receive(self, data, double now=0.0):
        """Take bytes from the server; the requests that they changed and somebody watches are returned.

        ``now`` is what the time that a job may take is counted from, by the clock that ``expires`` goes by.
        Raises ProtocolError: the place in the stream is lost then, and the connection must be closed, and
        ``connection_lost`` be told.
        """
        cdef Py_buffer view
        cdef list changed = []
        self._now = now
        if self._tail is not None:
            data = self._tail + bytes(data)
            self._tail = None
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self._receive(<const char *>view.buf, <size_t>view.len, changed)
        finally:
            PyBuffer_Release(&view)
        return changed

    cdef int _receive(self, const char *at, size_t size, list changed) except -1:
        cdef const char *end = at + size
        cdef size_t body
        cdef list packets
        cdef object offence = None
        if not self._parser._held:
            # Acknowledgements come in bursts, and need no packets to be made of them.
            while end - at >= HEADER_SIZE and is_created(at):
                body = read_u32(at + 8)
                if <size_t>(end - at) < HEADER_SIZE + body or body > LONGEST_HANDLE:
                    break
                if not self._take_created(at + HEADER_SIZE, <Py_ssize_t>body, changed):
                    break
                at += HEADER_SIZE + body
            if at == end:
                return 0
            if is_begun(at, <size_t>(end - at)):
                self._tail = at[: end - at]
                return 0
        try:
            packets = self._parser.feed_bytes(at, <size_t>(end - at))
        except _ProtocolError as error:
            offence, packets = error, error.packets
        try:
            for packet in packets:
                self._take(packet, changed)
        except _ProtocolError as error:
            offence = error
        if offence is not None:
            raise _blame(self.server, offence) from offence
        return 0

    cdef bint _take_created(self, const char *handle, Py_ssize_t size, list changed) except -1:
        """Take a JOB_CREATED, unless something else is due or odd about it."""
        cdef Request request
        cdef JobRequest job
        if self._first == len(self._unanswered):
            return False
        request = <Request>self._unanswered[self._first]
        if request.reply != PT_JOB_CREATED:
            return False
        job = <JobRequest>request
        self._answered()
        job.take_handle(PyBytes_FromStringAndSize(handle, size), self._now)
        if not job.background:
            self._add(job)
        if job.watcher is not None:
            changed.append(job)
        return True

    cdef int _answered(self) except -1:
        """The oldest request that had no answer has one."""
        self._copies = 0
        self.accepted = True
        self._unanswered[self._first] = None
        self._first += 1
        if self._first == len(self._unanswered):
            self._unanswered.clear()
            self._first = 0
        elif self._first >= 4096:
            del self._unanswered[: self._first]
            self._first = 0
        return 0

    cdef int _add(self, JobRequest job) except -1:
        cdef object there = self._jobs.get(job._handle)
        if there is None:
            self._jobs[job._handle] = job
        elif type(there) is list:
            (<list>there).append(job)
        else:
            self._jobs[job._handle] = [there, job]
        return 0

    cdef int _take(self, Packet packet, list changed) except -1:
        cdef Request request
        cdef int type = packet.type
        if (
            type == PT_WORK_COMPLETE or type == PT_WORK_DATA or type == PT_WORK_STATUS
            or type == PT_WORK_FAIL or type == PT_WORK_WARNING or type == PT_WORK_EXCEPTION
        ):
            return self._take_for_job(packet, changed)
        self._copies = 0
        if self._first == len(self._unanswered):
            raise _ProtocolError(f"{packet.name} answers nothing that was asked")
        request = <Request>self._unanswered[self._first]
        if type == PT_ERROR:
            code, text = map(_decode_text, packet.args)
            request.fail(_ServerError(code, text, f"from {self.server}, instead of {request.what}"))
        elif type == request.reply:
            request.take_answer(packet.args, self._now)
            if type == PT_JOB_CREATED and not (<JobRequest>request).background:
                self._add(<JobRequest>request)
        else:
            raise _ProtocolError(f"{packet.name} came instead of {_PacketType(request.reply).name}")
        self._answered()
        if request.watcher is not None:
            changed.append(request)
        return 0

    cdef int _take_for_job(self, Packet packet, list changed) except -1:
        cdef bytes handle = <bytes>packet.args[0]
        cdef object there
        cdef JobRequest job
        cdef list jobs
        if self._copies and packet == self._copied:
            self._copies -= 1
            return 0
        if packet.type == PT_WORK_FAIL and handle.endswith(b"\0"):
            # gearmand ends the handle by a NUL in a WORK_FAIL that it made of an exception.
            handle = handle.removesuffix(b"\0")
        there = self._jobs.get(handle)
        if there is None:
            self.ignored += 1
            return 0
        jobs = <list>there if type(there) is list else [there]
        self._copies = len(jobs) - 1
        self._copied = packet if self._copies else None
        for job in jobs:
            self._tell(job, packet)
            if job.watcher is not None:
                changed.append(job)
        if jobs and (<JobRequest>jobs[0]).ended:
            del self._jobs[handle]
        return 0

    cdef int _tell(self, JobRequest job, Packet packet) except -1:
        cdef int type = packet.type
        if type == PT_WORK_COMPLETE:
            job.complete(<bytes>packet.args[1])
        elif type == PT_WORK_DATA:
            job.news.append(_JobData(packet.args[1]))
        elif type == PT_WORK_WARNING:
            job.news.append(_JobWarning(packet.args[1]))
        elif type == PT_WORK_STATUS:
            job.news.append(_JobProgress(_read_number(packet.args[1]), _read_number(packet.args[2])))
        elif type == PT_WORK_EXCEPTION:
            job.fail(
                _JobException(
                    f"job {job.handle} of function {job.function!r} raised {_decode_text(packet.args[1])}",
                    function=job.function,
                    handle=job.handle,
                    data=packet.args[1],
                )
            )
        else:
            job.fail(
                _JobFailed(
                    f"job {job.handle} of function {job.function!r} failed on a worker of {self.server}",
                    function=job.function,
                    handle=job.handle,
                )
            )
        return 0

    def forget(self, JobRequest job not None):
        """Hear no more of a job that somebody gave up."""
        cdef object there = self._jobs.get(job._handle)
        if there is job:
            del self._jobs[job._handle]
        elif type(there) is list and job in there:
            there.remove(job)

    def release(self):
        """Give back all that was in flight: requests without an answer, oldest first, then jobs."""
        cdef list released = self._unanswered[self._first:]
        for there in self._jobs.values():
            if type(there) is list:
                released.extend(there)
            else:
                released.append(there)
        self._unanswered = []
        self._first = 0
        self._jobs = {}
        return released

    def loss_of(self, Request request not None, cause):
        """The error of a request when the connection has ended, by ``cause``: an exception or a text.

        What the server is to blame for is a ProtocolError of the same kind, and all else ConnectionLost. It is
        another one for each request: whoever raises it adds a traceback to it.
        """
        if isinstance(cause, _ProtocolError):
            return cause.__class__(str(cause))
        if self._tail is not None or self._parser._held:
            cause = f"{cause}, in the middle of a packet"
        return _ConnectionLost(f"{cause}, while waiting for {request.what}")

    def connection_lost(self, cause):
        """The connection ended, and with it all requests and jobs in flight; see ``loss_of``."""
        cdef Request request
        for request in self.release():
            request.fail(self.loss_of(request, cause))


cdef inline bint is_created(const char *at) noexcept nogil:
    return read_u32(at) == RESPONSE_MAGIC and read_u32(at + 4) == PT_JOB_CREATED


cdef inline bint is_begun(const char *at, size_t size) noexcept nogil:
    """Whether a header or an acknowledgement begins here, and more of it is to come."""
    if size < HEADER_SIZE:
        return memcmp(at, b"\0RES", min(size, <size_t>4)) == 0
    return is_created(at) and read_u32(at + 8) <= LONGEST_HANDLE and size < HEADER_SIZE + read_u32(at + 8)
