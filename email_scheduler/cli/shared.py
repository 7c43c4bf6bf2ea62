"""What the commands share: options, the organisation that is meant, the log, and how results are shown."""

import inspect
import json
import logging
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, wraps
from itertools import islice
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.logging import RichHandler
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from email_scheduler.config import (
    ORGANIZATIONS_FILE,
    Organization,
    SchedulerConfig,
    load_config,
    load_organizations,
    organization_config,
)
from email_scheduler.database import AcceptedLoss, BadLines, current_user, display_url
from email_scheduler.errors import UsageError
from email_scheduler.files import make_private_directory, make_private_file, private_output

# what is shown is shown as it is: square brackets and colons are nobody's markup
out: Final = Console(highlight=False, markup=False, emoji=False)
err: Final = Console(stderr=True, highlight=False, markup=False, emoji=False)
SHOWN_DATES: Final = 31
_WIDEST: Final = 200
DRY_RUN: Final = "This was a dry run: nothing was changed."
log: Final = logging.getLogger("email_scheduler")
CONFIG_DIRECTORY: Final = Path("config")


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


def date_option(*names: str, says: str) -> Any:
    """Return an option that takes a date."""
    return typer.Option(*names, metavar="DATE", parser=parse_date, help=says)


def parse_date(text: str) -> date:
    """Read a date from the command line."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day, not a moment
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}; accepted is a date YYYY-MM-DD") from error


AsOf = Annotated[
    date | None,
    date_option("--as-of", says="The date to plan for, YYYY-MM-DD. [default: today in US Central time]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Take the other lines if some cannot be taken.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="A YAML file, or a directory of them. [default: config/ if it exists, else the built-in values]",
    ),
]
DatabaseName = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="The organisation's database: sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE."
        " It must have been initialised with init-db, and no organisation's overrides count.",
    ),
]
OrganizationName = Annotated[
    str | None,
    typer.Option(
        "--organization",
        metavar="NAME",
        help="Instead of --database: one of organizations.yaml, with its own settings."
        " [default: the only one, if there is one only]",
    ),
]


@dataclass(frozen=True)
class At:
    """The organisation that a command is about. The fields are the options that say which one it is."""

    database: DatabaseName = None
    organization: OrganizationName = None
    config: Config = None

    @cached_property
    def entry(self) -> Organization | None:
        """The entry of ``organizations.yaml``; None: a database is named.

        Raises:
            UsageError: There is no such entry, or it is not said which one is meant.
        """
        if self.database is not None and self.organization is None:
            return None
        file = (self.config or CONFIG_DIRECTORY) / ORGANIZATIONS_FILE
        if self.organization is None and file.is_file() and len(found := load_organizations(file)) == 1:
            return next(iter(found.values()))
        if self.organization is None or self.database is not None:
            raise UsageError("accepted is either --organization NAME or --database URL, one of the two")
        return find_organization(self.organization, self.config)

    @cached_property
    def settings(self) -> SchedulerConfig:
        """The configuration that counts, after which logging is as it says."""
        entry = self.entry
        path = config_path(self.config)
        return _logged(lambda: load_config(path) if entry is None else organization_config(path, entry))

    @cached_property
    def url(self) -> str:
        """The database, of an organisation whose configuration is accepted."""
        _ = self.settings
        return str(self.database) if self.entry is None else self.entry.database_url()

    @property
    def name(self) -> str:
        """What the organisation is called: by its name, else by its database, without a password."""
        return display_url(self.url) if self.entry is None else self.entry.name


@dataclass(frozen=True)
class AtBy(At):
    """The organisation that a command changes, and who does."""

    by: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="PERSON", help="Who is on record. [default: the operating system's user]"
        ),
    ] = None

    @property
    def who(self) -> str:
        """Who is on record."""
        return self.by or current_user()


def command(function: Callable[..., Answer | None]) -> Callable[..., None]:
    """Return the function as Typer can call it: with the options of its ``At``, and ``--json``.

    A function that asks, or tells something on the way, takes ``as_json`` itself.
    """
    own = list(inspect.signature(function, eval_str=True).parameters.values())
    place = next((each for each in own if each.annotation in {At, AtBy}), None)
    options = [] if place is None else _options_of(place.annotation)
    is_told = any(each.name == "as_json" for each in own)

    @wraps(function)
    def run(**given: Any) -> None:
        as_json = given["as_json"] if is_told else given.pop("as_json")
        if place is not None:
            given[place.name] = place.annotation(**{each.name: given.pop(each.name) for each in options})
        answer = function(**given)
        if answer is not None:
            show(answer, as_json=as_json)

    json_option = inspect.Parameter(
        "as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson
    )
    kept = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own if each is not place]
    parameters = [*kept, *options, *([] if is_told else [json_option])]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _options_of(place: type[At]) -> list[inspect.Parameter]:
    hints = get_type_hints(place, include_extras=True)
    return [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[each.name])
        for each in inspect.signature(place).parameters.values()
    ]


def accepted_loss(by: str | None, reason: str | None, *, is_accepted: bool) -> AcceptedLoss | None:
    """Return the loss that a person accepts; None: none is.

    Raises:
        UsageError: Person or reason are missing, or a reason is given for nothing.
    """
    if is_accepted and (by is None or reason is None):
        missing = " and ".join(
            name for name, value in (("--by NAME", by), ("--reason TEXT", reason)) if value is None
        )
        raise UsageError(f"--accept-loss without {missing}; accepted is --accept-loss with both of them")
    if reason is not None and not is_accepted:
        raise UsageError("--reason without --accept-loss; accepted is --reason with --accept-loss and --by")
    return AcceptedLoss(by, reason) if by is not None and reason is not None else None


def load(path: Path | None) -> SchedulerConfig:
    """Return the configuration, and make logging as it says."""
    return _logged(lambda: load_config(config_path(path)))


def find_organization(name: str, path: Path | None = None) -> Organization:
    """Return an organisation of ``organizations.yaml``.

    Raises:
        UsageError: There is none of this name.
    """
    directory = path or CONFIG_DIRECTORY
    organizations = load_organizations(directory)
    if name not in organizations:
        known = ", ".join(organizations) or "none"
        raise UsageError(
            f"{directory}/organizations.yaml: no organisation named {name}; accepted is one of: {known}"
        )
    return organizations[name]


def config_path(path: Path | None) -> Path | None:
    """Return where the configuration is: what was given, else ``config/`` if there is one."""
    return CONFIG_DIRECTORY if path is None and CONFIG_DIRECTORY.is_dir() else path


def _logged(load_it: Callable[[], SchedulerConfig]) -> SchedulerConfig:
    # what loading has to say waits until it is known where the log goes
    said = MemoryHandler(capacity=1000, flushLevel=logging.CRITICAL)
    log.handlers = [said]
    settings = load_it()
    said.setTarget(_set_up_logging(settings))
    said.flush()
    return settings


def _set_up_logging(settings: SchedulerConfig) -> logging.Handler:
    """Make logging as the configuration says: to the file if there is one, else to stderr."""
    handler: logging.Handler
    if settings.logging.file is not None:
        make_private_directory(settings.logging.file.parent)
        make_private_file(settings.logging.file)
        handler = logging.FileHandler(settings.logging.file)
    elif not err.is_terminal:
        handler = logging.StreamHandler()
    else:
        handler = RichHandler(console=err, show_time=False, show_level=False, show_path=False, markup=False)
    handler.setFormatter(logging.Formatter(settings.logging.format))
    log.handlers = [handler]
    log.setLevel(settings.logging.level)
    if not settings.logging.enable_db_logs:
        logging.getLogger("email_scheduler.database").setLevel(logging.WARNING)
    return handler
