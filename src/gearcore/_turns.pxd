"""Whose turn it is: which of its offers a worker is served for."""

from libc.stdint cimport INT64_MAX, int64_t

from gearcore._agenda cimport agenda_move, agenda_put, agenda_remove
from gearcore._catalogue cimport catalogue_find
from gearcore._functions cimport first_priority, function_ready_at
from gearcore._offers cimport FEW, ability_at, is_first, repeat_at, replace_first
from gearcore._ring cimport Ring, ring_is_empty, ring_push_back, ring_remove
from gearcore._state cimport PRIORITIES, Ability, Agenda, Catalogue, Core, Peer


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
    one of them will do, and the agenda can wait. And so are all of many if there is no memory for the agenda.
    """
    cdef Ability *found = NULL
    if ring_is_empty(&core.ready):
        return NULL
    if peer.catalogue == NULL:
        look_through(core, peer, FEW, &found)
        return found
    if core.news - peer.catalogue.news > FEW and look_through(core, peer, FEW, &found):
        return found
    if update_agenda(core, peer):
        return first_of_agenda(core, &peer.catalogue.agenda)
    look_through(core, peer, peer.offers, &found)
    return found


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


cdef inline bint update_agenda(Core *core, Peer *peer) noexcept nogil:
    """Note the offers that rank higher than when this was last done; return whether there is memory for them.

    Looks at the functions that had news since or, if they are more than the peer's offers, at those.
    """
    cdef Catalogue *catalogue = peer.catalogue
    cdef size_t most = peer.offers
    cdef Ring *at = core.ready.prev
    cdef Ability *ability
    while at != &core.ready and function_ready_at(at).news > catalogue.news and most > 0:
        ability = catalogue_find(core, catalogue, function_ready_at(at))
        if ability != NULL and not agenda_put(core, &catalogue.agenda, ability, rank_of(core, ability)):
            return False
        at = at.prev
        most -= 1
    if most == 0:
        at = peer.abilities.next
        while at != &peer.abilities:
            ability = ability_at(at)
            if ability.function.waiting and is_first(ability):
                if not agenda_put(core, &catalogue.agenda, ability, rank_of(core, ability)):
                    return False
            at = at.next
    catalogue.news = core.news
    return True


cdef inline Ability *first_of_agenda(const Core *core, Agenda *agenda) noexcept nogil:
    """The first offer that is where it belongs: those that lost jobs or had their turn move back."""
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
            agenda_move(agenda, ability, rank)
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
