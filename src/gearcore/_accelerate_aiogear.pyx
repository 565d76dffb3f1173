"""aiogear's packets: a member of an Enum and, for most, a namedtuple of text."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t
from libc.string cimport memchr

from gearcore._accelerate cimport (
    Counter,
    PyUnicode_CheckExact,
    PyUnicode_GET_LENGTH,
    Remainder,
    Rest,
    point_at_text,
    small_int,
)
from gearcore._wire cimport (
    HEADER_SIZE,
    MAX_ARGUMENTS,
    PT_LIMIT,
    Args,
    body_size,
    read_u32,
    split_arguments,
    write_body,
    write_header,
)

from functools import partial as _partial

cdef extern from "Python.h":
    bint PyFunction_Check(object function)
    PyObject *PyFunction_GetCode(object function)
    PyObject *PyFunction_GetClosure(object function)
    object PyCell_Get(object cell)
    bint PyMethod_Check(object method)
    PyObject *PyMethod_Function(object method)
    PyObject *PyMethod_Self(object method)


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
        cdef tuple fields, arguments
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
        fields = PyTuple_New(self._fields)
        try:
            for i in range(self._fields):
                field = PyUnicode_DecodeUTF8(args.start[i], <Py_ssize_t>args.size[i], NULL)
                Py_INCREF(field)  # PyTuple_SET_ITEM takes a reference over
                PyTuple_SET_ITEM(fields, i, field)
        except UnicodeDecodeError:
            return None
        # A namedtuple is a tuple with nothing more, and tuple.__new__ makes one.
        arguments = (fields,)
        return (<PyTypeObject *>tuple).tp_new(self._made, <PyObject *>arguments, NULL)


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
    cdef Py_ssize_t i = 0
    while i < len(registered):  # which what is compared with the packet may change
        packets, callback = registered[i]
        if packet in packets:
            del registered[i]
            return callback
        i += 1
    return None


cdef object find_by_identity(object table, object member):
    """What a dict has for a member of an Enum, whose hash is slow; or None. Such are equal only if the same."""
    if type(table) is not dict:
        return table.get(member)
    for key, value in (<dict>table).items():
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
            or cls._unpack is not _unpack  # nor is it after the end, when uvloop still calls this
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
            if <size_t>(rest.left() - HEADER_SIZE) < read_u32(at + 8):
                break
            size = <Py_ssize_t>read_u32(at + 8)
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
            if not counter.active or not rest.is_bytes():  # both may be a callback's doing
                self._data = self._data[HEADER_SIZE + size :]
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
