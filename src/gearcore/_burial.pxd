"""Dead letters: jobs that are not run any more, and that the store keeps with what became of them."""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, strlen

from cpython.bytes cimport PyBytes_FromStringAndSize

from gearcore._buffer cimport Buffer, buffer_grow
from gearcore._jobs cimport job_workload
from gearcore._keep cimport NOT_KEPT
from gearcore._keeping cimport LARGEST_ERROR, put_record, record_size
from gearcore._state cimport Core, Job

cdef enum:
    DIED_SIZE = 12              # Unix time and the size of the error, in front of the error and the record


cdef inline void bury(Core *core, Job *job, const char *error, size_t size) noexcept nogil:
    """Note a job that the store keeps as a dead letter, before it is destroyed."""
    bury_with(core, job, b"", error, size)


cdef inline void bury_with(
    Core *core, Job *job, const char *kind, const char *error, size_t size
) noexcept nogil:
    """The same, with an error that begins with its kind. Without memory for it the letter is lost."""
    cdef size_t kind_size = strlen(kind)
    cdef Buffer *died
    cdef double died_at = core.now + core.unix_offset
    cdef uint32_t error_size
    cdef size_t needed
    if job.kept == NOT_KEPT:
        return
    size = min(size, <size_t>LARGEST_ERROR)
    error_size = <uint32_t>(kind_size + size)
    died = &core.keep.died
    needed = DIED_SIZE + error_size + record_size(job.function.name_size, job)
    if died.capacity - died.size < needed and not buffer_grow(died, needed):
        return
    memcpy(died.data + died.size, &died_at, sizeof(died_at))
    memcpy(died.data + died.size + sizeof(died_at), &error_size, sizeof(error_size))
    memcpy(died.data + died.size + DIED_SIZE, kind, kind_size)
    memcpy(died.data + died.size + DIED_SIZE + kind_size, error, size)
    died.size += DIED_SIZE + error_size
    put_record(core, died, job, job_workload(job), 0)


cdef inline int bury_failed(
    Core *core, Job *job, const char *kind, const char *error, size_t size
) except -1 nogil:
    """The same for a job that its worker gave up, if those of its function are to be kept."""
    if job.kept == NOT_KEPT or core.keep.keeps_failed == NULL:
        return 0
    with gil:
        keeps = <object>core.keep.keeps_failed
        if keeps is not True and PyBytes_FromStringAndSize(job.function.name, job.function.name_size) not in keeps:
            return 0
    job.failures += 1
    bury_with(core, job, kind, error, size)
    return 0
