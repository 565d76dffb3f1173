"""The codec in the shapes in which other Gearman libraries keep their packets, for gearcore.accelerate.

Only what is whole and well-formed is done here. For everything else a function says None, or calls what the
library itself has in its place: so each library's checks, their order and their words remain its own.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, uint32_t
from libc.string cimport memchr, memcpy

from gearcore._wire cimport (
    HEADER_SIZE,
    MAX_ARGUMENTS,
    PT_LIMIT,
    REQUEST_MAGIC,
    RESPONSE_MAGIC,
    Args,
    read_u32,
    split_arguments,
    write_header,
)

from functools import partial as _partial
from weakref import WeakSet as _WeakSet

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    bint PyUnicode_CheckExact(object text)
    bint PyFunction_Check(object function)
    PyObject *PyFunction_GetCode(object function)
    PyObject *PyFunction_GetClosure(object function)
    object PyCell_Get(object cell)
    bint PyMethod_Check(object method)
    PyObject *PyMethod_Function(object method)
    PyObject *PyMethod_Self(object method)
    object PyType_GenericAlloc(PyTypeObject *made, Py_ssize_t items)

cdef enum:
    LARGEST_SIGNED = 0x7FFFFFFF


@cython.final
cdef class Counter:
    """How many packets went through the codec in each direction, and whether it is still in its place."""

    cdef readonly Py_ssize_t parsed
    cdef readonly Py_ssize_t packed
    cdef public bint active

    def __init__(self):
        self.active = True


cdef long small_int(object number) except -2:
    """The value of an int that is neither negative nor huge, or -1 for anything else."""
    cdef int overflow = 0
    cdef long value
    if not PyLong_CheckExact(number):
        return -1
    value = PyLong_AsLongAndOverflow(number, &overflow)
    return value if 0 <= value <= LARGEST_SIGNED else -1


cdef bint point_at_text(object text, const char **start, size_t *size) except -1:
    """Point at a text's UTF-8, unless it has none."""
    cdef Py_ssize_t length = 0
    try:
        start[0] = PyUnicode_AsUTF8AndSize(text, &length)
    except UnicodeEncodeError:
        return False
    size[0] = <size_t>length
    return True


cdef size_t body_size(const Args *args, Py_ssize_t count) noexcept nogil:
    cdef size_t size = 0
    cdef Py_ssize_t i
    for i in range(count):
        size += args.size[i] + (i > 0)
    return size


cdef void write_body(char *at, const Args *args, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        if i > 0:
            at[0] = 0
            at += 1
        memcpy(at, args.start[i], args.size[i])
        at += args.size[i]


# The gearman family: a packet is a number and a dict of its arguments by name.


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


# Bytes that are taken off at their front, one packet after the other.


@cython.final
cdef class Rest:
    """Bytes, or whatever was put in their place, of which those before ``at`` have been used."""

    cdef object data
    cdef Py_ssize_t at

    cdef bint is_bytes(self):
        return PyBytes_CheckExact(self.data)

    cdef Py_ssize_t left(self):
        return PyBytes_GET_SIZE(self.data) - self.at

    cdef const char *start(self):
        return PyBytes_AS_STRING(self.data) + self.at

    cdef object value(self):
        return self.data[self.at :] if self.at else self.data

    cdef void keep(self, object data):
        self.data = data
        self.at = 0

    cdef void add(self, object data):
        self.keep(data if self.is_bytes() and self.left() == 0 else self.value() + data)

    cdef void skip(self, Py_ssize_t size):
        self.at += size
        if self.left() <= 0:
            self.keep(b"")


@cython.final
cdef class Remainder:
    """An attribute of a library's class: bytes of which the first can be used up without copying the rest.

    ``name`` is that of the attribute, ``default`` its value where an instance has none.
    """

    cdef str _name
    cdef tuple _default
    cdef object _holders

    def __init__(self, str name not None, *default):
        self._name = name
        self._default = default
        self._holders = _WeakSet()

    cdef Rest of(self, instance):
        cdef dict attributes = instance.__dict__
        cdef Rest rest
        held = attributes.get(self._name, self)
        if type(held) is Rest:
            return <Rest>held
        if held is self:
            if not self._default:
                raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self._name!r}")
            held = self._default[0]
        rest = Rest.__new__(Rest)
        rest.keep(held)
        attributes[self._name] = rest
        self._holders.add(instance)
        return rest

    def __get__(self, instance, owner):
        if instance is not None:
            return self.of(instance).value()
        if not self._default:
            raise AttributeError(f"type object {owner.__name__!r} has no attribute {self._name!r}")
        return self._default[0]

    def __set__(self, instance, value):
        cdef dict attributes = instance.__dict__
        held = attributes.get(self._name)
        if type(held) is Rest:
            (<Rest>held).keep(value)
        else:
            attributes[self._name] = value

    def __delete__(self, instance):
        del instance.__dict__[self._name]

    def settle(self):
        """Leave plain values in every instance, so that it can go on without this attribute."""
        cdef dict attributes
        for instance in list(self._holders):
            attributes = instance.__dict__
            held = attributes.get(self._name)
            if type(held) is Rest:
                attributes[self._name] = (<Rest>held).value()


# gear: a packet is an object with its body as bytes, which is split when an argument is asked for.


def gear_hooks(Counter counter, Remainder input_buffer, module, read, to_binary, get_argument):
    """gear's readPacket, toBinary and getArgument, with its own for all that is not well-formed."""
    packet_class = module.Packet
    packet_init = packet_class.__init__
    cdef tuple nothing = ()

    def readPacket(self):  # noqa: N802
        """Read one packet or administrative response from the server; None when it has closed."""
        cdef Rest rest = input_buffer.of(self)
        cdef const char *at
        cdef size_t size
        cdef list pieces = None
        cdef Py_ssize_t have = 0
        cdef Py_ssize_t wanted = 0
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
                    if size > <size_t>LARGEST_SIGNED:
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


# aiogear: a packet is a member of an Enum and, for most, a namedtuple of text.


cdef enum Body:
    NOTHING  # the body is ignored, and there are no fields
    WHOLE  # all of the body is the one field
    FIRST  # what is before the first NUL is
    REST_IN_LAST  # split as often as there are fields, the last of which may hold NULs
    EXACT  # split at every NUL


BODIES = {"nothing": NOTHING, "whole": WHOLE, "first": FIRST, "rest in last": REST_IN_LAST, "exact": EXACT}


@cython.final
cdef class Recipe:
    """What a deserializer of the library does: ``code`` is its own, ``made`` the namedtuple that it makes.

    ``body`` is a key of BODIES: how a body becomes the fields.
    """

    cdef object _code
    cdef object _made
    cdef int _fields
    cdef int _body

    def __init__(self, code, made, str body not None):
        self._code = code
        self._made = made
        self._fields = len(made._fields)
        self._body = BODIES[body]

    cdef bint is_of(self, handler, owner):
        """Whether a handler is the library's own, made for that owner."""
        cdef PyObject *closure
        if not PyFunction_Check(handler) or PyFunction_GetCode(handler) != <PyObject *>self._code:
            return False
        if self._fields == 0:
            return True
        closure = PyFunction_GetClosure(handler)
        return closure != NULL and PyCell_Get((<tuple>closure)[0]) is owner

    cdef object make(self, const char *body, size_t size):
        """The namedtuple, or None."""
        cdef Args args
        cdef tuple made
        cdef str field
        cdef const char *nul
        cdef int i
        if self._body == NOTHING:
            pass
        elif self._body == REST_IN_LAST or self._body == EXACT:
            if split_arguments(body, size, self._fields, &args) != self._fields:
                return None
            i = self._fields - 1
            if self._body == EXACT and memchr(args.start[i], 0, args.size[i]) != NULL:
                return None
        else:
            nul = <const char *>memchr(body, 0, size) if self._body == FIRST else NULL
            args.start[0] = body
            args.size[0] = size if nul == NULL else <size_t>(nul - body)
        try:
            # A namedtuple is a tuple with nothing more, and made as tuple.__new__ makes one.
            made = <tuple>PyType_GenericAlloc(<PyTypeObject *>self._made, self._fields)
            for i in range(self._fields):
                field = PyUnicode_DecodeUTF8(args.start[i], <Py_ssize_t>args.size[i], NULL)
                Py_INCREF(field)  # PyTuple_SET_ITEM takes a reference over
                PyTuple_SET_ITEM(made, i, field)
        except UnicodeDecodeError:
            return None
        return made


cdef bint point_at_ascii(object argument, const char **start, size_t *size) except -1:
    """Point at bytes or at a text's ASCII, unless it is something else."""
    if PyBytes_CheckExact(argument):
        start[0] = PyBytes_AS_STRING(argument)
        size[0] = <size_t>PyBytes_GET_SIZE(argument)
        return True
    if PyUnicode_CheckExact(argument) and point_at_text(argument, start, size):
        return size[0] == <size_t>PyUnicode_GET_LENGTH(argument)
    return False


cdef bytes join(Py_ssize_t head, tuple args):
    """Arguments with a NUL between each two, behind as many bytes as a head takes; or None."""
    cdef Args pointed
    cdef Py_ssize_t count = len(args)
    cdef bytes joined
    cdef size_t size
    cdef Py_ssize_t i
    if count > MAX_ARGUMENTS:
        return None
    for i in range(count):
        if not point_at_ascii(args[i], &pointed.start[i], &pointed.size[i]):
            return None
    size = body_size(&pointed, count)
    if size > <size_t>0xFFFFFFFF:
        return None
    joined = PyBytes_FromStringAndSize(NULL, head + <Py_ssize_t>size)
    write_body(PyBytes_AS_STRING(joined) + head, &pointed, count)
    return joined


cdef bytes pack_member(object magic, object member, tuple args):
    """The bytes of a packet whose number is an Enum member's value; or None."""
    cdef long number = small_int(member._value_)
    cdef bytes packed
    if number < 0 or not PyBytes_CheckExact(magic) or PyBytes_GET_SIZE(magic) != 4:
        return None
    packed = join(HEADER_SIZE, args)
    if packed is not None:
        write_header(
            PyBytes_AS_STRING(packed),
            read_u32(PyBytes_AS_STRING(magic)),
            <uint32_t>number,
            <uint32_t>(PyBytes_GET_SIZE(packed) - HEADER_SIZE),
        )
    return packed


cdef object take_registered(list registered, object packet):
    """Take the first callback that waits for a packet off the list of those that wait; or None."""
    cdef Py_ssize_t i
    for i in range(len(registered)):
        packets, callback = registered[i]
        if packet in packets:
            del registered[i]
            return callback
    return None


cdef object find_by_identity(object table, object member):
    """What a dict has for a member of an Enum, whose hash is slow; or None. Such are equal only if the same."""
    for key, value in (<dict?>table).items():
        if key is member:
            return value
    return None


@cython.final
cdef class Packing:
    """What aiogear's way from a packet's arguments to its bytes is made of, when nobody has changed it."""

    cdef Counter counter
    cdef object packet_class
    cdef object nul
    cdef object serializer
    cdef object join
    cdef object pack

    cdef bytes at_once(self, protocol, to_bytes, packet, tuple args):
        """The bytes of a packet; or None where something has been changed."""
        cdef dict attributes = protocol.__dict__
        cdef object cls = type(protocol)
        cdef bytes packed
        if (
            type(packet) is not self.packet_class
            or type(to_bytes) is not _partial
            or cls.serializer is not self.serializer
            or cls._join is not self.join
            or cls._pack is not self.pack
            or "serializer" in attributes
            or "_join" in attributes
            or "_pack" in attributes
            or protocol._delimiter is not self.nul
            or find_by_identity(protocol._serializers, packet) is not None
        ):
            return None
        method = to_bytes.func
        first = to_bytes.args
        if (
            len(<tuple>first) != 1
            or to_bytes.keywords
            or not PyMethod_Check(method)
            or PyMethod_Function(method) != <PyObject *>self.pack
            or PyMethod_Self(method) != <PyObject *>protocol
        ):
            return None
        packed = pack_member((<tuple>first)[0], packet, args)
        if packed is not None:
            self.counter.packed += 1
        return packed


def aiogear_hooks(Counter counter, Remainder buffered, module, dict recipes, dict own):
    """What takes the place of methods of aiogear's mixin, by name.

    ``recipes`` has a Recipe for packets by their names, ``own`` the methods that the mixin came with.
    """
    packet_class = module.Type
    nul = own["_delimiter"]
    own_unpack = own["_unpack"]
    own_split = own["_split"]
    own_get_registered = own["get_registered"]
    own_data_received = own["data_received"]
    own_join = own["_join"]
    own_pack = own["_pack"]
    own_serializer = own["serializer"]
    own_serialize_request = own["serialize_request"]
    own_serialize_response = own["serialize_response"]
    cdef list members = [None] * PT_LIMIT
    cdef list recipe_of = [None] * PT_LIMIT
    for member in packet_class:
        members[member.value] = member
        recipe_of[member.value] = recipes.get(member.name)

    def _unpack(self, data):
        cdef const char *at
        cdef size_t size
        cdef uint32_t number
        if not PyBytes_CheckExact(data) or PyBytes_GET_SIZE(data) < HEADER_SIZE:
            return own_unpack(self, data)
        at = PyBytes_AS_STRING(data)
        number = read_u32(at + 4)
        size = read_u32(at + 8)
        if <size_t>PyBytes_GET_SIZE(data) - HEADER_SIZE < size:
            return own_unpack(self, data)
        if number >= PT_LIMIT or members[number] is None:
            return own_unpack(self, data)
        counter.parsed += 1
        payload = PyBytes_FromStringAndSize(at + HEADER_SIZE, <Py_ssize_t>size)
        return members[number], payload, HEADER_SIZE + <Py_ssize_t>size

    def data_received(self, data):
        cdef dict attributes = self.__dict__
        cdef Rest rest
        cdef Recipe recipe
        cdef const char *at
        cdef uint32_t number
        cdef Py_ssize_t size
        cls = type(self)
        if (
            not PyBytes_CheckExact(data)
            or cls._unpack is not _unpack
            or cls._split is not own_split
            or cls.get_registered is not own_get_registered
            or "_unpack" in attributes
            or "_split" in attributes
            or "get_registered" in attributes
            or self._delimiter is not nul
            or type(self._registers) is not list
        ):
            return own_data_received(self, data)
        rest = buffered.of(self)
        if not rest.is_bytes():
            return own_data_received(self, data)
        rest.add(data)
        while rest.left() >= HEADER_SIZE:
            held = rest.data  # which the pointer stays good with, whatever is called
            at = rest.start()
            number = read_u32(at + 4)
            size = <Py_ssize_t>read_u32(at + 8)
            if rest.left() - HEADER_SIZE < size:
                break
            packet = members[number] if number < PT_LIMIT else None
            if packet is None:
                packet = packet_class(number)
            recipe = recipe_of[number]
            handler = find_by_identity(self._deserializers, packet)
            received = None
            if recipe is not None and recipe.is_of(handler, self):
                received = recipe.make(at + HEADER_SIZE, <size_t>size)
            if received is None:
                received = PyBytes_FromStringAndSize(at + HEADER_SIZE, size)
                if handler is not None:
                    received = handler(received)
            counter.parsed += 1
            callback = take_registered(self._registers, packet)
            if callback:
                callback(packet, received)
            else:
                module.logger.warning("Received un-expected message from server: %s (%r)", packet, received)
            if not rest.is_bytes():
                rest.keep(rest.data[HEADER_SIZE + size :])
                return own_data_received(self, b"")
            rest.skip(HEADER_SIZE + size)

    def _join(self, *args, delimiter=None):
        joined = join(0, args) if delimiter is None and self._delimiter is nul else None
        return own_join(self, *args, delimiter=delimiter) if joined is None else joined

    def _pack(self, magic, packet, payload=b""):
        # A protocol that was made before the end of the acceleration keeps this function for good.
        packed = None
        if counter.active and type(packet) is packet_class:
            packed = pack_member(magic, packet, (payload,))
        if packed is None:
            return own_pack(self, magic, packet, payload)
        counter.packed += 1
        return packed

    cdef Packing packing = Packing.__new__(Packing)
    packing.counter = counter
    packing.packet_class = packet_class
    packing.nul = nul
    packing.serializer = own_serializer
    packing.join = _join
    packing.pack = _pack

    def serialize_request(self, packet_type, *args):
        packed = packing.at_once(self, self._request, packet_type, args)
        return own_serialize_request(self, packet_type, *args) if packed is None else packed

    def serialize_response(self, packet_type, *args):
        packed = packing.at_once(self, self._response, packet_type, args)
        return own_serialize_response(self, packet_type, *args) if packed is None else packed

    return {
        "_unpack": _unpack,
        "data_received": data_received,
        "_join": _join,
        "_pack": _pack,
        "serialize_request": serialize_request,
        "serialize_response": serialize_response,
    }
