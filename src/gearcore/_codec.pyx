"""The codec: bytes to packets and packets to bytes.

The table in gearcore.protocol says what packets there are; this module knows how they are framed, and no job.
In order: what works on pointers and touches no Python object, what makes Python objects, and the classes and
functions that gearcore.codec offers.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongAndOverflow
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcmp, memcpy, memmove

cimport gearcore._wire as _wire
from gearcore._wire cimport (
    HEADER_SIZE,
    PT_LIMIT,
    Args,
    body_size,
    read_u32,
    split_arguments,
    write_body,
    write_header,
)

from gearcore.errors import (
    BadMagic as _BadMagic,
    PacketTooLarge as _PacketTooLarge,
    ProtocolError as _ProtocolError,
    TooFewArguments as _TooFewArguments,
    UnknownPacketType as _UnknownPacketType,
)
from gearcore.protocol import (
    DEFAULT_MAX_PACKET_SIZE as _DEFAULT_MAX_PACKET_SIZE,
    PACKETS as _PACKETS,
    REQUEST_MAGIC as _REQUEST_MAGIC,
    RESPONSE_MAGIC as _RESPONSE_MAGIC,
)


cdef enum:
    MAX_LINE = 8192  # bytes without the newline, as gearmand
    SHOWN = 32  # bytes of an argument in a repr
    # Of a buffer that nothing is in: new memory for each large packet would cost more than to parse it.
    MOST_UNUSED = 4 * 1024 * 1024  # bytes that are not given back at once
    LONGEST_UNUSED = 64  # how often it may not be needed


# What stands at a place in the stream. From UNKNOWN_TYPE on it is an offence; from BAD_MAGIC on there is no
# telling where the next packet begins.
cdef enum Outcome:
    PACKET
    LINE
    UNFINISHED
    UNKNOWN_TYPE
    MISSING_ARGUMENTS
    BAD_MAGIC
    BODY_TOO_LARGE
    LINE_TOO_LONG


cdef struct Message:
    size_t size  # with the header or the newline; of an unfinished message, as far as it is known
    size_t body_size
    uint32_t type
    bint is_request
    int count
    Args args


# The packet table in a form for the inner loop: -1 arguments for a number that is not in it.
cdef signed char argument_count[PT_LIMIT]
cdef bint payload_optional[PT_LIMIT]


cdef inline bint is_known(uint32_t type) noexcept nogil:
    return type < PT_LIMIT and argument_count[type] >= 0


cdef inline bint is_magic(const char *at, size_t size, uint32_t expected) noexcept nogil:
    cdef uint32_t magic
    if size < 4:
        return memcmp(at, b"\0RE", size) == 0
    magic = read_u32(at)
    if expected:
        return magic == expected
    return magic == _wire.REQUEST_MAGIC or magic == _wire.RESPONSE_MAGIC


cdef inline int split_body(const char *body, size_t size, uint32_t type, Message *message) noexcept nogil:
    cdef int wanted = argument_count[type]
    message.count = split_arguments(body, size, wanted, &message.args)
    if message.count == wanted - 1 and payload_optional[type]:
        message.args.start[message.count] = body + size
        message.args.size[message.count] = 0
        message.count = wanted
    return PACKET if message.count == wanted else MISSING_ARGUMENTS


cdef int scan_line(const char *at, size_t size, Message *message) noexcept nogil:
    cdef const char *newline = <const char *>memchr(at, c"\n", min(size, <size_t>(MAX_LINE + 1)))
    cdef size_t length
    if newline == NULL:
        message.size = MAX_LINE + 1
        return UNFINISHED if size <= MAX_LINE else LINE_TOO_LONG
    length = <size_t>(newline - at)
    message.size = length + 1
    message.body_size = length - 1 if length > 0 and at[length - 1] == c"\r" else length
    return LINE


# Says what the size bytes at a place begin with; size is not 0.
cdef inline int scan(const char *at, size_t size, const Rules *rules, Message *message) noexcept nogil:
    if rules.text and at[0] != 0:
        return scan_line(at, size, message)
    if not is_magic(at, size, rules.magic):
        return BAD_MAGIC
    message.size = HEADER_SIZE
    if size < HEADER_SIZE:
        return UNFINISHED
    message.is_request = at[3] == c"Q"
    message.type = read_u32(at + 4)
    message.body_size = read_u32(at + 8)
    if message.body_size > rules.max_packet_size:
        return BODY_TOO_LARGE
    message.size += message.body_size
    if size < message.size:
        return UNFINISHED
    if not is_known(message.type):
        return UNKNOWN_TYPE
    return split_body(at + HEADER_SIZE, message.body_size, message.type, message)


cdef dict specs = {spec.number: spec for spec in _PACKETS}


cdef int load_table() except -1:
    cdef int number
    for number in range(PT_LIMIT):
        argument_count[number] = -1
        payload_optional[number] = False
    for spec in _PACKETS:
        number = spec.number
        if not 0 <= number < PT_LIMIT or len(spec.arguments) > _wire.MAX_ARGUMENTS:
            raise ImportError(f"{spec.name} of gearcore.protocol does not fit the arrays of gearcore._codec")
        argument_count[number] = len(spec.arguments)
        payload_optional[number] = spec.payload_optional
    return 0


load_table()


cdef int type_number(object type) except -1:
    """The number of a packet in the table."""
    cdef int overflow = 0
    cdef long number = PyLong_AsLongAndOverflow(type, &overflow)  # -1 where it overflows
    if number < 0 or number >= PT_LIMIT or argument_count[number] < 0:
        raise ValueError(f"there is no packet type {type}")
    return <int>number


cdef str type_name(uint32_t type):
    return specs[type].name if is_known(type) else f"packet type {type}"


cdef str arguments_taken(uint32_t type):
    """The end of a sentence that says what arguments a packet takes."""
    cdef tuple names = specs[type].arguments
    cdef str noun = "argument" if len(names) == 1 else "arguments"
    return f"takes {len(names)} {noun} ({', '.join(names)})" if names else "takes no arguments"


cdef object too_few_arguments(const Message *message):
    return _TooFewArguments(
        f"{type_name(message.type)} {arguments_taken(message.type)}, and has {message.count}"
    )


cdef object make_offence(
    int outcome, const char *at, size_t size, const Message *message, const Rules *rules
):
    """The exception for what stands at a place in the stream, not raised."""
    if outcome == UNKNOWN_TYPE:
        return _UnknownPacketType(
            f"there is no packet type {message.type} (with a body of {message.body_size} bytes)"
        )
    if outcome == MISSING_ARGUMENTS:
        return too_few_arguments(message)
    if outcome == BODY_TOO_LARGE:
        return _PacketTooLarge(
            f"{type_name(message.type)} announces a body of {message.body_size} bytes, "
            f"over the limit of {rules.max_packet_size}"
        )
    if outcome == LINE_TOO_LONG:
        return _ProtocolError(f"a line has no end within {int(MAX_LINE)} bytes")
    found = PyBytes_FromStringAndSize(at, <Py_ssize_t>min(size, <size_t>4))
    expected = {
        0: "00524551 (\\0REQ) or 00524553 (\\0RES)",
        _wire.REQUEST_MAGIC: "00524551 (\\0REQ)",
        _wire.RESPONSE_MAGIC: "00524553 (\\0RES)",
    }[rules.magic]
    return _BadMagic(f"a packet starts with {found.hex()} ({found!r}) instead of the magic {expected}")


cdef tuple make_arguments(const Args *args, int count):
    cdef tuple made = PyTuple_New(count)
    cdef bytes arg
    cdef int i
    for i in range(count):
        arg = PyBytes_FromStringAndSize(args.start[i], <Py_ssize_t>args.size[i])
        Py_INCREF(arg)  # PyTuple_SET_ITEM takes a reference over
        PyTuple_SET_ITEM(made, i, arg)
    return made


cdef Packet make_packet(const Message *message):
    cdef Packet packet = Packet.__new__(Packet)
    packet.type = <int>message.type
    packet.is_request = message.is_request
    packet.args = make_arguments(&message.args, message.count)
    return packet


cdef int gather(int type, tuple args, Args *gathered, Py_buffer *views, int *view_count) except -1:
    """Point at the bytes of each argument, and check them. The caller releases the views in any case."""
    cdef Py_ssize_t count = len(args)
    cdef Py_buffer *view
    cdef object arg
    cdef Py_ssize_t i
    if count != argument_count[type]:
        raise ValueError(f"{type_name(type)} {arguments_taken(type)}, and was given {count}")
    for i in range(count):
        arg = args[i]
        if PyBytes_CheckExact(arg):
            gathered.start[i] = PyBytes_AS_STRING(arg)
            gathered.size[i] = <size_t>PyBytes_GET_SIZE(arg)
        else:
            view = &views[view_count[0]]
            get_view(type, i, arg, view)
            view_count[0] += 1
            gathered.start[i] = <const char *>view.buf
            gathered.size[i] = <size_t>view.len
        if i < count - 1 and memchr(gathered.start[i], 0, gathered.size[i]) != NULL:
            raise ValueError(
                f"{type_name(type)}: {specs[type].arguments[i]} holds a NUL byte, "
                "which only the last argument may"
            )
    return 0


cdef int get_view(int type, Py_ssize_t index, object arg, Py_buffer *view) except -1:
    try:
        PyObject_GetBuffer(arg, view, PyBUF_SIMPLE)
    except TypeError:
        name = specs[type].arguments[index]
        raise TypeError(
            f"{type_name(type)}: {name} must be bytes-like, not {arg.__class__.__name__}"
        ) from None
    return 0


cdef bytes join(uint32_t magic, int type, const Args *args):
    cdef int count = argument_count[type]
    cdef size_t size = body_size(args, count)
    cdef bytes packet
    cdef char *at
    if size > <size_t>0xFFFFFFFF:
        raise ValueError(
            f"{type_name(type)}: a body of {size} bytes is over the 4294967295 that a header can announce"
        )
    packet = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(HEADER_SIZE + size))
    at = PyBytes_AS_STRING(packet)
    write_header(at, magic, <uint32_t>type, <uint32_t>size)
    write_body(at + HEADER_SIZE, args, count)
    return packet


cdef bytes pack(uint32_t magic, object type, tuple args):
    cdef int number = type_number(type)
    cdef Args gathered
    cdef Py_buffer[8] views
    cdef int view_count = 0
    cdef int i
    try:
        gather(number, args, &gathered, views, &view_count)
        return join(magic, number, &gathered)
    finally:
        for i in range(view_count):
            PyBuffer_Release(&views[i])


cdef str shorten(bytes argument):
    if len(argument) <= SHOWN:
        return repr(argument)
    return f"{argument[:SHOWN]!r}... ({len(argument)} bytes)"


# Bytes alone cannot make a cycle, and tracked packets cost a burst a third of its time in the collector.
@cython.no_gc
@cython.final
cdef class Packet:
    """A packet, taken apart.

    ``type`` is its number, equal to the ``PacketType`` of that number; ``args`` are its arguments, as many
    as the packet table names; ``is_request`` tells which magic it has: true on the way to a job server,
    false on the way from it. Packets compare by these three and can be hashed.

    Raises ``ValueError`` for a type that is not in the table or a wrong number of arguments, and
    ``TypeError`` for an argument that is not bytes.
    """

    def __init__(self, type, tuple args not None, bint is_request=True):
        cdef int number = type_number(type)
        if len(args) != argument_count[number]:
            raise ValueError(f"{type_name(number)} {arguments_taken(number)}, and was given {len(args)}")
        for name, arg in zip(specs[number].arguments, args):
            if not PyBytes_CheckExact(arg):
                raise TypeError(f"{type_name(number)}: {name} must be bytes, not {arg.__class__.__name__}")
        self.type = number
        self.args = args
        self.is_request = is_request

    @property
    def name(self):
        """The packet's name in the protocol text, such as ``"SUBMIT_JOB"``."""
        return type_name(self.type)

    def __eq__(self, other):
        cdef Packet that
        if not isinstance(other, Packet):
            return NotImplemented
        that = <Packet>other
        return self.type == that.type and self.is_request == that.is_request and self.args == that.args

    def __hash__(self):
        return hash((self.type, self.is_request, self.args))

    def __repr__(self):
        cdef str direction = "request" if self.is_request else "response"
        cdef list words = ["Packet", self.name, direction]
        for name, arg in zip(specs[self.type].arguments, self.args):
            words.append(f"{name}={shorten(arg)}")
        return f"<{' '.join(words)}>"


@cython.final
cdef class Parser:
    """Makes packets from a stream of bytes that comes in pieces of any size.

    ``expect`` is the magic that every packet must have, ``REQUEST_MAGIC`` or ``RESPONSE_MAGIC`` of
    ``gearcore.protocol``; by default both are taken. With ``text`` a message whose first byte is not NUL is a
    line of the admin protocol, of up to 8192 bytes before its newline; without it, as by default, it is an
    offence. ``max_packet_size`` is the largest body that is taken, in bytes, by default 256 MiB.

    What has not come in full is kept in a buffer that never exceeds twice what was fed of it. Its memory stays for
    what comes next, up to 4 MiB, until it was not needed for a while. A parser serves one stream, and is not to be
    used by two threads at once.
    """

    def __cinit__(
        self, *, expect=None, bint text=False, Py_ssize_t max_packet_size=_DEFAULT_MAX_PACKET_SIZE
    ):
        if expect is None:
            self._rules.magic = 0
        elif expect == _REQUEST_MAGIC:
            self._rules.magic = _wire.REQUEST_MAGIC
        elif expect == _RESPONSE_MAGIC:
            self._rules.magic = _wire.RESPONSE_MAGIC
        else:
            raise ValueError(f"expect must be None, REQUEST_MAGIC or RESPONSE_MAGIC, not {expect!r}")
        if max_packet_size < 0:
            raise ValueError(f"max_packet_size must not be negative, and is {max_packet_size}")
        self._rules.text = text
        self._rules.max_packet_size = <size_t>max_packet_size

    def __dealloc__(self):
        self._free_buffer()

    @property
    def buffered(self):
        """How many bytes were fed and not yet delivered as a part of a packet or a line."""
        return self._held

    @property
    def max_packet_size(self):
        """The largest body in bytes that this parser takes."""
        return self._rules.max_packet_size

    def feed(self, data, /):
        """Take the next bytes of the stream, and return what they complete.

        ``data`` is any bytes-like object; nothing of it is referred to afterwards. The list has a ``Packet``
        for each packet and, with ``text``, a ``bytes`` for each line: without its newline, and without the
        carriage return before that if there is one.

        Raises ``UnknownPacketType`` and ``TooFewArguments`` with the parser behind the offending packet:
        ``feed(b"")`` goes on from there. Raises ``BadMagic``, ``PacketTooLarge`` and, for a line without an
        end, ``ProtocolError`` itself when the place in the stream is lost: every later call raises the same
        again. ``packets`` of each is what this call had completed before the offence.
        """
        cdef Py_buffer view
        if PyBytes_CheckExact(data):
            return self.feed_bytes(PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data))
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self.feed_bytes(<const char *>view.buf, <size_t>view.len)
        finally:
            PyBuffer_Release(&view)

    cdef list feed_bytes(self, const char *data, size_t size):
        """``feed`` for bytes at an address, which need to stay there during the call only."""
        cdef list packets = []
        cdef const char *end = data + size
        cdef size_t wanted = 0
        cdef object offence = None
        if self._ended is not None:
            raise self._ended[0](self._ended[1])
        if self._feeding:
            # A finalizer or another thread may run while a packet is made, and must not move the buffer.
            raise RuntimeError("a parser was fed while it was being fed")
        self._feeding = True
        if self._buffer != NULL and not self._held:
            self._unused += 1
            if self._unused > LONGEST_UNUSED:
                self._free_buffer()
        try:
            if self._held:
                offence = self._parse_tail(packets, &data, end)
            if offence is None and not self._held:
                offence = self._parse(packets, &data, end, &wanted)
            if offence is None or offence.recoverable:
                self._append(data, <size_t>(end - data), wanted)
            else:
                self._held = 0
                self._free_buffer()
                self._ended = (offence.__class__, str(offence))
        finally:
            self._feeding = False
        if offence is not None:
            offence.packets = packets
            raise offence
        return packets

    cdef object _parse_tail(self, list packets, const char **cursor, const char *end):
        """Deliver what was kept, with as much of the new bytes as its last message lacks, up to an offence.

        The new bytes behind that message are left for ``_parse`` to read where they are.
        """
        cdef const char *tail
        cdef size_t wanted
        cdef size_t lacking
        cdef object offence
        while self._held:
            tail = self._buffer + self._start
            offence = self._parse(packets, &tail, tail + self._held, &wanted)
            self._drop(<size_t>(tail - self._buffer) - self._start)
            if offence is not None or cursor[0] == end:
                return offence
            if self._held:
                lacking = min(wanted - self._held, <size_t>(end - cursor[0]))
                self._append(cursor[0], lacking, wanted)
                cursor[0] += lacking
        return None

    cdef object _parse(self, list packets, const char **cursor, const char *end, size_t *wanted):
        """Deliver every message from the cursor on that is whole, up to an offence, which is returned.

        What is before the cursor has been delivered or is an offence; the cursor never passes the end.
        ``wanted`` is the size that the unfinished message at the cursor is known to have.
        """
        cdef const char *at = cursor[0]
        cdef Message message
        cdef int outcome
        cdef object offence = None
        wanted[0] = 0
        while at < end:
            outcome = scan(at, <size_t>(end - at), &self._rules, &message)
            if outcome == PACKET:
                packets.append(make_packet(&message))
            elif outcome == LINE:
                packets.append(PyBytes_FromStringAndSize(at, <Py_ssize_t>message.body_size))
            elif outcome == UNFINISHED:
                wanted[0] = message.size
                break
            else:
                offence = make_offence(outcome, at, <size_t>(end - at), &message, &self._rules)
                if offence.recoverable:
                    at += message.size
                break
            at += message.size
        cursor[0] = at
        return offence

    cdef int _append(self, const char *data, size_t size, size_t wanted) except -1:
        """Keep bytes. ``wanted`` is the size of the message that they begin, or 0 when that is not known."""
        cdef size_t needed = self._held + size
        cdef size_t capacity
        cdef char *buffer
        if size == 0:
            return 0
        if size > self._capacity - self._start - self._held:
            # Twice what is needed, so that moving and copying costs no more than a constant for each byte;
            # not simply what a header announces, since announcing costs a peer nothing.
            capacity = 2 * needed
            if needed <= wanted < capacity:
                capacity = wanted
            if self._start:
                memmove(self._buffer, self._buffer + self._start, self._held)
                self._start = 0
            if capacity > self._capacity:
                buffer = <char *>PyMem_Realloc(self._buffer, capacity)
                if buffer == NULL:
                    raise MemoryError(f"no memory to keep {needed} bytes of an unfinished packet")
                self._buffer = buffer
                self._capacity = capacity
        memcpy(self._buffer + self._start + self._held, data, size)
        self._held = needed
        return 0

    cdef void _drop(self, size_t size) noexcept:
        """Forget the first bytes that are kept; with the last of them, their memory if it is much."""
        self._start += size
        self._held -= size
        if self._held == 0:
            self._start = 0
            self._unused = 0
            if self._capacity > MOST_UNUSED:
                self._free_buffer()

    cdef void _free_buffer(self) noexcept:
        PyMem_Free(self._buffer)
        self._buffer = NULL
        self._start = self._capacity = 0


def _wire_numbers():
    """The packet numbers that C code knows by name, for a test to compare with the packet table."""
    return {
        "CAN_DO": _wire.PT_CAN_DO,
        "CANT_DO": _wire.PT_CANT_DO,
        "RESET_ABILITIES": _wire.PT_RESET_ABILITIES,
        "PRE_SLEEP": _wire.PT_PRE_SLEEP,
        "UNUSED": _wire.PT_UNUSED,
        "NOOP": _wire.PT_NOOP,
        "SUBMIT_JOB": _wire.PT_SUBMIT_JOB,
        "JOB_CREATED": _wire.PT_JOB_CREATED,
        "GRAB_JOB": _wire.PT_GRAB_JOB,
        "NO_JOB": _wire.PT_NO_JOB,
        "JOB_ASSIGN": _wire.PT_JOB_ASSIGN,
        "WORK_STATUS": _wire.PT_WORK_STATUS,
        "WORK_COMPLETE": _wire.PT_WORK_COMPLETE,
        "WORK_FAIL": _wire.PT_WORK_FAIL,
        "GET_STATUS": _wire.PT_GET_STATUS,
        "ECHO_REQ": _wire.PT_ECHO_REQ,
        "ECHO_RES": _wire.PT_ECHO_RES,
        "SUBMIT_JOB_BG": _wire.PT_SUBMIT_JOB_BG,
        "ERROR": _wire.PT_ERROR,
        "STATUS_RES": _wire.PT_STATUS_RES,
        "SUBMIT_JOB_HIGH": _wire.PT_SUBMIT_JOB_HIGH,
        "SET_CLIENT_ID": _wire.PT_SET_CLIENT_ID,
        "CAN_DO_TIMEOUT": _wire.PT_CAN_DO_TIMEOUT,
        "ALL_YOURS": _wire.PT_ALL_YOURS,
        "WORK_EXCEPTION": _wire.PT_WORK_EXCEPTION,
        "OPTION_REQ": _wire.PT_OPTION_REQ,
        "OPTION_RES": _wire.PT_OPTION_RES,
        "WORK_DATA": _wire.PT_WORK_DATA,
        "WORK_WARNING": _wire.PT_WORK_WARNING,
        "GRAB_JOB_UNIQ": _wire.PT_GRAB_JOB_UNIQ,
        "JOB_ASSIGN_UNIQ": _wire.PT_JOB_ASSIGN_UNIQ,
        "SUBMIT_JOB_HIGH_BG": _wire.PT_SUBMIT_JOB_HIGH_BG,
        "SUBMIT_JOB_LOW": _wire.PT_SUBMIT_JOB_LOW,
        "SUBMIT_JOB_LOW_BG": _wire.PT_SUBMIT_JOB_LOW_BG,
        "SUBMIT_JOB_SCHED": _wire.PT_SUBMIT_JOB_SCHED,
        "SUBMIT_JOB_EPOCH": _wire.PT_SUBMIT_JOB_EPOCH,
        "SUBMIT_REDUCE_JOB": _wire.PT_SUBMIT_REDUCE_JOB,
        "SUBMIT_REDUCE_JOB_BACKGROUND": _wire.PT_SUBMIT_REDUCE_JOB_BACKGROUND,
        "GRAB_JOB_ALL": _wire.PT_GRAB_JOB_ALL,
        "JOB_ASSIGN_ALL": _wire.PT_JOB_ASSIGN_ALL,
        "GET_STATUS_UNIQUE": _wire.PT_GET_STATUS_UNIQUE,
        "STATUS_RES_UNIQUE": _wire.PT_STATUS_RES_UNIQUE,
    }


def pack_request(type, /, *args):
    """Make the bytes of a packet on its way to a job server.

    ``type`` is a ``PacketType`` or its number, ``args`` are its arguments in the order of the packet table,
    each any bytes-like object.

    Raises ``TypeError`` for an argument that is not bytes-like, and ``ValueError`` for a type that is not in
    the table, a wrong number of arguments, a NUL byte in any argument but the last, and a body of 4 GiB or
    more.
    """
    return pack(_wire.REQUEST_MAGIC, type, args)


def pack_request_head(type, size_t size, /, *args):
    """What ``pack_request`` packs but for the last argument, of so many bytes, which is to be sent behind it."""
    cdef bytes packed = pack(_wire.REQUEST_MAGIC, type, (*args, b""))
    size += <size_t>PyBytes_GET_SIZE(packed) - HEADER_SIZE
    if size > <size_t>0xFFFFFFFF:
        raise ValueError(f"a body of {size} bytes is over the 4294967295 that a packet's header can announce")
    write_header(PyBytes_AS_STRING(packed), _wire.REQUEST_MAGIC, <uint32_t>type, <uint32_t>size)
    return packed


def pack_response(type, /, *args):
    """Make the bytes of a packet on its way from a job server. See ``pack_request``."""
    return pack(_wire.RESPONSE_MAGIC, type, args)


def unpack_arguments(type, body, /):
    """Split the body of a packet into its arguments, for who has framed it otherwise.

    ``type`` is a ``PacketType`` or its number, ``body`` any bytes-like object.

    Raises ``ValueError`` for a type that is not in the table, and ``TooFewArguments``.
    """
    cdef int number = type_number(type)
    cdef Message message
    cdef Py_buffer view
    PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
    try:
        message.type = <uint32_t>number
        if split_body(<const char *>view.buf, <size_t>view.len, message.type, &message) != PACKET:
            raise too_few_arguments(&message)
        return make_arguments(&message.args, message.count)
    finally:
        PyBuffer_Release(&view)
