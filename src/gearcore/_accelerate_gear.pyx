"""gear's packets: an object with the body as bytes, which is split when an argument is asked for."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int32_t, uint32_t
from libc.string cimport memchr, memcpy

from gearcore._accelerate cimport (
    LARGEST_SIGNED,
    Counter,
    Remainder,
    Rest,
    small_int,
)
from gearcore._wire cimport (
    HEADER_SIZE,
    read_u32,
    write_header,
)


def gear_hooks(Counter counter, Remainder input_buffer, module, read, to_binary, get_argument):
    """gear's readPacket, toBinary and getArgument, with its own for all that is not well-formed."""
    packet_class = module.Packet
    packet_init = packet_class.__init__
    cdef tuple nothing = ()

    def readPacket(self):  # noqa: N802
        """Read one packet or administrative response from the server; None when it has closed."""
        cdef Rest rest
        cdef const char *at
        cdef size_t size
        cdef list pieces = None
        cdef Py_ssize_t have = 0
        cdef Py_ssize_t wanted = 0
        if not counter.active:  # somebody kept this function
            return read(self)
        rest = input_buffer.of(self)
        if not rest.is_bytes():
            return read(self)
        needed_bytes = need_bytes = self.need_bytes
        try:
            while True:
                if need_bytes or rest.left() == 0:
                    segment = self._readRawBytes(4096)
                    if not segment:
                        return None
                    need_bytes = False
                    if pieces is not None:
                        pieces.append(segment)
                        have += len(segment)
                        if have < wanted:
                            need_bytes = True
                            continue
                        rest.keep(b"".join(pieces))
                        pieces = None
                    else:
                        rest.add(segment)
                        if not rest.is_bytes():
                            break
                at = rest.start()
                if at[0] != 0:
                    break
                if rest.left() >= HEADER_SIZE:
                    size = read_u32(at + 8)
                    if size > <size_t>(LARGEST_SIGNED - HEADER_SIZE):
                        break
                    wanted = HEADER_SIZE + <Py_ssize_t>size
                    if rest.left() >= wanted:
                        code = PyBytes_FromStringAndSize(at, 4)
                        ptype = <int32_t>read_u32(at + 4)
                        data = PyBytes_FromStringAndSize(at + HEADER_SIZE, <Py_ssize_t>size)
                        if module.Packet is packet_class and packet_class.__init__ is packet_init:
                            packet = (<PyTypeObject *>packet_class).tp_new(packet_class, <PyObject *>nothing, NULL)
                            packet.code = code
                            packet.ptype = ptype
                            packet.data = data
                            packet.connection = self
                        else:
                            packet = module.Packet(code, ptype, data, connection=self)
                        rest.skip(wanted)
                        counter.parsed += 1
                        return packet
                    have = rest.left()
                    pieces = [rest.value()]
                need_bytes = True
        finally:
            if pieces is not None:
                rest.keep(b"".join(pieces))
            if not counter.active:  # it ended meanwhile
                self.input_buffer = rest.value()
            if need_bytes is not needed_bytes:
                self.need_bytes = need_bytes
        return read(self)

    def toBinary(self):  # noqa: N802
        """The packet in binary form, as a bytearray."""
        cdef object code = self.code
        cdef object data = self.data
        cdef long ptype = small_int(self.ptype)
        cdef Py_ssize_t size
        cdef char *at
        if ptype < 0 or not PyBytes_CheckExact(code) or not PyBytes_CheckExact(data):
            return to_binary(self)
        size = PyBytes_GET_SIZE(data)
        if PyBytes_GET_SIZE(code) != 4 or size > LARGEST_SIGNED:
            return to_binary(self)
        packed = PyByteArray_FromStringAndSize(NULL, HEADER_SIZE + size)
        at = PyByteArray_AS_STRING(packed)
        write_header(at, read_u32(PyBytes_AS_STRING(code)), <uint32_t>ptype, <uint32_t>size)
        memcpy(at + HEADER_SIZE, PyBytes_AS_STRING(data), <size_t>size)
        counter.packed += 1
        return packed

    def getArgument(self, index, last=False):  # noqa: N802
        """The argument at an index, as bytes; with last, all that is left of the body."""
        cdef object data = self.data
        cdef long skipped = small_int(index)
        cdef const char *at
        cdef const char *end
        cdef const char *nul
        if skipped < 0 or not PyBytes_CheckExact(data):
            return get_argument(self, index, last)
        at = PyBytes_AS_STRING(data)
        end = at + PyBytes_GET_SIZE(data)
        while skipped > 0:
            nul = <const char *>memchr(at, 0, <size_t>(end - at))
            if nul == NULL:
                return get_argument(self, index, last)
            at = nul + 1
            skipped -= 1
        if not last:
            nul = <const char *>memchr(at, 0, <size_t>(end - at))
            if nul != NULL:
                end = nul
        return PyBytes_FromStringAndSize(at, end - at)

    return readPacket, toBinary, getArgument
