"""The next minute that fits a schedule."""

from datetime import datetime

import pytest

from gearcore.schedule import next_match

ANY = b"*"


@pytest.mark.parametrize(
    ("fields", "after", "expected"),
    [
        ((ANY, ANY, ANY, ANY, ANY), "2026-11-23 12:30:00", "2026-11-23 12:31:00"),
        ((b"", b"", b"", b"", b""), "2026-11-23 12:30:59", "2026-11-23 12:31:00"),
        ((b"30", ANY, ANY, ANY, ANY), "2026-11-23 12:30:00", "2026-11-23 13:30:00"),
        ((b"0", b"3", ANY, ANY, ANY), "2026-11-23 12:30:00", "2026-11-24 03:00:00"),
        ((ANY, b"12", ANY, ANY, ANY), "2026-11-23 12:59:30", "2026-11-24 12:00:00"),
        ((b"0", b"0", b"1", ANY, ANY), "2026-12-01 00:00:00", "2027-01-01 00:00:00"),
        ((b"0", b"0", ANY, ANY, b"0"), "2026-11-23 00:00:00", "2026-11-30 00:00:00"),
        ((b"5", b"4", b"29", b"2", ANY), "2026-11-23 12:30:00", "2028-02-29 04:05:00"),
        ((b"0", b"0", b"13", ANY, b"4"), "2026-11-23 12:30:00", "2027-08-13 00:00:00"),
    ],
)
def test_the_next_minute_that_fits(fields, after, expected):
    found = next_match(fields, datetime.fromisoformat(after).timestamp())
    assert datetime.fromtimestamp(found) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "fields",
    [
        (b"60", ANY, ANY, ANY, ANY),
        (ANY, b"24", ANY, ANY, ANY),
        (ANY, ANY, b"0", ANY, ANY),
        (ANY, ANY, ANY, b"13", ANY),
        (ANY, ANY, ANY, ANY, b"7"),
        (b"x", ANY, ANY, ANY, ANY),
        (b"-1", ANY, ANY, ANY, ANY),
        (ANY, ANY, b"30", b"2", ANY),
    ],
)
def test_what_nothing_fits(fields):
    assert next_match(fields, 1_800_000_000) == -1
