"""The account of what peers make the broker keep, and giving memory back when most of it came free."""

from gearcore._state cimport Core

cdef extern from *:
    """
    #include <stdlib.h>
    #if defined(__GLIBC__)
    #include <malloc.h>
    #define gearcore_trim() ((void)malloc_trim(0))
    #define gearcore_retain(size) (mallopt(M_TRIM_THRESHOLD, size) && mallopt(M_MMAP_THRESHOLD, size))
    #else
    #define gearcore_trim() ((void)0)  /* other allocators give free pages back by themselves */
    #define gearcore_retain(size) 0
    #endif
    """
    void gearcore_trim() noexcept nogil
    bint gearcore_retain(int size) noexcept nogil

cdef enum:
    WORTH_A_TRIM = 32 * 1024 * 1024     # bytes that must have come free since the last one


cdef inline void charge(Core *core, size_t size) noexcept nogil:
    core.memory += size
    if core.memory > core.memory_peak:
        core.memory_peak = core.memory


cdef inline void discharge(Core *core, size_t size) noexcept nogil:
    core.memory -= size
    if core.memory < core.memory_peak // 4 and core.memory_peak > WORTH_A_TRIM:
        core.memory_peak = core.memory
        gearcore_trim()
