"""What gear's server has beside gearcore's own: its access list, its admin commands for that, and methods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from gearcore.broker import Admin, Connection
from gearcore.broker.admin import cancel, incomplete, unknown_command
from gearcore.compat.gear.acl import ACL, ACLError
from gearcore.compat.gear.handling import HandledPeer, subject_of
from gearcore.compat.gear.packet import Packet
from gearcore.server import AccessList, Server
from gearcore.server.access import Permissions
from gearcore.server.identity import Identity, identify
from gearcore.server.peer import Peer

__all__ = ["GearServer"]

OK: Final = b"OK\n"
DENIED: Final = b"ERR PERMISSION_DENIED\n"
UNKNOWN_VERB: Final = b"ERR UNKNOWN_ACL_VERB\n"

GAUGE_INTERVAL: Final = 1.0
"""Seconds between two reports of the queues."""


class _Access(AccessList):
    """An access list of gear's as one of gearcore's server: it may change at any time."""

    def __init__(self, acl: ACL) -> None:
        super().__init__()
        self._acl = acl

    def permissions(self, peer: Identity) -> Permissions:
        return _Permissions(self._acl, peer)


class _Permissions(Permissions):
    """What the peer of one connection may do by gear's list."""

    __slots__ = ("_acl", "_subject")

    def __init__(self, acl: ACL, peer: Identity) -> None:
        super().__init__(peer, ())
        self._acl = acl
        self._subject = subject_of(peer)

    def may(self, action: str, name: bytes) -> bool:
        if action == "admin":
            return name != b"shutdown"  # which geard does not have
        may = self._acl.canInvoke if action == "submit" else self._acl.canRegister
        if may(self._subject, name):
            return True
        self._log_refusal(action, name)
        return False


class _Admin(Admin):
    """The admin commands of geard beside gearmand's: ``acl``, and who may cancel."""

    def __init__(self, acl: ACL | None, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._acl = acl
        self._commands[b"acl"] = self._change
        if acl is not None:
            self._commands[b"cancel"] = partial(_cancel, acl)

    def _change(self, connection: Connection, words: list[bytes]) -> bytes:
        """List the entries, or change them: ``acl list``, ``acl grant register SUBJECT REGEX`` and so on."""
        acl = self._acl
        if acl is None:
            return b"ERR ACL_DISABLED\n"
        command, *arguments = [word.decode("utf-8", "surrogateescape") for word in words[1:]] or [""]
        if command == "list":
            return b"".join(map(_listed, acl.getEntries())) + b".\n"
        subject = _subject(connection)
        if command == "self-revoke":
            return _revoke(acl, arguments[0], subject or "") if arguments else incomplete(words)
        if command not in ("grant", "revoke"):
            return unknown_command(connection, words)
        if len(arguments) < 2 or (command == "grant" and arguments[0] != "grant" and len(arguments) < 3):
            return incomplete(words)
        if not acl.canGrant(subject):
            return DENIED
        try:
            return _grant(acl, *arguments) if command == "grant" else _revoke(acl, *arguments[:2])
        except ACLError as error:
            return b"ERR INVALID_ARGUMENTS " + "+".join(str(error).split()).encode() + b"\n"


def _listed(entry: Any) -> bytes:
    parts = (f"register={entry.register}", f"invoke={entry.invoke}", f"grant={entry.grant}")
    return ("\t".join((entry.subject, *parts)) + "\n").encode("utf-8", "surrogateescape")


def _grant(acl: ACL, verb: str, subject: str, expression: str = "", *_: str) -> bytes:
    if verb == "register":
        acl.grantRegister(subject, expression)
    elif verb == "invoke":
        acl.grantInvoke(subject, expression)
    elif verb == "grant":
        acl.grantGrant(subject)
    else:
        return UNKNOWN_VERB
    return OK


def _revoke(acl: ACL, verb: str, subject: str) -> bytes:
    revokes = {"register": acl.revokeRegister, "invoke": acl.revokeInvoke, "grant": acl.revokeGrant}
    if verb == "all":
        for revoke in revokes.values():
            revoke(subject)
    elif verb in revokes:
        revokes[verb](subject)
    else:
        return UNKNOWN_VERB
    return OK


def _cancel(acl: ACL, connection: Connection, words: list[bytes]) -> bytes:
    """Cancel a job for a peer that may submit it."""
    for job in connection.broker.jobs if len(words) == 3 else ():
        if job.handle == words[2] and not acl.canInvoke(_subject(connection), job.function):
            return DENIED
    return cancel(connection, words)


def _subject(connection: Connection) -> str | None:
    return subject_of(identify(cast(Peer, connection.driver).transport))


class GearServer(Server):
    """gearcore's server with gear's access list, methods for packets, and what is counted for statsd.

    ``handle`` is called with each packet that comes, and passes it on; ``gauge`` with the numbers of jobs in
    all and of those that run, every second.
    """

    def __init__(
        self,
        *,
        acl: ACL | None,
        handle: Callable[[Packet], object] | None,
        gauge: Callable[[int, int], object] | None,
        **settings: Any,
    ) -> None:
        self.make_admin = partial(_Admin, acl)  # by which the server makes its own
        self._handle = handle
        self._gauge = gauge
        super().__init__(access=None if acl is None else _Access(acl), **settings)

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the server runs in."""
        return self._loop

    async def start(self) -> None:
        await super().start()
        self._tell_gauge()

    def _tell_gauge(self) -> None:
        if self._gauge is not None and self._running:
            functions = self.broker.functions
            self._gauge(len(self.broker), sum(function.running for function in functions))
            self._loop.call_later(GAUGE_INTERVAL, self._tell_gauge)

    @property
    def _has_direct_sockets(self) -> bool:
        # What C code reads off a socket by itself passes no method.
        return self._handle is None and super()._has_direct_sockets

    def new_peer(self, protocol: Callable[[Server], asyncio.BaseProtocol]) -> asyncio.BaseProtocol:
        if self._handle is not None:
            protocol = partial(HandledPeer, handle=self._handle)
        return super().new_peer(protocol)
