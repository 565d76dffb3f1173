"""The next minute that fits a schedule."""

from datetime import datetime

import pytest

from gearcore.schedule import Cron, Every, next_match

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


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * *", "2026-01-01 00:00:30", "2026-01-01 00:01:00"),
        ("*/15 * * * *", "2026-01-01 00:15:00", "2026-01-01 00:30:00"),
        ("0 8-18/2 * * mon-fri", "2026-01-02 18:00:00", "2026-01-05 08:00:00"),
        ("30 4 1,15 * *", "2026-01-02 00:00:00", "2026-01-15 04:30:00"),
        ("0 0 13 * fri", "2026-02-01 00:00:00", "2026-02-06 00:00:00"),  # either day
        ("0 0 */2 * fri", "2026-02-01 00:00:00", "2026-02-13 00:00:00"),  # both
        ("0 0 29 feb *", "2026-01-01 00:00:00", "2028-02-29 00:00:00"),
        ("5/20 * * * *", "2026-01-01 00:06:00", "2026-01-01 00:25:00"),
        ("0 0 * * 7", "2026-01-01 00:00:00", "2026-01-04 00:00:00"),
        ("@daily", "2026-01-01 00:00:00", "2026-01-02 00:00:00"),
        ("@Monthly", "2026-01-01 00:00:00", "2026-02-01 00:00:00"),
    ],
)
def test_cron(expression, after, expected):
    moment = Cron(expression).next(datetime.fromisoformat(after).timestamp())
    assert str(datetime.fromtimestamp(moment)) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "a * * * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "*/x * * * *",
        "1--2 * * * *",
        "0 0 30 2 *",
        "@often",
        "*-5 * * * *",
    ],
)
def test_bad_cron(expression):
    with pytest.raises(ValueError, match="is no cron expression"):
        Cron(expression)


def test_every():
    assert Every(10).next(1000.0) == 1010
    assert Every(10).next(1009.9) == 1010
    assert Every(1.5).next(0.0) == 1.5
    for seconds in (0.5, 0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="one second or more"):
            Every(seconds)
