"""Offers: which worker offers which function. In the code an offer is an `Ability`."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from gearcore._agenda cimport agenda_free, agenda_remove, agenda_replace
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
from gearcore._state cimport Ability, Catalogue, Core, Function, Peer
from gearcore._table cimport Link, table_add, table_first, table_free, table_init, table_next, table_remove

cdef enum:
    FEW = 8                     # offers that are looked through; a peer of more has a catalogue of them


cdef inline Ability *ability_at(Ring *of_peer) noexcept nogil:
    return <Ability *>(<char *>of_peer - <size_t>&(<Ability *>NULL).of_peer)


cdef inline Ability *repeat_at(Ring *repeats) noexcept nogil:
    return <Ability *>(<char *>repeats - <size_t>&(<Ability *>NULL).repeats)


cdef inline Ability *ability_of_sleeper(Ring *of_sleepers) noexcept nogil:
    return <Ability *>(<char *>of_sleepers - <size_t>&(<Ability *>NULL).of_sleepers)


cdef inline uint64_t number_hash(const Core *core, uint32_t number) noexcept nogil:
    """Scatter the numbers of functions, which peers may choose among, but leave eight neighbours together.

    Offers are often made, and functions created, in the same order: then what is next is in memory nearby.
    """
    cdef uint64_t mixed = ((number >> 3) ^ core.key.k0) * <uint64_t>0x9E3779B97F4A7C15
    mixed = (mixed ^ (mixed >> 32)) * <uint64_t>0xBF58476D1CE4E5B9
    return ((mixed ^ (mixed >> 32)) << 3) | (number & 7)


cdef inline Ability *find_ability(const Core *core, Peer *peer, const Function *function) noexcept nogil:
    """The peer's offer of a function; of several the one whose turn is first."""
    cdef Ring *at
    if peer.catalogue != NULL:
        return find_in_catalogue(core, peer.catalogue, function)
    at = peer.abilities.next
    while at != &peer.abilities:
        if ability_at(at).function == function:
            return ability_at(at)
        at = at.next
    return NULL


cdef inline Ability *find_in_catalogue(
    const Core *core, Catalogue *catalogue, const Function *function
) noexcept nogil:
    cdef Link *link = table_first(&catalogue.abilities, number_hash(core, function.number))
    while link != NULL:
        if (<Ability *>link).function == function:      # Ability.of_catalogue comes first
            return <Ability *>link
        link = table_next(link)
    return NULL


cdef inline void enter(const Core *core, Catalogue *catalogue, Ability *ability) noexcept nogil:
    table_add(&catalogue.abilities, &ability.of_catalogue, number_hash(core, ability.function.number))


cdef inline int create_catalogue(Core *core, Peer *peer) except -1 nogil:
    """Make the catalogue of a peer whose offers are too many to look through each time."""
    cdef Catalogue *catalogue = <Catalogue *>calloc(1, sizeof(Catalogue))
    cdef Ring *at = peer.abilities.next
    if catalogue == NULL or not table_init(&catalogue.abilities):
        free(catalogue)
        with gil:
            raise MemoryError("no memory for the offers of a worker of many functions")
    charge(core, sizeof(Catalogue))
    while at != &peer.abilities:
        if is_first(ability_at(at)):
            enter(core, catalogue, ability_at(at))
        at = at.next
    peer.catalogue = catalogue
    return 0


cdef inline void free_catalogue(Core *core, Peer *peer) noexcept nogil:
    if peer.catalogue != NULL:
        agenda_free(core, &peer.catalogue.agenda)
        table_free(&peer.catalogue.abilities)
        free(peer.catalogue)
        peer.catalogue = NULL
        discharge(core, sizeof(Catalogue))


cdef inline bint is_first(Ability *ability) noexcept nogil:
    """Whether an offer is the one to be found, of the peer's offers of one function."""
    return ability.turn <= repeat_at(ability.repeats.prev).turn


cdef inline void replace_first(Core *core, Ability *first, Ability *instead) noexcept nogil:
    """Of a peer's offers of one function another is the first now: the one to be found."""
    cdef Catalogue *catalogue = first.peer.catalogue
    if catalogue != NULL:
        agenda_replace(&catalogue.agenda, first, instead)
        table_remove(&catalogue.abilities, &first.of_catalogue)
        enter(core, catalogue, instead)
    ring_insert_after(&first.of_sleepers, &instead.of_sleepers)
    ring_remove(&first.of_sleepers)


cdef inline int add_ability(Core *core, Peer *peer, Function *function, uint32_t timeout) except -1 nogil:
    """Note that a peer offers a function; twice if it says so twice, as gearmand does. The newest is next.

    Each offer has its turn and its timeout, but only the first of repeats is in the catalogue and found asleep:
    what a peer does costs no more for its having said a thing a thousand times.
    """
    cdef Ability *first = find_ability(core, peer, function)
    cdef Ability *ability
    if peer.offers == FEW and peer.catalogue == NULL:
        create_catalogue(core, peer)
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
        if peer.catalogue != NULL:
            enter(core, peer.catalogue, ability)
    if peer.catalogue != NULL:
        peer.catalogue.news = 0         # what jobs the function has are news to it
    peer.offers += 1
    function.workers += 1
    return 0


cdef inline void remove_abilities(Core *core, Ability *first) noexcept nogil:
    """Withdraw the first of a peer's offers of one function, and all others with it."""
    cdef Peer *peer = first.peer
    if peer.catalogue != NULL:
        table_remove(&peer.catalogue.abilities, &first.of_catalogue)
        agenda_remove(&peer.catalogue.agenda, first)
    ring_remove(&first.of_sleepers)
    while not ring_is_empty(&first.repeats):
        free_ability(core, repeat_at(first.repeats.next))
    free_ability(core, first)
    if peer.offers == 0:
        free_catalogue(core, peer)


cdef inline void free_ability(Core *core, Ability *ability) noexcept nogil:
    ring_remove(&ability.of_peer)
    ring_remove(&ability.repeats)
    ability.peer.offers -= 1
    ability.function.workers -= 1
    discharge(core, sizeof(Ability))
    free(ability)
