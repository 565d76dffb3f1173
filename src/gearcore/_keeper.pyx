"""What a broker and a store have to do with each other: batches out, confirmations in, jobs back at the start."""

from struct import unpack as _unpack

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject

cimport cython

from gearcore._broker cimport Broker, Connection
from gearcore._buffer cimport Buffer, buffer_append, buffer_free
from gearcore._burial cimport DIED_SIZE
from gearcore._client_packets cimport keep_job
from gearcore._functions cimport get_function
from gearcore._heap cimport heap_reserve
from gearcore._holds cimport refuse_holds, release_holds
from gearcore._jobs cimport Submission, create_job, find_job, hash_asked, parse_handle
from gearcore._keep cimport (
    KEPT,
    KEPT_LATE,
    NOT_KEPT,
    SLOTS,
    Keep,
    has_gathered,
    keep_create,
    keep_deadline,
    linger,
    raise_flag,
)
from gearcore._keeping cimport have_room, note
from gearcore._memory cimport discharge
from gearcore._output cimport unsent
from gearcore._record cimport Record, read_record
from gearcore._replies cimport format_handle, overflow, touch
from gearcore._state cimport MAX_HANDLE_SIZE, MAX_REDUCER_SIZE, MAX_UNIQUE_SIZE, RUNNING, Core, Job, Peer
from gearcore._transitions cimport delay, disown, discard, enqueue, is_wanted

cdef enum:
    LARGEST_KEPT = 1024 * 1024          # bytes of a buffer that is not given back when a batch is taken


cdef bytes take(Buffer *buffer):
    """What a buffer holds, which is then empty."""
    cdef bytes taken = PyBytes_FromStringAndSize(buffer.data, buffer.size)
    buffer.size = 0
    if buffer.capacity > LARGEST_KEPT:
        buffer_free(buffer)
    return taken


cdef void put_in_front(Buffer *buffer, bytes earlier) noexcept:
    """Give a buffer back what was taken from it, in front of what it got since; after `have_room`."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(earlier)
    if size:
        memmove(buffer.data + size, buffer.data, buffer.size)
        memcpy(buffer.data, PyBytes_AS_STRING(earlier), size)
        buffer.size += size


cdef list letters_in(Core *core, bytes died):
    """Dead letters as the store takes them: number, handle, function, unique, tries, error, Unix time, record."""
    cdef const char *at = PyBytes_AS_STRING(died)
    cdef const char *end = at + PyBytes_GET_SIZE(died)
    cdef char[MAX_HANDLE_SIZE + 1] handle
    cdef const char *error
    cdef const char *texts
    cdef double died_at
    cdef uint32_t error_size
    cdef Record record
    cdef list letters = []
    while at < end:
        memcpy(&died_at, at, sizeof(died_at))
        memcpy(&error_size, at + sizeof(died_at), sizeof(error_size))
        error = at + DIED_SIZE
        at = error + error_size
        texts = read_record(at, end, &record)
        letters.append((
            record.number,
            handle[: format_handle(core, record.number, handle)],
            texts[: record.function_size],
            texts[record.function_size : record.function_size + record.unique_size],
            record.tries,
            error[:error_size],
            died_at,
            at[: record.size],
        ))
        at += record.size
    return letters


cdef int restore(Core *core, const Record *record, const char *texts, bint anew) except -1:
    """Queue a job that a store kept, under its old number, unless it is there.

    With `anew` it is one that died, and is to be kept once more.
    """
    cdef uint64_t last_number = core.last_number
    cdef Submission asked
    cdef Job *job
    if find_job(core, record.number) != NULL:
        return 0
    if record.unique_size > MAX_UNIQUE_SIZE or record.reducer_size > MAX_REDUCER_SIZE:
        raise ValueError("what is kept of the jobs cannot be read")
    asked.function, asked.function_size = texts, record.function_size
    asked.unique, asked.unique_size = asked.function + asked.function_size, record.unique_size
    asked.reducer, asked.reducer_size = asked.unique + asked.unique_size, record.reducer_size
    asked.workload = asked.reducer + asked.reducer_size
    asked.workload_size = texts - sizeof(Record) + record.size - asked.workload
    asked.block = NULL
    asked.priority = record.priority
    asked.background = True
    asked.unix_time = record.unix_time
    if anew:
        have_room(&core.keep.late, record.size)
        have_room(&core.keep.gone, sizeof(uint64_t))
    function = get_function(core, asked.function, asked.function_size)
    heap_reserve(&core.delayed)
    core.last_number = record.number - 1            # of which `create_job` makes the job's own
    try:
        job = create_job(core, function, &asked, hash_asked(core, &asked))
    finally:
        core.last_number = max(last_number, record.number)
    if anew:
        keep_job(core, job, True, 0)
        note(&core.keep.gone, record.number)
    else:
        job.kept = KEPT
        job.failures = record.tries
    if asked.unix_time > core.now + core.unix_offset:
        return delay(core, job, asked.unix_time)
    return enqueue(core, job)


cdef int refuse_job(Core *core, Job *job) except -1:
    """A job will not be stored: nobody was told that it is there, but those who wait for its result."""
    job.kept = NOT_KEPT
    job.background = False
    if is_wanted(job):
        return 0
    if job.state == RUNNING:
        disown(core, job)
    else:
        discard(core, job)
    return 0


@cython.final
cdef class Keeper:
    """A broker's side of its store. Made once the broker is to keep its background jobs, before it has any.

    `keeps_failed` are the functions whose background jobs become dead letters when a worker fails them, or
    True for all of them. The rest is what `gearcore.store.writer.Keeper` asks for.
    """

    cdef Broker broker
    cdef bytes added            # of the batch that is out
    cdef bytes late
    cdef bytes forgotten
    cdef bytes tries
    cdef bytes died
    cdef bytes gone
    cdef uint64_t last_number

    def __init__(self, Broker broker not None, keeps_failed=()):
        cdef Core *core = &broker.core
        self.broker = broker
        self._let_go()
        if core.keep == NULL:
            core.keep = keep_create()
        failed = True if keeps_failed is True else frozenset(keeps_failed)
        Py_XDECREF(core.keep.keeps_failed)
        core.keep.keeps_failed = NULL
        if failed:
            Py_INCREF(failed)
            core.keep.keeps_failed = <PyObject *>failed

    def begin(self, str prefix, uint64_t last_number):
        """Go on as the server did whose handles began like that: no number is given out a second time."""
        cdef Core *core = &self.broker.core
        cdef bytes start = prefix.encode() + b":"
        if len(start) > MAX_HANDLE_SIZE - 20:
            raise ValueError(f"a handle prefix of {len(start)} bytes is too long")
        memcpy(core.prefix, <const char *>start, len(start))
        core.prefix_size = len(start)
        core.last_number = max(core.last_number, last_number)

    def load(self, bytes records not None):
        """Queue jobs that a store kept, except those that are there; return how many these records are.

        Raises ValueError when they are no records.
        """
        cdef Core *core = &self.broker.core
        cdef const char *at = PyBytes_AS_STRING(records)
        cdef const char *end = at + PyBytes_GET_SIZE(records)
        cdef const char *texts
        cdef Record record
        cdef size_t count = 0
        while at < end:
            texts = read_record(at, end, &record)
            if texts == NULL:
                raise ValueError("what is kept of the jobs cannot be read")
            restore(core, &record, texts, False)
            core.keep.taken = max(core.keep.taken, record.number)
            core.keep.settled = max(core.keep.settled, record.number)
            at += record.size
            count += 1
        return count

    @property
    def gathered(self):
        """Whether there is something for the next batch."""
        return has_gathered(self.broker.core.keep)

    @property
    def due(self):
        """Whether what gathered is to be stored now."""
        cdef Core *core = &self.broker.core
        return keep_deadline(core.keep) <= core.now

    def take_batch(self):
        """Return what gathered: records added, records that came late, numbers forgotten, tries, dead letters,
        numbers of dead letters that are none any more, and the last number of a job.
        """
        cdef Core *core = &self.broker.core
        cdef Keep *keep = core.keep
        if keep.out:
            raise RuntimeError("there is a batch out already")
        self.added = take(&keep.added)
        self.late = take(&keep.late)
        self.forgotten = take(&keep.forgotten)
        self.tries = take(&keep.tries)
        self.died = take(&keep.died)
        self.gone = take(&keep.gone)
        self.last_number = core.last_number
        keep.out = True
        keep.slot = SLOTS - 1 - keep.slot
        keep.taken = core.last_number
        keep.charged_out = keep.charged
        keep.charged = 0
        keep.jobs_out = keep.jobs
        keep.jobs = 0
        keep.taken_at = core.now
        letters = letters_in(core, self.died)
        return self.added, self.late, self.forgotten, self.tries, letters, self.gone, self.last_number

    cdef int _settle(self) except -1:
        """The batch that is out is dealt with."""
        cdef Core *core = &self.broker.core
        if not core.keep.out:
            raise RuntimeError("there is no batch out")
        core.keep.out = False
        core.keep.settled = self.last_number
        discharge(core, core.keep.charged_out)
        core.keep.charged_out = 0
        return SLOTS - 1 - core.keep.slot

    def batch_committed(self):
        """The batch that is out was committed. This is for another thread to call; `batch_stored` is to follow.

        A driver that looks for it acknowledges the jobs at once, without a turn of the event loop.
        """
        raise_flag(&self.broker.core.keep.committed)

    def batch_stored(self):
        """The batch that is out was committed: acknowledge its jobs."""
        cdef Core *core = &self.broker.core
        cdef int slot = self._settle()
        cdef Job *job
        core.keep.committed = False
        linger(core.keep, core.now)
        for number in numbers_of(self.late):
            job = find_job(core, number)
            if job != NULL and job.kept == KEPT_LATE + slot:
                job.kept = KEPT
        release_holds(core, slot)
        self._let_go()

    def batch_refused(self, str reason not None):
        """The batch that is out was given up: refuse its jobs, and keep all else for the next.

        Raises MemoryError when there is none for that; the batch is out then as before.
        """
        cdef Core *core = &self.broker.core
        cdef Keep *keep = core.keep
        cdef bytes earlier = self.forgotten
        cdef Job *job
        cdef int slot
        late = numbers_of(self.late)
        added = numbers_of(self.added)
        gone = numbers_in(self.gone)
        still_gone = [number for number in gone if number not in late]      # who was to run again stays dead
        # Whether the others were committed after all nobody knows.
        forgotten = [*added, *(number for number in late if number not in gone)]
        kept_anew = frozenset(numbers_of(PyBytes_FromStringAndSize(keep.late.data, keep.late.size)))
        if kept_anew:
            forgotten += [number for number in numbers_in(self.forgotten) if number not in kept_anew]
            earlier = b""
        have_room(&keep.forgotten, PyBytes_GET_SIZE(earlier) + len(forgotten) * sizeof(uint64_t))
        have_room(&keep.tries, PyBytes_GET_SIZE(self.tries))
        have_room(&keep.died, PyBytes_GET_SIZE(self.died))
        have_room(&keep.gone, len(still_gone) * sizeof(uint64_t))
        slot = self._settle()
        self._say(reason)
        refuse_holds(core, slot, keep.reason)
        keep.waits_since = core.now
        put_in_front(&keep.forgotten, earlier)
        put_in_front(&keep.tries, self.tries)
        put_in_front(&keep.died, self.died)
        for number in still_gone:
            note(&keep.gone, number)
        for number in added:
            job = find_job(core, number)
            if job != NULL and job.kept == KEPT:
                refuse_job(core, job)
        for number in late:
            job = find_job(core, number)
            if job != NULL and job.kept == KEPT_LATE + slot:
                refuse_job(core, job)
        for number in forgotten:
            note(&keep.forgotten, number)
        self._let_go()

    cdef void _let_go(self):
        self.added = self.late = self.forgotten = self.tries = self.died = self.gone = b""

    cdef int _say(self, str reason) except -1:
        """Note what is to be said to those who are refused."""
        cdef Keep *keep = self.broker.core.keep
        cdef bytes text = f"Background jobs cannot be kept: {reason}".encode().replace(b"\0", b"?")
        cdef size_t size = min(<size_t>len(text), sizeof(keep.reason) - 1)
        memcpy(keep.reason, PyBytes_AS_STRING(text), size)
        keep.reason[size] = 0
        return 0

    def refuse_background(self, reason):
        """Refuse every background job that would have to be stored, for that reason; or, with None, no more."""
        self.broker.core.keep.down = reason is not None
        if reason is not None:
            self._say(reason)

    def revive(self, bytes record not None):
        """Have a dead letter run again: its handle is that of a job once more, which has had no tries."""
        cdef Record header
        cdef const char *at = PyBytes_AS_STRING(record)
        cdef const char *texts = read_record(at, at + PyBytes_GET_SIZE(record), &header)
        if texts == NULL:
            raise ValueError("what is kept of the job cannot be read")
        header.tries = 0
        header.unix_time = 0
        restore(&self.broker.core, &header, texts, True)

    def drop_dead(self, uint64_t number):
        """Have the store forget a dead letter."""
        have_room(&self.broker.core.keep.gone, sizeof(number))
        note(&self.broker.core.keep.gone, number)

    def number_of(self, bytes handle not None):
        """The number of the job with that handle; 0 if it is none of this server's."""
        return parse_handle(&self.broker.core, PyBytes_AS_STRING(handle), len(handle))

    def answer(self, Connection connection not None, bytes text not None):
        """Write to a peer the answer to an admin command that took a while, unless it is gone."""
        cdef Peer *peer = connection.peer
        cdef Core *core = &self.broker.core
        if peer == NULL:
            return
        if unsent(peer) > core.rules.max_output:
            overflow(core, peer)
        buffer_append(&peer.output, PyBytes_AS_STRING(text), len(text))
        touch(core, peer)


cdef list numbers_of(bytes records):
    """The numbers of the jobs in records of the broker's own."""
    cdef const char *at = PyBytes_AS_STRING(records)
    cdef const char *end = at + PyBytes_GET_SIZE(records)
    cdef Record record
    cdef list numbers = []
    while at < end and read_record(at, end, &record) != NULL:
        numbers.append(record.number)
        at += record.size
    return numbers


cdef tuple numbers_in(bytes numbers):
    """The numbers in a run of them, 64 bits each."""
    return _unpack(f"<{len(numbers) // sizeof(uint64_t)}Q", numbers)


def workload_of(bytes record not None):
    """The workload of the job that a record is of. Raises ValueError when it is no record."""
    cdef Record header
    cdef const char *at = PyBytes_AS_STRING(record)
    cdef const char *end = at + PyBytes_GET_SIZE(record)
    cdef const char *texts = read_record(at, end, &header)
    if texts == NULL:
        raise ValueError("what is kept of the job cannot be read")
    texts += header.function_size + header.unique_size + header.reducer_size
    return texts[: end - texts]
