"""Offers: which worker offers which function. In the code an offer is an `Ability`."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from gearcore._agenda cimport agenda_remove, agenda_replace, agenda_reserve
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
from gearcore._state cimport Ability, Core, Function, Peer
from gearcore._table cimport Link, table_add, table_first, table_next, table_remove

cdef enum:
    FEW = 8                     # offers that are looked through, rather than keeping an agenda of them


cdef inline Ability *ability_at(Ring *of_peer) noexcept nogil:
    return <Ability *>(<char *>of_peer - <size_t>&(<Ability *>NULL).of_peer)


cdef inline Ability *repeat_at(Ring *repeats) noexcept nogil:
    return <Ability *>(<char *>repeats - <size_t>&(<Ability *>NULL).repeats)


cdef inline Ability *ability_of_sleeper(Ring *of_sleepers) noexcept nogil:
    return <Ability *>(<char *>of_sleepers - <size_t>&(<Ability *>NULL).of_sleepers)


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
