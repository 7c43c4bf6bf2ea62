"""Lines of an import that cannot be taken, and why: millions of them fit into little memory."""

from array import array
from collections.abc import Iterator
from heapq import merge
from typing import Final

from email_scheduler.errors import UsageError

# What the lines of an import are called: of a file, of a list of ids, of contacts by condition.
PLURALS: Final = {"line": "lines", "entry": "entries", "contact": "contacts"}


class BadLines:
    """Lines with their reasons. No cell is kept: a message must not hold anybody's data.

    Iterating gives ``(line, column, reason)`` in the order of the lines; the column is empty where the whole
    line is concerned.
    """

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], array[int]] = {}

    def add(self, line: int, column: str, reason: str) -> None:
        """Note a line; one may be noted several times, for several reasons."""
        self._lines.setdefault((column, reason), array("q")).append(line)

    def __len__(self) -> int:
        """How many reasons there are; a line may have several."""
        return sum(map(len, self._lines.values()))

    def __iter__(self) -> Iterator[tuple[int, str, str]]:
        return merge(*(_notes(lines, *what) for what, lines in self._lines.items()))

    def count(self) -> int:
        """Return how many lines there are."""
        return len({line for lines in self._lines.values() for line in lines})


def _notes(lines: "array[int]", column: str, reason: str) -> Iterator[tuple[int, str, str]]:
    for line in sorted(lines):
        yield line, column, reason


class BadLinesError(UsageError):
    """Lines of an import cannot be taken, and nothing was imported.

    Attributes:
        source: What was imported.
        bad_lines: The lines and the reasons.
    """

    def __init__(self, source: str, bad_lines: BadLines, unit: str, *, can_skip: bool = True) -> None:
        super().__init__(source)
        self.source = source
        self.bad_lines = bad_lines
        self._unit = unit
        self._remedy = "; --skip-bad takes the others" if can_skip else ""

    def __str__(self) -> str:
        count = self.bad_lines.count()
        what = self._unit if count == 1 else PLURALS[self._unit]
        shown = [
            f"{self.source}: {self._unit} {line}: {f'{column}: ' if column else ''}{reason}"
            for line, column, reason in self.bad_lines
        ]
        summary = f"{self.source}: {count:,} {what} cannot be taken, and nothing was changed{self._remedy}"
        return "\n".join([*shown, summary])
