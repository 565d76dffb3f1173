"""Functions: their names, the workers that offer them, and which of those a worker is served for."""

from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from gearcore._agenda cimport agenda_put, agenda_remove, agenda_replace, agenda_reserve
from gearcore._jobs cimport same_bytes
from gearcore._memory cimport charge, discharge
from gearcore._ring cimport (
    Ring,
    ring_init,
    ring_insert_after,
    ring_is_empty,
    ring_push_back,
    ring_push_front,
    ring_remove,
)
from gearcore._siphash cimport siphash
from gearcore._state cimport PRIORITIES, Ability, Agenda, Core, Function, Peer
from gearcore._table cimport Link, table_add, table_first, table_next, table_remove

cdef enum:
    FEW = 8                     # offers that are looked through, rather than keeping an agenda of them


cdef inline Function *function_at(Ring *of_core) noexcept nogil:
    return <Function *>(<char *>of_core - <size_t>&(<Function *>NULL).of_core)


cdef inline Function *function_ready_at(Ring *of_ready) noexcept nogil:
    return <Function *>(<char *>of_ready - <size_t>&(<Function *>NULL).of_ready)


cdef inline Ability *ability_at(Ring *of_peer) noexcept nogil:
    return <Ability *>(<char *>of_peer - <size_t>&(<Ability *>NULL).of_peer)


cdef inline Ability *repeat_at(Ring *repeats) noexcept nogil:
    return <Ability *>(<char *>repeats - <size_t>&(<Ability *>NULL).repeats)


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
    ring_init(&function.of_ready)
    function.news = 0
    function.waiting = 0
    function.delayed = 0
    function.running = 0
    function.workers = 0
    function.woken = 0
    ring_init(&function.sleepers)
    charge(core, sizeof(Function) + size)
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
    discharge(core, sizeof(Function) + function.name_size)
    free(function)


cdef inline int first_priority(Function *function) noexcept nogil:
    """The highest priority with a job in its queue; PRIORITIES if there is none."""
    cdef int priority
    if function.waiting == 0:
        return PRIORITIES
    for priority in range(PRIORITIES):
        if function.queued[priority]:
            return priority
    return PRIORITIES


cdef inline uint64_t parties_hash(const Peer *peer, const Function *function) noexcept nogil:
    """Mix two addresses, of which no peer can choose any."""
    cdef uint64_t mixed = (<uint64_t><size_t>peer) * <uint64_t>0x9E3779B97F4A7C15
    mixed = (mixed ^ (mixed >> 29) ^ <uint64_t><size_t>function) * <uint64_t>0xBF58476D1CE4E5B9
    return mixed ^ (mixed >> 32)


cdef inline Ability *find_ability(Core *core, const Peer *peer, const Function *function) noexcept nogil:
    """The peer's offer of a function; of several the one whose turn is first."""
    cdef Link *link = table_first(&core.abilities, parties_hash(peer, function))
    cdef Ability *ability
    while link != NULL:
        ability = <Ability *>link                   # Ability.by_parties comes first
        if ability.peer == peer and ability.function == function:
            return ability
        link = table_next(link)
    return NULL


cdef inline bint is_first(Ability *ability) noexcept nogil:
    """Whether an offer is the one to be found, of the peer's offers of one function."""
    return ability.turn <= repeat_at(ability.repeats.prev).turn


cdef inline void replace_first(Core *core, Ability *first, Ability *instead) noexcept nogil:
    """Of a peer's offers of one function another is the first now: the one to be found."""
    agenda_replace(&first.peer.agenda, first, instead)
    table_remove(&core.abilities, &first.by_parties)
    table_add(&core.abilities, &instead.by_parties, first.by_parties.hash)
    ring_insert_after(&first.of_sleepers, &instead.of_sleepers)
    ring_remove(&first.of_sleepers)


cdef inline Ability *next_ability(Core *core, Peer *peer) noexcept nogil:
    """The offer that a grab is served for, or NULL.

    As in gearmand 2.0 it is one of the highest priority over all functions that the peer offers and, among
    those, the one whose turn it is; as in gearmand 1.1, the one whose turn it is, whatever the priority.
    """
    cdef Ability *only
    if peer.offers != 1:
        return next_of_several(core, peer)
    only = ability_at(peer.abilities.next)
    return only if only.function.waiting else NULL


cdef inline Ability *next_of_several(Core *core, Peer *peer) noexcept nogil:
    """The same, for a peer with any number of offers.

    Few are looked through. So are the first of many when much has happened since the agenda was right: often
    one of them will do, and the agenda can wait.
    """
    cdef Ability *found = NULL
    if ring_is_empty(&core.ready):
        return NULL
    if peer.offers <= FEW:
        look_through(core, peer, FEW, &found)
        return found
    if core.news - peer.news > FEW and look_through(core, peer, FEW, &found):
        return found
    update_agenda(core, peer)
    return first_of_agenda(core, peer)


cdef inline bint look_through(Core *core, Peer *peer, size_t most, Ability **found) noexcept nogil:
    """Look for the next offer among the first of the peer's, and return whether the others do not matter."""
    cdef int best = PRIORITIES
    cdef int enough = 0                 # the highest priority of any job, or the lowest if none counts
    cdef int priority
    cdef Ability *ability
    cdef Ring *at = peer.abilities.next
    while enough < PRIORITIES - 1 and (core.rules.in_order_of_offer or core.ready_count[enough] == 0):
        enough += 1
    while at != &peer.abilities and most > 0:
        ability = ability_at(at)
        priority = first_priority(ability.function)
        if priority < best:
            best = priority
            found[0] = ability
            if priority <= enough:
                return True
        at = at.next
        most -= 1
    return at == &peer.abilities


cdef inline int64_t rank_of(const Core *core, const Ability *ability) noexcept nogil:
    """The least is served first; INT64_MAX without a job."""
    cdef int priority = first_priority(ability.function)
    if priority == PRIORITIES:
        return INT64_MAX
    return ability.turn if core.rules.in_order_of_offer else ability.turn + (<int64_t>priority << 60)


cdef inline void update_agenda(Core *core, Peer *peer) noexcept nogil:
    """Note the offers that rank higher than when this was last done.

    Looks at the functions that had news since or, if they are more than the peer's offers, at those.
    """
    cdef size_t most = peer.offers
    cdef Ring *at = core.ready.prev
    cdef Ability *ability
    while at != &core.ready and function_ready_at(at).news > peer.news and most > 0:
        ability = find_ability(core, peer, function_ready_at(at))
        if ability != NULL:
            agenda_put(&peer.agenda, ability, rank_of(core, ability))
        at = at.prev
        most -= 1
    if most == 0:
        at = peer.abilities.next
        while at != &peer.abilities:
            ability = ability_at(at)
            if ability.function.waiting and is_first(ability):
                agenda_put(&peer.agenda, ability, rank_of(core, ability))
            at = at.next
    peer.news = core.news


cdef inline Ability *first_of_agenda(Core *core, Peer *peer) noexcept nogil:
    """The first offer that is where it belongs: those that lost jobs or had their turn move back."""
    cdef Agenda *agenda = &peer.agenda
    cdef Ability *ability
    cdef int64_t rank
    while agenda.size:
        ability = agenda.entries[0].ability
        rank = rank_of(core, ability)
        if rank == agenda.entries[0].rank:
            return ability
        if rank == INT64_MAX:
            agenda_remove(agenda, ability)
        else:
            agenda_put(agenda, ability, rank)
    return NULL


cdef inline void pass_turn(Core *core, Ability *ability) noexcept nogil:
    """An offer was served: the others come first now, unless the newest always does."""
    cdef Peer *peer = ability.peer
    if peer.offers == 1 or (core.rules.in_order_of_offer and not core.rules.round_robin):
        return
    ring_remove(&ability.of_peer)
    ring_push_back(&peer.abilities, &ability.of_peer)
    peer.last_turn += 1
    ability.turn = peer.last_turn
    if not ring_is_empty(&ability.repeats):
        replace_first(core, ability, repeat_at(ability.repeats.next))


cdef inline int add_ability(Core *core, Peer *peer, Function *function, uint32_t timeout) except -1 nogil:
    """Note that a peer offers a function; twice if it says so twice, as gearmand does. The newest is next.

    Each offer has its turn and its timeout, but only the first of repeats is in the table and found asleep:
    what a peer does costs no more for its having said a thing a thousand times.
    """
    cdef Ability *first = find_ability(core, peer, function)
    cdef Ability *ability
    if peer.offers >= FEW:
        agenda_reserve(core, &peer.agenda, peer.offers + 1)
    ability = <Ability *>malloc(sizeof(Ability))
    if ability == NULL:
        with gil:
            raise MemoryError("no memory for another offer of a function")
    charge(core, sizeof(Ability))
    ability.peer = peer
    ability.function = function
    ability.timeout = timeout
    peer.first_turn -= 1
    ability.turn = peer.first_turn
    ring_push_front(&peer.abilities, &ability.of_peer)
    ring_init(&ability.repeats)
    ring_init(&ability.of_sleepers)
    ability.entry = 0
    if first != NULL:
        ring_push_back(&first.repeats, &ability.repeats)    # in front of the first, and behind the last
        replace_first(core, first, ability)
    else:
        # a sleeper that offers more while it sleeps is woken for that as well
        ring_push_back(&function.sleepers if peer.sleeping else &peer.roused, &ability.of_sleepers)
        table_add(&core.abilities, &ability.by_parties, parties_hash(peer, function))
    peer.offers += 1
    peer.news = 0                       # to the agenda, what jobs the function has are news
    function.workers += 1
    return 0


cdef inline void remove_abilities(Core *core, Ability *first) noexcept nogil:
    """Withdraw the first of a peer's offers of one function, and all others with it."""
    table_remove(&core.abilities, &first.by_parties)
    ring_remove(&first.of_sleepers)
    agenda_remove(&first.peer.agenda, first)
    while not ring_is_empty(&first.repeats):
        free_ability(core, repeat_at(first.repeats.next))
    free_ability(core, first)


cdef inline void free_ability(Core *core, Ability *ability) noexcept nogil:
    ring_remove(&ability.of_peer)
    ring_remove(&ability.repeats)
    ability.peer.offers -= 1
    ability.function.workers -= 1
    discharge(core, sizeof(Ability))
    free(ability)
