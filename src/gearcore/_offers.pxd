"""Offers: which worker offers which function. In the code an offer is an `Ability`."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc

from gearcore._agenda cimport agenda_remove, agenda_replace
from gearcore._catalogue cimport (
    catalogue_create,
    catalogue_enter,
    catalogue_find,
    catalogue_free,
    catalogue_remove,
    catalogue_reserve,
)
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

cdef enum:
    FEW = 8                     # offers that are looked through; a peer of more has a catalogue of them


cdef inline Ability *ability_at(Ring *of_peer) noexcept nogil:
    return <Ability *>(<char *>of_peer - <size_t>&(<Ability *>NULL).of_peer)


cdef inline Ability *repeat_at(Ring *repeats) noexcept nogil:
    return <Ability *>(<char *>repeats - <size_t>&(<Ability *>NULL).repeats)


cdef inline Ability *ability_of_sleeper(Ring *of_sleepers) noexcept nogil:
    return <Ability *>(<char *>of_sleepers - <size_t>&(<Ability *>NULL).of_sleepers)


cdef inline Ability *find_ability(const Core *core, Peer *peer, const Function *function) noexcept nogil:
    """The peer's offer of a function; of several the one whose turn is first."""
    cdef Ring *at
    if peer.catalogue != NULL:
        return catalogue_find(core, peer.catalogue, function)
    at = peer.abilities.next
    while at != &peer.abilities:
        if ability_at(at).function == function:
            return ability_at(at)
        at = at.next
    return NULL


cdef inline int create_catalogue(Core *core, Peer *peer) except -1 nogil:
    """Make the catalogue of a peer whose offers are too many to look through each time."""
    cdef Catalogue *catalogue = catalogue_create(core)
    cdef Ring *at = peer.abilities.next
    while catalogue != NULL and at != &peer.abilities:
        if not catalogue_reserve(core, catalogue, ability_at(at).function):
            catalogue_free(core, catalogue)
            catalogue = NULL
        elif is_first(ability_at(at)):
            catalogue_enter(core, catalogue, ability_at(at))
        at = at.next
    if catalogue == NULL:
        with gil:
            raise MemoryError("no memory for the offers of a worker of many functions")
    peer.catalogue = catalogue
    return 0


cdef inline bint is_first(Ability *ability) noexcept nogil:
    """Whether an offer is the one to be found, of the peer's offers of one function."""
    return ability.turn <= repeat_at(ability.repeats.prev).turn


cdef inline void replace_first(const Core *core, Ability *first, Ability *instead) noexcept nogil:
    """Of a peer's offers of one function another is the first now: the one to be found."""
    cdef Catalogue *catalogue = first.peer.catalogue
    if catalogue != NULL:
        agenda_replace(&catalogue.agenda, first, instead)
        catalogue_enter(core, catalogue, instead)
    ring_insert_after(&first.of_sleepers, &instead.of_sleepers)
    ring_remove(&first.of_sleepers)


cdef inline int add_ability(Core *core, Peer *peer, Function *function, uint32_t timeout) except -1 nogil:
    """Note that a peer offers a function; twice if it says so twice, as gearmand does. The newest is next.

    Each offer has its turn and its timeout, but only the first of repeats is in the catalogue and found asleep:
    what a peer does costs no more for its having said a thing a thousand times.
    """
    cdef Ability *first = find_ability(core, peer, function)
    cdef Ability *ability = NULL
    if peer.offers == FEW and peer.catalogue == NULL:
        create_catalogue(core, peer)
    if peer.catalogue == NULL or catalogue_reserve(core, peer.catalogue, function):
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
        # A sleeper that offers more while it sleeps is woken for that as well. Many offers are not all moved
        # when it falls asleep: who looks for a sleeper sees whether it sleeps.
        ring_push_back(
            &peer.roused if peer.catalogue == NULL and not peer.sleeping else &function.sleepers,
            &ability.of_sleepers,
        )
        if peer.catalogue != NULL:
            catalogue_enter(core, peer.catalogue, ability)
    if peer.catalogue != NULL:
        peer.catalogue.news = 0         # what jobs the function has are news to it
    peer.offers += 1
    function.workers += 1
    return 0


cdef inline void remove_abilities(Core *core, Ability *first) noexcept nogil:
    """Withdraw the first of a peer's offers of one function, and all others with it."""
    cdef Peer *peer = first.peer
    if peer.catalogue != NULL:
        catalogue_remove(core, peer.catalogue, first.function)
        agenda_remove(&peer.catalogue.agenda, first)
    ring_remove(&first.of_sleepers)
    while not ring_is_empty(&first.repeats):
        free_ability(core, repeat_at(first.repeats.next))
    free_ability(core, first)
    if peer.offers == 0 and peer.catalogue != NULL:
        catalogue_free(core, peer.catalogue)
        peer.catalogue = NULL


cdef inline void free_ability(Core *core, Ability *ability) noexcept nogil:
    ring_remove(&ability.of_peer)
    ring_remove(&ability.repeats)
    ability.peer.offers -= 1
    ability.function.workers -= 1
    discharge(core, sizeof(Ability))
    free(ability)
