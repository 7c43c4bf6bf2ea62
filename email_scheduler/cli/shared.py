"""What the commands share: options, the organisation that is meant, the log, and how results are shown."""

import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, wraps
from itertools import islice
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.logging import RichHandler
from rich.measure import Measurement

from email_scheduler.cli.app import tell, unexpected
from email_scheduler.config import (
    ORGANIZATIONS_FILE,
    Organization,
    SchedulerConfig,
    load_config,
    load_organizations,
    organization_config,
)
from email_scheduler.database import (
    SQLITE,
    AcceptedLoss,
    BadLines,
    backend_of,
    backup_directory,
    current_user,
    database_path,
    display_url,
)
from email_scheduler.errors import UsageError
from email_scheduler.files import Output, open_log, private_output
from email_scheduler.reports.terminal import Terminal, line, table
from email_scheduler.visible import visible

out: Final = Terminal()
err: Final = Terminal(stderr=True)
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


def show(answer: Answer, *, as_json: bool, is_done: bool = False) -> None:
    """Print an answer, as one JSON object on one line or for people, and end as the command has ended.

    Args:
        answer: The answer.
        as_json: Whether it is JSON.
        is_done: Something was changed, and stays so whether or not it can be shown: then what cannot be shown
            is told, and is no failure of the command.
    """
    try:
        if as_json:
            print(json.dumps(answer.document, default=str), flush=True)  # noqa: T201 - rich would wrap it
        else:
            for part in answer.parts:
                out.print(line(part) if isinstance(part, str) else part, crop=False)
    except Exception as error:
        if not is_done:
            raise
        if isinstance(error, OSError):
            # what is still waiting to be written would fail once more at the end
            sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
        tell(f"note: what was asked for is done, but cannot be shown: {unexpected(error)}")
    if answer.exit_code:
        raise typer.Exit(answer.exit_code)


def unsqueezed(part: RenderableType) -> RenderableType:
    """Return something that takes the width that it needs, if need be beyond the end of the terminal."""
    return _Unsqueezed(part)


@dataclass(frozen=True)
class _Unsqueezed:
    part: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = Measurement.get(console, options.update(width=_WIDEST), self.part).maximum
        yield from console.render(self.part, options.update(width=max(options.max_width, needed)))


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
    """Print lines that were not taken to standard error, and return them for JSON; of many the first ones."""
    for number, column, reason in bad_lines:
        what = f"{column}: {reason}" if column else reason
        tell(f"not taken: {source}: {unit} {number}: {what}")
    if bad_lines.more:
        tell(f"not taken: {source}: {bad_lines.more}")
    more = [(None, "", bad_lines.more)] if bad_lines.more else []
    return [
        {"line": number, "column": column, "reason": reason} for number, column, reason in [*bad_lines, *more]
    ]


def confirmed(question: str) -> bool:
    """Ask on standard error, and tell whether the answer is yes."""
    return typer.confirm(visible(question), err=True)


def megabytes(size: int) -> str:
    """Return a number of bytes in megabytes."""
    return f"{size / 1_000_000:,.1f} MB"


def write_private(output: Output, text: str) -> None:
    """Write a file that is its owner's alone."""
    with private_output(output) as file:
        file.write(text)


def csv_output_option(says: str) -> Any:
    """Return an option that names a CSV file to write."""
    return typer.Option(
        "--csv",
        metavar="FILE",
        help=f"{says} Cells that a spreadsheet would take for a formula get an apostrophe in front.",
    )


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
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
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

    def output(self, path: Path | None, *, force: bool, kept: Iterable[Path] = ()) -> Output | None:
        """Return a file that is to be written, if one is asked for.

        Args:
            path: The file.
            force: Whether one that is there is replaced; the organisation's own files never are.
            kept: Other files, and directories with files, that never are either.

        Raises:
            UsageError: It may not be written.
        """
        if path is None:
            return None
        backups = backup_directory(self.url, self.settings)
        own = [backups, *filter(None, [config_path(self.config)]), *kept]
        if backend_of(self.url) == SQLITE:
            own.append(database_path(self.url))
        found = Output(path, force, tuple(own))
        found.refuse()
        return found

    @property
    def name(self) -> str:
        """What the organisation is called: by its name, else by its database, without a password."""
        return display_url(self.url) if self.entry is None else self.entry.name


@dataclass(frozen=True)
class AtChanged(At):
    """The organisation that a command changes."""


@dataclass(frozen=True)
class AtBy(AtChanged):
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
    place = next((each for each in own if each.annotation in {At, AtChanged, AtBy}), None)
    options = [] if place is None else _options_of(place.annotation)
    changes = place is not None and issubclass(place.annotation, AtChanged)
    is_told = any(each.name == "as_json" for each in own)

    @wraps(function)
    def run(**given: Any) -> None:
        as_json = given["as_json"] if is_told else given.pop("as_json")
        if place is not None:
            given[place.name] = place.annotation(**{each.name: given.pop(each.name) for each in options})
        answer = function(**given)
        if answer is not None:
            show(answer, as_json=as_json, is_done=changes and not given.get("dry_run", False))

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


class _Formatter(logging.Formatter):
    """Writes messages on one line each, whatever values are in them."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        record.message = visible(record.message)
        return super().formatMessage(record)


def _set_up_logging(settings: SchedulerConfig) -> logging.Handler:
    """Make logging as the configuration says: to the file if there is one, else to stderr."""
    handler: logging.Handler
    if settings.logging.file is not None:
        handler = logging.StreamHandler(open_log(settings.logging.file))
    elif not err.is_terminal:
        handler = logging.StreamHandler()
    else:
        handler = RichHandler(console=err, show_time=False, show_level=False, show_path=False, markup=False)
    handler.setFormatter(_Formatter(settings.logging.format))
    log.handlers = [handler]
    log.setLevel(settings.logging.level)
    if not settings.logging.enable_db_logs:
        logging.getLogger("email_scheduler.database").setLevel(logging.WARNING)
    return handler
