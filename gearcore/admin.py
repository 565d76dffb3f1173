"""The blocking admin client: ask a job server what it is doing, and tell it a few things."""

from __future__ import annotations

import os
import ssl
import threading
from types import TracebackType
from typing import Self, TypeVar

from gearcore._blocking import Connection, Deadline, Waker
from gearcore.address import ServerAddress, parse_address
from gearcore.errors import ConnectionLost, ProtocolError, TimedOut
from gearcore.session import commands, dead
from gearcore.session.answers import FunctionQueues, FunctionStatus, ListedJob, PeerStatus
from gearcore.tls import ClientTls, client_context

__all__ = ["AdminClient"]

T = TypeVar("T")


class AdminClient:
    """Asks one job server by admin commands: what ``gearadmin`` does, and answers that are objects.

    ``server`` is ``"host:port"``, ``"[IPv6]:port"``, ``"unix:/path"`` or ``(host, port)``; the port is 4730
    unless it is given. ``timeout`` is how many seconds a call may take, ``None`` without a limit;
    ``connect_timeout`` is how many of them a connection may take. ``tls`` has it connect by TLS.

    The client connects at the first call, and again at the next call after a connection is lost. It is for
    any number of threads, which take turns. The methods raise, all from ``gearcore.errors``: ServerError when
    the server answers with an ``ERR`` line, ServerUnavailable when there is no connection, ConnectionLost
    when it ends before the answer, TimedOut, and ProtocolError when what answers is no job server; ValueError
    for a name that no command can have, since it is empty, or has a space or newline.
    """

    def __init__(
        self,
        server: str | tuple[str, int] | ServerAddress = "127.0.0.1:4730",
        *,
        timeout: float | None = 30.0,
        connect_timeout: float = 5.0,
        tls: ClientTls | ssl.SSLContext | None = None,
    ) -> None:
        self._address = parse_address(server)
        self._tls = client_context(tls)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._lock = threading.Lock()
        self._link: _Link | None = None

    def status(self) -> list[FunctionStatus]:
        """The functions, each with its jobs, those of them that run, and its workers."""
        return self._ask(commands.status())

    def priority_status(self) -> list[FunctionQueues]:
        """The functions, each with its queued jobs of high, normal and low priority, and its workers."""
        return self._ask(commands.priority_status())

    def workers(self) -> list[PeerStatus]:
        """The connections, of any kind, this one included, each with the functions that it offers.

        The server lists functions with spaces between them. Names that have spaces are told from those that
        have none by what `status` lists; what could be several names or one is taken for one.
        """
        return self._ask(commands.workers())

    def jobs(self) -> list[ListedJob]:
        """The jobs, queued and running."""
        return self._ask(commands.jobs())

    def unique_jobs(self) -> list[str]:
        """The unique id of each job, queued and running; empty for a job that has none."""
        return self._ask(commands.unique_jobs())

    def cancel(self, handle: str | bytes) -> bool:
        """End a job for its clients; false if the server does not know it.

        A worker that has it already is not told, and goes on. gearmand counts a queued job that was cancelled
        until a worker asks for it.
        """
        return self._ask(commands.cancel(handle))

    def maxqueue(self, function: str | bytes, *limits: int) -> None:
        """Limit how many jobs a function may have: further ones are refused with ``QUEUE_ERROR``.

        ``limits`` is one number, which goes for each priority, or three: for high, normal and low. 0 is no
        limit. gearmand ignores it for a function that it does not know.
        """
        self._ask(commands.maxqueue(function, *limits))

    def create_function(self, function: str | bytes) -> None:
        """Have a function listed, although there is no job and no worker for it."""
        self._ask(commands.create_function(function))

    def drop_function(self, function: str | bytes) -> None:
        """Forget a function. ServerError if it is unknown or has workers; gearmand loses jobs that it has."""
        self._ask(commands.drop_function(function))

    def dead_letters(self, function: str | bytes | None = None) -> list[dead.DeadLetter]:
        """The background jobs that the server keeps, but does not run any more; of one function if given.

        This and the methods for them are for gearcore with a store; another server raises ServerError with
        the code ``UNKNOWN_COMMAND``.
        """
        return self._ask(dead.letters(function))

    def dead_letter(self, handle: str | bytes) -> dead.DeadJob | None:
        """One of them with its workload; None if there is none with that handle."""
        return self._ask(dead.show(handle))

    def retry_dead(self, handle: str | bytes) -> bool:
        """Queue one of them again, with all its runs before it; false if there is none with that handle."""
        return self._ask(dead.retry(handle)) > 0

    def retry_all_dead(self, function: str | bytes | None = None) -> int:
        """Queue all of them again, or all of a function; returns their number."""
        return self._ask(dead.retry(None, function))

    def drop_dead(self, handle: str | bytes) -> bool:
        """Forget one of them; false if there is none with that handle."""
        return self._ask(dead.drop(handle)) > 0

    def drop_all_dead(self, function: str | bytes | None = None) -> int:
        """Forget all of them, or all of a function; returns their number."""
        return self._ask(dead.drop(None, function))

    def version(self) -> str:
        """The version of the server: ``1.1.20+ds`` of a gearmand, ``gearcore-1.0`` of a gearcore."""
        return self._ask(commands.version())

    def getpid(self) -> int:
        """The process id of the server."""
        return self._ask(commands.getpid())

    def verbose(self) -> str:
        """The least severe level that the server logs, in gearmand's words: ``ERROR``, for one."""
        return self._ask(commands.verbose())

    def shutdown(self, graceful: bool = False) -> None:
        """Stop the server: at once, or, if ``graceful``, when the last job has ended.

        ServerError with the code ``UNKNOWN_COMMAND`` if the server does not allow it: gearmand has not since
        1.1.15, and gearcore does with ``allow_shutdown``.
        """
        self._ask(commands.shutdown(graceful))

    def close(self) -> None:
        """Close the connection. A later call opens another."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<AdminClient {self._address}>"

    def _ask(self, command: commands.Command[T]) -> T:
        deadline = Deadline(self._timeout)
        with self._lock:
            link = self._connected(deadline)
            try:
                link.connection.send(link.session.ask(command))
                while not link.session.answered:
                    if deadline.expired:
                        raise TimedOut(
                            f"waited {deadline.seconds:g} s for {command.what} from {self._address}"
                        )
                    link.connection.wait(deadline)
                    link.connection.send()
                    link.receive()
            except ConnectionLost as error:
                self._drop()
                if not link.session.answered:  # it does end after the answer to a shutdown
                    raise ConnectionLost(f"{error}; {command.what} had not come") from error
            except BaseException:
                self._drop()
                raise
            return link.session.answer(command)

    def _connected(self, deadline: Deadline) -> _Link:
        """The connection, which is opened anew if it has ended meanwhile."""
        if self._link is not None:
            try:
                self._link.check(os.getpid())
            except (ConnectionLost, ProtocolError):
                self._drop()
        if self._link is None:
            self._link = _Link(self._address, deadline.sooner(self._connect_timeout), self._tls)
        return self._link

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()


class _Link:
    """One connection of an admin client."""

    def __init__(self, address: ServerAddress, deadline: Deadline, tls: ssl.SSLContext | None) -> None:
        self.session = commands.AdminSession(str(address))
        self._process = os.getpid()
        self._waker = Waker()
        try:
            self.connection = Connection.open(address, deadline, self._waker, tls)
        except BaseException:
            self._waker.close()
            raise

    def check(self, process: int) -> None:
        """Raises ConnectionLost or ProtocolError if nothing can be asked here any more.

        A process that was forked off has a connection of its parent's, whose answers it must not read.
        """
        if process != self._process:
            raise ConnectionLost(f"the connection to {self.session.server} is another process's")
        self.receive()

    def receive(self) -> None:
        """Take what has come so far."""
        while data := self.connection.receive():
            self.session.receive(data)

    def close(self) -> None:
        """Give the file descriptors back."""
        self.connection.close()
        self._waker.close()
