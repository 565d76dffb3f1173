"""What a server tells systemd, by datagrams to the socket that the environment names: sd_notify(3)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import MutableMapping
from typing import Self

from gearcore.server.server import Server

__all__ = ["ServiceManager"]

log = logging.getLogger("gearcore.server")


class ServiceManager:
    """The systemd that started this process, which learns when the server is ready, alive and stopping."""

    def __init__(self, address: str, watchdog: float | None = None) -> None:
        """``address`` is a socket's path, or its abstract name behind ``@``.

        ``watchdog`` is how many seconds may pass between two signs of life.
        """
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog = watchdog
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def of(cls, environment: MutableMapping[str, str] = os.environ) -> Self | None:
        """Return the one of a process's environment, if there is one.

        Its variables are removed, so that no child speaks for this process.
        """
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "")
        if not address:
            return None
        is_watched = microseconds.isdecimal() and int(microseconds) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(microseconds) / 1e6 if is_watched else None)

    def watch(self, server: Server) -> None:
        """Say that a server is ready; from then on, in its event loop, that it lives, and when it stops."""
        ports = ", ".join(f"{host} port {port}" for host, port in server.addresses)
        self.tell("READY=1", f"STATUS=Listening on {ports or 'Unix sockets'}")
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._tell_of_the_stop(server)))
        if self.watchdog is not None:
            self._tasks.append(loop.create_task(self._tell_of_life(self.watchdog / 2)))

    def tell(self, *assignments: str) -> None:
        """Send one datagram. Nothing depends on its arrival, so that a failure is only logged."""
        try:
            self._socket.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            log.warning("cannot notify systemd: %s", error.strerror or error)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    async def _tell_of_life(self, period: float) -> None:
        while True:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(period)

    async def _tell_of_the_stop(self, server: Server) -> None:
        await server.wait_for_stop()
        self.tell("STOPPING=1", "STATUS=Stopping")
