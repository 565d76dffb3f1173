"""What the broker knows, as plain C: jobs, functions, peers, and who stands in which list.

Everything is reachable from `Core`. A job is in exactly one of two rings through `Job.place`: the queue of
its function and priority while it waits (`worker` is NULL), or its worker's `running` ring.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from gearcore._buffer cimport Buffer
from gearcore._ring cimport Ring
from gearcore._siphash cimport SipKey
from gearcore._table cimport Link, Table

cdef enum:
    PRIORITIES = 3
    MAX_HANDLE_SIZE = 63
    MAX_UNIQUE_SIZE = 64
    MAX_REDUCER_SIZE = 64
    MAX_CLIENT_ID_SIZE = 127


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
    uint8_t unique_size
    uint8_t reducer_size
    uint8_t priority
    uint8_t background          # outlives its clients
    uint8_t coalesces           # is in the table of uniques
    uint8_t unique_is_workload  # was submitted with "-" for its unique
    char content[1]             # unique, reducer and workload, one behind the other


cdef struct Watch:
    Ring of_job
    Ring of_client
    Job *job
    Peer *client


cdef struct Function:
    Link by_name
    Ring of_core
    Ring queues[PRIORITIES]
    size_t queued[PRIORITIES]
    size_t waiting              # the sum of `queued`
    size_t running
    size_t workers
    Ring sleepers               # abilities of workers that may be asleep, by Ability.of_sleepers
    size_t name_size
    char name[1]


cdef struct Ability:
    Ring of_peer
    Ring of_sleepers            # in Function.sleepers, or in Peer.roused
    Peer *peer
    Function *function


cdef struct Peer:
    Buffer output
    Buffer input                # an unfinished packet
    size_t discarding           # bytes still to come of a packet that was too large
    Ring of_core
    Ring of_touched             # in Core.touched, or alone
    Ring abilities              # newest first, by Ability.of_peer
    Ring *served                # the ability that was served last, or the head of `abilities`
    Ring roused                 # abilities that are in no function's `sleepers`, by Ability.of_sleepers
    Ring running                # jobs assigned to this peer, newest first, by Job.place
    Ring watches                # by Watch.of_client
    size_t client_id_size
    char *client_id
    bint closing                # to be closed once its output is written
    bint sleeping
    bint exceptions
    void *connection            # the Connection that stands for this peer; the broker keeps it alive


cdef struct Core:
    Table jobs                  # by number
    Table uniques
    Table functions             # by name
    Ring all_functions          # in order of creation
    uint64_t last_number
    Ring all_peers
    Ring touched                # peers with output to be written, or to be closed
    SipKey key
    size_t max_packet_size
    size_t prefix_size
    char prefix[MAX_HANDLE_SIZE + 1]
