"""What ``gearcore.accelerate`` returns, and how it takes names of a library over and gives them back."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from gearcore._accelerate import Counter

__all__ = ["Accelerated"]

_MISSING = object()


class Accelerated:
    """A library that has the codec in its place.

    ``library`` is its name on PyPI and ``version`` its version; ``parsed`` and ``packed`` count the packets
    that went through the codec, ``active`` tells whether it is still there. As a context manager it undoes
    itself at the end of the block.
    """

    def __init__(self, library: str, version: str) -> None:
        self.library = library
        self.version = version
        self._counter = Counter()
        self._replaced: list[tuple[Any, str, object]] = []
        self._before_the_end: list[Callable[[], None]] = []

    @property
    def parsed(self) -> int:
        """How many packets the codec has taken apart for the library."""
        return self._counter.parsed

    @property
    def packed(self) -> int:
        """How many packets the codec has made for the library."""
        return self._counter.packed

    @property
    def active(self) -> bool:
        """Whether the codec is in its place."""
        return self._counter.active

    def undo(self) -> None:
        """Give the library its own code back; connections that are open go on with it. Again is no error."""
        if not self.active:
            return
        self._counter.active = False
        while self._before_the_end:
            self._before_the_end.pop()()
        while self._replaced:
            owner, name, had = self._replaced.pop()
            if had is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, had)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo()

    def __repr__(self) -> str:
        state = f"{self.parsed} parsed, {self.packed} packed" if self.active else "undone"
        return f"<Accelerated {self.library} {self.version}: {state}>"

    @property
    def counter(self) -> Counter:
        """For the modules of this package: what the hooks count on."""
        return self._counter

    def replace(self, owner: Any, name: str, replacement: object) -> None:
        """For the modules of this package: put something in the place of a module's or a class's name."""
        had = vars(owner).get(name, _MISSING)
        setattr(owner, name, replacement)
        self._replaced.append((owner, name, had))

    def before_the_end(self, function: Callable[[], None]) -> None:
        """For the modules of this package: have a function called before the names are given back."""
        self._before_the_end.append(function)
