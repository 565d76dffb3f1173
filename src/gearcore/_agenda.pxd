"""A worker's agenda: those of its offers that may have a job, as a heap, so that the next is found at once.

It is for workers with many offers, and may be out of date in one direction: an offer may rank lower than its
entry says. That is seen, and put right, when the entry comes first.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, realloc

from gearcore._memory cimport charge, discharge
from gearcore._state cimport Ability, Agenda, Core, Entry

cdef enum:
    SMALLEST_AGENDA = 16


cdef inline bint agenda_grow(Core *core, Agenda *agenda) noexcept nogil:
    """Return whether there is memory for that."""
    cdef size_t capacity = max(2 * agenda.capacity, <size_t>SMALLEST_AGENDA)
    cdef Entry *larger = <Entry *>realloc(agenda.entries, capacity * sizeof(Entry))
    if larger == NULL:
        return False
    charge(core, (capacity - agenda.capacity) * sizeof(Entry))
    agenda.entries = larger
    agenda.capacity = capacity
    return True


cdef inline void agenda_free(Core *core, Agenda *agenda) noexcept nogil:
    discharge(core, agenda.capacity * sizeof(Entry))
    free(agenda.entries)
    agenda.entries = NULL
    agenda.size = 0
    agenda.capacity = 0


cdef inline void agenda_set(Agenda *agenda, size_t index, Entry entry) noexcept nogil:
    agenda.entries[index] = entry
    entry.ability.entry = <uint32_t>index + 1


cdef inline void agenda_place(Agenda *agenda, size_t index, Entry entry) noexcept nogil:
    """Put an entry where it belongs, up or down from a place that is free."""
    cdef size_t near
    while index > 0:
        near = (index - 1) // 2
        if agenda.entries[near].rank <= entry.rank:
            break
        agenda_set(agenda, index, agenda.entries[near])
        index = near
    while 2 * index + 1 < agenda.size:
        near = 2 * index + 1
        if near + 1 < agenda.size and agenda.entries[near + 1].rank < agenda.entries[near].rank:
            near += 1
        if entry.rank <= agenda.entries[near].rank:
            break
        agenda_set(agenda, index, agenda.entries[near])
        index = near
    agenda_set(agenda, index, entry)


cdef inline bint agenda_put(Core *core, Agenda *agenda, Ability *ability, int64_t rank) noexcept nogil:
    """Enter an offer, or change its rank if it is there; return whether there is memory to enter it."""
    if ability.entry == 0:
        if agenda.size == agenda.capacity and not agenda_grow(core, agenda):
            return False
        agenda.size += 1
        ability.entry = <uint32_t>agenda.size
    agenda_move(agenda, ability, rank)
    return True


cdef inline void agenda_move(Agenda *agenda, Ability *ability, int64_t rank) noexcept nogil:
    """Change the rank of an offer that is there."""
    cdef Entry entry
    entry.rank = rank
    entry.ability = ability
    agenda_place(agenda, ability.entry - 1, entry)


cdef inline void agenda_replace(Agenda *agenda, Ability *ability, Ability *instead) noexcept nogil:
    """Give the entry of an offer, if it has one, to another that has none."""
    if ability.entry:
        agenda.entries[ability.entry - 1].ability = instead
        instead.entry = ability.entry
        ability.entry = 0


cdef inline void agenda_remove(Agenda *agenda, Ability *ability) noexcept nogil:
    """Take out an offer, if it is there."""
    cdef size_t index
    if ability.entry == 0:
        return
    index = ability.entry - 1
    ability.entry = 0
    agenda.size -= 1
    if index < agenda.size:
        agenda_place(agenda, index, agenda.entries[agenda.size])
