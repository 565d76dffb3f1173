"""The departures, written down for whoever moves from gearmand to gearcore."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from .case import Departure
from .cases import CASES

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
BEGIN = "<!-- departures: made of tests/conformance/cases by python -m tests.conformance --write -->\n"
END = "<!-- departures: end -->\n"
WIDTH = 115


def render() -> str:
    """The list of departures, in Markdown."""
    return "\n".join(item(case.name, case.departure) for case in CASES if case.departure is not None)


def item(name: str, departure: Departure) -> str:
    """One departure, with the name of the case that shows it."""
    text = (
        f"- **{departure.title}:** gearmand {departure.gearmand}; gearcore {departure.gearcore}. "
        f"Why: {departure.why} (`{name}`)"
    )
    return fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def section(page: str) -> str:
    """The part of the page that is made of the cases."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def update() -> None:
    """Put the list into the page, in the place of the one that is there."""
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no place for the departures: the lines {BEGIN!r} and {END!r}")
    PAGE.write_text(f"{before}{begin}\n{render()}\n\n{end}{after}", encoding="utf-8")
