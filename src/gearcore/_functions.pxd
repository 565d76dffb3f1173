"""Functions: their queues, the workers that offer them, and who is woken for a job."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from gearcore._jobs cimport same_bytes
from gearcore._replies cimport reply_empty
from gearcore._ring cimport (
    Ring,
    ring_init,
    ring_insert_after,
    ring_is_empty,
    ring_push_back,
    ring_remove,
)
from gearcore._siphash cimport siphash
from gearcore._state cimport PRIORITIES, Ability, Core, Function, Peer
from gearcore._table cimport Link, table_add, table_first, table_next, table_remove
from gearcore._wire cimport PT_NOOP


cdef inline Function *function_at(Ring *of_core) noexcept nogil:
    return <Function *>(<char *>of_core - <size_t>&(<Function *>NULL).of_core)


cdef inline Ability *ability_at(Ring *of_peer) noexcept nogil:
    return <Ability *>of_peer                       # Ability.of_peer comes first


cdef inline Ability *ability_of_sleeper(Ring *of_sleepers) noexcept nogil:
    return <Ability *>(<char *>of_sleepers - <size_t>&(<Ability *>NULL).of_sleepers)


cdef inline Function *find_function(Core *core, const char *name, size_t size) noexcept nogil:
    return find_hashed_function(core, name, size, siphash(&core.key, name, size))


cdef inline Function *find_hashed_function(
    Core *core, const char *name, size_t size, uint64_t hash
) noexcept nogil:
    cdef Link *link = table_first(&core.functions, hash)
    while link != NULL:
        # Function.by_name comes first
        if same_bytes((<Function *>link).name, (<Function *>link).name_size, name, size):
            return <Function *>link
        link = table_next(link)
    return NULL


cdef inline Function *get_function(Core *core, const char *name, size_t size) except NULL nogil:
    """The function of that name, made on first mention and kept: `status` lists it from then on."""
    cdef Function *function = get_unlisted_function(core, name, size)
    if ring_is_empty(&function.of_core):
        ring_push_back(&core.all_functions, &function.of_core)
    return function


cdef inline Function *get_unlisted_function(Core *core, const char *name, size_t size) except NULL nogil:
    """The same, without a mention: a limit may be set before there is a function to list."""
    cdef uint64_t hash = siphash(&core.key, name, size)
    cdef Function *function = find_hashed_function(core, name, size, hash)
    cdef int priority
    if function != NULL:
        return function
    function = <Function *>malloc(sizeof(Function) + size)
    if function == NULL:
        with gil:
            raise MemoryError("no memory for another function")
    for priority in range(PRIORITIES):
        ring_init(&function.queues[priority])
        function.queued[priority] = 0
        function.most[priority] = 0
    function.waiting = 0
    function.delayed = 0
    function.running = 0
    function.workers = 0
    ring_init(&function.sleepers)
    core.memory += sizeof(Function) + size
    function.name_size = size
    memcpy(function.name, name, size)
    ring_init(&function.of_core)
    table_add(&core.functions, &function.by_name, hash)
    return function


cdef inline size_t count_jobs(const Function *function) noexcept nogil:
    return function.waiting + function.delayed + function.running


cdef inline void destroy_function(Core *core, Function *function) noexcept nogil:
    """Forget a function that has no jobs and no workers."""
    table_remove(&core.functions, &function.by_name)
    ring_remove(&function.of_core)
    core.memory -= sizeof(Function) + function.name_size
    free(function)


cdef inline int wake_workers(Core *core, Function *function) except -1 nogil:
    """Send a NOOP to the workers that sleep and offer this function: to all, or as many as the rules say.

    `sleepers` may hold workers that woke up for another function since: they are met here, moved aside to
    their own `roused` ring, and put back when they next go to sleep. So going to sleep and waking up cost
    nothing for the abilities that nobody looked at.
    """
    cdef Ability *ability
    cdef uint32_t woken = 0
    while not ring_is_empty(&function.sleepers):
        ability = ability_of_sleeper(function.sleepers.next)
        ring_remove(&ability.of_sleepers)
        ring_push_back(&ability.peer.roused, &ability.of_sleepers)
        if ability.peer.sleeping:
            ability.peer.sleeping = False
            reply_empty(core, ability.peer, PT_NOOP)
            woken += 1
            if woken == core.rules.worker_wakeup:
                break
    return 0


cdef inline int first_priority(Function *function) noexcept nogil:
    """The highest priority with a job in its queue; PRIORITIES if there is none."""
    cdef int priority
    if function.waiting == 0:
        return PRIORITIES
    for priority in range(PRIORITIES):
        if function.queued[priority]:
            return priority
    return PRIORITIES


cdef inline Ability *next_ability(const Core *core, Peer *peer) noexcept nogil:
    """The offer that a grab is served for, or NULL: one of the highest priority over all functions that the
    peer offers and, among those, the one whose turn it is.

    The turn passes on from the function served last, as in gearmand 2.0.
    """
    cdef Ring *at = peer.served
    cdef Ring *chosen = NULL
    cdef int best = PRIORITIES
    cdef int priority
    if core.rules.in_order_of_offer:
        return next_ability_in_order(core, peer)
    while True:
        at = at.next
        if at != &peer.abilities:
            priority = first_priority(ability_at(at).function)
            if priority < best:
                best = priority
                chosen = at
        if at == peer.served or best == 0:
            break
    if chosen == NULL:
        return NULL
    peer.served = chosen
    return ability_at(chosen)


cdef inline Ability *next_ability_in_order(const Core *core, Peer *peer) noexcept nogil:
    """As gearmand 1.1 does it: the newest offer with a job wins, or, with round robin, the next one in turn;
    priorities count within a function alone.
    """
    cdef Ring *start = peer.served      # which stays before the newest without round robin
    cdef Ring *at = start
    while True:
        at = at.next
        if at != &peer.abilities and ability_at(at).function.waiting:
            if core.rules.round_robin:
                peer.served = at
            return ability_at(at)
        if at == start:
            return NULL


cdef inline bint has_job(Peer *peer) noexcept nogil:
    cdef Ring *at = peer.abilities.next
    while at != &peer.abilities:
        if ability_at(at).function.waiting:
            return True
        at = at.next
    return False


cdef inline void fall_asleep(Peer *peer) noexcept nogil:
    cdef Ability *ability
    peer.sleeping = True
    while not ring_is_empty(&peer.roused):
        ability = ability_of_sleeper(peer.roused.next)
        ring_remove(&ability.of_sleepers)
        ring_push_back(&ability.function.sleepers, &ability.of_sleepers)


cdef inline int add_ability(Core *core, Peer *peer, Function *function, uint32_t timeout) except -1 nogil:
    """Note that a peer offers a function; twice if it says so twice, as gearmand does."""
    cdef Ability *ability = <Ability *>malloc(sizeof(Ability))
    if ability == NULL:
        with gil:
            raise MemoryError("no memory for another offer of a function")
    core.memory += sizeof(Ability)
    ability.peer = peer
    ability.function = function
    ability.timeout = timeout
    ring_insert_after(peer.served, &ability.of_peer)   # the newest is next
    # a sleeper that offers more while it sleeps is woken for that as well
    ring_push_back(&function.sleepers if peer.sleeping else &peer.roused, &ability.of_sleepers)
    function.workers += 1
    return 0


cdef inline void remove_ability(Core *core, Ability *ability) noexcept nogil:
    cdef Peer *peer = ability.peer
    if peer.served == &ability.of_peer:
        peer.served = ability.of_peer.prev
    ring_remove(&ability.of_peer)
    ring_remove(&ability.of_sleepers)
    ability.function.workers -= 1
    core.memory -= sizeof(Ability)
    free(ability)
