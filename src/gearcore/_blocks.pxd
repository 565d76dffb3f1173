"""Large payloads: each lies in one block of memory, however many jobs and outputs it is part of.

A block is the memory in which a packet was received, taken over as it is. A job's workload and what is to be
written to a peer refer to it, so that a large payload is copied by the kernel alone.
"""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from gearcore._buffer cimport Buffer, buffer_free
from gearcore._memory cimport charge, discharge
from gearcore._state cimport Block, Core

cdef enum:
    LARGE = 32 * 1024           # bytes from which a payload is shared, and below which it is copied


cdef inline Block *block_of_buffer(Core *core, Buffer *buffer) except NULL nogil:
    """Take over what a buffer holds, whose capacity is charged, and leave the buffer empty."""
    cdef Block *block = <Block *>malloc(sizeof(Block))
    cdef char *fitting
    if block == NULL:
        discharge(core, buffer.capacity)
        buffer_free(buffer)
        with gil:
            raise MemoryError("no memory to keep a large payload")
    if buffer.capacity - buffer.size > buffer.size // 8:
        fitting = <char *>realloc(buffer.data, buffer.size)
        if fitting != NULL:
            discharge(core, buffer.capacity - buffer.size)
            buffer.data = fitting
            buffer.capacity = buffer.size
    block.holders = 1
    block.size = buffer.capacity
    block.data = buffer.data
    charge(core, sizeof(Block))
    buffer.data = NULL
    buffer.size = 0
    buffer.capacity = 0
    return block


cdef inline Block *block_of_copy(Core *core, const char *data, size_t size) except NULL nogil:
    cdef Buffer buffer
    buffer.data = <char *>malloc(size)
    if buffer.data == NULL:
        with gil:
            raise MemoryError(f"no memory for a payload of {size} bytes")
    buffer.size = size
    buffer.capacity = size
    memcpy(buffer.data, data, size)
    charge(core, size)
    return block_of_buffer(core, &buffer)


cdef inline Block *block_hold(Block *block) noexcept nogil:
    block.holders += 1
    return block


cdef inline void block_release(Core *core, Block *block) noexcept nogil:
    block.holders -= 1
    if block.holders == 0:
        discharge(core, block.size + sizeof(Block))
        free(block.data)
        free(block)
