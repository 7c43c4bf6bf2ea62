"""What the commands share: options, the organisation that is meant, and where the log goes.

A command is a function that returns an ``Answer``. ``command`` turns it into one that Typer can call: it
shows the answer, adds ``--json``, and puts the options of ``At`` in the place of a parameter of this type.
"""

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, wraps
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer
from rich.logging import RichHandler

from email_scheduler.cli.show import Answer, err, show
from email_scheduler.config.loader import (
    ORGANIZATIONS_FILE,
    load_config,
    load_organizations,
    organization_config,
)
from email_scheduler.config.organizations import Organization
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.files import make_private_directory, make_private_file
from email_scheduler.operations.campaigns.session import current_user
from email_scheduler.storage.urls import display_url

log: Final = logging.getLogger("email_scheduler")
CONFIG_DIRECTORY: Final = Path("config")


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
        logging.getLogger("email_scheduler.storage").setLevel(logging.WARNING)
    return handler
