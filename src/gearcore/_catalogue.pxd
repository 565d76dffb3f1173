"""The catalogue of a worker's many offers: which one is for a function, found by the function's number.

Functions are numbered as they are created, and offers are often made in that order, so that offers of
neighbours share a page: to make or find the next one touches little memory.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from gearcore._agenda cimport agenda_free
from gearcore._memory cimport charge, discharge
from gearcore._state cimport PAGE, Ability, Catalogue, Core, Function, Page
from gearcore._table cimport Link, table_add, table_first, table_free, table_init, table_next, table_remove


cdef inline uint64_t page_hash(const Core *core, uint32_t number) noexcept nogil:
    """Scatter the numbers of pages, which peers may choose among."""
    cdef uint64_t mixed = (number ^ core.key.k0) * <uint64_t>0x9E3779B97F4A7C15
    mixed = (mixed ^ (mixed >> 32)) * <uint64_t>0xBF58476D1CE4E5B9
    return mixed ^ (mixed >> 32)


cdef inline Catalogue *catalogue_create(Core *core) noexcept nogil:
    """Make an empty one; NULL if there is no memory for it."""
    cdef Catalogue *catalogue = <Catalogue *>calloc(1, sizeof(Catalogue))
    if catalogue != NULL and not table_init(&catalogue.pages):
        free(catalogue)
        return NULL
    if catalogue != NULL:
        charge(core, sizeof(Catalogue))
    return catalogue


cdef inline void catalogue_free(Core *core, Catalogue *catalogue) noexcept nogil:
    """Forget which offer is for which function."""
    cdef size_t index
    cdef Link *link
    cdef Link *next
    for index in range(catalogue.pages.size):
        link = catalogue.pages.buckets[index]
        while link != NULL:
            next = link.next
            discharge(core, sizeof(Page))
            free(link)                                          # Page.of_catalogue comes first
            link = next
    agenda_free(core, &catalogue.agenda)
    table_free(&catalogue.pages)
    free(catalogue)
    discharge(core, sizeof(Catalogue))


cdef inline Page *page_of(const Core *core, Catalogue *catalogue, const Function *function) noexcept nogil:
    """The page that offers of a function belong to, or NULL if there is none yet."""
    cdef uint32_t number = function.number // PAGE
    cdef Link *link
    if catalogue.recent != NULL and catalogue.recent.number == number:
        return catalogue.recent
    link = table_first(&catalogue.pages, page_hash(core, number))
    while link != NULL and (<Page *>link).number != number:
        link = table_next(link)
    if link != NULL:
        catalogue.recent = <Page *>link
    return <Page *>link


cdef inline Ability *catalogue_find(
    const Core *core, Catalogue *catalogue, const Function *function
) noexcept nogil:
    """The offer of a function that is in the catalogue, or NULL."""
    cdef Page *page = page_of(core, catalogue, function)
    return NULL if page == NULL else page.abilities[function.number % PAGE]


cdef inline bint catalogue_reserve(Core *core, Catalogue *catalogue, const Function *function) noexcept nogil:
    """Make room for an offer of a function; return whether there is memory for it."""
    cdef Page *page = page_of(core, catalogue, function)
    if page != NULL:
        return True
    page = <Page *>calloc(1, sizeof(Page))
    if page == NULL:
        return False
    charge(core, sizeof(Page))
    page.number = function.number // PAGE
    table_add(&catalogue.pages, &page.of_catalogue, page_hash(core, page.number))
    catalogue.recent = page
    return True


cdef inline void catalogue_enter(const Core *core, Catalogue *catalogue, Ability *ability) noexcept nogil:
    """Have an offer found as that of its function, instead of another or where room is reserved."""
    cdef Page *page = page_of(core, catalogue, ability.function)
    page.count += page.abilities[ability.function.number % PAGE] == NULL
    page.abilities[ability.function.number % PAGE] = ability


cdef inline void catalogue_remove(Core *core, Catalogue *catalogue, const Function *function) noexcept nogil:
    """Have no offer of a function found, where there was one."""
    cdef Page *page = page_of(core, catalogue, function)
    page.abilities[function.number % PAGE] = NULL
    page.count -= 1
    if page.count == 0:
        table_remove(&catalogue.pages, &page.of_catalogue)
        catalogue.recent = NULL
        discharge(core, sizeof(Page))
        free(page)
