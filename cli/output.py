"""Output of commands: lines for people, or JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from cli.target import Target

Row = Mapping[str, Any]


def show(target: Target, data: object, lines: Iterable[str]) -> None:
    """Print the lines, or with --json the data."""
    if target.as_json:
        click.echo(json.dumps(data, indent=2, default=str))
        return
    for line in lines:
        click.echo(line)


def table(rows: Sequence[Row], columns: Sequence[str], *, empty: str) -> list[str]:
    """Return the lines of an aligned table with a header, or the line `empty` if there are no rows."""
    if not rows:
        return [empty]
    cells = [list(columns), *([_format_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def _format_cell(value: object) -> str:
    return "-" if value is None else str(value)
