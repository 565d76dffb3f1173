"""Peers: a peer is whoever is at the other end of a connection, client, worker or both."""

from libc.stdlib cimport calloc, free

from gearcore._buffer cimport buffer_free
from gearcore._jobs cimport job_at
from gearcore._keep cimport SLOTS
from gearcore._memory cimport discharge
from gearcore._offers cimport ability_at, find_ability, remove_abilities
from gearcore._output cimport clear_output
from gearcore._ring cimport Ring, ring_init, ring_is_empty, ring_push_back, ring_remove
from gearcore._state cimport Ability, Core, Function, Job, Peer
from gearcore._transitions cimport fail_run


cdef inline Peer *create_peer(Core *core, void *connection) except NULL:
    cdef Peer *peer = <Peer *>calloc(1, sizeof(Peer))
    cdef int slot
    if peer == NULL:
        raise MemoryError("no memory for another connection")
    ring_init(&peer.references)
    ring_init(&peer.of_touched)
    ring_init(&peer.abilities)
    ring_init(&peer.roused)
    ring_init(&peer.running)
    ring_init(&peer.watches)
    ring_init(&peer.of_woken)
    ring_init(&peer.of_gone)
    for slot in range(SLOTS):
        ring_init(&peer.of_holds[slot])
    peer.descriptor = -1
    peer.exceptions = core.rules.exceptions
    peer.connection = connection
    ring_push_back(&core.all_peers, &peer.of_core)
    return peer


cdef inline Peer *peer_at(Ring *of_core) noexcept nogil:
    return <Peer *>(<char *>of_core - <size_t>&(<Peer *>NULL).of_core)


cdef inline Peer *peer_of_touched(Ring *of_touched) noexcept nogil:
    return <Peer *>(<char *>of_touched - <size_t>&(<Peer *>NULL).of_touched)


cdef inline bint is_unfinished(const Peer *peer) noexcept nogil:
    """Whether the peer has sent the beginning of a packet or line, and not the end."""
    return peer.input.size > 0 or peer.discarding > 0


cdef inline int fail_runs(Core *core, Peer *worker, const Function *function) noexcept nogil:
    """Take back the worker's jobs of a function, newest first."""
    cdef Ring *at = worker.running.next
    cdef Job *job
    while at != &worker.running:
        job = job_at(at)
        at = at.next
        if job.function == function:
            fail_run(core, job)
    return 0


cdef inline void remove_offers(Core *core, Peer *worker, Function *function) noexcept nogil:
    """Withdraw the peer's offers of one function: it may have made more than one."""
    cdef Ability *first = find_ability(core, worker, function)
    if first != NULL:
        remove_abilities(core, first)


cdef inline void remove_all_offers(Core *core, Peer *worker) noexcept nogil:
    while not ring_is_empty(&worker.abilities):
        # the first of all its offers is the first of those of its function
        remove_abilities(core, ability_at(worker.abilities.next))


cdef inline void withdraw_all(Core *core, Peer *worker) noexcept nogil:
    """Withdraw all offers of a worker, and take back its jobs.

    Function by function in the order of its offers, and of each the newest first, as gearmand does. For that
    the jobs are sorted into rings whose heads the offers lend: they are not to be found asleep any more.
    """
    cdef Ring *at = worker.abilities.next
    cdef Job *job
    if not ring_is_empty(&worker.running):
        while at != &worker.abilities:
            ring_remove(&ability_at(at).of_sleepers)
            at = at.next
        while not ring_is_empty(&worker.running):
            job = job_at(worker.running.next)
            ring_remove(&job.place)
            ring_push_back(&find_ability(core, worker, job.function).of_sleepers, &job.place)
        at = worker.abilities.next
        while at != &worker.abilities:
            fail_ring(core, &ability_at(at).of_sleepers)
            at = at.next
    remove_all_offers(core, worker)


cdef inline void fail_ring(Core *core, Ring *jobs) noexcept nogil:
    while not ring_is_empty(jobs):
        fail_run(core, job_at(jobs.next))


cdef inline void free_peer(Core *core, Peer *peer) noexcept nogil:
    """Give back the memory of a peer that has no abilities, jobs or watches left."""
    cdef int slot
    discharge(core, peer.input.capacity)
    ring_remove(&peer.of_core)
    ring_remove(&peer.of_touched)
    ring_remove(&peer.of_gone)
    clear_output(core, peer)
    buffer_free(&peer.output)
    for slot in range(SLOTS):
        buffer_free(&peer.held[slot])
    buffer_free(&peer.input)
    free(peer.client_id)
    free(peer)
