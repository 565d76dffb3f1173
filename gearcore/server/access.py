"""An access list: which peer may submit jobs for which functions, work for them, and give admin commands.

A file in TOML holds an entry for each peer, or for many::

    [[peer]]
    name = "web-*.example"          # by a name in its TLS certificate
    submit = ["image_*", "mail"]

    [[peer]]
    user = "deploy"                 # by its user, over a Unix socket
    submit = true
    work = true
    admin = ["status", "workers"]

What no entry allows is refused.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from os import PathLike
from typing import Any, Literal, Self, cast

from gearcore.errors import GearcoreError
from gearcore.server.identity import Identity

__all__ = ["ACTIONS", "AccessEntry", "AccessList", "BadAccessList", "Permissions"]

log = logging.getLogger("gearcore.server")

Action = Literal["submit", "work", "admin"]
ACTIONS: tuple[Action, ...] = ("submit", "work", "admin")

EVERYONE = "*"
ANONYMOUS = "anonymous"

MOST_NAMES = 1000
"""The most answers that are kept for one connection, which may ask about any number of names."""

MOST_REFUSALS = 100
"""The most refusals that are logged for one connection, so that a peer cannot fill the log."""


class BadAccessList(GearcoreError, ValueError):
    """An access list that cannot be used. The text is one line: the file, the entry, the fault."""


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """What the peers of one name may do.

    ``name`` is a glob pattern for the names in a peer's certificate; the two words ``*`` for every peer and
    ``anonymous`` for those without certificate and user are special. ``user`` is a glob pattern for the user
    on a Unix socket. One of the two must be given.

    ``submit`` and ``work`` are glob patterns for the names of functions, ``admin`` for the first word of
    admin commands, in lower case.
    """

    name: str | None = None
    user: str | None = None
    submit: tuple[str, ...] = ()
    work: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()

    def is_for(self, peer: Identity) -> bool:
        """Whether a peer is among those that the entry is about."""
        if self.user is not None:
            return peer.user is not None and fnmatchcase(peer.user, self.user)
        if self.name is None or self.name == ANONYMOUS:
            return self.name is not None and peer.is_anonymous
        return self.name == EVERYONE or any(fnmatchcase(name, self.name) for name in peer.certificate)


class AccessList:
    """What every peer may do: each is allowed what any entry allows that is about it."""

    def __init__(self, entries: Sequence[AccessEntry] = ()) -> None:
        self.entries = tuple(entries)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a file; raises `BadAccessList` when it is missing, or when a part of it has no meaning."""
        try:
            with open(path, "rb") as file:
                content = tomllib.load(file)
        except OSError as error:
            raise BadAccessList(f"access list {path}: {error.strerror}") from error
        except ValueError as error:  # not TOML, or not UTF-8
            raise BadAccessList(f"access list {path}: {error}") from error
        try:
            return cls.from_mapping(content)
        except BadAccessList as error:
            raise BadAccessList(f"access list {path}: {error}") from None

    @classmethod
    def from_mapping(cls, content: Mapping[str, Any]) -> Self:
        """Make a list from what a file holds: a list of tables under ``peer``."""
        for key in content:
            if key != "peer":
                raise BadAccessList(f"unknown key {key!r}: entries are headed [[peer]]")
        tables = content.get("peer", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise BadAccessList("'peer' is not a list: entries are headed [[peer]]")
        return cls([entry_of(table, number) for number, table in enumerate(tables, 1)])

    def permissions(self, peer: Identity) -> Permissions:
        """Return what a peer may do, for one connection of it."""
        return Permissions(peer, [entry for entry in self.entries if entry.is_for(peer)])


class Permissions:
    """What the peer of one connection may do. Every refusal is logged, once for each action and name."""

    __slots__ = ("_answers", "_entries", "_peer", "_refusals")

    def __init__(self, peer: Identity, entries: Sequence[AccessEntry]) -> None:
        self._peer = peer
        self._entries = entries
        self._answers: dict[tuple[str, bytes], bool] = {}
        self._refusals = 0

    def may(self, action: str, name: bytes) -> bool:
        """Whether the peer may do something.

        ``action`` is ``submit`` or ``work``, with the name of a function, or ``admin``, with the first word
        of a command in lower case.
        """
        answer = self._answers.get((action, name))
        if answer is None:
            text = name.decode(errors="surrogateescape")
            answer = any(
                fnmatchcase(text, pattern) for entry in self._entries for pattern in getattr(entry, action)
            )
            if not answer:
                self._log_refusal(action, name)
            if len(self._answers) >= MOST_NAMES:
                self._answers.clear()
            self._answers[action, name] = answer
        return answer

    def _log_refusal(self, action: str, name: bytes) -> None:
        self._refusals += 1
        if self._refusals > MOST_REFUSALS:
            return
        shown = ascii(name.decode(errors="backslashreplace"))
        log.warning("peer %s may not %s %s: not in the access list", self._peer, action, shown)
        if self._refusals == MOST_REFUSALS:
            log.warning("peer %s: further refusals are not logged", self._peer)


def entry_of(table: dict[str, Any], number: int) -> AccessEntry:
    """Read one ``[[peer]]``; ``number`` counts them from 1."""
    who = [key for key in ("name", "user") if key in table]
    if len(who) != 1:
        raise BadAccessList(f"entry {number}: it needs either 'name' or 'user'")
    key, peer = who[0], table[who[0]]
    if not isinstance(peer, str) or not peer:
        raise BadAccessList(f"entry {number}: {key!r} is not a text: {peer!r}")
    where = f"entry {number} ({peer})"
    for other in table:
        if other != key and other not in ACTIONS:
            raise BadAccessList(f"{where}: unknown key {other!r}")
    submit, work, admin = (patterns_of(table.get(action, False), action, where) for action in ACTIONS)
    return AccessEntry(table.get("name"), table.get("user"), submit, work, admin)


def patterns_of(value: Any, action: Action, where: str) -> tuple[str, ...]:
    """Read the value of one action: true for everything, false for nothing, or a list of patterns."""
    if isinstance(value, bool):
        return ("*",) if value else ()
    if not isinstance(value, list) or not all(isinstance(pattern, str) for pattern in value):
        raise BadAccessList(f"{where}: {action!r} is neither true, false nor a list of texts: {value!r}")
    patterns = cast("list[str]", value)
    return tuple(pattern.lower() if action == "admin" else pattern for pattern in patterns)
