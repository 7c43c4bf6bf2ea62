"""The ``email-scheduler`` command: parses, calls, prints.

Exit codes: 0 done; 2 bad arguments, configuration or database; 1 anything else.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from email_scheduler.clock import today
from email_scheduler.config.loader import load_config, load_organizations, organization_config
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import EmailSchedulerError, UsageError
from email_scheduler.operations.planning_run import PlanRun, plan_and_publish, preview_plan, warnings
from email_scheduler.operations.sample_data import generate_sample
from email_scheduler.operations.summary import changes_table, plan_summary
from email_scheduler.storage.schema import initialise_database

app = typer.Typer(
    help="Plans which email every contact gets on which day, proves the plan and publishes it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_log = logging.getLogger("email_scheduler")
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)
_CONFIG_DIRECTORY = Path("config")
_DEMO_ORGANIZATION = "sample"
_DEMO_CONTACTS = 2_000
_DEMO_SEED = 1

Database = Annotated[
    str, typer.Option("--database", metavar="URL", help="The organisation's database: sqlite:///PATH.")
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="A YAML file, or a directory of them. [default: config/ if it exists, else the built-in values]",
    ),
]


def _date(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day, not a moment
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}; accepted is a date YYYY-MM-DD") from error


AsOf = Annotated[
    date | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        parser=_date,
        help="The date to plan for, YYYY-MM-DD. [default: today in US Central time]",
    ),
]


@app.callback()
def _options(
    _debug: Annotated[bool, typer.Option("--debug", help="Show a stack trace when something fails.")] = False,
) -> None:
    """Take the options that every command has; ``main`` looks for them wherever they stand."""


@app.command("init-db")
def init_db(database: Database, config: Config = None) -> None:
    """Create a database, or bring an older one up to date without losing a row."""
    change = initialise_database(database, _load(config))
    if not change.is_change:
        _out.print(f"The database is up to date (schema version {change.after}).")
    elif change.before is None:
        _out.print(f"The database is ready (schema version {change.after}).")
    else:
        _out.print(f"The database went from schema version {change.before} to {change.after}.")


@app.command()
def generate(
    database: Database,
    contacts: Annotated[int, typer.Option(min=1, help="How many contacts.")] = _DEMO_CONTACTS,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same contacts.")] = _DEMO_SEED,
    as_of: AsOf = None,
    config: Config = None,
) -> None:
    """Fill an empty database with a sample organisation: contacts, campaigns, history, clicks, answers."""
    settings = _load(config)
    with _progress() as show:
        rows = generate_sample(
            database,
            contacts,
            seed,
            as_of or today(),
            settings,
            on_progress=lambda done: show("generate", done, contacts),
        )
    _out.print(", ".join(f"{table}: {count:,}" for table, count in rows.items()))


@app.command()
def plan(
    database: Database,
    config: Config = None,
    as_of: AsOf = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    allow_older: Annotated[
        bool, typer.Option("--allow-older", help="Publish although a later plan has been published.")
    ] = False,
) -> None:
    """Plan every email of an organisation, prove the plan, and publish it."""
    settings = _load(config)
    run = _run(database, settings, as_of or today(), dry_run=dry_run, allow_older=allow_older)
    if as_json:
        for warning in run.warnings:
            _log.warning(warning)
        print(json.dumps(as_object(run)))  # noqa: T201 - not for people: rich would wrap it
    else:
        _show(run, dry_run=dry_run)


@app.command()
def demo() -> None:
    """Plan today for a sample organisation under data/, which is generated the first time."""
    settings = _load(None)
    organizations = load_organizations(_CONFIG_DIRECTORY / "organizations.yaml")
    if _DEMO_ORGANIZATION not in organizations:
        raise UsageError(
            f"{_CONFIG_DIRECTORY}/organizations.yaml: no organisation named {_DEMO_ORGANIZATION}"
        )
    organization = organizations[_DEMO_ORGANIZATION]
    settings = organization_config(_CONFIG_DIRECTORY, organization)
    database = organization.database_url()
    path = Path(database.removeprefix("sqlite:///"))
    if not path.exists():
        _out.print(f"Generating {_DEMO_CONTACTS:,} sample contacts in {path} ...")
        generate_sample(database, _DEMO_CONTACTS, _DEMO_SEED, today(), settings)
    # Dagster takes a second or two to load, which no other command needs
    from email_scheduler.definitions import defs  # noqa: PLC0415
    from email_scheduler.orchestration.demo import lasting_instance, materialize_today  # noqa: PLC0415

    with _progress() as show, lasting_instance() as instance:
        made = materialize_today(defs, instance, organization.name, on_asset=show)
    _out.print(plan_summary(made.plan, made.changes, warnings(made.plan, settings)))
    _out.print(f"The plan is in the table email_schedules of {path}.")
    _out.print(
        "make ui opens it in Dagster, at http://127.0.0.1:3000: the lineage graph, the checks, the charts."
    )


def as_object(run: PlanRun) -> dict[str, Any]:
    """Return what ``plan --json`` prints."""
    schedules, valid = run.plan.schedules, len(run.plan.contacts)
    statuses = schedules["status"].value_counts()
    return {
        "run_id": run.run_id,
        "as_of": run.plan.as_of.isoformat(),
        "contacts": {"valid": valid, "invalid": run.plan.contact_count - valid},
        "rows": {str(status): int(count) for status, count in statuses.items()},
        "changes": run.changes.totals,
        "seconds": {phase: round(seconds, 3) for phase, seconds in run.seconds.items()},
    }


def main() -> None:
    """Run the command; errors are one line, a stack trace only with ``--debug``."""
    is_debug = "--debug" in sys.argv
    try:
        app(args=[argument for argument in sys.argv[1:] if argument != "--debug"])
    except EmailSchedulerError as error:
        if is_debug:
            raise
        _fail(str(error), 2 if isinstance(error, UsageError) else 1)
    except Exception as error:
        if is_debug:
            raise
        _fail(f"{type(error).__name__}: {error} (--debug shows where)", 1)


def _fail(message: str, code: int) -> None:
    _err.print(f"error: {message}", markup=False, soft_wrap=True)
    sys.exit(code)


def _load(path: Path | None) -> SchedulerConfig:
    if path is None and _CONFIG_DIRECTORY.is_dir():
        path = _CONFIG_DIRECTORY
    # what loading has to say waits until it is known where the log goes
    said = MemoryHandler(capacity=1000, flushLevel=logging.CRITICAL)
    _log.handlers = [said]
    settings = load_config(path)
    said.setTarget(_set_up_logging(settings))
    said.flush()
    return settings


def _set_up_logging(settings: SchedulerConfig) -> logging.Handler:
    """Make logging as the configuration says: to the file if there is one, else to stderr."""
    handler: logging.Handler
    if settings.logging.file is not None:
        settings.logging.file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(settings.logging.file)
    elif not _err.is_terminal:
        handler = logging.StreamHandler()
    else:
        handler = RichHandler(console=_err, show_time=False, show_level=False, show_path=False, markup=False)
    handler.setFormatter(logging.Formatter(settings.logging.format))
    _log.handlers = [handler]
    _log.setLevel(settings.logging.level)
    if not settings.logging.enable_db_logs:
        logging.getLogger("email_scheduler.storage").setLevel(logging.WARNING)
    return handler


def _run(
    database: str, settings: SchedulerConfig, as_of: date, *, dry_run: bool = False, allow_older: bool = False
) -> PlanRun:
    with _progress() as show:
        if dry_run:
            return preview_plan(database, settings, as_of, on_phase=show)
        return plan_and_publish(
            database,
            settings,
            as_of,
            allow_older=allow_older,
            on_phase=show,
            on_progress=lambda done, total: show("write", done, total),
        )


def _show(run: PlanRun, *, dry_run: bool) -> None:
    _out.print(plan_summary(run.plan, run.changes.totals, run.warnings, is_dry_run=dry_run))
    if dry_run and run.changes.by_type:
        _out.print(changes_table(run.changes.by_type))


@contextmanager
def _progress() -> Iterator[Any]:
    """Show on a terminal which phase is running and how far it is; elsewhere the log tells it."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
    )
    is_shown = _err.is_terminal
    with ExitStack() as stack:
        # while a step runs, Dagster sends what goes to stderr to a file: the bar has a way of its own
        terminal = stack.enter_context(os.fdopen(os.dup(2), "w")) if is_shown else None
        console = Console(file=terminal, stderr=True)
        progress = stack.enter_context(
            Progress(*columns, console=console, transient=True, disable=not is_shown)
        )
        task = progress.add_task("", total=None, count="")

        def show(phase: str, done: int | None = None, total: int | None = None) -> None:
            count = "" if total is None else f"{done:,}/{total:,}"
            progress.update(task, description=phase, completed=done or 0, total=total, count=count)

        yield show
