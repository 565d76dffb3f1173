"""What the handlers of packets share: the packet as they get it, refusals, and the readings of arguments.

A handler gets the packet's body, already split into as many arguments as the packet table says, and
answers by appending to the output of whichever peers it concerns.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport strlen

from gearcore._functions cimport find_function
from gearcore._replies cimport put, put_argument, start_reply
from gearcore._state cimport MAX_FUNCTION_SIZE, Block, Core, Peer
from gearcore._wire cimport PT_ERROR, Args


cdef struct Packet:
    uint32_t type
    const char *body
    size_t size
    Block *block                # that the body lies in; NULL if it does not outlive the handler
    Args args


ctypedef int (*Handler)(Core *core, Peer *peer, const Packet *packet) except -1 nogil


cdef inline int refuse(Core *core, Peer *peer, const char *code, const char *text) except -1 nogil:
    """Answer with an ERROR packet; codes and texts are gearmand's wherever it has one for the case."""
    cdef size_t code_size = strlen(code)
    cdef size_t text_size = strlen(text)
    cdef char *at = start_reply(core, peer, PT_ERROR, code_size + 1 + text_size)
    if at != NULL:
        put(put_argument(at, code, code_size), text, text_size)
    return 0


cdef inline bint is_permitted(Peer *peer, const char *action, const char *name, size_t size) except -1 nogil:
    """Ask the peer's access list, if it has one, whether it may do this to that function."""
    if peer.access == NULL:
        return True
    with gil:
        return (<object>peer.access)(action.decode(), name[:size])


cdef inline bint has_room(
    Core *core, Peer *peer, const char *function, size_t function_size, size_t more
) except -1 nogil:
    """Whether the bounds allow that function, and `more` bytes; refuse the packet if they do not."""
    if function_size > MAX_FUNCTION_SIZE:
        refuse(core, peer, b"ARGUMENT_TOO_LARGE", b"The name of a function is limited to 8191 bytes")
        return False
    if (
        core.functions.count >= core.rules.max_functions
        and find_function(core, function, function_size) == NULL
    ):
        refuse(core, peer, b"QUEUE_ERROR", b"There are as many functions as this server takes")
        return False
    if core.memory + more > core.rules.max_memory:
        refuse(core, peer, b"QUEUE_ERROR", b"The memory that this server may use is full")
        return False
    return True


cdef inline size_t size_without_nul(const char *data, size_t size) noexcept nogil:
    """Some peers end the only argument of a packet with a NUL."""
    return size - 1 if size > 0 and data[size - 1] == 0 else size


cdef inline bint is_printable(const char *text, size_t size) noexcept nogil:
    cdef size_t at
    for at in range(size):
        if not c' ' <= text[at] <= c'~':
            return False
    return True


cdef inline size_t start_of_number(const char *text, size_t size) noexcept nogil:
    """Where the digits may begin: behind white space and a plus sign, as C's own functions have it."""
    cdef size_t at = 0
    while at < size and (text[at] == c' ' or c'\t' <= text[at] <= c'\r'):
        at += 1
    return at + 1 if at < size and text[at] == c'+' else at


cdef inline uint32_t parse_number(const char *text, size_t size) noexcept nogil:
    """The decimal number that a text starts with, up to 32 bits; 0 if it starts with none."""
    cdef uint64_t number = 0
    cdef size_t at = start_of_number(text, size)
    while at < size and c'0' <= text[at] <= c'9':
        number = min(10 * number + <uint64_t>(text[at] - c'0'), <uint64_t>0xFFFFFFFF)
        at += 1
    return <uint32_t>number
