"""Plain sockets, read and written in C: on Linux, where the event loop's transports would be the dearest part.

One epoll holds the sockets of all peers. The event loop watches it as a single descriptor and calls `turn`
when there is something to do: every socket that is ready is read, the broker does what came in, and each peer
that was touched is written to once, without a Python object in between. Timers, signals, listeners, TLS and
HTTP stay with the event loop, and meet the direct sockets in the broker.

The interpreter's lock is let go of only while there is nothing to do: the broker's other callers count on it.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memmove, memset
from posix.unistd cimport close

cimport cython

from gearcore._broker cimport Broker, Connection, receive
from gearcore._buffer cimport buffer_clear
from gearcore._peers cimport is_unfinished, peer_of_touched
from gearcore._replies cimport touch, unsent
from gearcore._ring cimport Ring, ring_init, ring_is_empty, ring_push_back, ring_remove
from gearcore._state cimport Core, Peer

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

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_QUICKACK

cdef extern from "<sys/socket.h>" nogil:
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
    EVENTS = 256                        # sockets that are looked at together
    WORTH_A_MOVE = 1024 * 1024          # bytes sent that are cut off the front of what is unsent


cdef double monotonic() noexcept nogil:
    """The clock of asyncio's and uvloop's `loop.time()`."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef inline Peer *peer_of_gone(Ring *of_gone) noexcept nogil:
    return <Peer *>(<char *>of_gone - <size_t>&(<Peer *>NULL).of_gone)


@cython.final
cdef class DirectSockets:
    """The sockets of some of a broker's peers.

    Its `fileno()` is ready when a `turn` has something to do.
    """

    cdef Broker broker
    cdef int epoll
    cdef char *buffer
    cdef Peer **peers                   # by descriptor; NULL where there is none
    cdef int limit                      # how many descriptors `peers` has room for
    cdef Ring gone                      # peers whose socket is closed or broken, by Peer.of_gone
    cdef Peer *current                  # whose input was handled last

    def __cinit__(self, Broker broker not None):
        self.epoll = -1
        ring_init(&self.gone)
        self.broker = broker
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

    def add(self, Connection connection not None, int fd):
        """Read and write a peer's socket from now on, until `remove`; it stays the caller's to close."""
        cdef Peer *peer = connection._connected()
        cdef epoll_event event
        self._make_room(fd)
        event.events = EPOLLIN
        event.data.fd = fd
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &event) < 0:
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
        touch(&self.broker.core, peer)

    def turn(self, double patience):
        """Serve the sockets until there is nothing to do, or somebody is gone.

        With `patience` it waits for more to do, up to a millisecond at a time and for that many seconds in
        all: a busy server then needs the event loop less often. Returns the connections that are gone, which
        the caller is to disconnect, each with the exception that its input raised, or None.
        """
        fault = None
        try:
            self._serve(patience)
        except Exception as error:
            if self.current != NULL:
                self._lose(self.current)
            fault = error
        return self._take_gone(fault)

    def write(self, Connection connection not None):
        """Write the output of one of the peers; return who is gone, as `turn` does."""
        self._write(connection._connected())
        return self._take_gone(None)

    def write_all(self):
        """Write the output of every direct peer that was touched; return who is gone, as `turn` does."""
        self._write_all()
        return self._take_gone(None)

    cdef list _take_gone(self, fault):
        cdef list gone = []
        cdef Peer *peer
        while not ring_is_empty(&self.gone):
            peer = peer_of_gone(self.gone.next)
            ring_remove(&peer.of_gone)
            gone.append((<Connection>peer.connection, fault if peer == self.current else None))
        return gone

    cdef int _serve(self, double patience) except -1:
        cdef epoll_event events[EVENTS]
        cdef Core *core = &self.broker.core
        cdef double end = monotonic() + patience
        cdef int at
        cdef int ready = epoll_wait(self.epoll, events, EVENTS, 0)
        while ready > 0 or (ready < 0 and errno == EINTR):
            core.now = monotonic()
            for at in range(ready):
                if events[at].events & EPOLLOUT:
                    self._unblock(self.peers[events[at].data.fd])
                if events[at].events & ~<uint32_t>EPOLLOUT:
                    self._read(self.peers[events[at].data.fd])
            self._write_all()
            if not ring_is_empty(&self.gone) or core.now >= end:
                break
            with nogil:
                ready = epoll_wait(self.epoll, events, EVENTS, 1)
        return 0

    cdef int _read(self, Peer *peer) except -1:
        cdef int on = 1
        cdef ssize_t size
        if peer == NULL or peer.gone:
            return 0
        size = recv(peer.descriptor, self.buffer, READ_SIZE, MSG_DONTWAIT)
        if size > 0:
            self.current = peer
            receive(&self.broker.core, peer, self.buffer, size)
            if is_unfinished(peer):
                # who sends a large packet through a small buffer waits for the acknowledgement of each part
                setsockopt(peer.descriptor, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on))
        elif size == 0 or (errno != EAGAIN and errno != EINTR):
            self._lose(peer)
        return 0

    cdef void _write_all(self) noexcept:
        """Write to each direct peer that was touched; the others are left to their own driver."""
        cdef Ring *at = self.broker.core.touched.next
        cdef Peer *peer
        while at != &self.broker.core.touched:
            peer = peer_of_touched(at)
            at = at.next
            if peer.descriptor >= 0:
                ring_remove(&peer.of_touched)
                self._write(peer)

    cdef void _write(self, Peer *peer) noexcept:
        cdef ssize_t size
        if peer.overflowed:
            self._lose(peer)
        if peer.gone or peer.blocked:
            return
        while unsent(peer):
            size = send(
                peer.descriptor, peer.output.data + peer.sent, unsent(peer), MSG_DONTWAIT | MSG_NOSIGNAL
            )
            if size >= 0:
                peer.sent += size
            elif errno == EAGAIN:
                self._block(peer)
                return
            elif errno != EINTR:
                self._lose(peer)
                return
        peer.sent = 0
        buffer_clear(&peer.output)
        if peer.closing:
            self._lose(peer)

    cdef void _block(self, Peer *peer) noexcept:
        """The socket takes no more: wait until it does, and keep no more of what it took than need be."""
        cdef size_t left = unsent(peer)
        if peer.sent > WORTH_A_MOVE and peer.sent > left:
            memmove(peer.output.data, peer.output.data + peer.sent, left)
            peer.output.size = left
            peer.sent = 0
        peer.blocked = True
        self._watch(peer, EPOLLIN | EPOLLOUT)

    cdef void _unblock(self, Peer *peer) noexcept:
        if peer == NULL or peer.gone:
            return
        peer.blocked = False
        self._watch(peer, EPOLLIN)
        touch(&self.broker.core, peer)

    cdef void _watch(self, Peer *peer, uint32_t events) noexcept:
        cdef epoll_event event
        event.events = events
        event.data.fd = peer.descriptor
        epoll_ctl(self.epoll, EPOLL_CTL_MOD, peer.descriptor, &event)

    cdef void _lose(self, Peer *peer) noexcept:
        if not peer.gone:
            peer.gone = True
            epoll_ctl(self.epoll, EPOLL_CTL_DEL, peer.descriptor, NULL)
            ring_push_back(&self.gone, &peer.of_gone)
