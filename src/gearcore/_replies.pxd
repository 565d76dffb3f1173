"""Packets to peers: appended to their output, which the driver writes once a turn.

None of this fails, for it is often about another peer than the one that is served: a peer for whose output
there is no memory is cut off, like one that does not read.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from gearcore._blocks cimport LARGE
from gearcore._buffer cimport buffer_extend
from gearcore._jobs cimport job_apart, job_reducer, job_workload
from gearcore._output cimport add_reference, clear_output, unsent
from gearcore._ring cimport ring_is_empty, ring_push_back
from gearcore._state cimport MAX_HANDLE_SIZE, Apart, Block, Core, Job, Peer
from gearcore._wire cimport (
    HEADER_SIZE,
    PT_JOB_ASSIGN,
    PT_JOB_ASSIGN_ALL,
    PT_JOB_CREATED,
    RESPONSE_MAGIC,
    write_header,
)


cdef inline void touch(Core *core, Peer *peer) noexcept nogil:
    """Note that the driver has something to do for this peer."""
    if ring_is_empty(&peer.of_touched):
        ring_push_back(&core.touched, &peer.of_touched)


cdef inline void overflow(Core *core, Peer *peer) noexcept nogil:
    """The output is too much: what was kept for the peer is dropped, and the driver is to cut it off."""
    clear_output(core, peer)
    peer.overflowed = True
    peer.closing = True
    touch(core, peer)


cdef inline char *start_reply(Core *core, Peer *peer, uint32_t type, size_t size) noexcept nogil:
    """Write a header, and return where the caller is to put the `size` bytes of the body, or NULL."""
    return start_shared_reply(core, peer, type, size, 0)


cdef inline char *start_shared_reply(
    Core *core, Peer *peer, uint32_t type, size_t size, size_t shared
) noexcept nogil:
    """The same for a body whose last `shared` bytes the caller is to `share`."""
    if unsent(peer) > core.rules.max_output:
        overflow(core, peer)
    cdef char *at = buffer_extend(&peer.output, HEADER_SIZE + size)
    if at == NULL:
        overflow(core, peer)
        return NULL
    write_header(at, RESPONSE_MAGIC, type, <uint32_t>(size + shared))
    touch(core, peer)
    return at + HEADER_SIZE


cdef inline void share(Core *core, Peer *peer, Block *block, const char *data, size_t size) noexcept nogil:
    """End a reply by bytes of a block. A peer for whom there is no memory to note that is cut off."""
    if not add_reference(peer, block, data, size):
        overflow(core, peer)


cdef inline char *put(char *at, const char *data, size_t size) noexcept nogil:
    memcpy(at, data, size)
    return at + size


cdef inline char *put_argument(char *at, const char *data, size_t size) noexcept nogil:
    """An argument that is not the last, with the NUL behind it."""
    memcpy(at, data, size)
    at[size] = 0
    return at + size + 1


cdef inline char *put_number(char *at, uint64_t number) noexcept nogil:
    """A number in decimal, at most 20 bytes."""
    cdef char digits[20]
    cdef int first = 20
    while True:
        first -= 1
        digits[first] = <char>(c'0' + number % 10)
        number //= 10
        if number == 0:
            return put(at, digits + first, 20 - first)


cdef inline size_t format_handle(const Core *core, uint64_t number, char *into) noexcept nogil:
    """Write a handle, at most MAX_HANDLE_SIZE bytes, and return its size."""
    return put_number(put(into, core.prefix, core.prefix_size), number) - into


cdef inline int reply(Core *core, Peer *peer, uint32_t type, const char *body, size_t size) noexcept nogil:
    cdef char *into = start_reply(core, peer, type, size)
    if into != NULL:
        put(into, body, size)
    return 0


cdef inline int reply_empty(Core *core, Peer *peer, uint32_t type) noexcept nogil:
    start_reply(core, peer, type, 0)
    return 0


cdef inline int reply_created(Core *core, Peer *peer, Job *job) noexcept nogil:
    cdef char handle[MAX_HANDLE_SIZE + 1]
    cdef size_t size = format_handle(core, job.by_number.hash, handle)
    return reply(core, peer, PT_JOB_CREATED, handle, size)


cdef inline bint reply_assign(Core *core, Peer *peer, Job *job, uint32_t type) noexcept nogil:
    """JOB_ASSIGN, JOB_ASSIGN_UNIQ or JOB_ASSIGN_ALL, whichever `type` says; return whether it will be sent."""
    cdef char handle[MAX_HANDLE_SIZE + 1]
    cdef size_t handle_size = format_handle(core, job.by_number.hash, handle)
    cdef size_t size = handle_size + 1 + job.function.name_size + 1
    cdef size_t shared = job.workload_size if job.workload_size >= LARGE else 0
    cdef Apart apart
    cdef char *at
    if type != PT_JOB_ASSIGN:
        size += job.unique_size + 1
    if type == PT_JOB_ASSIGN_ALL:
        size += job.reducer_size + 1
    at = start_shared_reply(core, peer, type, size + job.workload_size - shared, shared)
    if at == NULL:
        return False
    at = put_argument(at, handle, handle_size)
    at = put_argument(at, job.function.name, job.function.name_size)
    if type != PT_JOB_ASSIGN:
        at = put_argument(at, job.content, job.unique_size)
    if type == PT_JOB_ASSIGN_ALL:
        at = put_argument(at, job_reducer(job), job.reducer_size)
    if shared:
        apart = job_apart(job)
        share(core, peer, apart.block, apart.workload, shared)
    else:
        put(at, job_workload(job), job.workload_size)
    return not peer.overflowed
