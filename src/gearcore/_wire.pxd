"""The wire format in C: what the codec and the broker both need, inlined into each.

No Python object is in sight and no memory is owned here. Every pointer that a helper gives back points into
the bytes that it was given.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcpy


cdef enum:
    HEADER_SIZE = 12
    MAX_ARGUMENTS = 8
    REQUEST_MAGIC = 0x00524551  # "\0REQ"
    RESPONSE_MAGIC = 0x00524553  # "\0RES"


# The numbers of gearcore.protocol.PacketType, for code that needs a packet by name. A test compares the two.
cdef enum:
    PT_CAN_DO = 1
    PT_CANT_DO = 2
    PT_RESET_ABILITIES = 3
    PT_PRE_SLEEP = 4
    PT_UNUSED = 5
    PT_NOOP = 6
    PT_SUBMIT_JOB = 7
    PT_JOB_CREATED = 8
    PT_GRAB_JOB = 9
    PT_NO_JOB = 10
    PT_JOB_ASSIGN = 11
    PT_WORK_STATUS = 12
    PT_WORK_COMPLETE = 13
    PT_WORK_FAIL = 14
    PT_GET_STATUS = 15
    PT_ECHO_REQ = 16
    PT_ECHO_RES = 17
    PT_SUBMIT_JOB_BG = 18
    PT_ERROR = 19
    PT_STATUS_RES = 20
    PT_SUBMIT_JOB_HIGH = 21
    PT_SET_CLIENT_ID = 22
    PT_CAN_DO_TIMEOUT = 23
    PT_ALL_YOURS = 24
    PT_WORK_EXCEPTION = 25
    PT_OPTION_REQ = 26
    PT_OPTION_RES = 27
    PT_WORK_DATA = 28
    PT_WORK_WARNING = 29
    PT_GRAB_JOB_UNIQ = 30
    PT_JOB_ASSIGN_UNIQ = 31
    PT_SUBMIT_JOB_HIGH_BG = 32
    PT_SUBMIT_JOB_LOW = 33
    PT_SUBMIT_JOB_LOW_BG = 34
    PT_SUBMIT_JOB_SCHED = 35
    PT_SUBMIT_JOB_EPOCH = 36
    PT_SUBMIT_REDUCE_JOB = 37
    PT_SUBMIT_REDUCE_JOB_BACKGROUND = 38
    PT_GRAB_JOB_ALL = 39
    PT_JOB_ASSIGN_ALL = 40
    PT_GET_STATUS_UNIQUE = 41
    PT_STATUS_RES_UNIQUE = 42
    PT_LIMIT = 43  # one more than the highest: the length of an array with an entry for each number


cdef struct Args:
    const char *start[MAX_ARGUMENTS]
    size_t size[MAX_ARGUMENTS]


# Shifts rather than a cast to uint32_t *: right at any alignment and byte order, and one load and one byte
# swap for every compiler that matters.
cdef inline uint32_t read_u32(const char *at) noexcept nogil:
    cdef const unsigned char *byte = <const unsigned char *>at
    return (
        (<uint32_t>byte[0] << 24) | (<uint32_t>byte[1] << 16) | (<uint32_t>byte[2] << 8) | <uint32_t>byte[3]
    )


cdef inline void write_u32(char *at, uint32_t value) noexcept nogil:
    cdef unsigned char *byte = <unsigned char *>at
    byte[0] = <unsigned char>(value >> 24)
    byte[1] = <unsigned char>(value >> 16)
    byte[2] = <unsigned char>(value >> 8)
    byte[3] = <unsigned char>value


cdef inline void write_header(char *at, uint32_t magic, uint32_t type, uint32_t size) noexcept nogil:
    write_u32(at, magic)
    write_u32(at + 4, type)
    write_u32(at + 8, size)


# Splits a body at its first count - 1 NUL bytes; the last argument takes the rest and may hold NULs. Returns
# how many arguments there were: at most count, which must not exceed MAX_ARGUMENTS. With a count of 0 the
# body is ignored; an empty body is one empty argument.
cdef inline int split_arguments(const char *body, size_t size, int count, Args *args) noexcept nogil:
    cdef const char *end = body + size
    cdef const char *nul
    cdef int found = 0
    if count <= 0 or count > MAX_ARGUMENTS:
        return 0
    while found < count - 1:
        nul = <const char *>memchr(body, 0, <size_t>(end - body))
        if nul == NULL:
            break
        args.start[found] = body
        args.size[found] = <size_t>(nul - body)
        found += 1
        body = nul + 1
    args.start[found] = body
    args.size[found] = <size_t>(end - body)
    return found + 1


# A body of these arguments, with a NUL between one and the next: how large it is, and the body itself.
cdef inline size_t body_size(const Args *args, Py_ssize_t count) noexcept nogil:
    cdef size_t size = 0
    cdef Py_ssize_t i
    for i in range(count):
        size += args.size[i] + (i > 0)
    return size


cdef inline void write_body(char *at, const Args *args, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        if i > 0:
            at[0] = 0
            at += 1
        memcpy(at, args.start[i], args.size[i])
        at += args.size[i]
