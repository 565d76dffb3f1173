"""What is to be written to a peer: bytes of its own, and references to large payloads between them."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

from gearcore._blocks cimport block_hold, block_release
from gearcore._buffer cimport Buffer, buffer_clear
from gearcore._keep cimport SLOTS
from gearcore._ring cimport Ring, ring_is_empty, ring_push_back, ring_remove
from gearcore._state cimport Block, Core, Peer, Reference


cdef inline Reference *reference_at(Ring *of_output) noexcept nogil:
    return <Reference *>of_output               # Reference.of_output comes first


cdef inline size_t unsent(const Peer *peer) noexcept nogil:
    """How many bytes are still to be written to the peer."""
    return peer.output.size - peer.sent + peer.referenced


cdef inline bint holds_back(const Peer *peer) noexcept nogil:
    """Whether some of the output waits for the store."""
    return peer.held[0].size != 0 or peer.held[1].size != 0


cdef inline size_t end_of_sendable(const Peer *peer) noexcept nogil:
    """Up to which place of its own bytes, and of the references between them, the output may be written."""
    cdef size_t end = peer.output.size
    cdef int slot
    for slot in range(SLOTS):
        if peer.held[slot].size:
            end = min(end, (<size_t *>peer.held[slot].data)[0])
    return end


cdef inline size_t sendable(const Peer *peer) noexcept nogil:
    """How many bytes may be written to the peer now."""
    cdef size_t end
    cdef size_t size
    cdef Ring *at
    if not holds_back(peer):
        return unsent(peer)
    end = end_of_sendable(peer)
    size = end - peer.sent
    at = peer.references.next
    while at != &peer.references and reference_at(at).place <= end:
        size += reference_at(at).size
        at = at.next
    return size


cdef inline bint add_reference(Peer *peer, Block *block, const char *data, size_t size) noexcept nogil:
    """Have bytes of a block written behind what is there already; return whether there was memory for it."""
    cdef Reference *reference = <Reference *>malloc(sizeof(Reference))
    if reference == NULL:
        return False
    reference.block = block_hold(block)
    reference.data = data
    reference.size = size
    reference.place = peer.output.size
    ring_push_back(&peer.references, &reference.of_output)
    peer.referenced += size
    return True


cdef inline void drop_reference(Core *core, Peer *peer, Reference *reference) noexcept nogil:
    peer.referenced -= reference.size
    ring_remove(&reference.of_output)
    block_release(core, reference.block)
    free(reference)


cdef inline void clear_output(Core *core, Peer *peer) noexcept nogil:
    while not ring_is_empty(&peer.references):
        drop_reference(core, peer, reference_at(peer.references.next))
    buffer_clear(&peer.output)
    peer.sent = 0
    cdef int slot
    for slot in range(SLOTS):
        if peer.held[slot].size:
            buffer_clear(&peer.held[slot])
            ring_remove(&peer.of_holds[slot])


cdef inline void copy_output(Peer *peer, char *into) noexcept nogil:
    """Put all that is sendable, references and all, at `into`."""
    cdef Ring *at = peer.references.next
    cdef size_t place = peer.sent
    cdef size_t end = end_of_sendable(peer)
    cdef Reference *reference
    while at != &peer.references and reference_at(at).place <= end:
        reference = reference_at(at)
        if place < reference.place:
            memcpy(into, peer.output.data + place, reference.place - place)
        into += reference.place - place
        place = reference.place
        memcpy(into, reference.data, reference.size)
        into += reference.size
        at = at.next
    if place < end:  # with nothing in it the buffer may not be there at all
        memcpy(into, peer.output.data + place, end - place)


cdef inline void mark_sent(Core *core, Peer *peer, size_t size) noexcept nogil:
    """The socket took so many bytes of what is unsent."""
    cdef Reference *reference
    cdef size_t part
    while not ring_is_empty(&peer.references):
        reference = reference_at(peer.references.next)
        part = min(size, reference.place - peer.sent)
        peer.sent += part
        size -= part
        if peer.sent < reference.place:
            return
        part = min(size, reference.size)
        reference.data += part
        reference.size -= part
        peer.referenced -= part
        size -= part
        if reference.size:
            return
        drop_reference(core, peer, reference)
    peer.sent += size


cdef inline void forget_sent(Peer *peer) noexcept nogil:
    """Cut off what was sent from the front of the peer's own bytes."""
    cdef Ring *at = peer.references.next
    memmove(peer.output.data, peer.output.data + peer.sent, peer.output.size - peer.sent)
    while at != &peer.references:
        reference_at(at).place -= peer.sent
        at = at.next
    cdef int slot
    cdef size_t index
    for slot in range(SLOTS):
        for index in range(peer.held[slot].size // sizeof(size_t)):
            (<size_t *>peer.held[slot].data)[index] -= peer.sent
    peer.output.size -= peer.sent
    peer.sent = 0
