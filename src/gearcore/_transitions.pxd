"""A job's way through its states, one function for each step; nothing else changes them or their counts.

    created --enqueue--> QUEUED --assign--> RUNNING --finish--> gone
       |                  ^  |                 |
       |              mature |              fail_run --> QUEUED again, or gone
       +------delay--> DELAYED     `abandon` and `cancel` may end a job in any state

No step fails: what it needs memory for is to be there before it is taken.
"""

from libc.stdint cimport uint32_t
from libc.string cimport strlen

from gearcore._burial cimport bury
from gearcore._functions cimport first_priority
from gearcore._heap cimport heap_push, heap_remove
from gearcore._jobs cimport destroy_job, forget_unique, free_watch, watch_of_client, watch_of_job
from gearcore._keeping cimport forget_kept, note_tries
from gearcore._replies cimport format_handle, reply
from gearcore._ring cimport Ring, ring_is_empty, ring_push_back, ring_push_front, ring_remove
from gearcore._sleepers cimport wake_workers
from gearcore._state cimport DELAYED, MAX_HANDLE_SIZE, QUEUED, RUNNING, Core, Function, Job, Peer
from gearcore._wire cimport PT_WORK_FAIL


# Macros, since a .pxd alone can hold no constant that is not an integer. They are what dead letters tell.
cdef extern from *:
    """
    #define GEARCORE_TOO_LONG "it took longer than its worker allowed"
    #define GEARCORE_VANISHED "its worker vanished, or gave the function up"
    """
    const char *TOO_LONG "GEARCORE_TOO_LONG"
    const char *VANISHED "GEARCORE_VANISHED"


cdef inline int enqueue(Core *core, Job *job) noexcept nogil:
    """Put a job at the end of its queue and wake who may want it."""
    cdef Function *function = job.function
    job.state = QUEUED
    ring_push_back(&function.queues[job.priority], &job.place)
    if function.queued[job.priority] == 0:
        core.ready_count[job.priority] += 1
        if job.priority < first_priority(function):
            ring_remove(&function.of_ready)
            ring_push_back(&core.ready, &function.of_ready)
            core.news += 1
            function.news = core.news
    function.queued[job.priority] += 1
    function.waiting += 1
    return wake_workers(core, function)


cdef inline int delay(Core *core, Job *job, double unix_time) noexcept nogil:
    """Keep a job until its time has come; there is to be room in the heap."""
    heap_push(&core.delayed, job, unix_time)
    job.state = DELAYED
    job.function.delayed += 1
    return 0


cdef inline int mature(Core *core, Job *job) noexcept nogil:
    """The time of a delayed job has come."""
    heap_remove(&core.delayed, job)
    job.function.delayed -= 1
    return enqueue(core, job)


cdef inline int assign(Core *core, Job *job, Peer *worker, uint32_t timeout) noexcept nogil:
    """Hand a queued job to a worker, for at most `timeout` milliseconds, or for as long as it takes if 0.

    For a timeout there is to be room in the heap.
    """
    if timeout:
        heap_push(&core.timeouts, job, core.now + timeout / 1000.0)
        job.timed = True
    unqueue(core, job)
    job.state = RUNNING
    job.worker = worker
    job.function.running += 1
    ring_push_front(&worker.running, &job.place)
    return 0


cdef inline void unqueue(Core *core, Job *job) noexcept nogil:
    cdef Function *function = job.function
    ring_remove(&job.place)
    function.waiting -= 1
    function.queued[job.priority] -= 1
    if function.queued[job.priority] == 0:
        core.ready_count[job.priority] -= 1
        if function.waiting == 0:
            ring_remove(&function.of_ready)


cdef inline void release(Core *core, Job *job) noexcept nogil:
    """Take a running job from its worker."""
    if job.timed:
        heap_remove(&core.timeouts, job)
        job.timed = False
    ring_remove(&job.place)
    job.worker = NULL
    job.function.running -= 1


cdef inline void finish(Core *core, Job *job) noexcept nogil:
    """A running job has ended, with whatever outcome."""
    release(core, job)
    destroy_job(core, job)


cdef inline bint is_wanted(const Job *job) noexcept nogil:
    return job.background or job.watches.next != &job.watches


cdef inline int fail_run(Core *core, Job *job) noexcept nogil:
    """A run came to nothing: its worker vanished, gave the function up, or took too long.

    The job goes to the end of its queue, unless nobody waits for it any more, or it has had all its runs:
    then its clients get WORK_FAIL.
    """
    cdef int most = core.rules.job_retries
    job.failures += 1
    if not is_wanted(job):
        finish(core, job)
        return 0
    if most >= 0 and job.failures >= <uint32_t>most:
        fail_watches(core, job)
        if job.timed and core.timeouts.timers[job.timer].time <= core.now:
            bury(core, job, TOO_LONG, strlen(TOO_LONG))
        else:
            bury(core, job, VANISHED, strlen(VANISHED))
        finish(core, job)
        return 0
    note_tries(core, job)
    release(core, job)
    job.numerator = 0
    job.denominator = 0
    return enqueue(core, job)


cdef inline int fail_watches(Core *core, Job *job) noexcept nogil:
    """Tell every client that the job failed."""
    cdef char handle[MAX_HANDLE_SIZE + 1]
    cdef size_t size = format_handle(core, job.by_number.hash, handle)
    cdef Ring *at = job.watches.next
    while at != &job.watches:
        reply(core, watch_of_job(at).client, PT_WORK_FAIL, handle, size)
        at = at.next
    return 0


cdef inline void discard(Core *core, Job *job) noexcept nogil:
    """Forget a job that does not run."""
    if job.state == DELAYED:
        heap_remove(&core.delayed, job)
        job.function.delayed -= 1
    else:
        unqueue(core, job)
    destroy_job(core, job)


cdef inline void abandon(Core *core, Peer *client) noexcept nogil:
    """The client is gone: jobs that wait for nobody else leave their queue; those that run go on."""
    cdef Job *job
    while not ring_is_empty(&client.watches):
        job = watch_of_client(client.watches.next).job
        free_watch(core, watch_of_client(client.watches.next))
        if job.state != RUNNING and not is_wanted(job):
            discard(core, job)


cdef inline int cancel(Core *core, Job *job) noexcept nogil:
    """End a job for its clients. One that runs goes on, since a worker cannot be told, and nobody hears of it;
    its unique is free for a new job.
    """
    fail_watches(core, job)
    if job.state != RUNNING:
        discard(core, job)
        return 0
    while not ring_is_empty(&job.watches):
        free_watch(core, watch_of_job(job.watches.next))
    disown(core, job)
    return 0


cdef inline void disown(Core *core, Job *job) noexcept nogil:
    """Let nobody wait for a job that runs, nor join it, nor have it run again."""
    job.background = False
    forget_kept(core, job)
    forget_unique(core, job)
