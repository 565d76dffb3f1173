"""What is known of one option of a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["GENERAL", "Option"]

GENERAL = "General options"
"""The group of what is in no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of ``gearcored``.

    Without ``metavar`` it is a flag. ``read`` makes its value of the text; ``default`` is the value where
    nobody gives one, None where that is up to the server, and ``shown`` is how the default is described.
    ``environment`` names a variable that holds the value where neither command line nor configuration file
    has one.

    ``argument`` is the argument of `Server` that gets the value, with a full stop inside for a field of its
    ``limits`` or ``keepalive``. ``server_name`` is the option's name for ``gearcore server``, if it has it:
    by default the same name, for what is an argument of `Server`.
    """

    name: str
    text: str
    group: str = GENERAL
    short: str = ""
    metavar: str = ""
    read: Callable[[str], Any] = str
    default: Any = None
    shown: str = ""
    several: bool = False
    environment: str = ""
    argument: str = ""
    server_name: str = ""

    def __post_init__(self) -> None:
        if self.argument and not self.server_name:
            object.__setattr__(self, "server_name", self.name)

    @property
    def key(self) -> str:
        """The name under which the value is kept."""
        return self.name.replace("-", "_")

    def help(self, *, environment: bool = True) -> str:
        """Return the text, the default and, if wanted, the environment variable."""
        shown = self.shown or ("" if self.default is None else str(self.default))
        parts = [self.text]
        if self.metavar and shown:
            parts.append(f"Default: {shown}.")
        if environment and self.environment:
            parts.append(f"Environment: {self.environment}.")
        return " ".join(parts)
