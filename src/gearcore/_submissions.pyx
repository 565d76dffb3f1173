"""How submissions become jobs, one at a time (`new_job`) or many at once (`new_jobs`). sans-I/O."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport INFINITY
from libc.string cimport memchr, memcpy

cimport cython

from gearcore._requests cimport JobRequest
from gearcore._wire cimport PT_JOB_CREATED

from gearcore.encoding import EMPTY as _EMPTY
from gearcore.session.arguments import check_payload as _check_payload, encode_name as _encode_name


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
    # the same text as before, most of the time
    if terms.last_function is not None and function is terms.last_name:
        job._function = terms.last_function
    else:
        job._function = name_of(function, "function", terms.prefix)
        terms.last_name = function
        terms.last_function = job._function
    job._unique = b"" if unique is None else name_of(unique, "unique", b"")
    if workload is _EMPTY:
        job._workload = b""
    elif terms.encoding is None:
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
