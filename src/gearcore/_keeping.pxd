"""Keeping and forgetting jobs: notes for the store of what changes, gathered for the next batch."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from gearcore._buffer cimport Buffer, buffer_extend, buffer_grow
from gearcore._keep cimport KEPT, KEPT_LATE, NOT_KEPT, NO_SLOT, SLOTS, Keep
from gearcore._memory cimport charge
from gearcore._record cimport RECORD_SIZE, RECORD_VERSION, Record
from gearcore._state cimport Core, Job

cdef enum:
    LARGEST_ERROR = 4096        # bytes of what is kept of an error


cdef inline int have_room(Buffer *buffer, size_t size) except -1 nogil:
    """See to it that so many bytes more can be appended without fail."""
    if buffer.capacity - buffer.size < size and not buffer_grow(buffer, size):
        with gil:
            raise MemoryError("no memory to note what the store is to keep")
    return 0


cdef inline size_t record_size(size_t function_size, const Job *job) noexcept nogil:
    return RECORD_SIZE + function_size + job.unique_size + job.reducer_size + job.workload_size


cdef inline void put_record(Core *core, Buffer *buffer, const Job *job, const char *workload, double unix_time) noexcept nogil:
    """Append a job, after `have_room`."""
    cdef Record record
    cdef size_t size = record_size(job.function.name_size, job)
    cdef char *at = buffer_extend(buffer, size)
    record.size = <uint32_t>size
    record.version = RECORD_VERSION
    record.priority = job.priority
    record.unique_size = job.unique_size
    record.reducer_size = job.reducer_size
    record.function_size = <uint16_t>job.function.name_size
    record.unused = 0
    record.tries = job.failures
    record.number = job.by_number.hash
    record.unix_time = unix_time
    memcpy(at, &record, RECORD_SIZE)
    at += RECORD_SIZE
    memcpy(at, job.function.name, job.function.name_size)
    at += job.function.name_size
    memcpy(at, job.content, <size_t>job.unique_size + job.reducer_size)
    at += <size_t>job.unique_size + job.reducer_size
    memcpy(at, workload, job.workload_size)
    core.keep.charged += size
    charge(core, size)


cdef inline int slot_of(const Core *core, const Job *job) noexcept nogil:
    """The batch that a job is to be stored with, or NO_SLOT if it is stored, or not to be stored at all."""
    cdef const Keep *keep = core.keep
    if keep == NULL or job.kept == NOT_KEPT:
        return NO_SLOT
    if job.kept >= KEPT_LATE:
        return job.kept - KEPT_LATE
    if job.by_number.hash > keep.taken:
        return keep.slot
    if job.by_number.hash > keep.settled:
        return SLOTS - 1 - keep.slot
    return NO_SLOT


cdef inline void note(Buffer *buffer, uint64_t number) noexcept nogil:
    """Append a number. Without memory for it the store knows less: a job may then run once more."""
    cdef char *at = buffer_extend(buffer, sizeof(number))
    if at != NULL:
        memcpy(at, &number, sizeof(number))


cdef inline void unforget(Keep *keep, uint64_t number) noexcept nogil:
    """A job is to be kept after all, of which a batch that failed left it open whether it was."""
    cdef uint64_t *numbers = <uint64_t *>keep.forgotten.data
    cdef size_t at
    for at in range(keep.forgotten.size // sizeof(uint64_t)):
        if numbers[at] == number:
            numbers[at] = 0             # the number of no job


cdef inline void let_wait(Core *core) noexcept nogil:
    """Something is noted that need not be stored at once: see `keep_deadline`."""
    if core.keep.forgotten.size == 0 and core.keep.tries.size == 0:
        core.keep.waits_since = core.now


cdef inline void forget_kept(Core *core, Job *job) noexcept nogil:
    """Have the store forget a job, if it is to keep it."""
    if job.kept != NOT_KEPT:
        job.kept = NOT_KEPT
        let_wait(core)
        note(&core.keep.forgotten, job.by_number.hash)


cdef inline void note_tries(Core *core, const Job *job) noexcept nogil:
    if job.kept != NOT_KEPT:
        let_wait(core)
        note(&core.keep.tries, job.by_number.hash)
        note(&core.keep.tries, job.failures)
