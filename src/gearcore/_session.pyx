"""What one connection of a client knows: what was asked on it, and which jobs run. sans-I/O.

In order: what is asked (`Request` and its kinds), how many submissions become jobs at once (`new_job`,
`new_jobs`), and the session, which packs requests and takes the server's packets apart.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint32_t
from libc.math cimport INFINITY
from libc.string cimport memchr, memcmp, memcpy

cimport cython

from gearcore._buffer cimport Buffer, buffer_clear, buffer_extend, buffer_free
from gearcore._codec cimport Packet, Parser
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
    REQUEST_MAGIC,
    RESPONSE_MAGIC,
    read_u32,
    write_header,
)

from gearcore.errors import (
    ConnectionLost as _ConnectionLost,
    JobError as _JobError,
    JobException as _JobException,
    JobFailed as _JobFailed,
    ProtocolError as _ProtocolError,
    ServerError as _ServerError,
)
from gearcore.protocol import RESPONSE_MAGIC as _RESPONSE_MAGIC, PacketType as _PacketType
from gearcore.session.arguments import (
    blame as _blame,
    check_payload as _check_payload,
    decode_name as _decode_name,
    decode_text as _decode_text,
    encode_name as _encode_name,
    read_number as _read_number,
)
from gearcore.session.events import (
    JobData as _JobData,
    JobProgress as _JobProgress,
    JobWarning as _JobWarning,
)

cdef enum:
    LONGEST_HANDLE = 1024  # bytes of one that is taken without a packet being made of it
    LARGE = 32 * 1024  # bytes of a workload that is sent from where it is, and not copied behind its header


cdef class Request:
    """Something asked of a server, which answers with one packet: the one expected, or an ERROR.

    ``session`` is the session that it was asked on last, or None. Once ``answered`` there is an ``error``, or
    an answer. ``watcher`` is what the driver calls when the request has news, or None; ``losses`` counts the
    connections that were lost under it; ``abandoned`` is set by who does not wait for the answer any more:
    then it is not asked again.
    """

    cdef readonly ClientSession session
    cdef readonly bint answered
    cdef readonly object error
    cdef public object watcher
    cdef public int losses
    cdef public bint abandoned
    cdef int type
    cdef int reply

    @property
    def what(self):
        """What is being waited for, in words, for the text of an error."""
        raise NotImplementedError

    @property
    def unique(self):
        """The unique id that decides which server is asked, or an empty one."""
        return _decode_name(self.route)

    @property
    def route(self):
        """The same as bytes."""
        return b""

    cpdef fail(self, error):
        """There will be no answer."""
        self.error = error
        self.answered = True

    cdef int write(self, ClientSession session) except -1:
        raise NotImplementedError

    cdef int take_answer(self, tuple args) except -1:
        raise NotImplementedError


@cython.final
cdef class Question(Request):
    """Any request but a job: the packet ``type`` with ``args``, answered by a packet ``reply``.

    ``answer`` are the arguments of that packet, once there is one; ``what`` says what is waited for;
    ``route`` is a unique id that decides which server is asked, or empty.
    """

    cdef readonly tuple args
    cdef readonly bytes route
    cdef str _what
    cdef tuple _answer

    def __init__(self, int type, tuple args not None, int reply, str what not None, bytes route=b""):
        self.type = type
        self.args = args
        self.reply = reply
        self._what = what
        self.route = route

    @property
    def what(self):
        return self._what

    @property
    def answer(self):
        """The arguments of the reply. Raises ``error`` if there is one. Only once it is answered."""
        if self.error is not None:
            raise self.error
        return self._answer

    cdef int write(self, ClientSession session) except -1:
        cdef bytes body = b"\0".join(self.args)
        session.write(self.type, body, None, None, None)
        return 0

    cdef int take_answer(self, tuple args) except -1:
        self._answer = args
        self.answered = True
        return 0


cdef class JobRequest(Request):
    """A submission of any kind. It is answered with the job's handle; the job ends later.

    ``news`` are the data, warnings and progress that came so far. Once ``ended``, there is either a
    ``failure`` or an ``outcome``, the result's bytes. A background job has a failure from its acknowledgement
    on: nobody will hear of its end.

    ``resubmit`` tells what becomes of a job that was acknowledged when its connection is lost. ``encoding`` is
    None or what the result is decoded with, ``owner`` the driver's; ``allowed`` is how many seconds the job
    may take from its acknowledgement on, negative without a limit, and ``expires`` when they are over, by the
    driver's clock.
    """

    cdef bytes _function
    cdef bytes _unique
    cdef bytes _workload
    cdef bytes _extra
    cdef bytes _handle
    cdef list _events
    cdef Py_ssize_t _prefix
    cdef object _failure
    cdef readonly bytes outcome
    cdef readonly bint background
    cdef readonly bint resubmit
    cdef readonly bint ended
    cdef public object owner
    cdef public object encoding
    cdef public double allowed
    cdef public double expires

    @property
    def handle(self):
        """The name that the server gave the job. Raises ``error`` when it refused to."""
        if self._handle is None and self.error is not None:
            raise self.error
        return _decode_name(self._handle)

    @property
    def acknowledged(self):
        """Whether a server has acknowledged the job, be it one that is lost since."""
        return self._handle is not None

    @property
    def function(self):
        """The function that the job was submitted to, without the client's namespace."""
        return _decode_name(self._function[self._prefix:])

    @property
    def route(self):
        return self._unique

    @property
    def server(self):
        """The address of the server that the job was submitted to last, as text."""
        return "" if self.session is None else self.session.server

    @property
    def news(self):
        """The data, warnings and progress that came so far."""
        if self._events is None:
            self._events = []
        return self._events

    @property
    def failure(self):
        """Why there is no result, or None."""
        if self._failure is None and self.background and self.ended:
            self._failure = _JobError(
                f"job {self.handle} of function {self.function!r} is a background job: "
                "the server sends its result to nobody",
                function=self.function,
                handle=self.handle,
            )
        return self._failure

    @property
    def what(self):
        if self.answered:
            return f"the result of job {self.handle} of function {self.function!r}"
        return f"the acknowledgement of a job for function {self.function!r}"

    cpdef fail(self, error):
        """There will be no handle, or no result."""
        if not self.answered:
            self.error = error
            self.answered = True
        self._failure = error
        self.ended = True
        self._workload = None

    cpdef again(self):
        """Forget the acknowledgement: the job is submitted once more."""
        self.answered = False

    cdef int write(self, ClientSession session) except -1:
        session.write(self.type, self._function, self._unique, self._extra, self._workload)
        return 0

    cdef int take_answer(self, tuple args) except -1:
        self.take_handle(<bytes>args[0])
        return 0

    cdef void take_handle(self, bytes handle) noexcept:
        self._handle = handle
        self.answered = True
        if self.allowed >= 0 and self.expires == INFINITY:
            self.expires = self.session._now + self.allowed
        if self.background:
            self.ended = True
        if not self.resubmit:
            self._workload = None

    cdef void complete(self, bytes result) noexcept:
        self.outcome = result
        self.ended = True
        self._workload = None


cdef inline bytes name_of(object name, str what, bytes prefix):
    """A name as the wire has it, checked, with the prefix before it."""
    cdef Py_ssize_t size
    cdef const char *text
    cdef Py_ssize_t before = PyBytes_GET_SIZE(prefix)
    cdef bytes made
    if type(name) is str:
        try:
            text = PyUnicode_AsUTF8AndSize(name, &size)
        except UnicodeEncodeError:
            return prefix + _encode_name(name, what)
    elif PyBytes_CheckExact(name):
        text = PyBytes_AS_STRING(name)
        size = PyBytes_GET_SIZE(name)
    else:
        return prefix + _encode_name(name, what)
    if memchr(text, 0, <size_t>size) != NULL:
        _encode_name(name, what)
    if before == 0 and PyBytes_CheckExact(name):
        return <bytes>name
    made = PyBytes_FromStringAndSize(NULL, before + size)
    memcpy(PyBytes_AS_STRING(made), PyBytes_AS_STRING(prefix), before)
    memcpy(PyBytes_AS_STRING(made) + before, text, size)
    return made


cdef bytes payload_of(object workload):
    """A workload that nobody can change: it may be sent again later."""
    cdef Py_buffer view
    if PyBytes_CheckExact(workload):
        return <bytes>workload
    _check_payload(workload, "workload")
    try:
        PyObject_GetBuffer(workload, &view, PyBUF_SIMPLE)
    except TypeError:
        raise TypeError(f"workload must be bytes-like, not {workload.__class__.__name__}") from None
    try:
        return PyBytes_FromStringAndSize(<const char *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cdef inline JobRequest make_job(
    type cls, Terms terms, object function, object workload, object unique
):
    cdef JobRequest job = cls.__new__(cls)
    if terms.last_function is not None and function is terms.last_name:  # the same text as before, most of the time
        job._function = terms.last_function
    else:
        job._function = name_of(function, "function", terms.prefix)
        terms.last_name = function
        terms.last_function = job._function
    job._unique = b"" if unique is None else name_of(unique, "unique", b"")
    if terms.encoding is None:
        job._workload = payload_of(workload)
    else:
        job._workload = payload_of(terms.encoding.pack(workload, "workload"))
    job._extra = terms.extra
    job._prefix = PyBytes_GET_SIZE(terms.prefix)
    job.outcome = b""
    job.type = terms.type
    job.reply = PT_JOB_CREATED
    job.background = terms.background
    job.resubmit = terms.resubmit
    job.encoding = terms.encoding
    job.allowed = terms.allowed
    job.expires = INFINITY
    job.owner = terms.owner
    return job


@cython.final
cdef class Terms:
    """What submissions have in common, for `new_job` and `new_jobs`.

    ``type`` is the packet's number; ``extra`` None, the time of a delayed job, or the reducer and aggregator
    of one that is reduced, as the packet has them; ``prefix`` the namespace; ``allowed`` is negative for a job
    that may take any time. For the rest see `JobRequest`. Not for two threads at a time.
    """

    cdef readonly int type
    cdef readonly bytes extra
    cdef readonly bint background
    cdef readonly bytes prefix
    cdef readonly object encoding
    cdef readonly bint resubmit
    cdef readonly double allowed
    cdef readonly object owner
    cdef object last_name
    cdef bytes last_function

    def __init__(
        self,
        int type,
        *,
        bytes prefix not None=b"",
        bint background=False,
        bytes extra=None,
        encoding=None,
        bint resubmit=False,
        double allowed=-1.0,
        owner=None,
    ):
        self.type = type
        self.prefix = prefix
        self.background = background
        self.extra = extra
        self.encoding = encoding
        self.resubmit = resubmit
        self.allowed = allowed
        self.owner = owner


def new_job(type cls not None, Terms terms not None, function, workload, unique, /):
    """Make a job of class ``cls``, which is `JobRequest` or inherits it without an ``__init__``.

    Raises TypeError and ValueError for a name that is none or a workload that is not bytes-like, and
    EncodingError.
    """
    return make_job(cls, terms, function, workload, unique)


cdef JobRequest failed_job(type cls, Terms terms, object error):
    cdef JobRequest job = cls.__new__(cls)
    job._function = job._unique = job.outcome = b""
    job.expires = INFINITY
    job.owner = terms.owner
    job.fail(error)
    return job


def new_jobs(type cls not None, Terms terms not None, iterator, Py_ssize_t count, Py_ssize_t room, /):
    """Make jobs of the next items of an iterator, as many as ``count``, but no more once their workloads have
    ``room`` bytes; see `new_job`.

    The items are tuples of a function, a workload and perhaps a unique id. What cannot become a job becomes
    one that has failed by the exception, and so does the iterator's own exception, which ends it. Stops at an
    item that is no tuple. Returns the jobs, that item or None, and whether the iterator has ended.
    """
    cdef list jobs = []
    cdef tuple item
    cdef object found
    cdef JobRequest job
    cdef Py_ssize_t size
    while count > 0 and room > 0:
        count -= 1
        try:
            found = next(iterator)
        except StopIteration:
            return jobs, None, True
        except Exception as error:
            jobs.append(failed_job(cls, terms, error))
            return jobs, None, True
        if type(found) is not tuple:
            return jobs, found, False
        item = <tuple>found
        size = len(item)
        try:
            if size != 2 and size != 3:
                raise ValueError(
                    f"a submission is a function, a workload and perhaps a unique id, not {size} things"
                )
            job = make_job(cls, terms, item[0], item[1], item[2] if size == 3 else None)
        except Exception as error:
            jobs.append(failed_job(cls, terms, error))
        else:
            jobs.append(job)
            room -= PyBytes_GET_SIZE(job._workload)
    return jobs, None, False


def refused_job(type cls not None, Terms terms not None, error, /):
    """A job that has failed by an exception before it was sent."""
    return failed_job(cls, terms, error)


@cython.final
cdef class Answered:
    """An iterator over jobs that come in batches, as ``next_batch()`` returns them, until it returns none.

    A job that was refused is raised as its error, in its place; what comes after it can still be had.
    """

    cdef object _next_batch
    cdef list _batch
    cdef Py_ssize_t _at

    def __init__(self, next_batch):
        self._next_batch = next_batch
        self._batch = []

    def __iter__(self):
        return self

    def __next__(self):
        cdef JobRequest job
        if self._at == len(self._batch):
            self._batch = self._next_batch()
            self._at = 0
            if not self._batch:
                raise StopIteration
        job = <JobRequest?>self._batch[self._at]
        self._batch[self._at] = None
        self._at += 1
        if job.error is not None:
            raise job.error
        return job


def all_answered(list jobs not None, /):
    """Whether each of the jobs was acknowledged or refused."""
    cdef Py_ssize_t at = len(jobs)
    while at > 0:  # they are answered in their order, most of the time: the last says most
        at -= 1
        if not (<JobRequest?>jobs[at]).answered:
            return False
    return True


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
    cdef Buffer _output
    cdef list _parts                # what goes before _output: bytes each
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
        self._parts = []
        self._unanswered = []
        self._jobs = {}
        # Without this option gearmand turns an exception into a failure without a text. A server that does
        # not know the option says so with an ERROR, which is as good an answer to this as any.
        exceptions = Question(
            PT_OPTION_REQ, (b"exceptions",), PT_OPTION_RES, "the confirmation of an option"
        )
        exceptions.abandoned = True
        self.ask(exceptions)

    def __dealloc__(self):
        buffer_free(&self._output)

    @property
    def in_flight(self):
        """How many requests have no answer yet, and how many jobs are known and have not ended."""
        return len(self._unanswered) - self._first, len(self._jobs)

    cpdef ask(self, Request request):
        """Send a request, which is not in flight on any session."""
        request.write(self)
        request.session = self
        self._unanswered.append(request)

    def ask_all(self, list requests not None):
        """Send many requests, except those that have an answer already."""
        cdef Request request
        for request in requests:
            if request.answered:
                continue
            request.write(self)
            request.session = self
            self._unanswered.append(request)

    def data_to_send(self):
        """What to send to the server now, in one piece; it is given once."""
        return b"".join(self.parts_to_send())

    def parts_to_send(self):
        """What to send to the server now, in one or more pieces, or none; they are given once."""
        cdef list parts
        self._cut()
        parts = self._parts
        if parts:
            self._parts = []
        return parts

    cdef int _cut(self) except -1:
        if self._output.size:
            self._parts.append(PyBytes_FromStringAndSize(self._output.data, <Py_ssize_t>self._output.size))
            buffer_clear(&self._output)
        return 0

    cdef int write(
        self, int type, bytes first, bytes second, bytes third, bytes last
    ) except -1:
        """Pack a packet; None is an argument that it does not have."""
        cdef size_t size = <size_t>PyBytes_GET_SIZE(first)
        cdef size_t large = 0
        cdef char *at
        if second is not None:
            size += 1 + <size_t>PyBytes_GET_SIZE(second)
        if third is not None:
            size += 1 + <size_t>PyBytes_GET_SIZE(third)
        if last is not None:
            large = <size_t>PyBytes_GET_SIZE(last)
            size += 1 + large
        if size > <size_t>0xFFFFFFFF:
            raise ValueError(
                f"a body of {size} bytes is over the 4294967295 that a packet's header can announce"
            )
        if large < LARGE:
            large = 0
        at = buffer_extend(&self._output, HEADER_SIZE + size - large)
        write_header(at, REQUEST_MAGIC, <uint32_t>type, <uint32_t>size)
        at = put(at + HEADER_SIZE, first)
        if second is not None:
            at[0] = 0
            at = put(at + 1, second)
        if third is not None:
            at[0] = 0
            at = put(at + 1, third)
        if last is not None:
            at[0] = 0
            if large:
                self._cut()
                self._parts.append(last)
            else:
                put(at + 1, last)
        return 0

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
        job.take_handle(PyBytes_FromStringAndSize(handle, size))
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
            request.take_answer(packet.args)
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


cdef inline char *put(char *at, bytes data) noexcept:
    cdef size_t size = <size_t>PyBytes_GET_SIZE(data)
    memcpy(at, PyBytes_AS_STRING(data), size)
    return at + size
