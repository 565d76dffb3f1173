"""How long to leave a server alone that could not be reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["FIRST_PAUSE", "LONGEST_PAUSE", "Pauses"]

FIRST_PAUSE: Final = 0.1
"""Seconds before the first attempt to connect again, at the most; each further pause is twice as long."""

LONGEST_PAUSE: Final = 30.0
"""Seconds that no pause is longer than."""


class Pauses:
    """The pauses between attempts to connect to one server.

    They double from a tenth of a second to half a minute, and each is cut by up to a half at random, lest all
    who lost a server come back to it at the same moment. ``random`` gives a number from 0 to 1, as
    ``random.random`` does.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0

    def next(self) -> float:
        """An attempt failed: the seconds to pause before the next."""
        # 2.0**1024 is too much for a float, and long before that the pause is the longest.
        longest = min(FIRST_PAUSE * 2.0 ** min(self._failures, 64), LONGEST_PAUSE)
        self._failures += 1
        return longest * (0.5 + 0.5 * self._random())

    def reset(self) -> None:
        """The server answered: the next pause is a first one."""
        self._failures = 0
