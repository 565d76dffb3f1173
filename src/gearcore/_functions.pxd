"""Functions: their names, and the table in which they are found."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from gearcore._jobs cimport same_bytes
from gearcore._memory cimport charge, discharge
from gearcore._ring cimport Ring, ring_init, ring_is_empty, ring_push_back, ring_remove
from gearcore._siphash cimport siphash
from gearcore._state cimport PRIORITIES, Core, Function
from gearcore._table cimport Link, table_add, table_first, table_next, table_remove


cdef inline Function *function_at(Ring *of_core) noexcept nogil:
    return <Function *>(<char *>of_core - <size_t>&(<Function *>NULL).of_core)


cdef inline Function *function_ready_at(Ring *of_ready) noexcept nogil:
    return <Function *>(<char *>of_ready - <size_t>&(<Function *>NULL).of_ready)


cdef inline Function *function_of_name(Link *by_name) noexcept nogil:
    return <Function *>(<char *>by_name - <size_t>&(<Function *>NULL).by_name)


cdef inline size_t function_size(size_t name_size) noexcept nogil:
    return <size_t>&(<Function *>NULL).name + name_size


cdef inline Function *find_function(Core *core, const char *name, size_t size) noexcept nogil:
    return find_hashed_function(core, name, size, siphash(&core.key, name, size))


cdef inline Function *find_hashed_function(
    Core *core, const char *name, size_t size, uint64_t hash
) noexcept nogil:
    cdef Link *link = table_first(&core.functions, hash)
    cdef Function *function
    while link != NULL:
        function = function_of_name(link)
        if same_bytes(function.name, function.name_size, name, size):
            return function
        link = table_next(link)
    return NULL


cdef inline Function *get_function(Core *core, const char *name, size_t size) except NULL nogil:
    """The function of that name, made on first mention and kept: `status` lists it from then on."""
    cdef Function *function = get_unlisted_function(core, name, size)
    if ring_is_empty(&function.of_core):
        ring_push_back(&core.all_functions, &function.of_core)
    return function


cdef inline Function *get_function_after(
    Core *core, Function *before, const char *name, size_t size
) except NULL nogil:
    """The same, looked for behind another first: workers offer functions in the order in which others did."""
    cdef Function *behind
    if before != NULL and before.of_core.next != &core.all_functions:
        behind = function_at(before.of_core.next)
        if same_bytes(behind.name, behind.name_size, name, size):
            return behind
    return get_function(core, name, size)


cdef inline Function *get_unlisted_function(Core *core, const char *name, size_t size) except NULL nogil:
    """The same, without a mention: a limit may be set before there is a function to list."""
    cdef uint64_t hash = siphash(&core.key, name, size)
    cdef Function *function = find_hashed_function(core, name, size, hash)
    cdef int priority
    if function != NULL:
        return function
    function = <Function *>malloc(function_size(size))
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
    charge(core, function_size(size))
    core.last_function += 1
    function.number = core.last_function
    function.name_size = <uint32_t>size
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
    discharge(core, function_size(function.name_size))
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
