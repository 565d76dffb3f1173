"""A job as a store keeps it: a header of fixed size, and the job's texts behind it, in little-endian order.

Records lie one behind the other, each as long as it says. Whoever reads them checks them first, by
`read_record`: they come from a file that anything may have happened to.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    RECORD_VERSION = 1
    RECORD_SIZE = 32            # of the header
    LAST_PRIORITY = 2

# The header is copied as it is, on machines that count from the little end; a store moves to no other.
cdef struct Record:
    uint32_t size               # of all, header included
    uint8_t version
    uint8_t priority
    uint8_t unique_size
    uint8_t reducer_size
    uint16_t function_size
    uint16_t unused
    uint32_t tries              # runs that came to nothing
    uint64_t number
    double unix_time            # not to be run before; 0 for at once


cdef inline const char *read_record(const char *at, const char *end, Record *record) noexcept nogil:
    """Read the header of the next record and return where its texts are; NULL if it is none."""
    cdef size_t texts
    if end - at < RECORD_SIZE:
        return NULL
    memcpy(record, at, RECORD_SIZE)
    texts = <size_t>record.function_size + record.unique_size + record.reducer_size
    if (
        record.version != RECORD_VERSION
        or record.priority > LAST_PRIORITY
        or record.number == 0
        or record.size < RECORD_SIZE + texts
        or record.size > <size_t>(end - at)
    ):
        return NULL
    return at + RECORD_SIZE
