"""What servers answer, printed: a table for a person, gearadmin's lines for a program, or JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from gearcore.admin import AdminClient
from gearcore.cli._common import complain, visible
from gearcore.cli._servers import Target
from gearcore.errors import GearcoreError

__all__ = ["Listing", "as_table", "json_option", "print_json", "report"]

Cell = str | int | float | None
"""What stands in a table: a text, a number, a change (which has a sign), or nothing."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@dataclasses.dataclass(frozen=True)
class Listing:
    """How the rows of an answer are shown.

    ``key`` is their name in JSON, where each is an object with the fields of its dataclass, or a text; None
    for a single row, whose fields are those of the server itself. ``cells`` makes the cells of a row below
    ``header``; ``line`` makes the line that ``gearadmin`` has for it.
    """

    key: str | None
    header: Sequence[str]
    cells: Callable[[Any], Sequence[Cell]]
    line: Callable[[Any], str]


def report(
    target: Target, ask: Callable[[AdminClient], Sequence[Any] | None], listing: Listing | None, as_json: bool
) -> None:
    """Ask every server and print what each answers; without a listing, that it did.

    When one does not answer, the others are asked all the same, and the exit status is 1.
    """
    answers: dict[str, Sequence[Any] | None] = {}
    errors: dict[str, str] = {}
    for server in target.servers:
        with target.admin(server) as admin:
            try:
                answers[str(server)] = ask(admin)
            except GearcoreError as error:
                errors[str(server)] = str(error)
    if as_json:
        print_json([json_object(str(server), answers, errors, listing) for server in target.servers])
    elif listing is None:
        print_lines(([server] if len(target.servers) > 1 else []) + ["OK"] for server in answers)
    else:
        print_listing(
            listing, {server: rows or () for server, rows in answers.items()}, len(target.servers) > 1
        )
    for text in errors.values():
        complain("gearcore", text)
    if errors:
        sys.exit(1)


def json_object(
    server: str,
    answers: dict[str, Sequence[Any] | None],
    errors: dict[str, str],
    listing: Listing | None,
) -> dict[str, Any]:
    """What JSON says of one server."""
    if server in errors:
        return {"server": server, "error": errors[server]}
    if listing is None:
        return {"server": server, "ok": True}
    rows: list[Any] = [
        row if isinstance(row, str) else dataclasses.asdict(row) for row in answers[server] or ()
    ]
    return {"server": server, **(rows[0] if listing.key is None else {listing.key: rows})}


def print_listing(listing: Listing, answers: dict[str, Sequence[Any]], several: bool) -> None:
    """Print rows; the server that a row comes from is in front of it if there are several."""
    rows = [(server, row) for server, rows in answers.items() for row in rows]
    if sys.stdout.isatty():
        header = [*(["SERVER"] if several else []), *listing.header]
        cells = [[*([server] if several else []), *listing.cells(row)] for server, row in rows]
        click.echo("\n".join(as_table(header, cells)))
    else:
        print_lines([*([server] if several else []), listing.line(row)] for server, row in rows)


def print_lines(lines: Iterable[Sequence[str]]) -> None:
    """Print lines for a program: names as they came, whatever bytes they are made of."""
    text = "".join("\t".join(words) + "\n" for words in lines)
    click.echo(text.encode("utf-8", "surrogateescape"), nl=False)


def print_json(value: Any) -> None:
    """Print a value for a program that reads JSON."""
    click.echo(json.dumps(value, indent=2))


def as_table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    """Lines with aligned columns, texts to the left and numbers to the right."""
    texts = [[in_words(cell) for cell in row] for row in rows]
    right = [any(isinstance(row[column], int | float) for row in rows) for column in range(len(header))]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in [header, *texts]
    ]


def in_words(cell: Cell) -> str:
    """A cell as it is printed."""
    if isinstance(cell, str):
        return visible(cell)
    if cell is None:
        return "-"
    return f"{cell:+,.1f}" if isinstance(cell, float) else f"{cell:,}"
