"""Small things that python-gearman has and programs use."""

from __future__ import annotations

import select as _select
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from gearcore.address import UnixAddress, parse_address
from gearcore.compat.gearman.constants import DEFAULT_GEARMAN_PORT

__all__ = ["DEFAULT_GEARMAN_PORT", "Stopwatch", "disambiguate_server_parameter", "select", "unlist"]

T = TypeVar("T")


class Stopwatch:
    """Tells how much is left of ``time_remaining`` seconds, which begin now; None has no end.

    A ``comparison_time`` is one of ``time.time()``.
    """

    def __init__(self, time_remaining: float | None) -> None:
        self.stop_time = None if time_remaining is None else time.time() + time_remaining

    def get_time_remaining(self, comparison_time: float | None = None) -> float | None:
        """The seconds that are left, no less than 0; None if there is no end."""
        if self.stop_time is None:
            return None
        return max(self.stop_time - (comparison_time or time.time()), 0.0)

    def has_time_remaining(self, comparison_time: float | None = None) -> bool:
        """Whether there are any."""
        return self.stop_time is None or (comparison_time or time.time()) < self.stop_time


def disambiguate_server_parameter(hostport_tuple: str | tuple[str, int]) -> tuple[str, int]:
    """The host and the port of a server, given as in a list of servers. Raises ValueError and TypeError."""
    address = parse_address(hostport_tuple)
    if isinstance(address, UnixAddress):
        return str(address), DEFAULT_GEARMAN_PORT
    return address.host, address.port


def select(
    rlist: Sequence[Any], wlist: Sequence[Any], xlist: Sequence[Any], timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    """Python's ``select.select``, which no signal interrupts any more."""
    return _select.select(rlist, wlist, xlist, timeout)


def unlist(given_list: Sequence[T]) -> T | None:
    """The element of a list of one, or None of an empty one. Raises ValueError for a longer one."""
    if len(given_list) > 1:
        raise ValueError(f"there are {len(given_list)} elements, and one was wanted")
    return given_list[0] if given_list else None
