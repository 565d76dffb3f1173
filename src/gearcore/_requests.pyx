"""What a client asks of a server: `Request` and its kinds, and how they are packed. sans-I/O."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport INFINITY
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

cimport cython

from gearcore._buffer cimport buffer_clear, buffer_extend, buffer_free
from gearcore._wire cimport HEADER_SIZE, REQUEST_MAGIC, write_header

from gearcore.errors import JobError as _JobError
from gearcore.session.arguments import decode_name as _decode_name

cdef enum:
    LARGE = 32 * 1024  # bytes of a workload that is sent from where it is, and not copied behind its header


@cython.final
cdef class Outgoing:
    """Packets on their way out: small ones side by side in one piece, a large workload as one of its own."""

    def __cinit__(self):
        self._parts = []

    def __dealloc__(self):
        buffer_free(&self._buffer)

    cdef list take(self):
        """What there is to send, in one or more pieces, or none; they are given once."""
        cdef list parts
        self._cut()
        parts = self._parts
        if parts:
            self._parts = []
        return parts

    cdef int put(self, int type, bytes first, bytes second, bytes third, bytes last) except -1:
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
        at = buffer_extend(&self._buffer, HEADER_SIZE + size - large)
        write_header(at, REQUEST_MAGIC, <uint32_t>type, <uint32_t>size)
        at = copy(at + HEADER_SIZE, first)
        if second is not None:
            at[0] = 0
            at = copy(at + 1, second)
        if third is not None:
            at[0] = 0
            at = copy(at + 1, third)
        if last is not None:
            at[0] = 0
            if large:
                self._cut()
                self._parts.append(last)
            else:
                copy(at + 1, last)
        return 0

    cdef int _cut(self) except -1:
        if self._buffer.size:
            self._parts.append(PyBytes_FromStringAndSize(self._buffer.data, <Py_ssize_t>self._buffer.size))
            buffer_clear(&self._buffer)
        return 0


cdef class Request:
    """Something asked of a server, which answers with one packet: the one expected, or an ERROR.

    Its kinds say in ``what`` what is waited for, for the text of an error.

    ``session`` is the session that it was asked on last, or None. Once ``answered`` there is an ``error``, or
    an answer. ``watcher`` is what the driver calls when the request has news, or None; ``losses`` counts the
    connections that were lost under it; ``abandoned`` is set by who does not wait for the answer any more:
    then it is not asked again.
    """

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

    cdef int write(self, Outgoing outgoing) except -1:
        """Pack the request."""
        return outgoing.put(self.type, b"", None, None, None)

    cdef int take_answer(self, tuple args, double now) except -1:
        """Take the arguments of the packet that answers it."""
        self.answered = True
        return 0


@cython.final
cdef class Question(Request):
    """Any request but a job: the packet ``type`` with ``args``, answered by a packet ``reply``.

    ``answer`` are the arguments of that packet, once there is one; ``what`` says what is waited for;
    ``route`` is a unique id that decides which server is asked, or empty.
    """

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

    cdef int write(self, Outgoing outgoing) except -1:
        cdef bytes body = b"\0".join(self.args)
        return outgoing.put(self.type, body, None, None, None)

    cdef int take_answer(self, tuple args, double now) except -1:
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

    cdef int write(self, Outgoing outgoing) except -1:
        return outgoing.put(self.type, self._function, self._unique, self._extra, self._workload)

    cdef int take_answer(self, tuple args, double now) except -1:
        self.take_handle(<bytes>args[0], now)
        return 0

    cdef void take_handle(self, bytes handle, double now) noexcept:
        self._handle = handle
        self.answered = True
        if self.allowed >= 0 and self.expires == INFINITY:
            self.expires = now + self.allowed
        if self.background:
            self.ended = True
        if not self.resubmit:
            self._workload = None

    cdef void complete(self, bytes result) noexcept:
        self.outcome = result
        self.ended = True
        self._workload = None


cdef inline char *copy(char *at, bytes data) noexcept:
    cdef size_t size = <size_t>PyBytes_GET_SIZE(data)
    memcpy(at, PyBytes_AS_STRING(data), size)
    return at + size
