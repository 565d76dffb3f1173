"""Jobs: their memory, their handles, and the two tables in which they are found."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from gearcore._blocks cimport LARGE, block_hold, block_of_copy, block_release
from gearcore._keep cimport NOT_KEPT
from gearcore._keeping cimport forget_kept
from gearcore._memory cimport charge, discharge
from gearcore._ring cimport Ring, ring_init, ring_push_back, ring_remove
from gearcore._siphash cimport siphash
from gearcore._state cimport MAX_HANDLE_SIZE, QUEUED, Apart, Block, Core, Function, Job, Peer, Watch
from gearcore._table cimport Link, table_add, table_first, table_next, table_remove


# What a client says of a job, pointing into its packet.
cdef struct Submission:
    const char *function
    size_t function_size
    const char *unique
    size_t unique_size
    const char *reducer
    size_t reducer_size
    const char *workload
    size_t workload_size
    Block *block                # that the workload lies in; NULL if it does not outlive the packet
    uint8_t priority
    bint background
    double unix_time            # not to be run before; 0 for at once


cdef inline Job *job_at(Ring *place) noexcept nogil:
    return <Job *>(<char *>place - <size_t>&(<Job *>NULL).place)


cdef inline Job *job_of_unique(Link *link) noexcept nogil:
    return <Job *>(<char *>link - <size_t>&(<Job *>NULL).by_unique)


cdef inline Watch *watch_of_job(Ring *ring) noexcept nogil:
    return <Watch *>ring                        # Watch.of_job comes first


cdef inline Watch *watch_of_client(Ring *ring) noexcept nogil:
    return <Watch *>(<char *>ring - <size_t>&(<Watch *>NULL).of_client)


cdef inline char *job_reducer(Job *job) noexcept nogil:
    return job.content + job.unique_size


cdef inline Apart job_apart(Job *job) noexcept nogil:
    """Where the workload lies. Only for a large one."""
    cdef Apart apart
    memcpy(&apart, job.content + job.unique_size + job.reducer_size, sizeof(Apart))
    return apart


cdef inline const char *job_workload(Job *job) noexcept nogil:
    if job.workload_size >= LARGE:
        return job_apart(job).workload
    return job.content + job.unique_size + job.reducer_size


cdef inline bint is_workload_unique(const char *unique, size_t size) noexcept nogil:
    """A unique id of "-" stands for the workload, as in gearmand."""
    return size == 1 and unique[0] == c'-'


cdef inline bint same_bytes(const char *a, size_t a_size, const char *b, size_t b_size) noexcept nogil:
    return a_size == b_size and memcmp(a, b, a_size) == 0


cdef inline Job *find_job(Core *core, uint64_t number) noexcept nogil:
    return <Job *>table_first(&core.jobs, number)   # Job.by_number comes first; numbers are unique


cdef inline bint coalesces_on(Job *job, const char *bytes, size_t size) noexcept nogil:
    """Whether those are the bytes that a job is found by: its unique, or its workload if that was "-"."""
    if job.unique_is_workload:
        return same_bytes(job_workload(job), job.workload_size, bytes, size)
    return same_bytes(job.content, job.unique_size, bytes, size)


cdef inline uint64_t hash_asked(Core *core, const Submission *asked) noexcept nogil:
    """The hash of what the job of a submission is found by: its unique, or its workload if that is "-"."""
    if is_workload_unique(asked.unique, asked.unique_size):
        return siphash(&core.key, asked.workload, asked.workload_size)
    return siphash(&core.key, asked.unique, asked.unique_size) if asked.unique_size else 0


cdef inline Job *find_twin(
    Core *core, Function *function, const Submission *asked, uint64_t hash
) noexcept nogil:
    """The unfinished job that a submission joins, if any. ``hash`` is that of `hash_asked`.

    A plain unique joins a job with that unique. "-" joins a job with the same workload, if that was submitted
    with "-" too or has its workload for its unique. An empty unique, or an empty workload with "-", joins
    nothing.
    """
    cdef bint by_workload = is_workload_unique(asked.unique, asked.unique_size)
    cdef const char *sought = asked.workload if by_workload else asked.unique
    cdef size_t size = asked.workload_size if by_workload else asked.unique_size
    cdef Link *link
    cdef Job *job
    if size == 0:
        return NULL
    link = table_first(&core.uniques, hash)
    while link != NULL:
        job = job_of_unique(link)
        if (
            job.function == function
            and coalesces_on(job, sought, size)
            and by_workload >= job.unique_is_workload
        ):
            if not by_workload or same_bytes(job_workload(job), job.workload_size, sought, size):
                return job
        link = table_next(link)
    return NULL


cdef inline Job *find_by_unique(Core *core, const char *unique, size_t size) noexcept nogil:
    """A job with this unique, of whichever function."""
    cdef Link *link
    cdef Job *job
    if size == 0:
        return NULL
    link = table_first(&core.uniques, siphash(&core.key, unique, size))
    while link != NULL:
        job = job_of_unique(link)
        if not job.unique_is_workload and same_bytes(job.content, job.unique_size, unique, size):
            return job
        link = table_next(link)
    return NULL


cdef inline size_t job_size(size_t unique_size, size_t reducer_size, size_t workload_size) noexcept nogil:
    """The size of the job itself, without a large workload."""
    return sizeof(Job) + unique_size + reducer_size + (
        workload_size if workload_size < LARGE else sizeof(Apart)
    )


cdef inline int keep_apart(Core *core, const Submission *asked, Apart *apart) except -1 nogil:
    """See to it that a large workload outlives its packet."""
    if asked.block != NULL:
        apart.block = block_hold(asked.block)
        apart.workload = asked.workload
    else:
        apart.block = block_of_copy(core, asked.workload, asked.workload_size)
        apart.workload = apart.block.data
    return 0


cdef inline Job *create_job(
    Core *core, Function *function, const Submission *asked, uint64_t hash
) except NULL nogil:
    """A job of its own for a submission: numbered and to be found, in no queue yet.

    ``hash`` is that of `hash_asked`.
    """
    cdef size_t size = job_size(asked.unique_size, asked.reducer_size, asked.workload_size)
    cdef Apart apart
    if asked.workload_size >= LARGE:
        keep_apart(core, asked, &apart)
    cdef Job *job = <Job *>malloc(size)
    if job == NULL:
        if asked.workload_size >= LARGE:
            block_release(core, apart.block)
        with gil:
            raise MemoryError(f"no memory for a job with a workload of {asked.workload_size} bytes")
    ring_init(&job.place)
    ring_init(&job.watches)
    job.state = QUEUED
    job.function = function
    job.worker = NULL
    job.numerator = 0
    job.denominator = 0
    job.failures = 0
    job.timed = False
    job.kept = NOT_KEPT
    job.workload_size = <uint32_t>asked.workload_size
    job.unique_size = <uint8_t>asked.unique_size
    job.reducer_size = <uint8_t>asked.reducer_size
    job.priority = asked.priority
    job.background = asked.background
    job.unique_is_workload = is_workload_unique(asked.unique, asked.unique_size)
    job.coalesces = asked.workload_size > 0 if job.unique_is_workload else asked.unique_size > 0
    memcpy(job.content, asked.unique, asked.unique_size)
    memcpy(job_reducer(job), asked.reducer, asked.reducer_size)
    if asked.workload_size >= LARGE:
        memcpy(job_reducer(job) + job.reducer_size, &apart, sizeof(Apart))
    else:
        memcpy(job_reducer(job) + job.reducer_size, asked.workload, asked.workload_size)
    charge(core, size)
    core.last_number += 1
    table_add(&core.jobs, &job.by_number, core.last_number)
    if job.coalesces:
        table_add(&core.uniques, &job.by_unique, hash)
    return job


cdef inline void free_watch(Core *core, Watch *watch) noexcept nogil:
    discharge(core, sizeof(Watch))
    ring_remove(&watch.of_job)
    ring_remove(&watch.of_client)
    free(watch)


cdef inline void free_job(Core *core, Job *job) noexcept nogil:
    if job.workload_size >= LARGE:
        block_release(core, job_apart(job).block)
    discharge(core, job_size(job.unique_size, job.reducer_size, job.workload_size))
    free(job)


cdef inline void destroy_job(Core *core, Job *job) noexcept nogil:
    """Forget a job that is in no queue and with no worker any more."""
    while job.watches.next != &job.watches:
        free_watch(core, watch_of_job(job.watches.next))
    forget_kept(core, job)
    table_remove(&core.jobs, &job.by_number)
    forget_unique(core, job)
    free_job(core, job)


cdef inline void forget_unique(Core *core, Job *job) noexcept nogil:
    """Let nothing join this job any more."""
    if job.coalesces:
        table_remove(&core.uniques, &job.by_unique)
        job.coalesces = False


cdef inline bint watch_job(Core *core, Job *job, Peer *client) noexcept nogil:
    """Note that a client waits for a job; return whether there is memory for that."""
    cdef Watch *watch = <Watch *>malloc(sizeof(Watch))
    if watch == NULL:
        return False
    charge(core, sizeof(Watch))
    watch.job = job
    watch.client = client
    ring_push_back(&job.watches, &watch.of_job)
    ring_push_back(&client.watches, &watch.of_client)
    return True


cdef inline uint64_t parse_handle(const Core *core, const char *handle, size_t size) noexcept nogil:
    """The job number in a handle exactly as `format_handle` writes it; 0, which no job has, for any other."""
    cdef uint64_t number = 0
    cdef size_t at = core.prefix_size
    if size <= at or size > MAX_HANDLE_SIZE or memcmp(handle, core.prefix, at) != 0 or handle[at] == c'0':
        return 0
    if size - at > 19:              # more digits than a 64-bit number surely holds
        return 0
    while at < size:
        if handle[at] < c'0' or handle[at] > c'9':
            return 0
        number = 10 * number + <uint64_t>(handle[at] - c'0')
        at += 1
    return number
