"""Whether to stay awake while one packet is due: what `gearcore._waiting.Vigil` is for clients, for the server.

To fall asleep and to be woken takes a processor some microseconds, and a virtual one tens of them: longer than a
peer close by takes to go on. So a wait begins awake if the last one was short and for a single socket; where several
have something at a time, those that come meanwhile are better read together. When it is in vain, or somebody else
wants the processor, the next waits are slept through: twice as many after each such time.
"""

cdef extern from *:
    """
    #include <sched.h>
    #include <time.h>
    #define GEARCORE_AWAKE 50e-6
    #define GEARCORE_SOON 100e-6
    #define GEARCORE_OURS 4e-6
    static double gearcore_seconds(void)
    {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec + time.tv_nsec * 1e-9;
    }
    static int gearcore_processors(void)
    {
        cpu_set_t set;
        return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    }
    """
    const double AWAKE "GEARCORE_AWAKE"     # seconds for which a packet is awaited awake
    const double SOON "GEARCORE_SOON"       # seconds within which the last one must have come
    const double OURS "GEARCORE_OURS"       # seconds that it takes at most to give way to nobody
    double seconds_now "gearcore_seconds" () noexcept nogil
    int processors "gearcore_processors" () noexcept nogil
    int sched_yield() noexcept nogil

cdef enum:
    LONGEST_REST = 255          # waits that are slept through after one that was awake in vain


cdef struct Vigil:
    bint alone                  # with a single processor: who is waited for needs it
    bint soon                   # the last wait was short, and for one socket
    bint awake                  # this one began awake
    bint in_vain
    int vain
    int rest                    # waits that are still to be slept through
    double begun


cdef inline bint vigil_begin(Vigil *vigil) noexcept nogil:
    """A wait begins; return whether to be awake."""
    vigil.begun = seconds_now()
    vigil.awake = vigil.soon and not vigil.rest and not vigil.alone
    vigil.in_vain = False
    return vigil.awake


cdef inline bint vigil_goes_on(Vigil *vigil) noexcept nogil:
    """There is nothing yet: let others have the processor; return whether to be awake still."""
    cdef double looked = seconds_now()
    cdef double now
    sched_yield()
    now = seconds_now()
    vigil.in_vain = now - looked > OURS or now - vigil.begun > AWAKE
    return not vigil.in_vain


cdef inline void vigil_end(Vigil *vigil, int ready) noexcept nogil:
    """The wait is over: so many sockets have something."""
    vigil.soon = ready == 1 and seconds_now() - vigil.begun < SOON
    if vigil.in_vain:
        vigil.vain = min(2 * vigil.vain + 1, LONGEST_REST)
        vigil.rest = vigil.vain
    elif vigil.awake:
        vigil.vain //= 2
    elif vigil.rest:
        vigil.rest -= 1
