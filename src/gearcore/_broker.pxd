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

    cdef Peer *_connected(self) except NULL


cdef int receive(Core *core, Peer *peer, const char *data, size_t size) except -1 nogil
cdef size_t room_for_rest(Core *core, Peer *peer, char **room) except? 0 nogil
cdef double next_deadline(const Core *core) noexcept nogil
cdef int took(Core *core, Peer *peer, size_t size) except -1 nogil
