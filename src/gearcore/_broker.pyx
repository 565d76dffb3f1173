"""The job server's state machine: bytes from peers in, bytes for peers out. It knows no socket and no clock.

A driver makes one `Connection` for each peer, hands it what it reads and the time, and after each turn of
its event loop writes the output of the connections that `Broker.drain` names. The structures are in
`_state.pxd`, how bytes become packets in `_receiving.pxd`, what each packet does in `_client_packets.pxd` and
`_worker_packets.pxd`, a job's way through its states in `_transitions.pxd`, whose turn it is in `_turns.pxd`, and
who is woken in `_sleepers.pxd`.
"""

import os as _os
from collections import namedtuple as _namedtuple

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport SIZE_MAX, UINT32_MAX, uint32_t
from libc.math cimport INFINITY
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport cython

from gearcore._functions cimport (
    count_jobs,
    destroy_function,
    find_function,
    function_at,
    get_function,
    get_unlisted_function,
)
from gearcore._client_packets cimport (
    on_echo,
    on_get_status,
    on_get_status_unique,
    on_option,
    on_submit,
    on_submit_epoch,
    on_submit_reduce,
    submit_delayed,
)
from gearcore._dispatch cimport Rule
from gearcore._heap cimport heap_free
from gearcore._jobs cimport find_job, free_job, job_workload, parse_handle
from gearcore._keep cimport keep_deadline, keep_free
from gearcore._memory cimport WORTH_A_TRIM, gearcore_retain
from gearcore._offers cimport ability_at
from gearcore._packets cimport Packet, refuse
from gearcore._peers cimport (
    create_peer,
    free_peer,
    is_unfinished,
    peer_at,
    peer_of_touched,
    remove_all_offers,
    withdraw_all,
)
from gearcore._output cimport clear_output, copy_output, forget_sent, holds_back, mark_sent, sendable
from gearcore._receiving cimport let_go, put_text, receive_bytes, room_for_packet, took_bytes
from gearcore._replies cimport format_handle
from gearcore._ring cimport Ring, ring_init, ring_is_empty, ring_remove
from gearcore._sleepers cimport PATIENCE, pass_on_wake_ups, peer_of_woken, settle_wake_up
from gearcore._state cimport MAX_HANDLE_SIZE, Core, Function, Job, Peer
from gearcore._table cimport Link, Table, table_free, table_init
from gearcore._transitions cimport abandon, cancel, fail_run, is_wanted, mature
from gearcore._worker_packets cimport (
    on_can_do,
    on_can_do_timeout,
    on_cant_do,
    on_grab,
    on_pre_sleep,
    on_reset_abilities,
    on_set_client_id,
    on_work_complete,
    on_work_exception,
    on_work_fail,
    on_work_status,
    on_work_update,
)
from gearcore._wire cimport (
    PT_CANT_DO,
    PT_CAN_DO,
    PT_CAN_DO_TIMEOUT,
    PT_ECHO_REQ,
    PT_GET_STATUS,
    PT_GET_STATUS_UNIQUE,
    PT_GRAB_JOB,
    PT_GRAB_JOB_ALL,
    PT_GRAB_JOB_UNIQ,
    PT_LIMIT,
    PT_OPTION_REQ,
    PT_PRE_SLEEP,
    PT_RESET_ABILITIES,
    PT_SET_CLIENT_ID,
    PT_SUBMIT_JOB,
    PT_SUBMIT_JOB_BG,
    PT_SUBMIT_JOB_EPOCH,
    PT_SUBMIT_JOB_HIGH,
    PT_SUBMIT_JOB_HIGH_BG,
    PT_SUBMIT_JOB_LOW,
    PT_SUBMIT_JOB_LOW_BG,
    PT_SUBMIT_JOB_SCHED,
    PT_SUBMIT_REDUCE_JOB,
    PT_SUBMIT_REDUCE_JOB_BACKGROUND,
    PT_WORK_COMPLETE,
    PT_WORK_DATA,
    PT_WORK_EXCEPTION,
    PT_WORK_FAIL,
    PT_WORK_STATUS,
    PT_WORK_WARNING,
)

from gearcore.protocol import DEFAULT_MAX_PACKET_SIZE as _DEFAULT_MAX_PACKET_SIZE
from gearcore.protocol import PACKETS as _PACKETS
from gearcore.schedule import next_match as _next_match

cdef enum:
    MAX_PREFIX_SIZE = MAX_HANDLE_SIZE - 20
    DEFAULT_MAX_OUTPUT = 128 * 1024 * 1024
    DEFAULT_MAX_FUNCTIONS = 1_000_000

cdef Rule[PT_LIMIT] RULES
cdef list TEXTS = []                    # keeps those texts alive


cdef int on_submit_sched(Core *core, Peer *peer, const Packet *packet) except -1 nogil:
    """A background job for the next minute that fits the five fields: minute to day of the week."""
    cdef double unix_time
    cdef int at
    with gil:
        fields = [packet.args.start[at][: packet.args.size[at]] for at in range(2, 7)]
        unix_time = _next_match(fields, core.now + core.unix_offset)
    if unix_time < 0:
        return refuse(core, peer, b"INVALID_ARGUMENT", b"No minute fits this schedule")
    return submit_delayed(core, peer, packet, unix_time, 7)


cdef void fill_rules():
    for spec in _PACKETS:
        RULES[<int>spec.number].known = True
        RULES[<int>spec.number].arguments = len(spec.arguments)
        RULES[<int>spec.number].payload_optional = spec.payload_optional
        text = f"{spec.name} takes {len(spec.arguments)} arguments: {', '.join(spec.arguments)}".encode()
        RULES[<int>spec.number].too_few = <const char *><bytes>text
        TEXTS.append(text)
    RULES[<int>PT_CAN_DO].handler = on_can_do
    RULES[<int>PT_CAN_DO_TIMEOUT].handler = on_can_do_timeout
    RULES[<int>PT_CANT_DO].handler = on_cant_do
    RULES[<int>PT_RESET_ABILITIES].handler = on_reset_abilities
    RULES[<int>PT_PRE_SLEEP].handler = on_pre_sleep
    RULES[<int>PT_GRAB_JOB].handler = on_grab
    RULES[<int>PT_GRAB_JOB_UNIQ].handler = on_grab
    RULES[<int>PT_GRAB_JOB_ALL].handler = on_grab
    RULES[<int>PT_SUBMIT_JOB].handler = on_submit
    RULES[<int>PT_SUBMIT_JOB_BG].handler = on_submit
    RULES[<int>PT_SUBMIT_JOB_HIGH].handler = on_submit
    RULES[<int>PT_SUBMIT_JOB_HIGH_BG].handler = on_submit
    RULES[<int>PT_SUBMIT_JOB_LOW].handler = on_submit
    RULES[<int>PT_SUBMIT_JOB_LOW_BG].handler = on_submit
    RULES[<int>PT_SUBMIT_REDUCE_JOB].handler = on_submit_reduce
    RULES[<int>PT_SUBMIT_REDUCE_JOB_BACKGROUND].handler = on_submit_reduce
    RULES[<int>PT_SUBMIT_JOB_EPOCH].handler = on_submit_epoch
    RULES[<int>PT_SUBMIT_JOB_SCHED].handler = on_submit_sched
    RULES[<int>PT_WORK_DATA].handler = on_work_update
    RULES[<int>PT_WORK_WARNING].handler = on_work_update
    RULES[<int>PT_WORK_STATUS].handler = on_work_status
    RULES[<int>PT_WORK_COMPLETE].handler = on_work_complete
    RULES[<int>PT_WORK_FAIL].handler = on_work_fail
    RULES[<int>PT_WORK_EXCEPTION].handler = on_work_exception
    RULES[<int>PT_GET_STATUS].handler = on_get_status
    RULES[<int>PT_GET_STATUS_UNIQUE].handler = on_get_status_unique
    RULES[<int>PT_ECHO_REQ].handler = on_echo
    RULES[<int>PT_OPTION_REQ].handler = on_option
    RULES[<int>PT_SET_CLIENT_ID].handler = on_set_client_id

fill_rules()


def retain_memory():
    """Have the process keep some memory that came free, up to 32 MB, and return whether the C library can.

    Otherwise every payload of more than 128 KB lies in pages that the system has to clear for it first. For
    processes that are a server and nothing else: it changes how all of the process gets memory.
    """
    return gearcore_retain(WORTH_A_TRIM)


cdef int receive(Core *core, Peer *peer, const char *data, size_t size) except -1 nogil:
    return receive_bytes(core, peer, data, size)


cdef size_t room_for_rest(Core *core, Peer *peer, char **room) except? 0 nogil:
    return room_for_packet(core, peer, room)


cdef int took(Core *core, Peer *peer, size_t size) except -1 nogil:
    return took_bytes(core, peer, size)


cdef int answer_line(Core *core, Peer *peer) except -1 with gil:
    """Answer the line of text that the peer's input holds."""
    cdef Connection connection = <Connection>peer.connection
    cdef bytes line = PyBytes_FromStringAndSize(peer.input.data, peer.input.size - 1)
    # the command as `Admin` reads it, or else a peer could name one and have another run
    cdef bytes command = line.removesuffix(b"\r").partition(b"\0")[0].partition(b" ")[0].lower()
    cdef bytes answer
    let_go(core, peer)
    if connection.access is not None and not connection.access("admin", command):
        answer = b"ERR PERMISSION_DENIED This+peer+may+not+send+this+command+" + command + b"\r\n"
    else:
        answer = connection.broker._answer_line(connection, line)
        core.answered = True
        if answer is None:
            return 0
    return put_text(core, peer, answer, len(answer))


cdef double next_deadline(const Core *core) noexcept nogil:
    """When the next call of `Broker.tick` is due; INFINITY without a need."""
    cdef double earliest = INFINITY
    if core.timeouts.size:
        earliest = core.timeouts.timers[0].time
    if core.delayed.size:
        earliest = min(earliest, core.delayed.timers[0].time - core.unix_offset)
    if core.woken.next != &core.woken:
        earliest = min(earliest, peer_of_woken(core.woken.next).woken_at + PATIENCE)
    if core.keep != NULL:
        earliest = min(earliest, keep_deadline(core.keep))
    return earliest


@cython.final
@cython.no_gc_clear
cdef class Connection:
    """One peer's connection to the broker: what the driver reads goes in, what it is to write comes out.

    Made by `Broker.connect`. `address` and `number` (a socket's descriptor) are what the admin command
    `workers` shows; `driver` is the driver's own, to find its socket by.
    """

    def __init__(self):
        raise TypeError("a Connection is made by Broker.connect()")

    def receive(self, data, double now, /):
        """Take bytes, a bytes-like object, as they came from the peer: any part of any number of packets.

        `now` is the time in seconds on a clock of the driver's that never goes back. What the bytes cause is
        done on return; the connections that got output are in `Broker.drain`. Returns whether the peer has
        sent the beginning of a packet or line, and not the end. Raises ValueError after the connection was
        given to `Broker.disconnect`, MemoryError when there is none for what the peer asks.
        """
        cdef Py_buffer view
        self._connected()
        self.broker.core.now = now
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            receive(&self.broker.core, self.peer, <const char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        return is_unfinished(self.peer)

    cdef Peer *_connected(self) except NULL:
        if self.peer == NULL:
            raise ValueError(f"the connection from {self.address} was disconnected")
        return self.peer

    def take_output(self):
        """Return the bytes that are to be written to the peer, and forget them."""
        cdef Peer *peer = self._connected()
        cdef size_t size = sendable(peer)
        output = PyBytes_FromStringAndSize(NULL, size)
        copy_output(peer, <char *>output)
        if not holds_back(peer):
            clear_output(&self.broker.core, peer)
            return output
        mark_sent(&self.broker.core, peer, size)
        if peer.sent > peer.output.size - peer.sent:
            forget_sent(peer)
        return output

    @property
    def closing(self):
        """Whether the driver is to close the connection once its output is written."""
        return self.peer == NULL or (self.peer.closing and not holds_back(self.peer))

    @property
    def overflowed(self):
        """Whether the driver is to cut the peer off without writing more.

        It left too much unread, or there is no memory for what it is sent.
        """
        return self.peer != NULL and self.peer.overflowed

    @property
    def client_id(self):
        """The name that the peer gave itself, as bytes up to the first NUL; `b"-"` without one."""
        cdef Peer *peer = self._connected()
        return <bytes>peer.client_id if peer.client_id != NULL else b"-"

    @property
    def functions(self):
        """The names of the functions that the peer offers, as bytes, in the order of their turns."""
        cdef Peer *peer = self._connected()
        cdef Ring *at = peer.abilities.next
        cdef list names = []
        while at != &peer.abilities:
            names.append(function_name(ability_at(at).function))
            at = at.next
        return names

    def __repr__(self):
        return f"<Connection {self.number} of {self.address}{'' if self.peer != NULL else ', disconnected'}>"


FunctionStatus = _namedtuple("FunctionStatus", ["name", "high", "normal", "low", "running", "workers"])
JobStatus = _namedtuple(
    "JobStatus", ["handle", "function", "unique", "state", "failures", "background", "wanted", "priority"]
)

cdef tuple STATE_NAMES = ("queued", "running", "delayed")


cdef bytes function_name(const Function *function):
    return PyBytes_FromStringAndSize(function.name, function.name_size)


cdef bint has_room_for_function(Core *core, const char *name, size_t size):
    """Whether the bounds allow that function; one that is there already, they do."""
    if find_function(core, name, size) != NULL:
        return True
    return core.functions.count < core.rules.max_functions and core.memory + size <= core.rules.max_memory


cdef Link *take_any(Table *table, size_t *bucket) noexcept nogil:
    """Take a member out of a table that is to be freed, from `bucket` on; NULL when none is left."""
    cdef Link *link
    while table.buckets != NULL and bucket[0] < table.size:
        link = table.buckets[bucket[0]]
        if link != NULL:
            table.buckets[bucket[0]] = link.next
            return link
        bucket[0] += 1
    return NULL


cdef void free_jobs_and_functions(Core *core) noexcept nogil:
    cdef size_t bucket = 0
    cdef Link *link = take_any(&core.jobs, &bucket)
    while link != NULL:
        free_job(core, <Job *>(<char *>link - <size_t>&(<Job *>NULL).by_number))
        link = take_any(&core.jobs, &bucket)
    bucket = 0
    link = take_any(&core.functions, &bucket)
    while link != NULL:
        free(<char *>link - <size_t>&(<Function *>NULL).by_name)
        link = take_any(&core.functions, &bucket)


@cython.final
cdef class Broker:
    """The job server's state and rules, without a socket or a clock.

    `answer_line(connection, line)` is called with each line of text that a peer sends, as bytes without the
    newline, and gives the answer as bytes, or None if that comes later. `handle_prefix` comes before each job's number in its handle.

    What it takes is bounded. `max_packet_size` is for a packet's body, in bytes: a larger one is refused.
    `max_output` is for what a peer leaves unread, in bytes, without the last packet: beyond it `overflowed`
    is set, and the driver is to cut the peer off. `max_memory` is for the bytes that jobs, functions, offers
    and unfinished packets take: beyond it submissions and offers are refused, and nothing else changes.
    `max_functions` is for their number.

    `job_retries` is the number of runs that a job gets whose workers vanish or time out; -1 for any number,
    and 0 for one, as in gearmand 2.0. `worker_wakeup` is how many sleeping workers are woken for a job: 0 for
    all, -1 for as few as will do, without a job ever waiting while a worker for it sleeps. With `exceptions`
    every client gets WORK_EXCEPTION, also one that did not ask for it. With `in_order_of_offer` a grab is
    served as by gearmand 1.1: the function offered last comes first, whatever the priorities, or, with
    `round_robin` too, the functions take turns.
    """

    def __cinit__(self):
        ring_init(&self.core.all_functions)
        ring_init(&self.core.all_peers)
        ring_init(&self.core.touched)
        ring_init(&self.core.woken)
        ring_init(&self.core.ready)
        if not (table_init(&self.core.jobs) and table_init(&self.core.uniques)
                and table_init(&self.core.functions)):
            raise MemoryError("no memory for a broker")
        self.core.packets = RULES
        self.core.answer_line = answer_line
        self._connections = {}

    def __init__(
        self,
        answer_line,
        *,
        str handle_prefix="H:gearcore",
        size_t max_packet_size=_DEFAULT_MAX_PACKET_SIZE,
        size_t max_output=DEFAULT_MAX_OUTPUT,
        size_t max_memory=SIZE_MAX,
        size_t max_functions=DEFAULT_MAX_FUNCTIONS,
        int job_retries=-1,
        int worker_wakeup=-1,
        bint exceptions=False,
        bint in_order_of_offer=False,
        bint round_robin=False,
    ):
        cdef bytes prefix = handle_prefix.encode() + b":"
        cdef bytes secret = _os.urandom(sizeof(self.core.key))
        if len(prefix) > MAX_PREFIX_SIZE or b"\0" in prefix:
            raise ValueError(
                f"a handle prefix has at most {MAX_PREFIX_SIZE - 1} bytes and no NUL, not {handle_prefix!r}"
            )
        memcpy(self.core.prefix, <const char *>prefix, len(prefix))
        self.core.prefix_size = len(prefix)
        memcpy(&self.core.key, <const char *>secret, sizeof(self.core.key))
        # the packets that pass an argument on add a handle to it, and count in 32 bits as well
        self.core.rules.max_packet_size = min(max_packet_size, <size_t>0xFFFFFFFF - 1024)
        self.core.rules.max_output = max_output
        self.core.rules.max_memory = max_memory
        self.core.rules.max_functions = max_functions
        self.core.rules.job_retries = job_retries
        self.core.rules.worker_wakeup = worker_wakeup
        self.core.rules.exceptions = exceptions
        self.core.rules.in_order_of_offer = in_order_of_offer
        self.core.rules.round_robin = round_robin
        self._answer_line = answer_line

    def __dealloc__(self):
        cdef Ring *at
        while self.core.all_peers.next != NULL and not ring_is_empty(&self.core.all_peers):
            at = self.core.all_peers.next
            remove_all_offers(&self.core, peer_at(at))
            abandon(&self.core, peer_at(at))
            free_peer(&self.core, peer_at(at))
        free_jobs_and_functions(&self.core)
        heap_free(&self.core.delayed)
        heap_free(&self.core.timeouts)
        table_free(&self.core.jobs)
        table_free(&self.core.uniques)
        table_free(&self.core.functions)
        keep_free(self.core.keep)

    def connect(self, str address="-", int number=-1, access=None):
        """Return the `Connection` for a new peer, known until it is given to `disconnect`.

        `access(action, name)`, if it is given, says whether the peer may do something: with "submit" and
        "work" the name is that of a function, with "admin" it is the first word of a command, in small letters.
        """
        cdef Connection connection = Connection.__new__(Connection)
        connection.broker = self
        connection.address = address
        connection.number = number
        connection.access = access
        self._connections[connection] = connection
        try:
            connection.peer = create_peer(&self.core, <void *>connection)
        except MemoryError:
            del self._connections[connection]
            raise
        connection.peer.access = <void *>access if access is not None else NULL
        return connection

    def disconnect(self, Connection connection not None):
        """Forget a peer that is gone.

        Its running jobs go back to their queues, newest first, with their progress forgotten. Jobs that only
        it waited for leave their queue, unless they are in the background; those that run already go on.
        A second call does nothing.
        """
        cdef Peer *peer = connection.peer
        if peer == NULL:
            return
        if connection.broker is not self:
            raise ValueError(f"{connection!r} is not of this broker")
        if peer.receiving:
            raise RuntimeError("a connection cannot be disconnected while it answers what it received")
        connection.peer = NULL
        self._connections.pop(connection, None)
        abandon(&self.core, peer)
        withdraw_all(&self.core, peer)
        settle_wake_up(&self.core, peer)
        free_peer(&self.core, peer)

    def tick(self, double now, double unix_time):
        """Do what is due: give back the jobs that ran for too long, and queue the delayed jobs whose time came.

        `now` is on the same clock as that of `Connection.receive`; `unix_time` is the time of day, in seconds
        since 1970, at the same moment. To be called once before anything else, when the time that `deadline`
        gives has come, and now and then in between, so that a step of the system's clock is noticed.
        """
        self.core.now = now
        self.core.unix_offset = unix_time - now
        pass_on_wake_ups(&self.core)
        while self.core.timeouts.size and self.core.timeouts.timers[0].time <= now:
            fail_run(&self.core, self.core.timeouts.timers[0].job)
        while self.core.delayed.size and self.core.delayed.timers[0].time <= unix_time:
            mature(&self.core, self.core.delayed.timers[0].job)

    @property
    def deadline(self):
        """When the next call of `tick` is due, on the clock of `Connection.receive`; None without a need."""
        cdef double earliest = next_deadline(&self.core)
        return None if earliest == INFINITY else earliest

    def drain(self):
        """Return the connections that have output, or are to be closed, since the last call."""
        cdef list connections = []
        cdef Ring *at = self.core.touched.next
        while at != &self.core.touched:
            connections.append(<Connection>peer_of_touched(at).connection)
            at = at.next
        while not ring_is_empty(&self.core.touched):    # none if there is no memory for the list
            ring_remove(self.core.touched.next)
        return connections

    @property
    def connections(self):
        """Every connection, newest first."""
        return list(reversed(self._connections))

    @property
    def functions(self):
        """How each function stands, as `FunctionStatus`, oldest first.

        `high`, `normal` and `low` count the jobs that wait; delayed jobs are among the normal ones.
        """
        cdef Ring *at = self.core.all_functions.next
        cdef Function *function
        cdef list found = []
        while at != &self.core.all_functions:
            function = function_at(at)
            found.append(
                FunctionStatus(
                    function_name(function),
                    function.queued[0],
                    function.queued[1] + function.delayed,
                    function.queued[2],
                    function.running,
                    function.workers,
                )
            )
            at = at.next
        return found

    @property
    def jobs(self):
        """Every job, as `JobStatus`, in the order of their numbers.

        `state` is "queued", "running" or "delayed"; `failures` counts the runs that came to nothing; a job
        that is not `wanted` runs on although its clients are gone or it was cancelled; `priority` is equal to
        one of `gearcore.protocol.Priority`.
        """
        cdef char[MAX_HANDLE_SIZE + 1] handle
        cdef list found = []
        cdef size_t bucket
        cdef Link *link
        cdef Job *job
        for bucket in range(self.core.jobs.size):
            link = self.core.jobs.buckets[bucket]
            while link != NULL:
                job = <Job *>link                                   # Job.by_number comes first
                status = JobStatus(
                    handle[: format_handle(&self.core, link.hash, handle)],
                    function_name(job.function),
                    job.content[: job.unique_size],
                    STATE_NAMES[job.state],
                    job.failures,
                    bool(job.background),
                    is_wanted(job),
                    job.priority,
                )
                found.append((link.hash, status))
                link = link.next
        found.sort()
        return [status for _, status in found]

    def workload(self, bytes handle not None):
        """The workload of a job, or None if there is no such job."""
        cdef Job *job = find_job(&self.core, parse_handle(&self.core, handle, len(handle)))
        return None if job == NULL else job_workload(job)[: job.workload_size]

    @property
    def memory(self):
        """Bytes that jobs, functions, offers and unfinished packets take: what `max_memory` bounds."""
        return self.core.memory

    def cancel(self, bytes handle not None):
        """End a job for its clients, who get WORK_FAIL; return whether there is such a job.

        A job that runs cannot be stopped: it goes on, nobody hears of its result, and it is not run again.
        """
        cdef Job *job = find_job(&self.core, parse_handle(&self.core, handle, len(handle)))
        if job == NULL:
            return False
        cancel(&self.core, job)
        return True

    def limit(self, bytes name not None, size_t high, size_t normal, size_t low):
        """Refuse submissions of a priority while the function has that many jobs of any kind; 0 for no limit.

        It holds for a function that nobody has mentioned yet, too. Return False, and do nothing, when there
        is no room for that.
        """
        if not has_room_for_function(&self.core, name, len(name)):
            return False
        cdef Function *function = get_unlisted_function(&self.core, name, len(name))
        function.most[0] = <uint32_t>min(high, <size_t>UINT32_MAX)
        function.most[1] = <uint32_t>min(normal, <size_t>UINT32_MAX)
        function.most[2] = <uint32_t>min(low, <size_t>UINT32_MAX)
        return True

    def create_function(self, bytes name not None):
        """Have a function listed before anybody mentions it; return whether there is room for it."""
        if not has_room_for_function(&self.core, name, len(name)):
            return False
        get_function(&self.core, name, len(name))
        return True

    def drop_function(self, bytes name not None):
        """Forget a function, and return True; False if it has workers or jobs; None if there is none."""
        cdef Function *function = find_function(&self.core, name, len(name))
        if function == NULL or ring_is_empty(&function.of_core):
            return None
        if function.workers or count_jobs(function):
            return False
        destroy_function(&self.core, function)
        return True

    def __len__(self):
        """How many jobs are queued, running or delayed."""
        return self.core.jobs.count
