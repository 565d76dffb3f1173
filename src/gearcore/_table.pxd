"""A hash table whose links lie inside its members, grown and shrunk one bucket at a time (linear hashing).

There is no moment at which a large table is rehashed: an insert splits at most one bucket, a removal merges
at most one. The caller gives the hash and compares keys; a hash that counts up (a job's number) is as good
as any, and keeps neighbours together in memory.
"""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, realloc

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define gearcore_prefetch(place) __builtin_prefetch(place)
    #else
    #define gearcore_prefetch(place) ((void)(place))
    #endif
    """
    void prefetch "gearcore_prefetch"(const void *place) noexcept nogil

cdef enum:
    SMALLEST_TABLE = 64


cdef struct Link:
    Link *next
    uint64_t hash


cdef struct Table:
    Link **buckets
    size_t capacity     # buckets that there is memory for, a power of two
    size_t size         # buckets in use
    size_t mask         # the smallest 2^k - 1 that is at least size - 1
    size_t count        # members


cdef inline bint table_init(Table *table) noexcept nogil:
    """Return whether there is memory for that."""
    table.buckets = <Link **>calloc(SMALLEST_TABLE, sizeof(Link *))
    if table.buckets == NULL:
        return False
    table.capacity = SMALLEST_TABLE
    table.size = SMALLEST_TABLE
    table.mask = SMALLEST_TABLE - 1
    table.count = 0
    return True


cdef inline void table_free(Table *table) noexcept nogil:
    free(table.buckets)
    table.buckets = NULL


cdef inline Link **table_bucket(Table *table, uint64_t hash) noexcept nogil:
    cdef size_t index = hash & table.mask
    if index >= table.size:             # not split yet: still with the bucket that it will be split from
        index &= table.mask >> 1
    return &table.buckets[index]


cdef inline void table_split(Table *table) noexcept nogil:
    """Give the next bucket its own members. Without memory the table goes on with longer chains."""
    cdef Link **larger
    cdef Link **source
    cdef Link *link
    if table.size == table.capacity:
        larger = <Link **>realloc(table.buckets, 2 * table.capacity * sizeof(Link *))
        if larger == NULL:
            return
        table.buckets = larger
        table.capacity *= 2
    cdef size_t added = table.size
    if added > table.mask:
        table.mask = 2 * table.mask + 1
    source = &table.buckets[added & (table.mask >> 1)]
    table.buckets[added] = NULL
    table.size += 1
    while source[0] != NULL:
        link = source[0]
        if link.hash & table.mask == added:
            source[0] = link.next
            link.next = table.buckets[added]
            table.buckets[added] = link
        else:
            source = &link.next
    table_look_ahead(table)


cdef inline void table_look_ahead(Table *table) noexcept nogil:
    """Have the members of the buckets that are split next brought into the cache: each would be waited for."""
    cdef size_t next = table.size & (table.mask >> 1)
    cdef Link *link = table.buckets[next]
    if link != NULL:
        prefetch(link.next)
    prefetch(table.buckets[next + 1])


cdef inline void table_merge(Table *table) noexcept nogil:
    """Give the last bucket's members back, and memory too once three quarters of it are unused."""
    cdef Link **smaller
    cdef size_t last = table.size - 1
    cdef Link **target = &table.buckets[last & (table.mask >> 1)]
    while target[0] != NULL:
        target = &target[0].next
    target[0] = table.buckets[last]
    table.size = last
    if last - 1 <= table.mask >> 1:
        table.mask >>= 1
    if table.size <= table.capacity // 4:
        smaller = <Link **>realloc(table.buckets, table.capacity // 2 * sizeof(Link *))
        if smaller != NULL:
            table.buckets = smaller
            table.capacity //= 2


cdef inline void table_add(Table *table, Link *link, uint64_t hash) noexcept nogil:
    cdef Link **bucket
    if table.count >= table.size:
        table_split(table)
    bucket = table_bucket(table, hash)
    link.hash = hash
    link.next = bucket[0]
    bucket[0] = link
    table.count += 1


cdef inline void table_expect(Table *table, uint64_t hash) noexcept nogil:
    """Have what `table_first` will look at brought into the cache."""
    prefetch(table_bucket(table, hash))


cdef inline Link *table_first(Table *table, uint64_t hash) noexcept nogil:
    """The first member that may have this hash; the others follow by `table_next`."""
    cdef Link *link = table_bucket(table, hash)[0]
    while link != NULL and link.hash != hash:
        link = link.next
    return link


cdef inline Link *table_next(Link *link) noexcept nogil:
    cdef uint64_t hash = link.hash
    link = link.next
    while link != NULL and link.hash != hash:
        link = link.next
    return link


cdef inline void table_remove(Table *table, Link *link) noexcept nogil:
    """Take out a member, which must be in the table."""
    cdef Link **place = table_bucket(table, link.hash)
    while place[0] != link:
        place = &place[0].next
    place[0] = link.next
    table.count -= 1
    if table.size > SMALLEST_TABLE and table.count < table.size // 4:
        table_merge(table)
