"""A growing run of bytes: a connection's unsent output, or its unfinished input."""

from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

cdef enum:
    SMALLEST_BUFFER = 512
    LARGEST_KEPT_BUFFER = 4096      # an emptied buffer above this is given back: most connections are idle


cdef struct Buffer:
    char *data
    size_t size
    size_t capacity


cdef inline void buffer_free(Buffer *buffer) noexcept nogil:
    free(buffer.data)
    buffer.data = NULL
    buffer.size = 0
    buffer.capacity = 0


cdef inline void buffer_clear(Buffer *buffer) noexcept nogil:
    buffer.size = 0
    if buffer.capacity > LARGEST_KEPT_BUFFER:
        buffer_free(buffer)


cdef inline char *buffer_reserve(Buffer *buffer, size_t size) except NULL nogil:
    """Make room for exactly `size` bytes more, and return where they would go."""
    cdef char *data = buffer.data
    if buffer.capacity - buffer.size < size or data == NULL:
        data = <char *>realloc(data, buffer.size + size)
        if data == NULL:
            with gil:
                raise MemoryError(f"no memory for {buffer.size + size} bytes of a connection's buffer")
        buffer.data = data
        buffer.capacity = buffer.size + size
    return data + buffer.size


cdef inline int buffer_grow(Buffer *buffer, size_t needed) except -1 nogil:
    cdef size_t capacity = max(2 * buffer.capacity, buffer.size + needed, <size_t>SMALLEST_BUFFER)
    cdef char *data = <char *>realloc(buffer.data, capacity)
    if data == NULL:
        with gil:
            raise MemoryError(f"no memory for {capacity} bytes of a connection's buffer")
    buffer.data = data
    buffer.capacity = capacity
    return 0


cdef inline char *buffer_extend(Buffer *buffer, size_t size) except NULL nogil:
    """Make room for `size` bytes more, count them as written, and return where they go."""
    if buffer.capacity - buffer.size < size or buffer.data == NULL:
        buffer_grow(buffer, size)
    buffer.size += size
    return buffer.data + buffer.size - size


cdef inline int buffer_append(Buffer *buffer, const char *data, size_t size) except -1 nogil:
    memcpy(buffer_extend(buffer, size), data, size)
    return 0
