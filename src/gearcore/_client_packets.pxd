"""What a client may send, one function for each packet: submissions, questions about jobs, echo, options."""

from libc.stdint cimport uint32_t, uint64_t, uint8_t

from gearcore._blocks cimport LARGE
from gearcore._functions cimport count_jobs, get_function
from gearcore._heap cimport heap_reserve
from gearcore._holds cimport hold
from gearcore._jobs cimport (
    Submission,
    create_job,
    destroy_job,
    find_by_unique,
    find_job,
    find_twin,
    hash_asked,
    job_size,
    job_workload,
    parse_handle,
    watch_job,
)
from gearcore._keep cimport KEPT, KEPT_LATE, NOT_KEPT, NO_SLOT, Keep
from gearcore._keeping cimport have_room, put_record, record_size, slot_of, unforget
from gearcore._record cimport RECORD_SIZE
from gearcore._packets cimport Packet, has_room, is_permitted, refuse, size_without_nul, start_of_number
from gearcore._replies cimport (
    put,
    put_argument,
    put_number,
    reply,
    reply_created,
    share,
    start_reply,
    start_shared_reply,
)
from gearcore._ring cimport Ring
from gearcore._state cimport MAX_REDUCER_SIZE, MAX_UNIQUE_SIZE, RUNNING, Core, Function, Job, Peer
from gearcore._table cimport table_expect
from gearcore._transitions cimport delay, enqueue
from gearcore._wire cimport (
    PT_ECHO_RES,
    PT_OPTION_RES,
    PT_STATUS_RES,
    PT_STATUS_RES_UNIQUE,
    PT_SUBMIT_JOB,
    PT_SUBMIT_JOB_HIGH,
    PT_SUBMIT_JOB_HIGH_BG,
    PT_SUBMIT_JOB_LOW,
    PT_SUBMIT_JOB_LOW_BG,
    PT_SUBMIT_REDUCE_JOB_BACKGROUND,
)


cdef extern from "Python.h" nogil:
    int PyOS_strnicmp(const char *a, const char *b, Py_ssize_t size)


cdef inline int on_echo(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    if packet.block == NULL:
        return reply(core, peer, PT_ECHO_RES, packet.body, packet.size)
    if start_shared_reply(core, peer, PT_ECHO_RES, 0, packet.size) != NULL:
        share(core, peer, packet.block, packet.body, packet.size)
    return 0


cdef inline int on_option(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """`exceptions` is the only option; gearmand takes it in any case, and with a NUL behind it."""
    cdef size_t size = size_without_nul(packet.body, packet.size)
    if size != 10 or PyOS_strnicmp(packet.body, b"exceptions", 10) != 0:
        return refuse(core, peer, b"UNKNOWN_OPTION", b"Server does not recognize given option")
    peer.exceptions = True
    return reply(core, peer, PT_OPTION_RES, packet.body, packet.size)


cdef inline int on_submit(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """The six SUBMIT_JOB forms."""
    cdef Submission asked
    asked.function, asked.function_size = packet.args.start[0], packet.args.size[0]
    asked.unique, asked.unique_size = packet.args.start[1], packet.args.size[1]
    asked.reducer, asked.reducer_size = b"", 0
    asked.workload, asked.workload_size = packet.args.start[2], packet.args.size[2]
    asked.block = packet.block
    asked.priority = submitted_priority(packet.type)
    asked.unix_time = 0
    asked.background = not (
        packet.type == PT_SUBMIT_JOB or packet.type == PT_SUBMIT_JOB_HIGH or packet.type == PT_SUBMIT_JOB_LOW
    )
    return submit(core, peer, &asked)


cdef inline uint8_t submitted_priority(uint32_t type) noexcept nogil:
    if type == PT_SUBMIT_JOB_HIGH or type == PT_SUBMIT_JOB_HIGH_BG:
        return 0
    if type == PT_SUBMIT_JOB_LOW or type == PT_SUBMIT_JOB_LOW_BG:
        return 2
    return 1


cdef inline int on_submit_reduce(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """The aggregator, the fourth argument, concerns nobody but the client that sent it."""
    cdef Submission asked
    asked.function, asked.function_size = packet.args.start[0], packet.args.size[0]
    asked.unique, asked.unique_size = packet.args.start[1], packet.args.size[1]
    asked.reducer, asked.reducer_size = packet.args.start[2], packet.args.size[2]
    asked.workload, asked.workload_size = packet.args.start[4], packet.args.size[4]
    asked.block = packet.block
    asked.priority = 1
    asked.unix_time = 0
    asked.background = packet.type == PT_SUBMIT_REDUCE_JOB_BACKGROUND
    return submit(core, peer, &asked)


cdef inline int on_submit_epoch(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """A background job of normal priority for a time in seconds since 1970; at once if that is no number."""
    return submit_delayed(core, peer, packet, parse_time(packet.args.start[2], packet.args.size[2]), 3)


cdef inline int submit_delayed(
    Core *core, Peer *peer, const Packet *packet, double unix_time, int workload
) except -1 nogil:
    """A job for a time to come; `workload` says which argument that is."""
    cdef Submission asked
    asked.function, asked.function_size = packet.args.start[0], packet.args.size[0]
    asked.unique, asked.unique_size = packet.args.start[1], packet.args.size[1]
    asked.reducer, asked.reducer_size = b"", 0
    asked.workload, asked.workload_size = packet.args.start[workload], packet.args.size[workload]
    asked.block = packet.block
    asked.priority = 1
    asked.unix_time = unix_time
    asked.background = True
    return submit(core, peer, &asked)


cdef inline double parse_time(const char *text, size_t size) noexcept nogil:
    cdef double seconds = 0
    cdef size_t at = start_of_number(text, size)
    while at < size and c'0' <= text[at] <= c'9':
        seconds = 10 * seconds + (text[at] - c'0')
        at += 1
    return seconds


cdef inline size_t size_of_copy(const Submission *asked) noexcept nogil:
    """How much of a large workload there is to copy."""
    return asked.workload_size if asked.workload_size >= LARGE and asked.block == NULL else 0


cdef inline size_t asked_record_size(const Submission *asked) noexcept nogil:
    return (
        RECORD_SIZE + asked.function_size + asked.unique_size + asked.reducer_size + asked.workload_size
    )


cdef inline int submit(Core *core, Peer *peer, const Submission *asked) except -1 nogil:
    """Join the job that a submission coalesces with, or make one of its own; then acknowledge it.

    A background submission makes its job outlive its clients, also one that a foreground client began.
    """
    cdef Function *function
    cdef Job *job
    cdef Job *twin
    cdef bint delayed = asked.unix_time > core.now + core.unix_offset
    if asked.unique_size > MAX_UNIQUE_SIZE or asked.reducer_size > MAX_REDUCER_SIZE:
        return refuse(core, peer, b"ARGUMENT_TOO_LARGE", b"Unique value too large")
    if not is_permitted(peer, b"submit", asked.function, asked.function_size):
        return refuse(core, peer, b"PERMISSION_DENIED", b"This peer may not submit jobs for this function")
    if not has_room(
        core, peer, asked.function, asked.function_size,
        job_size(asked.unique_size, asked.reducer_size, asked.workload_size) + size_of_copy(asked),
    ):
        return 0
    cdef uint64_t hash = hash_asked(core, asked)
    table_expect(&core.uniques, hash)
    function = get_function(core, asked.function, asked.function_size)
    twin = find_twin(core, function, asked, hash)
    if twin == NULL and function.most[asked.priority] and count_jobs(function) >= function.most[asked.priority]:
        return refuse(core, peer, b"QUEUE_ERROR", b"Job queue is full")
    cdef bint to_be_kept = core.keep != NULL and asked.background and (twin == NULL or twin.kept == NOT_KEPT)
    if to_be_kept:
        if core.keep.down:
            return refuse(core, peer, b"QUEUE_ERROR", core.keep.reason)
        if twin == NULL:
            have_room(&core.keep.added, asked_record_size(asked))
        else:
            have_room(&core.keep.late, record_size(function.name_size, twin))
    if twin == NULL and delayed:
        heap_reserve(&core.delayed)
    job = twin if twin != NULL else create_job(core, function, asked, hash)
    if asked.background:
        job.background = True
    elif not watch_job(core, job, peer):
        if twin == NULL:
            destroy_job(core, job)
        with gil:
            raise MemoryError("no memory to note who waits for a job")
    if twin == NULL:
        if delayed:
            delay(core, job, asked.unix_time)
        else:
            enqueue(core, job)
    if core.keep == NULL or not asked.background:
        return reply_created(core, peer, job)
    if to_be_kept:
        keep_job(core, job, twin != NULL, asked.unix_time if twin == NULL else 0)
    return acknowledge_kept(core, peer, job)


cdef inline void keep_job(Core *core, Job *job, bint late, double unix_time) noexcept nogil:
    """Have the store keep a job; there is to be room for its record."""
    cdef Keep *keep = core.keep
    job.kept = <uint8_t>(KEPT_LATE + keep.slot if late else KEPT)
    if late:
        unforget(keep, job.by_number.hash)
    else:
        keep.jobs += 1
    put_record(core, &keep.late if late else &keep.added, job, job_workload(job), unix_time)


cdef inline int acknowledge_kept(Core *core, Peer *peer, Job *job) noexcept nogil:
    """Acknowledge a job when the store has it."""
    cdef size_t place = peer.output.size
    cdef int slot = slot_of(core, job)
    reply_created(core, peer, job)
    if slot != NO_SLOT:
        hold(core, peer, place, slot)
    return 0


cdef inline int on_get_status(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    cdef size_t size = size_without_nul(packet.body, packet.size)
    cdef Job *job = find_job(core, parse_handle(core, packet.body, size))
    return reply_status(core, peer, PT_STATUS_RES, packet.body, size, job)


cdef inline int on_get_status_unique(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    cdef size_t size = size_without_nul(packet.body, packet.size)
    cdef Job *job = find_by_unique(core, packet.body, size)
    return reply_status(core, peer, PT_STATUS_RES_UNIQUE, packet.body, size, job)


cdef inline int reply_status(
    Core *core, Peer *peer, uint32_t type, const char *asked, size_t asked_size, const Job *job
) noexcept nogil:
    cdef char numbers[64]
    cdef char *end = numbers
    cdef uint64_t clients = 0
    cdef Ring *at
    end = put(put_number(end, job != NULL), b"", 1)
    end = put(put_number(end, job != NULL and job.state == RUNNING), b"", 1)
    end = put(put_number(end, job.numerator if job != NULL else 0), b"", 1)
    end = put_number(end, job.denominator if job != NULL else 0)
    if type == PT_STATUS_RES_UNIQUE:
        at = job.watches.next if job != NULL else NULL
        while at != NULL and at != &job.watches:
            clients += 1
            at = at.next
        end = put_number(put(end, b"", 1), clients)
    cdef size_t size = end - numbers
    cdef char *into = start_reply(core, peer, type, asked_size + 1 + size)
    if into != NULL:
        put(put_argument(into, asked, asked_size), numbers, size)
    return 0
