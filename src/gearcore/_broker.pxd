"""What other Cython code may use of the broker: a driver in Cython receives without a Python call."""

from gearcore._state cimport Core, Peer


cdef class Broker:
    cdef Core core
    cdef dict _connections          # each to itself, in order of arrival
    cdef object _answer_line


cdef class Connection:
    cdef Peer *peer
    cdef readonly Broker broker
    cdef readonly str address
    cdef readonly int number
    cdef public object driver
    cdef object access
    cdef bint receiving

    cdef int feed(self, const char *data, size_t size) except -1
    cdef size_t _top_up(self, Peer *peer, const char *data, size_t size) except? 0
    cdef size_t _set_aside(self, Peer *peer, const char *data, size_t size) except? 0
    cdef bint _keep(self, Peer *peer, const char *data, size_t size) except -1
    cdef int _let_go(self, Peer *peer) except -1
    cdef bytes _answer_to(self, bytes line)
    cdef int _answer(self, Peer *peer, bytes text) except -1
    cdef Peer *_connected(self) except NULL
