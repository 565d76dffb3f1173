"""Plain sockets, read and written in C: on Linux, where the event loop's transports would cost the most.

One epoll holds the sockets of all peers. `serve` waits for them: every socket that is ready is read, the
broker does what came in, and each peer that was touched is written to once, without a Python object in
between. Timers, signals, listeners, TLS and HTTP stay with the event loop, and meet the direct sockets in the
broker. An event loop either has `serve` wait in its place, and return when there is something for the event
loop to do, or watches the epoll as one more descriptor and has `serve` do no more than is there to do.

The interpreter's lock is let go of only while there is nothing to do: the broker's other callers count on it.
With a store it is let go of all the time, for the thread that commits needs it several times in each commit, and
would wait for it. Then the broker is for the event loop's thread alone.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.math cimport INFINITY, ceil
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset
from posix.unistd cimport close

from cpython.exc cimport PyErr_CheckSignals
from cpython.pystate cimport PyThreadState

cimport cython

from gearcore._broker cimport Broker, Connection, next_deadline, receive, room_for_rest, took
from gearcore._peers cimport is_unfinished, peer_of_touched
from gearcore._holds cimport release_committed
from gearcore._keep cimport keep_deadline
from gearcore._output cimport (
    clear_output,
    end_of_sendable,
    forget_sent,
    holds_back,
    mark_sent,
    reference_at,
    sendable,
    unsent,
)
from gearcore._replies cimport touch
from gearcore._ring cimport Ring, ring_init, ring_is_empty, ring_push_back, ring_remove
from gearcore._state cimport Core, Peer
from gearcore._vigil cimport Vigil, processors, vigil_begin, vigil_end, vigil_goes_on

cdef extern from "Python.h" nogil:
    PyThreadState *PyEval_SaveThread()
    void PyEval_RestoreThread(PyThreadState *state)

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data:
        int fd
    cdef struct epoll_event:
        uint32_t events
        epoll_data data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event)
    int epoll_wait(int epoll, epoll_event *events, int size, int milliseconds)
    enum:
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_MOD
        EPOLL_CTL_DEL
        EPOLLIN
        EPOLLOUT

cdef extern from *:
    """
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    #ifndef SYS_epoll_pwait2
    #define SYS_epoll_pwait2 441 /* the same on all machines */
    #endif
    /* epoll_wait for less than a second, to the nanosecond; Linux has it since 5.11. */
    static int gearcore_wait_briefly(int epoll, struct epoll_event *events, int size, double seconds)
    {
        struct { long long seconds, nanoseconds; } time = {0, (long long)(seconds * 1e9)}; /* on 32 bits too */
        return (int)syscall(SYS_epoll_pwait2, epoll, events, size, &time, NULL, 0);
    }
    """
    int wait_briefly "gearcore_wait_briefly" (int epoll, epoll_event *events, int size, double seconds) nogil

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_QUICKACK

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    cdef struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    ssize_t sendmsg(int fd, const msghdr *message, int flags)
    ssize_t recvmsg(int fd, msghdr *message, int flags)
    ssize_t recv(int fd, void *data, size_t size, int flags)
    ssize_t send(int fd, const void *data, size_t size, int flags)
    int setsockopt(int fd, int level, int option, const void *value, unsigned int size)
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *time)
    enum:
        CLOCK_MONOTONIC

cdef enum:
    READ_SIZE = 256 * 1024              # the most that is read from a socket at once
    SMALL_READ_SIZE = 4096              # the same, from who sends large packets: the rest goes into its place
    READS_SIZE = 4 * READ_SIZE          # the most that is read from a socket before others have their turn
    PARTS = 16                          # of the output that are written at once
    EVENTS = 256                        # sockets that are looked at together
    LONGEST_WAIT = 1_000_000            # seconds, whose milliseconds fit into an int
    WORTH_A_MOVE = 1024 * 1024          # bytes sent that are cut off the front of what is unsent


cdef double monotonic() noexcept nogil:
    """The clock of asyncio's and uvloop's `loop.time()`."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef int epoll_set(int epoll, int operation, int fd, uint32_t events) noexcept nogil:
    """Say what to wait for on a descriptor."""
    cdef epoll_event event
    event.events = events
    event.data.fd = fd
    return epoll_ctl(epoll, operation, fd, &event)


cdef int milliseconds(double seconds) noexcept nogil:
    """What epoll_wait takes: rounded up, and -1 for ever."""
    return -1 if seconds == INFINITY else <int>ceil(min(seconds, <double>LONGEST_WAIT) * 1000)


cdef inline Peer *peer_of_gone(Ring *of_gone) noexcept nogil:
    return <Peer *>(<char *>of_gone - <size_t>&(<Peer *>NULL).of_gone)


@cython.final
cdef class DirectSockets:
    """The sockets of some of a broker's peers.

    Its `fileno()` is ready when `serve` has something to do. While `draining` is set, `serve` also returns
    when the last job has ended.
    """

    cdef Broker broker
    cdef Core *core                     # the broker's
    cdef int epoll
    cdef char *buffer
    cdef Peer **peers                   # by descriptor; NULL where there is none
    cdef int limit                      # how many descriptors `peers` has room for
    cdef int heeded                     # descriptor for which `serve` returns, or -1
    cdef Vigil vigil
    cdef bint waits_briefly             # for less than a millisecond, if that is asked for
    cdef public bint draining
    cdef Ring gone                      # peers whose socket is closed or broken, by Peer.of_gone
    cdef Peer *current                  # whose input was handled last

    def __cinit__(self, Broker broker not None):
        self.epoll = -1
        self.heeded = -1
        ring_init(&self.gone)
        self.vigil.alone = processors() == 1
        self.broker = broker
        self.core = &broker.core
        self.buffer = <char *>malloc(READ_SIZE)
        if self.buffer == NULL:
            raise MemoryError("no memory for what is read from a socket")
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "cannot wait for sockets: epoll_create1 failed")

    def __dealloc__(self):
        free(self.buffer)
        free(self.peers)
        if self.epoll >= 0:
            close(self.epoll)

    def fileno(self):
        """The descriptor for an event loop to watch for reading."""
        return self.epoll

    def heed(self, int fd):
        """Have `serve` return when this descriptor is ready for reading."""
        if epoll_set(self.epoll, EPOLL_CTL_ADD, fd, EPOLLIN) < 0:
            raise OSError(errno, "cannot wait for a socket: epoll_ctl failed")
        self.heeded = fd
        cdef epoll_event event
        self.waits_briefly = wait_briefly(self.epoll, &event, 1, 0) >= 0
        if self.core.keep != NULL:
            self.core.keep.may_linger = self.waits_briefly

    def add(self, Connection connection not None, int fd):
        """Read and write a peer's socket from now on, until `remove`; it stays the caller's to close."""
        cdef Peer *peer = connection._connected()
        self._make_room(fd)
        if epoll_set(self.epoll, EPOLL_CTL_ADD, fd, EPOLLIN) < 0:
            raise OSError(errno, "cannot wait for a socket: epoll_ctl failed")
        self.peers[fd] = peer
        peer.descriptor = fd

    cdef int _make_room(self, int fd) except -1:
        cdef int limit = max(2 * self.limit, fd + 1)
        cdef Peer **peers
        if fd < self.limit:
            return 0
        peers = <Peer **>realloc(self.peers, limit * sizeof(Peer *))
        if peers == NULL:
            raise MemoryError("no memory to note one more socket")
        memset(peers + self.limit, 0, (limit - self.limit) * sizeof(Peer *))
        self.peers = peers
        self.limit = limit
        return 0

    def remove(self, Connection connection not None):
        """Leave a peer's socket alone, before it is closed and the peer disconnected."""
        cdef Peer *peer = connection._connected()
        if peer.descriptor >= 0:
            epoll_ctl(self.epoll, EPOLL_CTL_DEL, peer.descriptor, NULL)
            self.peers[peer.descriptor] = NULL
            peer.descriptor = -1
            peer.gone = True
            ring_remove(&peer.of_gone)
            if self.current == peer:
                self.current = NULL

    def finish(self, Connection connection not None):
        """Have a peer given back as gone as soon as all its output is written."""
        cdef Peer *peer = connection._connected()
        peer.closing = True
        touch(self.core, peer)

    def serve(self, double timeout):
        """Wait up to so many seconds, without a limit if negative, and serve whatever becomes ready.

        Returns when the time is over, a call of `Broker.tick` is due, the descriptor to `heed` is ready, a
        command was answered, a peer is gone, or one was touched that is not of these sockets. With 0 it only
        does what is there to do.

        Returns the connections that are gone, which the caller is to disconnect, each with the exception that
        its input raised, or None.
        """
        cdef double end = INFINITY if timeout < 0 else monotonic() + timeout
        fault = None
        try:
            if self.core.keep == NULL:
                self._serve(end)
            else:
                with nogil:
                    self._serve(end)
        except Exception as error:
            if self.current == NULL:
                raise
            self._lose(self.current)
            fault = error
        return self._take_gone(fault)

    def write(self, Connection connection not None):
        """Write the output of one of the peers; return who is gone, as `serve` does."""
        self._write(connection._connected())
        return self._take_gone(None)

    def write_all(self):
        """Write the output of every direct peer that was touched; return who is gone, as `serve` does."""
        self._write_all()
        return self._take_gone(None)

    cdef list _take_gone(self, fault):
        cdef list gone = []
        cdef Ring *at = self.gone.next
        cdef Peer *peer
        while at != &self.gone:
            peer = peer_of_gone(at)
            gone.append((<Connection>peer.connection, fault if peer == self.current else None))
            at = at.next
        while not ring_is_empty(&self.gone):            # none if there is no memory for the list
            ring_remove(self.gone.next)
        return gone

    cdef int _serve(self, double end) except -1 nogil:
        cdef Core *core = self.core
        cdef double now = monotonic()
        cdef bint called = False
        core.answered = False
        cdef epoll_event[EVENTS] events
        cdef double due
        cdef int ready
        cdef int at
        while True:
            due = min(end, next_deadline(core))
            ready = self._wait(events, due - now)
            now = core.now = monotonic()
            for at in range(ready):
                if events[at].data.fd == self.heeded:
                    called = True
                    continue
                if events[at].events & EPOLLOUT:
                    self._unblock(self.peers[events[at].data.fd])
                if events[at].events & ~<uint32_t>EPOLLOUT:
                    self._read(self.peers[events[at].data.fd])
            if called and core.keep != NULL:
                release_committed(core)         # before the event loop hears of it, and does the rest
            self._write_all()
            if called or core.answered or now >= due or (self.draining and not core.jobs.count):
                return 0
            if core.keep != NULL and keep_deadline(core.keep) <= now:
                return 0
            if not ring_is_empty(&self.gone) or not ring_is_empty(&core.touched):
                return 0

    cdef int _wait(self, epoll_event *events, double seconds) except -1 nogil:
        cdef PyThreadState *state
        cdef int ready
        if seconds <= 0:
            ready = epoll_wait(self.epoll, events, EVENTS, 0)
        else:
            self.current = NULL
            if self.core.keep == NULL:
                state = PyEval_SaveThread()
                ready = self._wait_awake(events, seconds)
                PyEval_RestoreThread(state)
            elif seconds < 0.001 and self.waits_briefly:
                ready = wait_briefly(self.epoll, events, EVENTS, seconds)
            else:
                ready = epoll_wait(self.epoll, events, EVENTS, milliseconds(seconds))
        if ready >= 0:
            return ready
        with gil:
            if errno != EINTR:
                raise OSError(errno, "cannot wait for sockets: epoll_wait failed")
            PyErr_CheckSignals()
        return 0

    cdef int _wait_awake(self, epoll_event *events, double seconds) noexcept nogil:
        """Wait, awake for a moment if that is likely to be enough."""
        cdef int ready = 0
        if vigil_begin(&self.vigil):
            ready = epoll_wait(self.epoll, events, EVENTS, 0)
            while ready == 0 and vigil_goes_on(&self.vigil):
                ready = epoll_wait(self.epoll, events, EVENTS, 0)
        if ready == 0:
            ready = epoll_wait(self.epoll, events, EVENTS, milliseconds(seconds))
        vigil_end(&self.vigil, ready)
        return ready

    cdef int _read(self, Peer *peer) except -1 nogil:
        """Read what there is, or so much of it that the others do not wait for long."""
        cdef Core *core = self.core
        cdef size_t total = 0
        cdef size_t room
        cdef ssize_t size
        cdef char *place = NULL
        if peer == NULL or peer.gone:
            return 0
        self.current = peer
        while total < READS_SIZE:
            room = room_for_rest(core, peer, &place)
            if room:
                size = self._receive_rest(peer, place, room)
                if size > 0:
                    took(core, peer, min(<size_t>size, room))
                    if <size_t>size > room:
                        receive(core, peer, self.buffer, size - room)
                room += SMALL_READ_SIZE
            else:
                room = SMALL_READ_SIZE if peer.sends_large else READ_SIZE
                size = recv(peer.descriptor, self.buffer, room, MSG_DONTWAIT)
                if size > 0:
                    receive(core, peer, self.buffer, size)
                    if <size_t>size == room and not is_unfinished(peer):
                        peer.sends_large = False
            if size <= 0:
                if size == 0:
                    self._end(peer)
                elif errno != EAGAIN and errno != EINTR:
                    self._lose(peer)
                break
            total += size
            if <size_t>size < room:
                break
        if is_unfinished(peer):
            self._acknowledge(peer)
        return 0

    cdef ssize_t _receive_rest(self, Peer *peer, char *place, size_t room) noexcept nogil:
        """Read the rest of a large packet into its place, and what comes behind it into the buffer."""
        cdef iovec[2] parts
        cdef msghdr message
        parts[0].iov_base = place
        parts[0].iov_len = room
        parts[1].iov_base = self.buffer
        parts[1].iov_len = SMALL_READ_SIZE
        memset(&message, 0, sizeof(message))
        message.msg_iov = parts
        message.msg_iovlen = 2
        return recvmsg(peer.descriptor, &message, MSG_DONTWAIT)

    cdef void _end(self, Peer *peer) noexcept nogil:
        """It sends no more, but may still read what there is for it."""
        if not unsent(peer):
            self._lose(peer)
            return
        peer.closing = True
        peer.ended = True
        self._watch(peer)
        touch(self.core, peer)

    cdef void _acknowledge(self, Peer *peer) noexcept nogil:
        """Who sends a large packet through a small buffer waits for the acknowledgement of each part."""
        cdef int on = 1
        setsockopt(peer.descriptor, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on))

    cdef void _write_all(self) noexcept nogil:
        """Write to each direct peer that was touched; the others are left to their own driver."""
        cdef Ring *at = self.core.touched.next
        cdef Peer *peer
        while at != &self.core.touched:
            peer = peer_of_touched(at)
            at = at.next
            if peer.descriptor >= 0:
                ring_remove(&peer.of_touched)
                self._write(peer)

    cdef void _write(self, Peer *peer) noexcept nogil:
        cdef Core *core = self.core
        cdef ssize_t size
        if peer.overflowed:
            self._lose(peer)
        if peer.gone or peer.blocked:
            return
        while sendable(peer):
            size = self._send(peer)
            if size >= 0:
                mark_sent(core, peer, size)
            elif errno == EAGAIN:
                self._block(peer)
                return
            elif errno != EINTR:
                self._lose(peer)
                return
        if holds_back(peer):
            self._spare(peer)
            return
        clear_output(core, peer)
        if peer.closing:
            self._lose(peer)

    cdef ssize_t _send(self, Peer *peer) noexcept nogil:
        cdef iovec[PARTS] parts
        cdef msghdr message
        cdef size_t place = peer.sent
        cdef size_t end = end_of_sendable(peer)
        cdef Ring *at = peer.references.next
        cdef int count = 0
        if ring_is_empty(&peer.references):
            return send(
                peer.descriptor, peer.output.data + place, end - place,
                MSG_DONTWAIT | MSG_NOSIGNAL,
            )
        while at != &peer.references and reference_at(at).place <= end and count < PARTS - 2:
            parts[count].iov_base = peer.output.data + place
            parts[count].iov_len = reference_at(at).place - place
            parts[count + 1].iov_base = <void *>reference_at(at).data
            parts[count + 1].iov_len = reference_at(at).size
            place = reference_at(at).place
            count += 2
            at = at.next
        if at == &peer.references or reference_at(at).place > end:
            parts[count].iov_base = peer.output.data + place
            parts[count].iov_len = end - place
            count += 1
        memset(&message, 0, sizeof(message))
        message.msg_iov = parts
        message.msg_iovlen = count
        return sendmsg(peer.descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL)

    cdef void _block(self, Peer *peer) noexcept nogil:
        """The socket takes no more: wait until it does."""
        self._spare(peer)
        peer.blocked = True
        self._watch(peer)

    cdef void _spare(self, Peer *peer) noexcept nogil:
        """Keep no more of what was sent than need be."""
        if peer.sent > WORTH_A_MOVE and peer.sent > peer.output.size - peer.sent:
            forget_sent(peer)

    cdef void _unblock(self, Peer *peer) noexcept nogil:
        if peer == NULL or peer.gone:
            return
        peer.blocked = False
        self._watch(peer)
        touch(self.core, peer)

    cdef void _watch(self, Peer *peer) noexcept nogil:
        cdef uint32_t events = 0 if peer.ended else EPOLLIN
        if peer.blocked:
            events |= EPOLLOUT
        epoll_set(self.epoll, EPOLL_CTL_MOD, peer.descriptor, events)

    cdef void _lose(self, Peer *peer) noexcept nogil:
        if not peer.gone:
            peer.gone = True
            epoll_ctl(self.epoll, EPOLL_CTL_DEL, peer.descriptor, NULL)
            ring_push_back(&self.gone, &peer.of_gone)
