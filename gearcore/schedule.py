"""When something is due that happens time and again: SUBMIT_JOB_SCHED's five fields, cron, and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

__all__ = ["Cron", "Every", "Timetable", "next_match"]

RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
"""What minute, hour, day of the month, month and day of the week (0 is Monday) may be."""

HORIZON = 8 * 366 + 1
"""Days to look ahead: the 29th of February may be eight years away."""


def next_match(fields: Sequence[bytes], after: float) -> float:
    """Return the Unix time of the first minute behind ``after`` that fits all five fields; -1 if none does.

    The fields are those of SUBMIT_JOB_SCHED: minute (0 to 59), hour (0 to 23), day of the month (1 to 31),
    month (1 to 12) and day of the week (0 to 6, Monday first), as decimal text in local time. An empty
    field, or ``*``, fits anything; one that is no such number fits nothing.
    """
    minute, hour, *date = (parse_field(text, *bounds) for text, bounds in zip(fields, RANGES, strict=True))
    if -1 in (minute, hour, *date):
        return -1
    hours = range(24) if hour is None else (hour,)
    minutes = range(60) if minute is None else (minute,)
    start = (datetime.fromtimestamp(after) + timedelta(minutes=1)).replace(second=0, microsecond=0)
    for days in range(HORIZON):
        day = start + timedelta(days=days)
        if not all(f in (None, v) for f, v in zip(date, (day.day, day.month, day.weekday()), strict=True)):
            continue
        moments = (day.replace(hour=h, minute=m) for h in hours for m in minutes)
        if moment := next((m for m in moments if m >= start), None):
            return moment.timestamp()
    return -1


def parse_field(text: bytes, least: int, most: int) -> int | None:
    """Return a field's number; None where anything fits; -1, which nothing is, for what is no such number."""
    if text in (b"", b"*"):
        return None
    if not text.isdigit() or not least <= int(text) <= most:
        return -1
    return int(text)


class Timetable(Protocol):
    """Moments that come time and again."""

    def next(self, after: float) -> float:
        """The first moment behind ``after``, both in Unix time."""


class Every:
    """The multiples of so many seconds, in Unix time. Raises ValueError for less than one second."""

    def __init__(self, seconds: float) -> None:
        if not 1 <= seconds < math.inf:
            raise ValueError(f"every {seconds} seconds: it must be one second or more")
        self._seconds = seconds

    def next(self, after: float) -> float:
        """The first moment behind ``after``."""
        return (math.floor(after / self._seconds) + 1) * self._seconds


MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

SHORTHANDS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


class Cron:
    """The minutes that a cron expression names, in local time.

    Five fields: minute (0 to 59), hour (0 to 23), day of the month (1 to 31), month (1 to 12, or ``jan``)
    and day of the week (0 to 7, both ends Sunday, or ``sun``). A field is ``*``, a number, a range ``a-b``,
    one of these with a step ``/n``, or several with commas between them. As with cron, a day fits when
    either day field does, unless one of the two starts with ``*``. ``@hourly``, ``@daily``, ``@weekly``,
    ``@monthly`` and ``@yearly`` are short for what they say.

    Raises ValueError for anything else, and for days that never come, such as the 30th of February.
    """

    def __init__(self, expression: str) -> None:
        self._expression = expression
        fields = SHORTHANDS.get(expression.strip().lower(), expression).lower().split()
        if len(fields) != 5:
            raise self._bad(f"it has {len(fields)} fields instead of 5")
        self._minutes = self._parse(fields[0], 0, 59)
        self._hours = self._parse(fields[1], 0, 23)
        self._days = self._parse(fields[2], 1, 31)
        self._months = self._parse(fields[3], 1, 12, MONTHS)
        weekdays = self._parse(fields[4], 0, 7, DAYS)
        self._weekdays = {day % 7 for day in weekdays}
        self._any_day = fields[2].startswith("*") or fields[4].startswith("*")
        self.next(0.0)

    def next(self, after: float) -> float:
        """The first moment behind ``after``."""
        start = (datetime.fromtimestamp(after) + timedelta(minutes=1)).replace(second=0, microsecond=0)
        for days in range(HORIZON):
            day = start + timedelta(days=days)
            if not self._fits(day):
                continue
            for hour in sorted(self._hours):
                for minute in sorted(self._minutes):
                    moment = day.replace(hour=hour, minute=minute)
                    # When clocks are set back an hour comes twice: it counts the first time only.
                    if moment >= start and (found := moment.timestamp()) > after:
                        return found
        raise self._bad("it never comes")

    def _fits(self, day: datetime) -> bool:
        if day.month not in self._months:
            return False
        in_month, in_week = day.day in self._days, day.isoweekday() % 7 in self._weekdays
        return in_month and in_week if self._any_day else in_month or in_week

    def _parse(self, field: str, least: int, most: int, names: Sequence[str] = ()) -> set[int]:
        found: set[int] = set()
        for part in field.split(","):
            span, slash, step = part.partition("/")
            low, dash, high = span.partition("-")
            if low == "*" and not dash:
                first, last = least, most - (most == 7)
            else:
                first = self._number(low, least, names)
                last = self._number(high, least, names) if dash else most if slash else first
            if slash and (not step.isdecimal() or not int(step)):
                raise self._bad(f"{part!r} has no step behind the slash")
            if not least <= first <= last <= most:
                raise self._bad(f"{part!r} is not within {least} to {most}")
            found.update(range(first, last + 1, int(step) if slash else 1))
        return found

    def _number(self, text: str, least: int, names: Sequence[str]) -> int:
        if text in names:
            return names.index(text) + least
        if not text.isdecimal():
            raise self._bad(f"{text!r} is no number")
        return int(text)

    def _bad(self, reason: str) -> ValueError:
        return ValueError(f"{self._expression!r} is no cron expression: {reason}")
