"""When the next minute comes that fits a schedule of five fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

__all__ = ["next_match"]

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
