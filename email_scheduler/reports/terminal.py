"""What is shown on a terminal: consoles, lines and tables in which every value is seen as it is.

The one way from a value to ``rich``: square brackets and colons in it are nobody's markup, control characters
are escapes, and nothing of it is cut off.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from email_scheduler.visible import visible

# what is longer may be broken over lines
_LONGEST_NAME: Final = 30


class Terminal(Console):
    """A console that shows texts as they are."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text for the console; it may have several lines."""
        return super().render_str(visible(text, keep="\n"), **options)

    def on_broken_pipe(self) -> None:
        """Leave it to the command what becomes of it that nobody reads on."""
        raise  # noqa: PLE0704 - within the handling of the error


def line(*parts: str | tuple[str, str], style: str = "") -> Text:
    """Return one line.

    Args:
        parts: Its texts, one behind the other, each with a style of its own or not.
        style: Of the whole line.
    """
    shown = (visible(each) if isinstance(each, str) else (visible(each[0]), each[1]) for each in parts)
    return Text.assemble(*shown, style=style)


def lines(*texts: str) -> Text:
    """Return several lines, each of one text, for a cell of a table."""
    return Text("\n").join(map(line, texts))


def unbroken(text: object, style: str = "") -> RenderableType:
    """Return a line that is not broken where the terminal ends, so that a path in it can be copied."""
    made = line(str(text), style=style)
    made.no_wrap, made.overflow = True, "ignore"
    # a text that is printed alone loses what it says of wrapping
    return Group(made)


def table(
    title: str,
    *headings: str,
    rows: Iterable[Iterable[Any]] = (),
    left: Collection[str] = (),
    header: bool = True,
    footer: Iterable[Any] = (),
) -> Table:
    """Return a table: numbers with commas between thousands, yes and no, ``-`` where there is nothing.

    Args:
        title: What stands above it; empty: nothing.
        headings: Of the columns, of which the first is text and the others are numbers.
        rows: A value for each column, or fewer.
        left: Headings of the other columns that are text.
        header: Whether the headings are shown.
        footer: A value for each column below all rows; empty: there is no such line.
    """
    shown = [[_cell(value) for value in row] for row in rows]
    last = [_cell(value) for value in footer]
    made = Table(
        title=line(title) if title else None,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        show_header=header,
        show_footer=bool(last),
        min_width=cell_len(title),
    )
    for number, heading in enumerate(headings):
        is_text = not number or heading in left
        names = [cells[number] for cells in shown if number < len(cells)]
        made.add_column(
            heading,
            last[number] if number < len(last) else "",
            justify="left" if is_text else "right",
            no_wrap=not number and all(each.cell_len <= _LONGEST_NAME for each in names),
            overflow="fold",
        )
    for cells in shown:
        made.add_row(*cells)
    return made


def texts_table(*headings: str, rows: Iterable[Iterable[Any]], title: str = "") -> Table:
    """Return a table whose columns are all texts, broken over lines where they are long."""
    made = table(title, *headings, rows=rows, left=headings)
    for column in made.columns:
        column.no_wrap = False
    return made


def _cell(value: object) -> Text:
    match value:
        case Text():
            return value
        case bool():
            return Text("yes" if value else "no")
        case int():
            return Text(f"{value:,}")
        case None:
            return Text("-")
        case _:
            return line(str(value))
