"""What the broker knows, as plain C: jobs, functions, peers, and who stands in which list.

Everything is reachable from `Core`. A job is queued, running or delayed. Through `Job.place` it is in the
queue of its function and priority, or in its worker's `running` ring; while it is delayed it is in neither,
but in the heap `Core.delayed`. A running job whose function has a timeout is in the heap `Core.timeouts`.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gearcore._buffer cimport Buffer
from gearcore._keep cimport SLOTS, Keep
from gearcore._ring cimport Ring
from gearcore._siphash cimport SipKey
from gearcore._table cimport Link, Table

cdef enum:
    PRIORITIES = 3
    MAX_HANDLE_SIZE = 63
    MAX_UNIQUE_SIZE = 64
    MAX_REDUCER_SIZE = 64
    MAX_FUNCTION_SIZE = 8191
    MAX_CLIENT_ID_SIZE = 127
    PAGE = 32                   # numbers of functions whose offers are noted together


cdef enum JobState:
    QUEUED
    RUNNING
    DELAYED


# Memory that outlives the packet that it was received for.
cdef struct Block:
    size_t holders
    size_t size
    char *data


cdef struct Reference:
    Ring of_output
    Block *block
    const char *data
    size_t size
    size_t place                # behind how many bytes of Peer.output


# In place of the workload in Job.content, where the workload is large.
cdef struct Apart:
    Block *block
    const char *workload


cdef struct Job:
    Link by_number              # its hash is the job's number: the last part of its handle
    Link by_unique              # its hash is that of what the job coalesces on
    Ring place
    Ring watches                # of the clients that wait for the result, by Watch.of_job
    Function *function
    Peer *worker
    uint32_t numerator
    uint32_t denominator
    uint32_t workload_size
    uint32_t failures           # runs that ended with the worker's disappearance or a timeout
    uint32_t timer              # its index in the heap that it is in, if it is in one
    uint8_t state               # a JobState
    uint8_t timed               # runs, and is in the heap of timeouts
    uint8_t unique_size
    uint8_t reducer_size
    uint8_t priority
    uint8_t background          # outlives its clients
    uint8_t coalesces           # is in the table of uniques
    uint8_t unique_is_workload  # was submitted with "-" for its unique
    uint8_t kept                # by the store, or to be: see _keep.pxd
    char content[1]             # unique, reducer and workload or Apart, one behind the other


cdef struct Watch:
    Ring of_job
    Ring of_client
    Job *job
    Peer *client


cdef struct Timer:
    double time
    Job *job


cdef struct Heap:
    Timer *timers
    size_t size
    size_t capacity


cdef struct Function:
    Ring queues[PRIORITIES]
    size_t queued[PRIORITIES]
    Ring of_ready               # in Core.ready while a queue has a job
    uint64_t news               # Core.news when it last got a job of a higher priority than it had
    size_t delayed
    size_t running
    # What an offer needs, in as few cache lines as it takes: workers may offer many thousands.
    size_t waiting              # the sum of `queued`
    Ring sleepers               # abilities of workers that may be asleep, by Ability.of_sleepers
    Ring of_core                # in Core.all_functions once somebody mentioned it, or alone
    Link by_name
    uint32_t most[PRIORITIES]   # jobs that there may be, of any kind, for one more to be taken; 0 for no limit
    uint32_t number             # counts up from one function to the next
    uint32_t workers
    uint32_t woken              # workers woken for it that have not answered yet
    uint32_t name_size
    char name[1]


cdef struct Ability:
    Ring of_peer
    Ring repeats                # a ring without a head: the peer's offers of this function, by turn
    int64_t turn                # what is served first has the least
    Ring of_sleepers            # in Function.sleepers, or in Peer.roused; of repeats, only the first.
                                # Of a worker that leaves, the head of its jobs of that function, by Job.place
    Peer *peer
    Function *function
    uint32_t timeout            # milliseconds that a job may run; 0 for as long as it likes
    uint32_t entry              # its index in its peer's agenda, counted from 1; 0 if it is not there


cdef struct Entry:
    int64_t rank
    Ability *ability


cdef struct Agenda:
    Entry *entries
    size_t size
    size_t capacity


# Offers of functions whose numbers are neighbours.
cdef struct Page:
    Link of_catalogue           # by `number`
    uint32_t number             # Function.number // PAGE
    uint32_t count              # offers on it
    Ability *abilities[PAGE]    # by Function.number % PAGE; of repeats, the one whose turn is first


# What a peer of many offers has besides their list.
cdef struct Catalogue:
    Table pages
    Page *recent                # the one that was asked for last, or NULL
    Agenda agenda               # offers that may have a job
    uint64_t news               # Core.news when functions with jobs were last put in the agenda


cdef struct Peer:
    Buffer output
    Ring references             # to what is to be written between the bytes of `output`
    size_t referenced           # how many bytes they refer to
    Buffer held[SLOTS]          # the places in `output` of acknowledgements that wait for a batch to be stored
    Ring of_holds[SLOTS]        # in Keep.holds, or alone
    Buffer input                # an unfinished packet
    bint sends_large            # its last packets were large
    size_t discarding           # bytes still to come of a packet that was too large
    Ring of_core
    Ring of_touched             # in Core.touched, or alone
    Ring abilities              # in the order of their turns, by Ability.of_peer
    size_t offers               # how many there are
    Catalogue *catalogue        # NULL while they are few
    int64_t first_turn
    int64_t last_turn
    Ring roused                 # abilities that are in no function's `sleepers`, by Ability.of_sleepers
    Ring running                # jobs assigned to this peer, newest first, by Job.place
    Ring watches                # by Watch.of_client
    char *client_id
    bint receiving              # is in the middle of a call that takes what it sent
    bint closing                # to be closed once its output is written
    bint sleeping
    Function *woken_for         # it was sent a NOOP for a job of this function, and has not answered yet
    double woken_at
    Ring of_woken               # in Core.woken, or alone
    bint exceptions
    bint overflowed             # left so much unread that it is to be cut off
    int descriptor              # of the socket, if `_direct` reads and writes it; else -1
    bint blocked                # that socket takes no more for now
    bint ended                  # that socket brings no more
    bint gone                   # that socket is closed or broken
    size_t sent                 # how much of the output that socket has taken
    Ring of_gone                # in DirectSockets.gone, or alone
    void *access                # the callable that says what this peer may do; NULL if it may do anything
    void *connection            # the Connection that stands for this peer; the broker keeps it alive


# What the operator chose. See the docstring of Broker.
cdef struct Rules:
    int job_retries             # runs that a job gets at the most; -1 for any number
    int worker_wakeup           # workers woken for a job; 0 for all that sleep, -1 for as few as will do
    bint in_order_of_offer      # gearmand 1.1: a worker's functions are served in order of their offer
    bint round_robin            # gearmand 1.1 with --round-robin
    bint exceptions             # every client gets exceptions
    size_t max_packet_size
    size_t max_output
    size_t max_memory
    size_t max_functions


cdef struct Core:
    Table jobs                  # by number
    Table uniques
    Table functions             # by name
    uint32_t last_function      # the number of the newest
    Ring all_functions          # in order of creation
    uint64_t last_number
    Ring all_peers
    Ring touched                # peers with output to be written, or to be closed
    bint answered               # a command was, which may have given the driver something to do
    Ring woken                  # peers that have not answered a NOOP yet, longest ago first
    Ring ready                  # functions with a job in a queue, by Function.news
    size_t ready_count[PRIORITIES]  # how many have one of that priority
    uint64_t news               # counts up when a function gets a job of a higher priority than it had
    Heap delayed                # jobs whose time has not come, by Unix time
    Heap timeouts               # running jobs, by the time on the driver's clock when they are taken back
    double now                  # on the driver's clock, in seconds from whenever it likes
    double unix_offset          # what to add to `now` to get Unix time
    SipKey key
    Rules rules
    Keep *keep                  # what the store is to keep; NULL without a store
    const void *packets         # a table of `_dispatch.Rule`, by PacketType
    int (*answer_line)(Core *core, Peer *peer) except -1 nogil      # the line of text in Peer.input
    size_t memory               # bytes that jobs, functions, offers and unfinished packets take
    size_t memory_peak          # the most of it since memory was last given back to the system
    size_t prefix_size
    char prefix[MAX_HANDLE_SIZE + 1]
