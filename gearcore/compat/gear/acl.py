"""Who may do what at a ``Server``, by the common names in TLS certificates."""

from __future__ import annotations

import re

__all__ = ["ACL", "ACLEntry", "ACLError"]


class ACLError(Exception):
    """What is asked of an access list does not go together, or is no regular expression."""


class ACLEntry:
    """What one ``subject``, the common name in a certificate, may do.

    ``register`` and ``invoke`` are regular expressions that match the beginning of the names of the functions
    that it may work for and submit jobs to; None for none. With ``grant`` it may change the list. Raises
    ACLError for what is no regular expression.
    """

    def __init__(
        self, subject: str, register: str | None = None, invoke: str | None = None, grant: bool = False
    ) -> None:
        self.subject = subject
        self.setRegister(register)
        self.setInvoke(invoke)
        self.setGrant(grant)

    def isEmpty(self) -> bool:
        """Whether it allows nothing."""
        return self.register is None and self.invoke is None and not self.grant

    def canRegister(self, name: str | bytes) -> bool:
        """Whether it allows to work for a function."""
        return self._register is not None and self._register.match(_text(name)) is not None

    def canInvoke(self, name: str | bytes) -> bool:
        """Whether it allows to submit jobs for a function."""
        return self._invoke is not None and self._invoke.match(_text(name)) is not None

    def setRegister(self, register: str | bytes | None) -> None:
        """Change the functions that it allows to work for."""
        self._register = _compile(register)
        self.register = None if register is None else _text(register)

    def setInvoke(self, invoke: str | bytes | None) -> None:
        """Change the functions that it allows to submit jobs to."""
        self._invoke = _compile(invoke)
        self.invoke = None if invoke is None else _text(invoke)

    def setGrant(self, grant: bool) -> None:
        """Change whether it allows to change the list."""
        self.grant = grant

    def __repr__(self) -> str:
        return (
            f"<ACLEntry for {self.subject} register={self.register} invoke={self.invoke} grant={self.grant}>"
        )


class ACL:
    """An access list: what no entry allows is refused. Names may be texts or bytes."""

    def __init__(self) -> None:
        self.subjects: dict[str | None, ACLEntry] = {}

    def add(self, entry: ACLEntry) -> None:
        """Add an entry. Raises ACLError if its subject has one."""
        if not isinstance(entry, ACLEntry):
            raise TypeError(f"an entry of an access list is an ACLEntry, not {type(entry).__name__}")
        if entry.subject in self.subjects:
            raise ACLError(f"An ACL entry for {entry.subject} already exists")
        self.subjects[entry.subject] = entry

    def remove(self, subject: str) -> None:
        """Remove the entry of a subject. Raises ACLError if there is none."""
        if subject not in self.subjects:
            raise ACLError(f"There is no ACL entry for {subject}")
        del self.subjects[subject]

    def getEntries(self) -> list[ACLEntry]:
        """The entries, ordered by their subjects."""
        return sorted(self.subjects.values(), key=lambda entry: entry.subject or "")

    def canRegister(self, subject: str | None, name: str | bytes) -> bool:
        """Whether a subject may work for a function."""
        entry = self.subjects.get(subject)
        return entry is not None and entry.canRegister(name)

    def canInvoke(self, subject: str | None, name: str | bytes) -> bool:
        """Whether a subject may submit jobs for a function."""
        entry = self.subjects.get(subject)
        return entry is not None and entry.canInvoke(name)

    def canGrant(self, subject: str | None) -> bool:
        """Whether a subject may change the list."""
        entry = self.subjects.get(subject)
        return entry is not None and bool(entry.grant)

    def grantInvoke(self, subject: str, invoke: str) -> None:
        """Let a subject submit jobs to the functions that a regular expression matches."""
        self._granted(subject, ACLEntry(subject, invoke=invoke)).setInvoke(invoke)

    def grantRegister(self, subject: str, register: str) -> None:
        """Let a subject work for the functions that a regular expression matches."""
        self._granted(subject, ACLEntry(subject, register=register)).setRegister(register)

    def grantGrant(self, subject: str) -> None:
        """Let a subject change the list."""
        self._granted(subject, ACLEntry(subject)).setGrant(True)

    def revokeInvoke(self, subject: str) -> None:
        """Let a subject submit no jobs."""
        entry = self.subjects.get(subject)
        if entry is not None:
            entry.setInvoke(None)
            self._drop_if_empty(entry)

    def revokeRegister(self, subject: str) -> None:
        """Let a subject work for nothing."""
        entry = self.subjects.get(subject)
        if entry is not None:
            entry.setRegister(None)
            self._drop_if_empty(entry)

    def revokeGrant(self, subject: str) -> None:
        """Let a subject not change the list."""
        entry = self.subjects.get(subject)
        if entry is not None:
            entry.setGrant(False)
            self._drop_if_empty(entry)

    def _granted(self, subject: str, new: ACLEntry) -> ACLEntry:
        # The new one is made in any case: a bad expression must not leave an empty entry behind.
        return self.subjects.setdefault(subject, new)

    def _drop_if_empty(self, entry: ACLEntry) -> None:
        if entry.isEmpty():
            del self.subjects[entry.subject]


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes | bytearray) else name


def _compile(expression: str | bytes | None) -> re.Pattern[str] | None:
    if expression is None:
        return None
    try:
        return re.compile(_text(expression))
    except re.error as error:
        raise ACLError(f"{expression!r} is not a regular expression: {error}") from error
