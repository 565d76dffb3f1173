"""Acknowledgements that wait for the store: what may be written to a peer ends in front of the first of them.

A peer notes where in its output each of them begins, by the batch that it waits for. So it can be let go of when
the batch is stored, or be made a refusal when it is not.
"""

from libc.stdint cimport SIZE_MAX
from libc.stdlib cimport free
from libc.string cimport memcpy, strlen

from gearcore._buffer cimport Buffer, buffer_append, buffer_clear, buffer_extend, buffer_free
from gearcore._keep cimport SLOTS, is_raised
from gearcore._output cimport reference_at
from gearcore._replies cimport overflow, put, put_argument, touch
from gearcore._ring cimport Ring, ring_is_empty, ring_push_back, ring_remove
from gearcore._state cimport Core, Peer
from gearcore._wire cimport HEADER_SIZE, PT_ERROR, RESPONSE_MAGIC, read_u32, write_header


cdef inline Peer *peer_of_hold(Ring *of_holds, int slot) noexcept nogil:
    return <Peer *>(<char *>of_holds - <size_t>&(<Peer *>NULL).of_holds - slot * sizeof(Ring))


cdef inline void hold(Core *core, Peer *peer, size_t place, int slot) noexcept nogil:
    """Let what begins at that place of the output, and all behind it, wait for a batch."""
    cdef char *at
    if peer.overflowed:
        return
    at = buffer_extend(&peer.held[slot], sizeof(place))
    if at == NULL:
        overflow(core, peer)
        return
    memcpy(at, &place, sizeof(place))
    if ring_is_empty(&peer.of_holds[slot]):
        ring_push_back(&core.keep.holds[slot], &peer.of_holds[slot])


cdef inline void release_holds(Core *core, int slot) noexcept nogil:
    """A batch is stored: what waited for it may be written."""
    cdef Ring *holds = &core.keep.holds[slot]
    cdef Peer *peer
    while not ring_is_empty(holds):
        peer = peer_of_hold(holds.next, slot)
        ring_remove(&peer.of_holds[slot])
        buffer_clear(&peer.held[slot])
        touch(core, peer)


cdef inline void release_committed(Core *core) noexcept nogil:
    """Let go of what waits for the batch that is out, if the store's thread says that it is committed."""
    if is_raised(&core.keep.committed):
        core.keep.committed = False
        release_holds(core, SLOTS - 1 - core.keep.slot)


cdef inline void refuse_holds(Core *core, int slot, const char *text) noexcept nogil:
    """A batch will not be stored: what waited for it becomes an ERROR."""
    cdef Ring *holds = &core.keep.holds[slot]
    cdef Peer *peer
    while not ring_is_empty(holds):
        peer = peer_of_hold(holds.next, slot)
        if not refuse_held(peer, slot, text):
            overflow(core, peer)            # there is no memory for that: it is cut off
        ring_remove(&peer.of_holds[slot])
        buffer_clear(&peer.held[slot])
        touch(core, peer)


cdef inline bint refuse_held(Peer *peer, int slot, const char *text) noexcept nogil:
    """Write the output anew with a refusal for each packet that is held; return whether there was memory."""
    cdef const char *code = b"QUEUE_ERROR"
    cdef size_t body_size = strlen(code) + 1 + strlen(text)
    cdef size_t *places = <size_t *>peer.held[slot].data
    cdef size_t count = peer.held[slot].size // sizeof(size_t)
    cdef size_t *others = <size_t *>peer.held[SLOTS - 1 - slot].data
    cdef size_t others_count = peer.held[SLOTS - 1 - slot].size // sizeof(size_t)
    cdef Ring *reference = peer.references.next
    cdef Buffer output
    cdef size_t done = 0                    # up to where the old output is copied
    cdef size_t index
    cdef size_t end
    cdef char *at
    output.data = NULL
    output.size = 0
    output.capacity = 0
    for index in range(count + 1):
        end = places[index] if index < count else peer.output.size
        # All of the old output between `done` and `end` moves by the same distance.
        while others_count and others[0] < end:
            others[0] += output.size - done
            others += 1
            others_count -= 1
        while reference != &peer.references and reference_at(reference).place <= end:
            reference_at(reference).place += output.size - done
            reference = reference.next
        at = buffer_extend(&output, end - done)
        if at == NULL:
            break
        memcpy(at, peer.output.data + done, end - done)
        if index < count:
            at = buffer_extend(&output, HEADER_SIZE + body_size)
            if at == NULL:
                break
            write_header(at, RESPONSE_MAGIC, PT_ERROR, <unsigned int>body_size)
            put(put_argument(at + HEADER_SIZE, code, strlen(code)), text, strlen(text))
            done = end + HEADER_SIZE + read_u32(peer.output.data + end + 8)
    if at == NULL:
        buffer_free(&output)
        return False
    free(peer.output.data)
    peer.output = output
    return True
