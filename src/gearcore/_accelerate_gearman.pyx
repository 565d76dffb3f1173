"""The gearman family's packets: a number, and a dict of the arguments by name."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcpy

from gearcore._accelerate cimport (
    Counter,
    PyUnicode_CheckExact,
    PyUnicode_GET_LENGTH,
    point_at_text,
    small_int,
)
from gearcore._wire cimport (
    HEADER_SIZE,
    MAX_ARGUMENTS,
    PT_LIMIT,
    REQUEST_MAGIC,
    RESPONSE_MAGIC,
    Args,
    body_size,
    read_u32,
    split_arguments,
    write_body,
    write_header,
)


@cython.final
cdef class DictCodec:
    """Packets as their number and a dict.

    ``parameters`` has the names of each packet's arguments by its number. Packets are parsed from buffers of
    ``buffer_class`` alone, which is ``bytes`` or ``array.array``. With ``text`` arguments are ``str``;
    without, they are bytes, a ``str`` is packed as its UTF-8 and replaced with it in the caller's dict, and
    a NUL byte in any argument but the last is left to the library.
    """

    cdef Counter _counter
    cdef list _names
    cdef object _buffer_class
    cdef bint _text

    def __init__(self, Counter counter not None, dict parameters not None, buffer_class, *, bint text):
        self._counter = counter
        self._buffer_class = buffer_class
        self._text = text
        self._names = [None] * PT_LIMIT
        for number, names in parameters.items():
            if 0 <= number < PT_LIMIT and len(names) <= MAX_ARGUMENTS:
                self._names[number] = tuple(names)

    cdef tuple names_of(self, object number):
        cdef long value = small_int(number)
        return self._names[value] if 0 <= value < PT_LIMIT else None

    cdef dict take(self, const char *at, size_t size, uint32_t magic):
        """The arguments of the packet at an address, or None."""
        cdef Args args
        cdef uint32_t type
        cdef size_t body
        cdef tuple names
        cdef Py_ssize_t count, i
        cdef dict taken
        if size < HEADER_SIZE or read_u32(at) != magic:
            return None
        type = read_u32(at + 4)
        body = read_u32(at + 8)
        if type >= PT_LIMIT or size - HEADER_SIZE < body:
            return None
        names = self._names[type]
        if names is None:
            return None
        count = len(names)
        if body if count == 0 else split_arguments(at + HEADER_SIZE, body, <int>count, &args) != count:
            return None
        taken = {}
        for i in range(count):
            if self._text:
                try:
                    taken[names[i]] = PyUnicode_DecodeUTF8(args.start[i], <Py_ssize_t>args.size[i], NULL)
                except UnicodeDecodeError:
                    return None
            else:
                taken[names[i]] = PyBytes_FromStringAndSize(args.start[i], <Py_ssize_t>args.size[i])
        self._counter.parsed += 1
        return taken

    def parse(self, buffer, bint is_response):
        """The packet that a buffer begins with, as number, arguments and size; or None."""
        cdef Py_buffer view
        cdef dict taken
        if type(buffer) is not self._buffer_class:
            return None
        PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
        try:
            if view.itemsize != 1:
                return None
            taken = self.take(
                <const char *>view.buf, <size_t>view.len, RESPONSE_MAGIC if is_response else REQUEST_MAGIC
            )
            if taken is None:
                return None
            return (
                read_u32(<const char *>view.buf + 4),
                taken,
                HEADER_SIZE + <Py_ssize_t>read_u32(<const char *>view.buf + 8),
            )
        finally:
            PyBuffer_Release(&view)

    def parse_all(self, buffer, bint is_response, list commands not None):
        """Append every packet that a buffer begins with, and return how many bytes they take."""
        cdef Py_buffer view
        cdef const char *at
        cdef size_t size
        cdef size_t used
        cdef dict taken
        if type(buffer) is not self._buffer_class:
            return 0
        PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
        try:
            at = <const char *>view.buf
            size = <size_t>view.len if view.itemsize == 1 else 0
            while True:
                taken = self.take(at, size, RESPONSE_MAGIC if is_response else REQUEST_MAGIC)
                if taken is None:
                    return at - <const char *>view.buf
                used = HEADER_SIZE + <size_t>read_u32(at + 8)
                commands.append((read_u32(at + 4), taken))
                at += used
                size -= used
        finally:
            PyBuffer_Release(&view)

    cdef Py_ssize_t gather(self, object cmd_type, object cmd_args, Args *args) except -2:
        """Point at a packet's arguments, and return the size of its body; or -1."""
        cdef tuple names = self.names_of(cmd_type)
        cdef dict given
        cdef object value
        cdef Py_ssize_t count, i
        cdef size_t size
        if names is None or type(cmd_args) is not dict:
            return -1
        given = cmd_args
        count = len(names)
        if len(given) != count:
            return -1
        # With any other key looking up could run code of its own, and let go of what has been pointed at.
        for key in given:
            if not PyUnicode_CheckExact(key):
                return -1
        for i in range(count):
            value = given.get(names[i])
            if PyUnicode_CheckExact(value):
                if not point_at_text(value, &args.start[i], &args.size[i]):
                    return -1
                # What is not ASCII these libraries give a wrong size to, and that is left to them.
                if self._text and args.size[i] != <size_t>PyUnicode_GET_LENGTH(value):
                    return -1
            elif PyBytes_CheckExact(value) and not self._text:
                args.start[i] = PyBytes_AS_STRING(value)
                args.size[i] = <size_t>PyBytes_GET_SIZE(value)
            else:
                return -1
            if not self._text and i < count - 1 and memchr(args.start[i], 0, args.size[i]) != NULL:
                return -1
        size = body_size(args, count)
        return <Py_ssize_t>size if size <= <size_t>0xFFFFFFFF else -1

    cdef int write(self, char *at, uint32_t magic, cmd_type, dict given, const Args *args, size_t size) except -1:
        """Write a packet whose arguments were gathered, and leave them as the library does."""
        cdef tuple names = self.names_of(cmd_type)
        write_header(at, magic, <uint32_t>small_int(cmd_type), <uint32_t>size)
        write_body(at + HEADER_SIZE, args, len(names))
        if not self._text:
            for name in names:
                value = given[name]
                if PyUnicode_CheckExact(value):
                    given[name] = (<str>value).encode()
        self._counter.packed += 1
        return 0

    def pack(self, cmd_type, cmd_args, bint is_response):
        """The bytes of a packet, or None."""
        cdef Args args
        cdef bytes packed
        cdef Py_ssize_t size = self.gather(cmd_type, cmd_args, &args)
        if size < 0:
            return None
        packed = PyBytes_FromStringAndSize(NULL, HEADER_SIZE + size)
        self.write(
            PyBytes_AS_STRING(packed),
            RESPONSE_MAGIC if is_response else REQUEST_MAGIC,
            cmd_type,
            cmd_args,
            &args,
            <size_t>size,
        )
        return packed

    def pack_behind(self, bytes head not None, commands, bint is_response):
        """Some bytes and behind them those of every packet in a queue, which is emptied; or None."""
        cdef Args args
        cdef Py_ssize_t size
        cdef Py_ssize_t total = PyBytes_GET_SIZE(head)
        cdef list queue = list(commands)
        cdef bytes packed
        cdef char *at
        cdef const char *end
        if not queue:
            return head
        for command in queue:
            if type(command) is not tuple or len(<tuple>command) != 2:
                return None
            size = self.gather((<tuple>command)[0], (<tuple>command)[1], &args)
            if size < 0:
                return None
            total += HEADER_SIZE + size
        packed = PyBytes_FromStringAndSize(NULL, total)
        at = PyBytes_AS_STRING(packed)
        end = at + total
        memcpy(at, PyBytes_AS_STRING(head), <size_t>PyBytes_GET_SIZE(head))
        at += PyBytes_GET_SIZE(head)
        for command in queue:
            cmd_type, cmd_args = <tuple>command
            size = self.gather(cmd_type, cmd_args, &args)
            if size < 0 or size > end - at - HEADER_SIZE:
                raise RuntimeError("a command was changed while it was being packed")
            self.write(
                at,
                RESPONSE_MAGIC if is_response else REQUEST_MAGIC,
                cmd_type,
                cmd_args,
                &args,
                <size_t>size,
            )
            at += HEADER_SIZE + size
        commands.clear()
        return packed
