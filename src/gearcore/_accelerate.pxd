"""What the hooks of all libraries share, for them to cimport."""

from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    bint PyUnicode_CheckExact(object text)

cdef enum:
    LARGEST_SIGNED = 0x7FFFFFFF


cdef class Counter:
    cdef readonly Py_ssize_t parsed
    cdef readonly Py_ssize_t packed
    cdef public bint active


cdef class Rest:
    cdef object data
    cdef Py_ssize_t at

    cdef bint is_bytes(self)
    cdef Py_ssize_t left(self)
    cdef const char *start(self)
    cdef object value(self)
    cdef int keep(self, object data) except -1
    cdef int add(self, object data) except -1
    cdef int skip(self, Py_ssize_t size) except -1


cdef class Remainder:
    cdef str _name
    cdef tuple _default
    cdef object _holders

    cdef object held_by(self, instance)
    cdef Rest of(self, instance)


cdef inline long small_int(object number) except -2:
    """The value of an int that is neither negative nor huge, or -1 for anything else."""
    cdef int overflow = 0
    cdef long value
    if not PyLong_CheckExact(number):
        return -1
    value = PyLong_AsLongAndOverflow(number, &overflow)
    return value if 0 <= value <= LARGEST_SIGNED else -1


cdef inline bint point_at_text(object text, const char **start, size_t *size) except -1:
    """Point at a text's UTF-8, unless it has none."""
    cdef Py_ssize_t length = 0
    try:
        start[0] = PyUnicode_AsUTF8AndSize(text, &length)
    except UnicodeEncodeError:
        return False
    size[0] = <size_t>length
    return True
