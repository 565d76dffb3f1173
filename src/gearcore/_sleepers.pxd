"""Sleeping workers: who is woken for a job, and what becomes of a wake-up.

gearmand wakes every worker that sleeps, and all but one find nothing to do. With the rule -1 a job wakes one
worker, and its wake-up is followed until it is answered by a grab. A wake-up that comes to nothing, since the
worker took a job of another function, withdrew its offer, left, or does not answer in time, is passed on as
long as a job waits that nobody was woken for. So no job waits for longer than that while a worker sleeps.
"""

from gearcore._offers cimport ability_of_sleeper
from gearcore._replies cimport reply_empty
from gearcore._ring cimport Ring, ring_is_empty, ring_push_back, ring_remove
from gearcore._state cimport Ability, Core, Function, Peer
from gearcore._wire cimport PT_NOOP

cdef enum:
    AS_FEW_AS_WILL_DO = -1

# A macro, since a .pxd alone can hold no constant that is not an integer.
cdef extern from *:
    """
    #define GEARCORE_PATIENCE 0.1
    """
    const double PATIENCE "GEARCORE_PATIENCE"       # seconds until a wake-up without an answer is passed on


cdef inline Peer *peer_of_woken(Ring *of_woken) noexcept nogil:
    return <Peer *>(<char *>of_woken - <size_t>&(<Peer *>NULL).of_woken)


cdef inline void fall_asleep(Peer *peer) noexcept nogil:
    """Have the peer found under each function that it offers.

    A wake-up leaves it under those that nobody looked at; so going to sleep costs nothing for them.
    """
    cdef Ability *ability
    peer.sleeping = True
    while not ring_is_empty(&peer.roused):
        ability = ability_of_sleeper(peer.roused.next)
        ring_remove(&ability.of_sleepers)
        ring_push_back(&ability.function.sleepers, &ability.of_sleepers)


cdef inline Peer *next_sleeper(Function *function) noexcept nogil:
    """The worker that sleeps for this function and was not woken for the longest time, or NULL.

    Those who do not sleep, or woke up for another function since, are met here, and moved aside to their own
    `roused` ring.
    """
    cdef Ability *ability
    while not ring_is_empty(&function.sleepers):
        ability = ability_of_sleeper(function.sleepers.next)
        ring_remove(&ability.of_sleepers)
        ring_push_back(&ability.peer.roused, &ability.of_sleepers)
        if ability.peer.sleeping:
            return ability.peer
    return NULL


cdef inline int wake_workers(Core *core, Function *function) noexcept nogil:
    """A job was queued: send a NOOP to as many workers as the rules say."""
    cdef int woken = 0
    cdef Peer *peer
    if core.rules.worker_wakeup == AS_FEW_AS_WILL_DO:
        return wake_for_waiting(core, function)
    while woken == 0 or woken != core.rules.worker_wakeup:
        peer = next_sleeper(function)
        if peer == NULL:
            break
        peer.sleeping = False
        reply_empty(core, peer, PT_NOOP)
        woken += not peer.overflowed    # who is to be cut off will not come for the job
    return 0


cdef inline int wake_for_waiting(Core *core, Function *function) noexcept nogil:
    """Have a worker woken for each job that waits, as far as there are any asleep."""
    cdef Peer *peer
    while function.woken < function.waiting:
        peer = next_sleeper(function)
        if peer == NULL:
            break
        peer.sleeping = False
        reply_empty(core, peer, PT_NOOP)
        if peer.overflowed:
            continue
        peer.woken_for = function
        peer.woken_at = core.now
        function.woken += 1
        ring_push_back(&core.woken, &peer.of_woken)
    return 0


cdef inline int settle_wake_up(Core *core, Peer *peer) noexcept nogil:
    """The wake-up of this peer has had its effect, or has none: wake another if a job still waits for one.

    To be called after the job that the peer takes has left its queue.
    """
    cdef Function *function = peer.woken_for
    if function == NULL:
        return 0
    peer.woken_for = NULL
    ring_remove(&peer.of_woken)
    function.woken -= 1
    return wake_for_waiting(core, function)


cdef inline int pass_on_wake_ups(Core *core) noexcept nogil:
    """Give up on the peers that have not answered their wake-up in time."""
    cdef Peer *peer
    while not ring_is_empty(&core.woken):
        peer = peer_of_woken(core.woken.next)
        if peer.woken_at + PATIENCE > core.now:
            break
        settle_wake_up(core, peer)
    return 0
