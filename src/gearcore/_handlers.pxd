"""One function for each packet that a peer may send.

A handler gets the packet's body, already split into as many arguments as the packet table says, and
answers by appending to the output of whichever peers it concerns.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strlen

from gearcore._functions cimport (
    add_ability,
    count_jobs,
    fall_asleep,
    find_function,
    first_priority,
    get_function,
    has_job,
    next_ability,
)
from gearcore._jobs cimport (
    Submission,
    create_job,
    find_by_unique,
    find_job,
    find_twin,
    job_at,
    job_size,
    parse_handle,
    watch_job,
    watch_of_job,
)
from gearcore._peers cimport fail_runs, remove_abilities
from gearcore._replies cimport put, put_argument, put_number, reply, reply_assign, reply_created, reply_empty, start_reply
from gearcore._ring cimport Ring
from gearcore._state cimport (
    MAX_CLIENT_ID_SIZE,
    MAX_FUNCTION_SIZE,
    MAX_REDUCER_SIZE,
    MAX_UNIQUE_SIZE,
    RUNNING,
    Ability,
    Core,
    Function,
    Job,
    Peer,
)
from gearcore._transitions cimport assign, delay, enqueue, finish
from gearcore._wire cimport (
    PT_ECHO_RES,
    PT_ERROR,
    PT_GRAB_JOB,
    PT_GRAB_JOB_ALL,
    PT_JOB_ASSIGN,
    PT_JOB_ASSIGN_ALL,
    PT_JOB_ASSIGN_UNIQ,
    PT_NO_JOB,
    PT_NOOP,
    PT_OPTION_RES,
    PT_STATUS_RES,
    PT_STATUS_RES_UNIQUE,
    PT_SUBMIT_JOB,
    PT_SUBMIT_JOB_HIGH,
    PT_SUBMIT_JOB_HIGH_BG,
    PT_SUBMIT_JOB_LOW,
    PT_SUBMIT_JOB_LOW_BG,
    PT_SUBMIT_REDUCE_JOB,
    PT_SUBMIT_REDUCE_JOB_BACKGROUND,
    PT_WORK_DATA,
    PT_WORK_EXCEPTION,
    PT_WORK_FAIL,
    PT_WORK_WARNING,
    Args,
    read_u32,
)

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *a, const char *b, size_t size)


cdef enum:
    SHORTEST_TIMEOUT = 1000             # milliseconds


cdef struct Packet:
    uint32_t type
    const char *body
    size_t size
    Args args


ctypedef int (*Handler)(Core *core, Peer *peer, const Packet *packet) except -1 nogil


cdef inline int refuse(Core *core, Peer *peer, const char *code, const char *text) except -1 nogil:
    """Answer with an ERROR packet; codes and texts are gearmand's wherever it has one for the case."""
    cdef size_t code_size = strlen(code)
    cdef size_t text_size = strlen(text)
    cdef char *at = start_reply(core, peer, PT_ERROR, code_size + 1 + text_size)
    put(put_argument(at, code, code_size), text, text_size)
    return 0


cdef inline int on_echo(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    return reply(core, peer, PT_ECHO_RES, packet.body, packet.size)


cdef inline int on_option(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """`exceptions` is the only option; gearmand takes it in any case, and with a NUL behind it."""
    cdef size_t size = size_without_nul(packet.body, packet.size)
    if size != 10 or strncasecmp(packet.body, b"exceptions", 10) != 0:
        return refuse(core, peer, b"UNKNOWN_OPTION", b"Server does not recognize given option")
    peer.exceptions = True
    return reply(core, peer, PT_OPTION_RES, packet.body, packet.size)


cdef inline size_t size_without_nul(const char *data, size_t size) noexcept nogil:
    """Some peers end the only argument of a packet with a NUL."""
    return size - 1 if size > 0 and data[size - 1] == 0 else size


cdef inline int on_set_client_id(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    cdef size_t size = min(packet.size, <size_t>MAX_CLIENT_ID_SIZE)
    cdef char *client_id = <char *>malloc(size + 1)
    if client_id == NULL:
        with gil:
            raise MemoryError("no memory for a client id")
    memcpy(client_id, packet.body, size)
    client_id[size] = 0
    free(peer.client_id)
    peer.client_id = client_id
    return 0


cdef inline int on_can_do(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    return offer(core, peer, packet, 0)


cdef inline int offer(Core *core, Peer *peer, const Packet *packet, uint32_t timeout) except -1 nogil:
    cdef const char *name = packet.args.start[0]
    cdef size_t size = packet.args.size[0]
    if not is_permitted(peer, b"work", name, size):
        return refuse(core, peer, b"PERMISSION_DENIED", b"This peer may not work for this function")
    if not has_room(core, peer, name, size, sizeof(Ability)):
        return 0
    return add_ability(core, peer, get_function(core, name, size), timeout)


cdef inline bint is_permitted(Peer *peer, const char *action, const char *name, size_t size) except -1 nogil:
    """Ask the peer's access list, if it has one, whether it may do this to that function."""
    if peer.access == NULL:
        return True
    with gil:
        return (<object>peer.access)(action.decode(), name[:size])


cdef inline bint has_room(
    Core *core, Peer *peer, const char *function, size_t function_size, size_t more
) except -1 nogil:
    """Whether the bounds allow that function, and `more` bytes; refuse the packet if they do not."""
    if function_size > MAX_FUNCTION_SIZE:
        refuse(core, peer, b"ARGUMENT_TOO_LARGE", b"The name of a function is limited to 8191 bytes")
        return False
    if core.functions.count >= core.rules.max_functions and find_function(core, function, function_size) == NULL:
        refuse(core, peer, b"QUEUE_ERROR", b"There are as many functions as this server takes")
        return False
    if core.memory + more > core.rules.max_memory:
        refuse(core, peer, b"QUEUE_ERROR", b"The memory that this server may use is full")
        return False
    return True


cdef inline int on_can_do_timeout(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """The timeout is decimal text in milliseconds; less than a second, but not 0, counts as a second.

    The npm package sends four bytes, a big-endian number, instead.
    """
    cdef const char *text = packet.args.start[1]
    cdef size_t size = size_without_nul(text, packet.args.size[1])
    cdef uint32_t timeout
    if packet.args.size[1] == 4 and not is_printable(text, 4):
        timeout = read_u32(text)
    else:
        timeout = parse_number(text, size)
    if timeout:
        timeout = max(timeout, <uint32_t>SHORTEST_TIMEOUT)
    return offer(core, peer, packet, timeout)


cdef inline bint is_printable(const char *text, size_t size) noexcept nogil:
    cdef size_t at
    for at in range(size):
        if not c' ' <= text[at] <= c'~':
            return False
    return True


cdef inline int on_cant_do(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    cdef Function *function = find_function(core, packet.body, packet.size)
    if function == NULL:
        return 0
    remove_abilities(core, peer, function)
    return fail_runs(core, peer, function)


cdef inline int on_reset_abilities(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    remove_abilities(core, peer, NULL)
    return fail_runs(core, peer, NULL)


cdef inline int on_pre_sleep(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    if has_job(peer):
        return reply_empty(core, peer, PT_NOOP)
    fall_asleep(peer)
    return 0


cdef inline int on_grab(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """GRAB_JOB, GRAB_JOB_UNIQ and GRAB_JOB_ALL differ in what they get told of the job."""
    cdef Ability *ability = next_ability(core, peer)
    cdef uint32_t answer = PT_JOB_ASSIGN_UNIQ
    cdef Function *function
    cdef Job *job
    peer.sleeping = False
    if ability == NULL:
        return reply_empty(core, peer, PT_NO_JOB)
    function = ability.function
    job = job_at(function.queues[first_priority(function)].next)
    if packet.type == PT_GRAB_JOB:
        answer = PT_JOB_ASSIGN
    elif packet.type == PT_GRAB_JOB_ALL and job.reducer_size:
        answer = PT_JOB_ASSIGN_ALL
    reply_assign(core, peer, job, answer)
    return assign(core, job, peer, ability.timeout)


cdef inline int on_submit(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """The six SUBMIT_JOB forms."""
    cdef Submission asked
    asked.function, asked.function_size = packet.args.start[0], packet.args.size[0]
    asked.unique, asked.unique_size = packet.args.start[1], packet.args.size[1]
    asked.reducer, asked.reducer_size = b"", 0
    asked.workload, asked.workload_size = packet.args.start[2], packet.args.size[2]
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
    asked.priority = 1
    asked.unix_time = unix_time
    asked.background = True
    return submit(core, peer, &asked)


cdef inline double parse_time(const char *text, size_t size) noexcept nogil:
    cdef double seconds = 0
    cdef size_t at = 0
    while at < size and text[at] == c' ':
        at += 1
    while at < size and c'0' <= text[at] <= c'9':
        seconds = 10 * seconds + (text[at] - c'0')
        at += 1
    return seconds


cdef inline int submit(Core *core, Peer *peer, const Submission *asked) except -1 nogil:
    """Join the job that a submission coalesces with, or make one of its own; then acknowledge it.

    A background submission makes its job outlive its clients, also one that a foreground client began.
    """
    cdef Function *function
    cdef Job *job
    cdef Job *twin
    if asked.unique_size > MAX_UNIQUE_SIZE or asked.reducer_size > MAX_REDUCER_SIZE:
        return refuse(core, peer, b"ARGUMENT_TOO_LARGE", b"Unique value too large")
    if not is_permitted(peer, b"submit", asked.function, asked.function_size):
        return refuse(core, peer, b"PERMISSION_DENIED", b"This peer may not submit jobs for this function")
    if not has_room(
        core, peer, asked.function, asked.function_size,
        job_size(asked.unique_size, asked.reducer_size, asked.workload_size),
    ):
        return 0
    function = get_function(core, asked.function, asked.function_size)
    twin = find_twin(core, function, asked)
    if twin == NULL and function.most[asked.priority] and count_jobs(function) >= function.most[asked.priority]:
        return refuse(core, peer, b"QUEUE_ERROR", b"Job queue is full")
    job = twin if twin != NULL else create_job(core, function, asked)
    if asked.background:
        job.background = True
    else:
        watch_job(job, peer)
    if twin == NULL:
        if asked.unix_time > core.now + core.unix_offset:
            delay(core, job, asked.unix_time)
        else:
            enqueue(core, job)
    return reply_created(core, peer, job)


cdef inline Job *find_assigned(Core *core, Peer *worker, const Packet *packet) noexcept nogil:
    """The job that a WORK_* packet is about, if it is this worker's."""
    cdef size_t size = packet.args.size[0]
    if packet.type == PT_WORK_FAIL:
        size = size_without_nul(packet.args.start[0], size)
    cdef Job *job = find_job(core, parse_handle(core, packet.args.start[0], size))
    return job if job != NULL and job.worker == worker else NULL


cdef inline int refuse_work(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    if packet.type == PT_WORK_DATA or packet.type == PT_WORK_WARNING:
        return refuse(core, peer, b"JOB_NOT_FOUND", b"Job does not exist on server")
    if packet.type == PT_WORK_EXCEPTION:
        return refuse(
            core, peer, b"JOB_NOT_FOUND", b"An exception was received for a job that does not exist"
        )
    return refuse(core, peer, b"JOB_NOT_FOUND", b"Job given in work result not found")


cdef inline int relay(Core *core, Job *job, uint32_t type, const char *body, size_t size) except -1 nogil:
    """Send the same packet to every client that waits for the job."""
    cdef Ring *at = job.watches.next
    while at != &job.watches:
        reply(core, watch_of_job(at).client, type, body, size)
        at = at.next
    return 0


cdef inline int on_work_update(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """WORK_DATA and WORK_WARNING."""
    cdef Job *job = find_assigned(core, peer, packet)
    if job == NULL:
        return refuse_work(core, peer, packet)
    return relay_payload(core, job, packet)


cdef inline int relay_payload(Core *core, Job *job, const Packet *packet) except -1 nogil:
    """Pass on a packet of handle and payload; one that lacks the NUL between them gets it."""
    cdef Ring *at = job.watches.next
    cdef char *into
    if packet.args.size[0] < packet.size:
        return relay(core, job, packet.type, packet.body, packet.size)
    while at != &job.watches:
        into = start_reply(core, watch_of_job(at).client, packet.type, packet.size + 1)
        put_argument(into, packet.body, packet.size)
        at = at.next
    return 0


cdef inline int on_work_status(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    cdef Job *job = find_assigned(core, peer, packet)
    if job == NULL:
        return refuse_work(core, peer, packet)
    job.numerator = parse_number(packet.args.start[1], packet.args.size[1])
    job.denominator = parse_number(packet.args.start[2], packet.args.size[2])
    return relay(core, job, packet.type, packet.body, packet.size)


cdef inline uint32_t parse_number(const char *text, size_t size) noexcept nogil:
    """The decimal number that a text starts with, up to 32 bits; 0 if it starts with none."""
    cdef uint64_t number = 0
    cdef size_t at = 0
    while at < size and c'0' <= text[at] <= c'9':
        number = min(10 * number + <uint64_t>(text[at] - c'0'), <uint64_t>0xFFFFFFFF)
        at += 1
    return <uint32_t>number


cdef inline int on_work_complete(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    cdef Job *job = find_assigned(core, peer, packet)
    if job == NULL:
        return refuse_work(core, peer, packet)
    relay_payload(core, job, packet)
    finish(core, job)
    return 0


cdef inline int on_work_fail(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """Passed on without a NUL behind the handle: libgearman knows no WORK_FAIL that has one."""
    cdef Job *job = find_assigned(core, peer, packet)
    if job == NULL:
        return refuse_work(core, peer, packet)
    relay(core, job, PT_WORK_FAIL, packet.body, size_without_nul(packet.body, packet.size))
    finish(core, job)
    return 0


cdef inline int on_work_exception(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """Ends the job. A client that did not ask for exceptions gets WORK_FAIL."""
    cdef Job *job = find_assigned(core, peer, packet)
    cdef Peer *client
    cdef Ring *at
    cdef char *into
    if job == NULL:
        return refuse_work(core, peer, packet)
    at = job.watches.next
    while at != &job.watches:
        client = watch_of_job(at).client
        if not client.exceptions:
            reply(core, client, PT_WORK_FAIL, packet.args.start[0], packet.args.size[0])
        else:
            into = start_reply(core, client, PT_WORK_EXCEPTION, packet.args.size[0] + 1 + packet.args.size[1])
            into = put_argument(into, packet.args.start[0], packet.args.size[0])
            put(into, packet.args.start[1], packet.args.size[1])
        at = at.next
    finish(core, job)
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
) except -1 nogil:
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
    put(put_argument(into, asked, asked_size), numbers, size)
    return 0
