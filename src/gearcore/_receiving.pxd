"""From bytes to packets and lines, however they are cut: what is unfinished is kept until the rest comes."""

from libc.stdint cimport uint32_t
from libc.stdio cimport snprintf
from libc.string cimport memchr, strlen

from gearcore._blocks cimport LARGE, block_of_buffer, block_release
from gearcore._buffer cimport Buffer, buffer_append, buffer_clear, buffer_reserve
from gearcore._dispatch cimport handle
from gearcore._memory cimport charge, discharge
from gearcore._output cimport unsent
from gearcore._packets cimport Packet, refuse
from gearcore._replies cimport overflow, touch
from gearcore._state cimport Block, Core, Peer
from gearcore._wire cimport HEADER_SIZE, REQUEST_MAGIC, RESPONSE_MAGIC, read_u32

cdef enum:
    MAX_LINE_SIZE = 8192                # of an admin command, as in gearmand
    FIRST_PART = 256 * 1024             # of a large packet; memory for more is taken as it comes


cdef inline size_t consume(Core *core, Peer *peer, const char *data, size_t size) except? 0 nogil:
    """Handle the packets at the start of `data`, and return how many bytes they took.

    Stops in front of what is not there as a whole yet, in front of a line of text, and when the peer is to
    be closed.
    """
    cdef const char *at = data
    cdef const char *end = data + size
    cdef uint32_t magic
    cdef size_t body_size
    cdef char[128] text
    cdef Packet packet
    while end - at >= 4 and at[0] == 0 and not peer.closing:
        magic = read_u32(at)
        if magic != REQUEST_MAGIC and magic != RESPONSE_MAGIC:
            refuse(core, peer, b"INVALID_MAGIC", b"A packet starts with \\0REQ; what came cannot be read")
            peer.closing = True
            break
        if end - at < HEADER_SIZE:
            break
        body_size = read_u32(at + 8)
        if body_size > core.rules.max_packet_size:
            snprintf(
                text, sizeof(text), b"A packet of %zu bytes is larger than the %zu that this server takes",
                body_size, core.rules.max_packet_size,
            )
            refuse(core, peer, b"ARGUMENT_TOO_LARGE", text)
            peer.discarding = body_size
            return at + HEADER_SIZE - data
        if <size_t>(end - at) < HEADER_SIZE + body_size:
            break
        packet.type = read_u32(at + 4)
        packet.body = at + HEADER_SIZE
        packet.size = body_size
        packet.block = NULL
        handle(core, peer, magic, &packet)
        at += HEADER_SIZE + body_size
    return at - data


cdef inline size_t missing(const Buffer *input) noexcept nogil:
    """How many bytes an unfinished packet lacks until its next part can be judged: magic, header, body."""
    if input.size < 4:
        return 4 - input.size
    if input.size < HEADER_SIZE:
        return HEADER_SIZE - input.size
    return HEADER_SIZE + read_u32(input.data + 8) - input.size


cdef inline int receive_bytes(Core *core, Peer *peer, const char *data, size_t size) except -1 nogil:
    """Take bytes as they came from a peer: any part of any number of packets and lines."""
    cdef size_t used
    enter(peer)
    try:
        while size and not peer.closing:
            if peer.discarding:
                used = min(peer.discarding, size)
                peer.discarding -= used
            elif peer.input.size:
                used = top_up(core, peer, data, size)
            else:
                used = consume(core, peer, data, size)
                if not used and not peer.closing:
                    used = set_aside(core, peer, data, size)
            data += used
            size -= used
    finally:
        peer.receiving = False
    return 0


cdef inline size_t top_up(Core *core, Peer *peer, const char *data, size_t size) except? 0 nogil:
    """Add to the unfinished packet or line no more than it lacks, and handle it when it is whole."""
    cdef size_t used
    if peer.input.data[0] != 0:
        return set_aside(core, peer, data, size)
    used = min(missing(&peer.input), size)
    if keep(core, peer, data, used):
        finish_packet(core, peer)
    return used


cdef inline int finish_packet(Core *core, Peer *peer) except -1 nogil:
    """Judge the unfinished packet as far as it goes, and handle it if it is whole."""
    cdef Buffer *input = &peer.input
    if input.size >= HEADER_SIZE + LARGE and missing(input) == 0:
        handle_large(core, peer)
    elif consume(core, peer, input.data, input.size):
        let_go(core, peer)
    return 0


cdef inline int handle_large(Core *core, Peer *peer) except -1 nogil:
    """Handle the packet that the input holds, in memory that who wants to keep some of it can hold."""
    cdef Block *block = block_of_buffer(core, &peer.input)
    cdef Packet packet
    packet.type = read_u32(block.data + 4)
    packet.body = block.data + HEADER_SIZE
    packet.size = read_u32(block.data + 8)
    packet.block = block
    peer.sends_large = True
    try:
        handle(core, peer, read_u32(block.data), &packet)
    finally:
        block_release(core, block)
    return 0


cdef inline size_t room_for_packet(Core *core, Peer *peer, char **room) except? 0 nogil:
    """Where a driver can put the next bytes of an unfinished large packet, at the most so many.

    0 if there is no such packet, or no memory for it: the bytes are to be given to `receive_bytes` then. Otherwise
    the driver calls `took_bytes` when they are in place.
    """
    cdef Buffer *input = &peer.input
    cdef size_t before = input.capacity
    cdef size_t rest
    if input.size < HEADER_SIZE or input.data[0] != 0:
        return 0
    rest = missing(input)
    if rest < LARGE // 2 or core.memory + rest > core.rules.max_memory:
        return 0
    rest = min(rest, max(input.size, <size_t>FIRST_PART))
    room[0] = buffer_reserve(input, rest)
    charge(core, input.capacity - before)
    return rest


cdef inline int took_bytes(Core *core, Peer *peer, size_t size) except -1 nogil:
    """A driver put so many bytes where `room_for_packet` said."""
    peer.input.size += size
    enter(peer)
    try:
        finish_packet(core, peer)
    finally:
        peer.receiving = False
    return 0


cdef inline int enter(Peer *peer) except -1 nogil:
    if peer.receiving:
        with gil:
            raise RuntimeError("a connection cannot receive while it answers what it received")
    peer.receiving = True
    return 0


cdef inline size_t set_aside(Core *core, Peer *peer, const char *data, size_t size) except? 0 nogil:
    """Keep what is unfinished: a packet's header, or up to the end of a line, which is then answered."""
    cdef Buffer *input = &peer.input
    cdef const char *newline = NULL
    cdef const char *text = b"ERR ARGUMENT_TOO_LARGE A+line+of+text+is+limited+to+8192+bytes\r\n"
    cdef bint is_text = (input.data[0] if input.size else data[0]) != 0
    if is_text:
        newline = <const char *>memchr(data, c'\n', size)
        if newline != NULL:
            size = newline - data + 1
        if input.size + size - (newline != NULL) > MAX_LINE_SIZE:
            put_text(core, peer, text, strlen(text))
            peer.closing = True
            return size
    else:
        size = min(size, <size_t>HEADER_SIZE)   # there has to be room for the rest
    keep(core, peer, data, size)
    if newline != NULL:
        core.answer_line(core, peer)
    return size


cdef inline bint keep(Core *core, Peer *peer, const char *data, size_t size) except -1 nogil:
    """Add to the unfinished input. Without memory for it, refuse the packet and pass over the rest."""
    cdef Buffer *input = &peer.input
    cdef size_t before = input.capacity
    if core.memory + size > core.rules.max_memory and input.size >= HEADER_SIZE and input.data[0] == 0:
        refuse(core, peer, b"QUEUE_ERROR", b"The memory that this server may use is full")
        peer.discarding = missing(input) - size
        let_go(core, peer)
        return False
    buffer_append(input, data, size)
    charge(core, input.capacity - before)
    return True


cdef inline void let_go(Core *core, Peer *peer) noexcept nogil:
    """Forget the unfinished input, and count the memory that comes free."""
    cdef size_t before = peer.input.capacity
    buffer_clear(&peer.input)
    discharge(core, before - peer.input.capacity)


cdef inline int put_text(Core *core, Peer *peer, const char *text, size_t size) except -1 nogil:
    if unsent(peer) > core.rules.max_output:
        overflow(core, peer)
    buffer_append(&peer.output, text, size)
    touch(core, peer)
    return 0
