"""Circular doubly linked lists whose links lie inside their members: no allocation, any member leaves in O(1).

A head is a `Ring` of its own; an empty list is a head that points to itself. A member that is in no list
points to itself too, so that taking it out twice does no harm.
"""

cdef struct Ring:
    Ring *prev
    Ring *next


cdef inline void ring_init(Ring *ring) noexcept nogil:
    ring.prev = ring
    ring.next = ring


cdef inline bint ring_is_empty(Ring *head) noexcept nogil:
    return head.next == head


cdef inline void ring_insert_after(Ring *place, Ring *member) noexcept nogil:
    member.prev = place
    member.next = place.next
    place.next.prev = member
    place.next = member


cdef inline void ring_push_front(Ring *head, Ring *member) noexcept nogil:
    ring_insert_after(head, member)


cdef inline void ring_push_back(Ring *head, Ring *member) noexcept nogil:
    ring_insert_after(head.prev, member)


cdef inline void ring_remove(Ring *member) noexcept nogil:
    member.prev.next = member.next
    member.next.prev = member.prev
    ring_init(member)
