"""Accepting connections that begin with a TLS handshake.

The event loop's own servers do that too, but they say nothing of a handshake that fails, and know no way to
give up those that are under way. And they let all that wait for it have theirs in one turn of the event loop,
a fifth of a millisecond and more for each, while every other peer of the server waits.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable

__all__ = ["TlsAcceptor"]

log = logging.getLogger("gearcore.server")

OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

RETRY_AFTER = 1.0
"""Seconds without a new connection after the system could not give one."""

NOT_TLS = {"HTTP_REQUEST", "WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "RECORD_LAYER_FAILURE"}
"""OpenSSL's reasons to give up on a peer that began with something else."""


class TlsAcceptor:
    """Accepts the connections of a listening socket, and becomes its owner.

    Each connection has ``timeout`` seconds for its handshake; when that is done, the protocol is told of the
    connection that ``new_peer`` made for it. Before it, a peer holds a socket and nothing else. One handshake
    begins in each turn of the event loop, in the order in which the peers asked.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        timeout: float,
        new_peer: Callable[[], asyncio.BaseProtocol],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._context = context
        self._timeout = timeout
        self._new_peer = new_peer
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepted: set[socket.socket] = set()  # and their handshake has not begun
        self._asked: deque[asyncio.Future[None]] = deque()
        self._accepting = self._loop.create_task(self._accept())

    @property
    def handshakes(self) -> int:
        """How many handshakes are under way."""
        return len(self._handshakes)

    def close(self) -> None:
        """Accept no more, and give up the handshakes that are under way."""
        for task in (self._accepting, *self._handshakes):
            task.cancel()
        for sock in self._accepted:  # a task that is cancelled before its first step takes none
            sock.close()
        self._accepted.clear()

    async def wait_closed(self) -> None:
        """Return when all is closed that `close` gave up."""
        await asyncio.wait([self._accepting, *self._handshakes])

    async def _accept(self) -> None:
        with self._socket:
            while True:
                try:
                    sock, address = await self._next()
                except OSError as error:  # or else a peer that left before it was accepted
                    if error.errno in OUT_OF_RESOURCES:
                        log.error("no connection can be accepted: %s", error.strerror)
                        await asyncio.sleep(RETRY_AFTER)
                    continue
                self._accepted.add(sock)
                handshake = self._loop.create_task(self._shake_hands(sock, address, self._new_peer()))
                self._handshakes.add(handshake)
                handshake.add_done_callback(self._handshakes.discard)
                await asyncio.sleep(0)  # what waits to be accepted would be accepted without a pause

    async def _next(self) -> tuple[socket.socket, object]:
        """Accept a connection. Nothing is awaited once it is there: whoever cancels would lose it."""
        while True:
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                asked = self._loop.create_future()
                try:
                    self._loop.add_reader(self._socket, _wake, asked)
                except NotImplementedError:  # Windows' event loop closes what it accepts for nobody
                    return await self._loop.sock_accept(self._socket)
                try:
                    await asked
                finally:
                    self._loop.remove_reader(self._socket)
            else:
                sock.setblocking(False)
                return sock, address

    async def _shake_hands(self, sock: socket.socket, address: object, peer: asyncio.BaseProtocol) -> None:
        self._accepted.discard(sock)
        deadline = self._loop.time() + self._timeout
        try:
            await self._wait_for_turn(sock)
            await self._loop.connect_accepted_socket(
                lambda: peer,
                sock,
                ssl=self._context,
                ssl_handshake_timeout=max(deadline - self._loop.time(), 0.001),
            )
        except ConnectionAbortedError:
            log.warning("%s is refused: no TLS handshake within %g s", named(address), self._timeout)
        except ssl.SSLError as error:
            log.warning("%s is refused: %s", named(address), fault_in(error))
        except OSError as error:
            # What looks whether a port is open comes and goes like this, every few seconds.
            log.debug("%s left during its TLS handshake: %s", named(address), error)

    async def _wait_for_turn(self, sock: socket.socket) -> None:
        """Return when the peer has begun, and those who began before it have had their turn.

        Closes the socket if that takes too long, or is cancelled.
        """
        asked = self._loop.create_future()
        try:
            self._loop.add_reader(sock, self._ask, sock, asked)
        except NotImplementedError:  # Windows' event loop cannot watch a socket: there nobody waits for turns
            return
        try:
            async with asyncio.timeout(self._timeout):
                await asked
        except BaseException as error:
            self._loop.remove_reader(sock)
            sock.close()
            if isinstance(error, TimeoutError):
                raise ConnectionAbortedError from None
            raise

    def _ask(self, sock: socket.socket, asked: asyncio.Future[None]) -> None:
        self._loop.remove_reader(sock)
        self._asked.append(asked)
        if len(self._asked) == 1:
            self._loop.call_soon(self._let_next_begin)

    def _let_next_begin(self) -> None:
        asked = self._asked.popleft()
        if not asked.done():  # it was not given up meanwhile
            asked.set_result(None)
        if self._asked:
            self._loop.call_soon(self._let_next_begin)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def named(address: object) -> str:
    """A peer that is no more than an address."""
    return "peer {}:{}".format(*address) if isinstance(address, tuple) else "peer unix"


def fault_in(error: ssl.SSLError) -> str:
    """Say in a few words why a handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "it showed no certificate"
    if error.reason in NOT_TLS:
        return "it does not speak TLS"
    return f"TLS handshake failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
