"""What other Cython code may use of requests: the session takes their answers without a Python call."""

from gearcore._buffer cimport Buffer


cdef class Outgoing:
    cdef Buffer _buffer
    cdef list _parts                # what goes before _buffer: bytes each

    cdef list take(self)
    cdef int put(self, int type, bytes first, bytes second, bytes third, bytes last) except -1
    cdef int _cut(self) except -1


cdef class Request:
    cdef readonly object session
    cdef readonly bint answered
    cdef readonly object error
    cdef public object watcher
    cdef public int losses
    cdef public bint abandoned
    cdef int type
    cdef int reply

    cpdef fail(self, error)
    cdef int write(self, Outgoing outgoing) except -1
    cdef int take_answer(self, tuple args, double now) except -1


cdef class Question(Request):
    cdef readonly tuple args
    cdef readonly bytes route
    cdef str _what
    cdef tuple _answer


cdef class JobRequest(Request):
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

    cpdef again(self)
    cdef void take_handle(self, bytes handle, double now) noexcept
    cdef void complete(self, bytes result) noexcept
