"""Peers: a peer is whoever is at the other end of a connection, client, worker or both."""

from libc.stdlib cimport calloc, free

from gearcore._buffer cimport buffer_free
from gearcore._functions cimport ability_at, dequeue, enqueue, release, remove_ability
from gearcore._jobs cimport destroy_job, free_watch, job_at, watch_of_client
from gearcore._ring cimport Ring, ring_init, ring_is_empty, ring_push_back, ring_remove
from gearcore._state cimport Core, Function, Job, Peer, Watch


cdef inline Peer *create_peer(Core *core, void *connection) except NULL:
    cdef Peer *peer = <Peer *>calloc(1, sizeof(Peer))
    if peer == NULL:
        raise MemoryError("no memory for another connection")
    ring_init(&peer.of_touched)
    ring_init(&peer.abilities)
    ring_init(&peer.roused)
    ring_init(&peer.running)
    ring_init(&peer.watches)
    peer.served = &peer.abilities
    peer.connection = connection
    ring_push_back(&core.all_peers, &peer.of_core)
    return peer


cdef inline Peer *peer_at(Ring *of_core) noexcept nogil:
    return <Peer *>(<char *>of_core - <size_t>&(<Peer *>NULL).of_core)


cdef inline Peer *peer_of_touched(Ring *of_touched) noexcept nogil:
    return <Peer *>(<char *>of_touched - <size_t>&(<Peer *>NULL).of_touched)


cdef inline bint is_wanted(const Job *job) noexcept nogil:
    return job.background or job.watches.next != &job.watches


cdef inline int requeue(Core *core, Job *job) except -1 nogil:
    """Give a running job back: to the end of its queue, or, if nobody waits for it any more, to nobody."""
    release(job)
    if not is_wanted(job):
        destroy_job(core, job)
        return 0
    job.numerator = 0
    job.denominator = 0
    return enqueue(core, job)


cdef inline int requeue_all(Core *core, Peer *worker, Function *function) except -1 nogil:
    """Give back the worker's jobs of one function, or of every function if that is NULL; newest first."""
    cdef Ring *at = worker.running.next
    cdef Job *job
    while at != &worker.running:
        job = job_at(at)
        at = at.next
        if function == NULL or job.function == function:
            requeue(core, job)
    return 0


cdef inline void remove_abilities(Peer *worker, Function *function) noexcept nogil:
    """Withdraw the peer's offers of one function, or of every function if that is NULL."""
    cdef Ring *at = worker.abilities.next
    cdef Ring *following
    while at != &worker.abilities:
        following = at.next
        if function == NULL or ability_at(at).function == function:
            remove_ability(ability_at(at))
        at = following


cdef inline void abandon_watches(Core *core, Peer *client) noexcept nogil:
    """The client is gone: jobs that wait for nobody else leave their queue; those that run go on."""
    cdef Job *job
    while not ring_is_empty(&client.watches):
        job = watch_of_client(client.watches.next).job
        free_watch(watch_of_client(client.watches.next))
        if job.worker == NULL and not is_wanted(job):
            dequeue(job)
            destroy_job(core, job)


cdef inline void free_peer(Peer *peer) noexcept nogil:
    """Give back the memory of a peer that has no abilities, jobs or watches left."""
    ring_remove(&peer.of_core)
    ring_remove(&peer.of_touched)
    buffer_free(&peer.output)
    buffer_free(&peer.input)
    free(peer.client_id)
    free(peer)
