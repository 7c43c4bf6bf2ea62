"""How a command shows what it has found: tables and lines for people, one JSON object for programs."""

import json
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from email_scheduler.operations.csv_files.bad_lines import BadLines
from email_scheduler.operations.private_output import private_output

# what is shown is shown as it is: square brackets and colons are nobody's markup
out: Final = Console(highlight=False, markup=False, emoji=False)
err: Final = Console(stderr=True, highlight=False, markup=False, emoji=False)
SHOWN_DATES: Final = 31
_WIDEST: Final = 200
DRY_RUN: Final = "This was a dry run: nothing was changed."


@dataclass(frozen=True)
class Answer:
    """What a command has found.

    Attributes:
        document: For ``--json``.
        parts: What people read, one below the other.
        exit_code: What the command ends with.
    """

    document: Any
    parts: Iterable[RenderableType] = ()
    exit_code: int = 0


def show(answer: Answer, *, as_json: bool) -> None:
    """Print an answer, as one JSON object on one line or for people."""
    if as_json:
        print(json.dumps(answer.document, default=str))  # noqa: T201 - rich would wrap it
    else:
        for part in answer.parts:
            out.print(part, crop=False)
    if answer.exit_code:
        raise typer.Exit(answer.exit_code)


def unbroken(text: object, style: str = "") -> RenderableType:
    """Return a line that is not broken where the terminal ends, so that a path in it can be copied."""
    # a text that is printed alone loses what it says of wrapping
    return Group(Text(str(text), style=style, no_wrap=True, overflow="ignore"))


def unsqueezed(part: RenderableType) -> RenderableType:
    """Return something that takes the width that it needs, if need be beyond the end of the terminal."""
    return _Unsqueezed(part)


@dataclass(frozen=True)
class _Unsqueezed:
    part: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = Measurement.get(console, options.update(width=_WIDEST), self.part).maximum
        yield from console.render(self.part, options.update(width=max(options.max_width, needed)))


def table(
    title: str,
    *headings: str,
    rows: Iterable[Iterable[Any]] = (),
    left: Collection[str] = (),
    header: bool = True,
) -> Table:
    """Return a table: numbers with commas between thousands, yes and no, ``-`` where there is nothing.

    Args:
        title: What stands above it; empty: nothing.
        headings: Of the columns, of which the first is text and the others are numbers.
        rows: A value for each column, or fewer.
        left: Headings of the other columns that are text.
        header: Whether the headings are shown.
    """
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        show_header=header,
        min_width=len(title),
    )
    for number, heading in enumerate(headings):
        is_text = not number or heading in left
        made.add_column(heading, justify="left" if is_text else "right", no_wrap=not number)
    for row in rows:
        made.add_row(*map(_cell, row))
    return made


def texts_table(*headings: str, rows: Iterable[Iterable[Any]], title: str = "") -> Table:
    """Return a table whose columns are all texts, broken over lines where they are long."""
    made = table(title, *headings, rows=rows, left=headings)
    for column in made.columns:
        column.no_wrap, column.overflow = False, "fold"
    return made


def counts_table(title: str, heading: str, unit: str, counts: Mapping[Any, int]) -> RenderableType:
    """Return how many there are of each."""
    rows = [("(none)" if name is None else str(name), count) for name, count in counts.items()]
    return table(title, heading, unit, rows=rows or [("none", 0)])


def dates_tables(title: str, counts: Mapping[str, int]) -> list[RenderableType]:
    """Return how many emails there are on the first dates, and how many on the later ones."""
    parts = [counts_table(title, "date", "emails", dict(islice(counts.items(), SHOWN_DATES)))]
    later = list(counts.values())[SHOWN_DATES:]
    return [*parts, f"and {sum(later):,} on {len(later)} later dates"] if later else parts


def spaced(parts: Iterable[RenderableType]) -> list[RenderableType]:
    """Return the parts with a blank line after each."""
    return [part for each in parts for part in (each, "")]


def tell_bad_lines(bad_lines: BadLines, source: str, unit: str) -> list[dict[str, Any]]:
    """Print lines that were not taken to standard error, and return them for JSON."""
    for line, column, reason in bad_lines:
        what = f"{column}: {reason}" if column else reason
        print(f"not taken: {source}: {unit} {line}: {what}", file=sys.stderr)  # noqa: T201 - may be many
    return [{"line": line, "column": column, "reason": reason} for line, column, reason in bad_lines]


def megabytes(size: int) -> str:
    """Return a number of bytes in megabytes."""
    return f"{size / 1_000_000:,.1f} MB"


def write_private(path: Path, text: str) -> None:
    """Write a file that is its owner's alone."""
    with private_output(path) as file:
        file.write(text)


def _cell(value: object) -> RenderableType:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case None:
            return "-"
        case Text():
            return value
        case _:
            return str(value)
