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


cdef inline bint buffer_grow(Buffer *buffer, size_t needed) noexcept nogil:
    """Return whether there is memory for that."""
    cdef size_t capacity = max(2 * buffer.capacity, buffer.size + needed, <size_t>SMALLEST_BUFFER)
    cdef char *data = <char *>realloc(buffer.data, capacity)
    if data == NULL:
        return False
    buffer.data = data
    buffer.capacity = capacity
    return True


cdef inline char *buffer_extend(Buffer *buffer, size_t size) noexcept nogil:
    """Make room for `size` bytes more, count them as written, and return where they go, or NULL."""
    if buffer.capacity - buffer.size < size or buffer.data == NULL:
        if not buffer_grow(buffer, size):
            return NULL
    buffer.size += size
    return buffer.data + buffer.size - size


cdef inline int buffer_append(Buffer *buffer, const char *data, size_t size) except -1 nogil:
    cdef char *into = buffer_extend(buffer, size)
    if into == NULL:
        with gil:
            raise MemoryError(f"no memory for {size} bytes more in a connection's buffer")
    memcpy(into, data, size)
    return 0
