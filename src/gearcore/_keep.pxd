"""What gathers for the next batch that is to be stored, as plain C. It is there while the broker has a store.

Two batches are there at any time, the one that gathers and the one that is out to be committed. They take turns
with two slots, which say whose acknowledgements a peer waits for.
"""

from libc.math cimport INFINITY
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from cpython.ref cimport Py_XDECREF, PyObject

from gearcore._buffer cimport Buffer, buffer_free
from gearcore._ring cimport Ring, ring_init

# A macro, since a .pxd alone can hold no constant that is not an integer.
cdef extern from *:
    """
    #define GEARCORE_FORGETTING 0.005
    #define GEARCORE_LINGERING 0.005
    #if defined(_MSC_VER)
    #define gearcore_raise(flag) ((void)(*(volatile int *)(flag) = 1))
    #define gearcore_is_raised(flag) (*(volatile int *)(flag))
    #else
    #define gearcore_raise(flag) __atomic_store_n(flag, 1, __ATOMIC_RELEASE)
    #define gearcore_is_raised(flag) __atomic_load_n(flag, __ATOMIC_ACQUIRE)
    #endif
    """
    const double FORGETTING "GEARCORE_FORGETTING"   # seconds that what is to be forgotten may wait
    const double LONGEST_LINGERING "GEARCORE_LINGERING"
    # A flag that one thread raises and another looks at, with no lock of the interpreter's in between.
    void raise_flag "gearcore_raise" (int *flag) noexcept nogil
    bint is_raised "gearcore_is_raised" (const int *flag) noexcept nogil

cdef enum:
    SLOTS = 2
    NO_SLOT = -1


# Job.kept: whether the store has the job, or will have it.
cdef enum:
    NOT_KEPT = 0
    KEPT = 1                    # with a number above those of all batches before its own
    KEPT_LATE = 2               # in the batch of the first slot, with any number; or, one higher, of the second


cdef struct Keep:
    Buffer added                # records of jobs, in the order of their numbers
    Buffer late                 # those of jobs that were there before they were to be kept
    Buffer forgotten            # numbers
    Buffer tries                # numbers, each followed by the tries
    Buffer died                 # dead letters: see `bury`
    Buffer gone                 # numbers of dead letters
    size_t charged              # bytes of the above that count as memory in use
    size_t charged_out          # those of the batch that is out
    int slot                    # of the batch that gathers
    bint out                    # there is a batch out
    int committed               # flag of the store's thread: the batch that is out is committed
    bint down                   # the store fails, and background jobs are refused
    uint64_t taken              # the last number that there was when the last batch was taken
    uint64_t settled            # the same for the last batch of which is known what became of it
    PyObject *keeps_failed      # set of the functions whose failed jobs become dead letters, or True for all
    Ring holds[SLOTS]           # peers that wait for the acknowledgement of a batch, by Peer.of_holds
    double waits_since          # the time when the first of what need not be stored at once was noted
    size_t jobs                 # records in `added`
    size_t jobs_out             # those in the batch that is out
    size_t expected             # jobs with which the next batch is not to wait for more
    double taken_at             # the time when the last batch was taken
    double lingers_until        # the time until which the next waits for more jobs
    bint may_linger             # the driver can wait for less than a millisecond
    char[256] reason            # why it fails


cdef inline bint has_gathered(const Keep *keep) noexcept nogil:
    return (
        keep.added.size or keep.forgotten.size or keep.late.size or keep.tries.size or keep.died.size
        or keep.gone.size
    )


cdef inline double keep_deadline(const Keep *keep) noexcept nogil:
    """When what gathered is to be stored, on the driver's clock; INFINITY if it is nothing, or cannot be now.

    For what somebody waits for it is at once. What is forgotten may wait for more of it, since a commit costs the
    same for one job as for many: a crash meanwhile would only have it run again.
    """
    if keep.out or keep.down or not has_gathered(keep):
        return INFINITY
    if keep.late.size or keep.died.size or keep.gone.size:
        return 0
    if keep.added.size:
        return keep.lingers_until if keep.jobs < keep.expected else 0
    return keep.waits_since + FORGETTING


cdef inline void linger(Keep *keep, double now) noexcept nogil:
    """A batch was stored: let the jobs that gather wait for those that will follow it.

    Clients that wait for acknowledgements would otherwise come in two parts, each with a commit of its own: a
    small one, with what the first of them sent, and a large one. It takes no longer than half a commit, and ends
    once there are as many jobs as these clients had waiting, which for one of them with one job is at once.
    """
    keep.lingers_until = 0
    if keep.may_linger and keep.jobs_out:
        keep.lingers_until = now + min((now - keep.taken_at) / 2, LONGEST_LINGERING)
        keep.expected = keep.jobs + keep.jobs_out


cdef inline Keep *keep_create() except NULL:
    cdef Keep *keep = <Keep *>calloc(1, sizeof(Keep))
    cdef int slot
    if keep == NULL:
        raise MemoryError("no memory to note what the store is to keep")
    for slot in range(SLOTS):
        ring_init(&keep.holds[slot])
    return keep


cdef inline void keep_free(Keep *keep):
    if keep == NULL:
        return
    buffer_free(&keep.added)
    buffer_free(&keep.late)
    buffer_free(&keep.forgotten)
    buffer_free(&keep.tries)
    buffer_free(&keep.died)
    buffer_free(&keep.gone)
    Py_XDECREF(keep.keeps_failed)
    free(keep)
