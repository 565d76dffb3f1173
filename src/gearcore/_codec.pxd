"""The codec for other Cython code: what ``cimport gearcore._codec`` gives."""

from libc.stdint cimport uint32_t


cdef struct Rules:
    uint32_t magic  # the one that is taken, or 0 for both
    bint text
    size_t max_packet_size


cdef class Packet:
    cdef readonly int type
    cdef readonly tuple args
    cdef readonly bint is_request


cdef class Parser:
    cdef Rules _rules
    # What was fed and not delivered: _held bytes from _start, in a buffer of _capacity.
    cdef char *_buffer
    cdef size_t _capacity
    cdef size_t _start
    cdef size_t _held
    cdef int _unused  # how often it was fed since it needed the buffer
    cdef bint _feeding
    cdef object _ended  # None, or the class and text of the offence that ended the stream

    cdef list feed_bytes(self, const char *data, size_t size)
    cdef object _parse_tail(self, list packets, const char **cursor, const char *end)
    cdef object _parse(self, list packets, const char **cursor, const char *end, size_t *wanted)
    cdef int _append(self, const char *data, size_t size, size_t wanted) except -1
    cdef void _drop(self, size_t size) noexcept
    cdef void _free_buffer(self) noexcept
