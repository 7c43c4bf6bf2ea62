"""What the commands share: consoles, options, the configuration and where the log goes."""

import json
import logging
import sys
from datetime import date, datetime
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.logging import RichHandler

from email_scheduler.config.loader import load_config, load_organizations, organization_config
from email_scheduler.config.organizations import Organization
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.files import make_private_directory, make_private_file
from email_scheduler.operations.csv_files.bad_lines import BadLines

log: Final = logging.getLogger("email_scheduler")
out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)
CONFIG_DIRECTORY: Final = Path("config")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="A YAML file, or a directory of them. [default: config/ if it exists, else the built-in values]",
    ),
]
AnyDatabase = Annotated[
    str | None, typer.Option("--database", metavar="URL", help="The organisation's database: sqlite:///PATH.")
]
OrganizationName = Annotated[
    str | None,
    typer.Option("--organization", metavar="NAME", help="One of organizations.yaml, instead of --database."),
]


def parse_date(text: str) -> date:
    """Read a date from the command line."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day, not a moment
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}; accepted is a date YYYY-MM-DD") from error


AsOf = Annotated[
    date | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        parser=parse_date,
        help="The date to plan for, YYYY-MM-DD. [default: today in US Central time]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
By = Annotated[
    str | None,
    typer.Option("--by", metavar="PERSON", help="Who is on record. [default: the operating system's user]"),
]


def print_json(value: Any) -> None:
    """Print one JSON object on one line; rich would wrap it."""
    print(json.dumps(value, default=str))  # noqa: T201 - not for people


def tell_bad_lines(bad_lines: BadLines, source: str, unit: str) -> list[dict[str, Any]]:
    """Print lines that were not taken to standard error, and return them for ``print_json``."""
    for line, column, reason in bad_lines:
        what = f"{column}: {reason}" if column else reason
        print(f"not taken: {source}: {unit} {line}: {what}", file=sys.stderr)  # noqa: T201 - may be many
    return [{"line": line, "column": column, "reason": reason} for line, column, reason in bad_lines]


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


def database_and_config(
    database: str | None, organization: str | None, config: Path | None
) -> tuple[str, SchedulerConfig]:
    """Return the database that is meant, and the configuration that counts for it.

    Raises:
        UsageError: Neither ``--database`` nor ``--organization`` is given, or both are.
    """
    if (database is None) == (organization is None):
        raise UsageError("accepted is either --organization NAME or --database URL, one of the two")
    if organization is None:
        return str(database), load(config)
    found = find_organization(organization, config)
    settings = _logged(lambda: organization_config(config_path(config), found))
    return found.database_url(), settings


def config_path(path: Path | None) -> Path | None:
    """Return where the configuration is: what was given, else ``config/`` if there is one."""
    return CONFIG_DIRECTORY if path is None and CONFIG_DIRECTORY.is_dir() else path


def _logged(load_it: Any) -> SchedulerConfig:
    # what loading has to say waits until it is known where the log goes
    said = MemoryHandler(capacity=1000, flushLevel=logging.CRITICAL)
    log.handlers = [said]
    settings: SchedulerConfig = load_it()
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
