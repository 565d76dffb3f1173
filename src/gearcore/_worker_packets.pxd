"""What a worker may send, one function for each packet: offers, sleep, grabs, and how its jobs go on."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from gearcore._blocks cimport LARGE
from gearcore._burial cimport bury_failed
from gearcore._functions cimport find_function, first_priority, get_function_after
from gearcore._heap cimport heap_reserve
from gearcore._jobs cimport find_job, job_at, parse_handle, watch_of_job
from gearcore._offers cimport ability_at, add_ability
from gearcore._packets cimport (
    Packet,
    has_room,
    is_permitted,
    is_printable,
    parse_number,
    refuse,
    size_without_nul,
)
from gearcore._peers cimport fail_runs, remove_offers, withdraw_all
from gearcore._replies cimport (
    put,
    put_argument,
    reply,
    reply_assign,
    reply_empty,
    share,
    start_reply,
    start_shared_reply,
)
from gearcore._ring cimport Ring
from gearcore._sleepers cimport AS_FEW_AS_WILL_DO, fall_asleep, settle_wake_up, wake_for_waiting
from gearcore._state cimport MAX_CLIENT_ID_SIZE, MAX_HANDLE_SIZE, Ability, Core, Function, Job, Peer
from gearcore._transitions cimport assign, finish
from gearcore._turns cimport next_ability, pass_turn
from gearcore._wire cimport (
    PT_GRAB_JOB,
    PT_GRAB_JOB_ALL,
    PT_JOB_ASSIGN,
    PT_JOB_ASSIGN_ALL,
    PT_JOB_ASSIGN_UNIQ,
    PT_NOOP,
    PT_NO_JOB,
    PT_WORK_DATA,
    PT_WORK_EXCEPTION,
    PT_WORK_FAIL,
    PT_WORK_WARNING,
    read_u32,
)


cdef enum:
    SHORTEST_TIMEOUT = 1000             # milliseconds


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
    cdef Function *function = get_function_after(core, newest(peer), name, size)
    add_ability(core, peer, function, timeout)
    if core.rules.worker_wakeup == AS_FEW_AS_WILL_DO:
        return wake_for_waiting(core, function)     # it may be asleep itself
    return 0


cdef inline Function *newest(Peer *peer) noexcept nogil:
    """The function that the peer offered last, or another of its functions; NULL if it offers none."""
    return NULL if peer.offers == 0 else ability_at(peer.abilities.next).function


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


cdef inline int on_cant_do(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    cdef Function *function = find_function(core, packet.body, packet.size)
    if function == NULL:
        return 0
    remove_offers(core, peer, function)
    fail_runs(core, peer, function)
    return settle_wake_up(core, peer) if peer.woken_for == function else 0


cdef inline int on_reset_abilities(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    withdraw_all(core, peer)
    return settle_wake_up(core, peer)


cdef inline int on_pre_sleep(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    settle_wake_up(core, peer)
    if next_ability(core, peer) != NULL:
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
        reply_empty(core, peer, PT_NO_JOB)
        return settle_wake_up(core, peer)
    function = ability.function
    job = job_at(function.queues[first_priority(function)].next)
    if packet.type == PT_GRAB_JOB:
        answer = PT_JOB_ASSIGN
    elif packet.type == PT_GRAB_JOB_ALL and job.reducer_size:
        answer = PT_JOB_ASSIGN_ALL
    if ability.timeout:
        heap_reserve(&core.timeouts)
    if reply_assign(core, peer, job, answer):
        assign(core, job, peer, ability.timeout)
        pass_turn(core, ability)
    return settle_wake_up(core, peer)


cdef inline int on_work_update(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """WORK_DATA and WORK_WARNING."""
    cdef Job *job = find_assigned(core, peer, packet)
    if job == NULL:
        return refuse_work(core, peer, packet)
    return relay_payload(core, job, packet)


cdef inline int on_work_status(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    cdef Job *job = find_assigned(core, peer, packet)
    if job == NULL:
        return refuse_work(core, peer, packet)
    job.numerator = parse_number(packet.args.start[1], packet.args.size[1])
    job.denominator = parse_number(packet.args.start[2], packet.args.size[2])
    return relay(core, job, packet.type, packet.body, packet.size)


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
    if packet.size > MAX_HANDLE_SIZE:
        return refuse(
            core, peer, b"ARGUMENT_TOO_LARGE",
            b"Error occurred due to GEARMAND_JOB_HANDLE_SIZE being too small from snprintf",
        )
    if job == NULL:
        return refuse_work(core, peer, packet)
    relay(core, job, PT_WORK_FAIL, packet.body, size_without_nul(packet.body, packet.size))
    bury_failed(core, job, b"WORK_FAIL", b"", 0)
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
            if into != NULL:
                into = put_argument(into, packet.args.start[0], packet.args.size[0])
                put(into, packet.args.start[1], packet.args.size[1])
        at = at.next
    bury_failed(core, job, b"WORK_EXCEPTION: ", packet.args.start[1], packet.args.size[1])
    finish(core, job)
    return 0


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


cdef inline int relay(Core *core, Job *job, uint32_t type, const char *body, size_t size) noexcept nogil:
    """Send the same packet to every client that waits for the job."""
    cdef Ring *at = job.watches.next
    while at != &job.watches:
        reply(core, watch_of_job(at).client, type, body, size)
        at = at.next
    return 0


cdef inline int relay_payload(Core *core, Job *job, const Packet *packet) noexcept nogil:
    """Pass on a packet of handle and payload; one that lacks the NUL between them gets it."""
    cdef Ring *at = job.watches.next
    cdef Peer *client
    cdef size_t shared = packet.args.size[1] if packet.block != NULL and packet.args.size[1] >= LARGE else 0
    cdef char *into
    while at != &job.watches:
        client = watch_of_job(at).client
        into = start_shared_reply(
            core, client, packet.type, packet.args.size[0] + 1 + packet.args.size[1] - shared, shared
        )
        if into != NULL:
            into = put_argument(into, packet.args.start[0], packet.args.size[0])
            if shared:
                share(core, client, packet.block, packet.args.start[1], shared)
            else:
                put(into, packet.args.start[1], packet.args.size[1])
        at = at.next
    return 0
