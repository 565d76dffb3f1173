"""A heap of jobs by time. A job knows its place, so that it leaves in O(log n) whenever it ends earlier."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, realloc

from gearcore._state cimport Heap, Job, Timer

cdef enum:
    SMALLEST_HEAP = 16


cdef inline bint is_earlier(const Timer *a, const Timer *b) noexcept nogil:
    """Jobs of the same time come in the order in which they were submitted."""
    if a.time != b.time:
        return a.time < b.time
    return a.job.by_number.hash < b.job.by_number.hash


cdef inline void heap_put(Heap *heap, size_t index, Timer timer) noexcept nogil:
    heap.timers[index] = timer
    timer.job.timer = <uint32_t>index


cdef inline void heap_rise(Heap *heap, size_t index, Timer timer) noexcept nogil:
    cdef size_t parent
    while index > 0:
        parent = (index - 1) // 2
        if not is_earlier(&timer, &heap.timers[parent]):
            break
        heap_put(heap, index, heap.timers[parent])
        index = parent
    heap_put(heap, index, timer)


cdef inline void heap_sink(Heap *heap, size_t index, Timer timer) noexcept nogil:
    cdef size_t child
    while 2 * index + 1 < heap.size:
        child = 2 * index + 1
        if child + 1 < heap.size and is_earlier(&heap.timers[child + 1], &heap.timers[child]):
            child += 1
        if not is_earlier(&heap.timers[child], &timer):
            break
        heap_put(heap, index, heap.timers[child])
        index = child
    heap_put(heap, index, timer)


cdef inline int heap_reserve(Heap *heap) except -1 nogil:
    """Have room for one more, so that pushing it cannot fail."""
    cdef size_t capacity
    cdef Timer *timers
    if heap.size == heap.capacity:
        capacity = max(2 * heap.capacity, <size_t>SMALLEST_HEAP)
        timers = <Timer *>realloc(heap.timers, capacity * sizeof(Timer))
        if timers == NULL:
            with gil:
                raise MemoryError("no memory for another timer")
        heap.timers = timers
        heap.capacity = capacity
    return 0


cdef inline void heap_push(Heap *heap, Job *job, double time) noexcept nogil:
    """Put in a job, after `heap_reserve`."""
    cdef Timer timer
    timer.time = time
    timer.job = job
    heap.size += 1
    heap_rise(heap, heap.size - 1, timer)


cdef inline void heap_remove(Heap *heap, Job *job) noexcept nogil:
    """Take out a job, which must be in the heap."""
    cdef size_t index = job.timer
    cdef Timer last = heap.timers[heap.size - 1]
    heap.size -= 1
    if index < heap.size:
        if index > 0 and is_earlier(&last, &heap.timers[(index - 1) // 2]):
            heap_rise(heap, index, last)
        else:
            heap_sink(heap, index, last)
    if heap.size < heap.capacity // 4:
        heap_shrink(heap)


cdef inline void heap_shrink(Heap *heap) noexcept nogil:
    cdef Timer *timers
    cdef size_t capacity = heap.capacity // 2
    if capacity >= SMALLEST_HEAP:
        timers = <Timer *>realloc(heap.timers, capacity * sizeof(Timer))
        if timers != NULL:
            heap.timers = timers
            heap.capacity = capacity


cdef inline void heap_free(Heap *heap) noexcept nogil:
    free(heap.timers)
    heap.timers = NULL
