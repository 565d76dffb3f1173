"""Which lots of records a store holds, and how many of the jobs in each are still there.

A store writes the jobs of a commit as one lot. Numbers of jobs rise, so that a lot is a range of numbers and the
lot of a job is found without a note for each job.
"""

from libc.stdint cimport uint64_t
from libc.stdlib cimport free, qsort, realloc
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

cimport cython

from gearcore._record cimport Record, read_record


cdef struct Lot:
    uint64_t first
    uint64_t last
    size_t count                # records in it, forgotten or not
    size_t left                 # jobs of it that are not forgotten; 0 for a lot that is gone
    size_t size                 # bytes


cdef int compare(const void *a, const void *b) noexcept nogil:
    cdef uint64_t x = (<const uint64_t *>a)[0]
    cdef uint64_t y = (<const uint64_t *>b)[0]
    return (x > y) - (x < y)


cdef bint is_sorted(const uint64_t *numbers, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t at
    for at in range(1, count):
        if numbers[at] < numbers[at - 1]:
            return False
    return True


cdef bytes sorted_numbers(bytes numbers):
    """The same numbers in rising order; 64 bits each."""
    cdef Py_ssize_t count = PyBytes_GET_SIZE(numbers) // sizeof(uint64_t)
    if is_sorted(<const uint64_t *>PyBytes_AS_STRING(numbers), count):
        return numbers
    cdef bytes copy = PyBytes_FromStringAndSize(PyBytes_AS_STRING(numbers), count * sizeof(uint64_t))
    qsort(PyBytes_AS_STRING(copy), count, sizeof(uint64_t), compare)
    return copy


def pieces(bytes records not None, size_t size):
    """Cut records into pieces of about so many bytes: (first number, last number, count, start, end) of each.

    Raises ValueError when they are no records, or not in the order of their numbers.
    """
    cdef const char *start = PyBytes_AS_STRING(records)
    cdef const char *end = start + PyBytes_GET_SIZE(records)
    cdef const char *at = start
    cdef const char *piece = start
    cdef Record record
    cdef uint64_t first = 0
    cdef uint64_t last = 0
    cdef size_t count = 0
    cdef list found = []
    while at < end:
        if read_record(at, end, &record) == NULL or record.number <= last:
            raise ValueError("what is kept of the jobs cannot be read")
        first = record.number if count == 0 else first
        last = record.number
        count += 1
        at += record.size
        if <size_t>(at - piece) >= size or at == end:
            found.append((first, last, count, piece - start, at - start))
            piece = at
            count = 0
    return found


def one_by_one(bytes records not None):
    """Cut records, in whatever order, into (number, record). Raises ValueError when they are none."""
    cdef const char *at = PyBytes_AS_STRING(records)
    cdef const char *end = at + PyBytes_GET_SIZE(records)
    cdef Record record
    cdef list found = []
    while at < end:
        if read_record(at, end, &record) == NULL:
            raise ValueError("what is kept of the jobs cannot be read")
        found.append((record.number, at[: record.size]))
        at += record.size
    return found


def without(bytes records not None, bytes numbers not None):
    """Return the records whose numbers are not among those, which are 64 bits each.

    Raises ValueError when they are no records.
    """
    cdef bytes ordered = sorted_numbers(numbers)
    cdef const uint64_t *gone = <const uint64_t *>PyBytes_AS_STRING(ordered)
    cdef const uint64_t *gone_end = gone + PyBytes_GET_SIZE(ordered) // sizeof(uint64_t)
    cdef const char *at = PyBytes_AS_STRING(records)
    cdef const char *end = at + PyBytes_GET_SIZE(records)
    cdef bytes kept = PyBytes_FromStringAndSize(NULL, end - at)
    cdef char *into = PyBytes_AS_STRING(kept)
    cdef size_t size = 0
    cdef Record record
    while at < end:
        if read_record(at, end, &record) == NULL:
            raise ValueError("what is kept of the jobs cannot be read")
        while gone < gone_end and gone[0] < record.number:
            gone += 1
        if gone == gone_end or gone[0] != record.number:
            memcpy(into + size, at, record.size)
            size += record.size
        at += record.size
    return kept[:size]


@cython.final
cdef class Ledger:
    """The lots of a store, in the order of their numbers."""

    cdef Lot *lots
    cdef size_t size
    cdef size_t capacity
    cdef size_t gone            # of them have no job left
    cdef size_t looked_at       # up to where `crowded` has looked

    def __dealloc__(self):
        free(self.lots)

    def __len__(self):
        """How many lots there are that have jobs left."""
        return self.size - self.gone

    @property
    def left(self):
        """How many jobs there are."""
        cdef size_t at
        cdef size_t total = 0
        for at in range(self.size):
            total += self.lots[at].left
        return total

    def append(self, uint64_t first, uint64_t last, size_t count, size_t left, size_t size):
        """Note a lot whose numbers are above all others'; raises ValueError when they are not."""
        cdef size_t capacity
        cdef Lot *lots
        if first > last or (self.size and first <= self.lots[self.size - 1].last):
            raise ValueError(f"a lot of {first}..{last} is out of order")
        if self.size == self.capacity:
            capacity = max(2 * self.capacity, <size_t>64)
            lots = <Lot *>realloc(self.lots, capacity * sizeof(Lot))
            if lots == NULL:
                raise MemoryError("no memory to note another commit")
            self.lots = lots
            self.capacity = capacity
        self.lots[self.size] = Lot(first, last, count, left, size)
        self.size += 1

    cdef Lot *find(self, uint64_t number):
        """The lot whose range holds a number, or NULL."""
        cdef size_t low = 0
        cdef size_t high = self.size
        cdef size_t middle
        while low < high:
            middle = (low + high) // 2
            if self.lots[middle].last < number:
                low = middle + 1
            else:
                high = middle
        if low == self.size or self.lots[low].first > number or self.lots[low].left == 0:
            return NULL
        return &self.lots[low]

    def split(self, bytes numbers not None):
        """Sort numbers of jobs, 64 bits each, by lot: (first number of the lot, numbers, jobs then left).

        Numbers of no lot are passed over. Nothing is changed; `settle` takes the answer.
        """
        cdef bytes ordered = sorted_numbers(numbers)
        cdef const uint64_t *at = <const uint64_t *>PyBytes_AS_STRING(ordered)
        cdef const uint64_t *end = at + PyBytes_GET_SIZE(ordered) // sizeof(uint64_t)
        cdef const uint64_t *start
        cdef Lot *lot
        cdef size_t count
        cdef list found = []
        while at < end:
            lot = self.find(at[0])
            if lot == NULL:
                at += 1
                continue
            start = at
            while at < end and at[0] <= lot.last:
                at += 1
            count = at - start
            found.append((
                lot.first,
                PyBytes_FromStringAndSize(<const char *>start, count * sizeof(uint64_t)),
                lot.left - min(count, lot.left),
            ))
        return found

    def settle(self, list groups not None):
        """Take over what `split` said."""
        cdef Lot *lot
        for first, _, left in groups:
            lot = self.find(first)
            if lot != NULL:
                lot.left = left
                self.gone += left == 0
        if self.gone > 64 and self.gone > self.size // 2:
            self.sweep()

    cdef void sweep(self) noexcept:
        """Let go of the lots that are gone."""
        cdef size_t at
        cdef size_t kept = 0
        for at in range(self.size):
            if self.lots[at].left:
                self.lots[kept] = self.lots[at]
                kept += 1
        self.size = kept
        self.gone = 0
        self.looked_at = 0

    def crowded(self, size_t most, size_t steps=256):
        """Look for neighbouring lots that are better kept as one; return the first number of each, or [].

        They are many and small, or most of their jobs are forgotten; what is left of them is at most so many
        bytes. Looks at about so many lots, and goes on from there the next time. The last lot is left alone.
        """
        cdef size_t start = self.looked_at
        cdef size_t at
        cdef size_t live
        cdef size_t total = 0
        cdef size_t before = 0
        cdef size_t lots = 0
        if self.looked_at + 1 >= self.size:
            self.looked_at = 0
            return []
        at = start
        while at + 1 < self.size and at < start + steps:
            if self.lots[at].left:
                live = <size_t>(<double>self.lots[at].size * self.lots[at].left / self.lots[at].count)
                if lots and total + live > most:
                    break
                total += live
                before += self.lots[at].size
                lots += 1
            at += 1
        self.looked_at = at
        if lots < 16 and (lots == 0 or total * 2 > before):
            return []
        return [self.lots[place].first for place in range(start, at) if self.lots[place].left]

    def merge(self, list firsts not None, size_t count, size_t size):
        """Note that these lots, with none in between, are one now, under the first number of the first."""
        cdef Lot *merged = self.find(firsts[0])
        cdef Lot *lot = self.find(firsts[len(firsts) - 1])
        cdef uint64_t last = lot.last
        merged.count = count
        merged.left = count
        merged.size = size
        # Those in between stay until the next sweep. With the same last number, `find` meets the merged one first.
        while lot != merged:
            self.gone += lot.left != 0
            lot.left = 0
            lot.last = last
            lot -= 1
        merged.last = last
