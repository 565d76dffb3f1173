"""The admin client: asks one server what it is doing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from gearcore.admin import AdminClient
from gearcore.client import Client
from gearcore.compat.gearman.connection_manager import GearmanConnectionManager
from gearcore.compat.gearman.errors import (
    GearmanError,
    InvalidAdminClientState,
    ProtocolError,
    ServerUnavailable,
)
from gearcore.errors import ConnectionLost, ServerError, TimedOut
from gearcore.errors import ProtocolError as Offence
from gearcore.errors import ServerUnavailable as Unreachable

__all__ = ["DEFAULT_ADMIN_CLIENT_TIMEOUT", "GearmanAdminClient"]

T = TypeVar("T")
DEFAULT_ADMIN_CLIENT_TIMEOUT: Final = 10.0


class _NotOneHost(GearmanError, ValueError):
    """What the original raises is the one in some versions, and the other in others."""


class GearmanAdminClient(GearmanConnectionManager):
    """Asks the one server of ``host_list``. A call may take ``poll_timeout`` seconds.

    The calls raise ServerUnavailable when there is no connection, InvalidAdminClientState when there is no
    answer in time, and ProtocolError when the server refuses, or answers something else.
    """

    def __init__(
        self,
        host_list: Iterable[Any] | None = None,
        poll_timeout: float | None = DEFAULT_ADMIN_CLIENT_TIMEOUT,
    ) -> None:
        super().__init__(host_list)
        if len(self.connection_list) != 1:
            raise _NotOneHost(f"an admin client asks exactly one server, not {len(self.connection_list)}")
        self.poll_timeout = poll_timeout
        self._admin: AdminClient | None = None

    def ping_server(self) -> float:
        """Have the server send a few bytes back; returns the seconds that it took."""
        connection = self.connection_list[0]
        with (
            self._errors(),
            Client(connection.address, timeout=self.poll_timeout, tls=connection.tls) as client,
        ):
            return client.ping()

    def get_version(self) -> str:
        """The server's version, behind an ``OK``."""
        return f"OK {self._ask(AdminClient.version)}"

    def get_pid(self) -> str:
        """The server's process id, behind an ``OK``."""
        return f"OK {self._ask(AdminClient.getpid)}"

    def get_status(self) -> tuple[dict[str, Any], ...]:
        """A dict for each function: ``task``, ``queued`` (running ones too), ``running``, ``workers``."""
        return tuple(
            {"task": row.function, "queued": row.jobs, "running": row.running, "workers": row.workers}
            for row in self._ask(AdminClient.status)
        )

    def get_workers(self) -> tuple[dict[str, Any], ...]:
        """A dict for each connection: ``file_descriptor``, ``ip``, ``client_id``, and ``tasks``, a tuple."""
        return tuple(
            {
                "file_descriptor": str(row.descriptor),
                "ip": row.address,
                "client_id": row.client_id,
                "tasks": row.functions,
            }
            for row in self._ask(AdminClient.workers)
        )

    def get_jobs(self) -> tuple[dict[str, Any], ...]:
        """A dict for each job, with the numbers that the server has under these names.

        ``handle``; ``queued``, how many workers left it unfinished; ``canceled``, 1 when nobody waits for it
        any more; ``enabled``, 1 for a background job.
        """
        return tuple(
            {
                "handle": row.handle,
                "queued": row.retries,
                "canceled": int(row.ignored),
                "enabled": int(row.queued),
            }
            for row in self._ask(AdminClient.jobs)
        )

    def get_unique_jobs(self) -> tuple[dict[str, list[str]], ...]:
        """A dict for each job: ``unique``, a list with its unique id."""
        return tuple({"unique": [unique]} for unique in self._ask(AdminClient.unique_jobs))

    def cancel_job(self, handle: str | bytes) -> str:
        """Have the server drop a job: ``OK``, or ``ERR UNKNOWN_JOB``."""
        return "OK" if self._ask(AdminClient.cancel, handle) else "ERR UNKNOWN_JOB"

    def send_maxqueue(self, task: str | bytes, max_size: int) -> str:
        """Limit the jobs that a function may have in the queue; 0 is no limit. Returns ``OK``."""
        self._ask(AdminClient.maxqueue, task, int(max_size))
        return "OK"

    def send_shutdown(self, graceful: bool = True) -> None:
        """Stop the server. ProtocolError where it does not allow that, as gearmand since 1.1.15."""
        self._ask(AdminClient.shutdown, graceful)

    def shutdown(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()
        super().shutdown()

    def __del__(self) -> None:
        if getattr(self, "_admin", None) is not None:
            self.shutdown()

    def _ask(self, method: Callable[..., T], *args: Any) -> T:
        with self._errors():
            if self._admin is None:
                connection = self.connection_list[0]
                self._admin = AdminClient(connection.address, timeout=self.poll_timeout, tls=connection.tls)
            return method(self._admin, *args)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Have what gearcore raises be what is raised here."""
        try:
            yield
        except (Unreachable, ConnectionLost) as error:
            raise ServerUnavailable(str(error)) from error
        except TimedOut as error:
            raise InvalidAdminClientState(str(error)) from error
        except (ServerError, Offence) as error:
            raise ProtocolError(str(error)) from error
