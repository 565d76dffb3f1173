"""From a packet to the function that handles it, by a table that `_broker.pyx` fills from the packet table."""

from libc.stdint cimport uint32_t
from libc.stdio cimport snprintf

from gearcore._packets cimport Handler, Packet, refuse
from gearcore._state cimport Core, Peer
from gearcore._wire cimport PT_LIMIT, REQUEST_MAGIC, split_arguments


cdef struct Rule:
    Handler handler                     # NULL for what no peer may send
    int arguments
    bint payload_optional
    bint known
    const char *too_few                 # the text of the refusal


cdef inline int handle(Core *core, Peer *peer, uint32_t magic, Packet *packet) except -1 nogil:
    """Give a whole packet to its handler, or refuse it; the stream goes on in either case."""
    cdef const Rule *rule = <const Rule *>core.packets + packet.type
    cdef char[64] text
    cdef int found
    if packet.type >= PT_LIMIT or not rule.known:
        snprintf(text, sizeof(text), b"There is no packet type %u", packet.type)
        return refuse(core, peer, b"INVALID_COMMAND", text)
    if magic != REQUEST_MAGIC:
        return refuse(core, peer, b"INVALID_MAGIC", b"Request magic expected")
    if rule.handler == NULL:
        return refuse(core, peer, b"INVALID_COMMAND", b"Command not expected")
    found = split_arguments(packet.body, packet.size, rule.arguments, &packet.args)
    if found < rule.arguments:
        if not rule.payload_optional or found < rule.arguments - 1:
            return refuse(core, peer, b"INVALID_PACKET", rule.too_few)
        packet.args.start[found] = b""
        packet.args.size[found] = 0
    return rule.handler(core, peer, packet)
