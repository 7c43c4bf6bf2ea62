"""The ``email-scheduler`` command: parses, calls, prints.

Exit codes: 0 done; 2 bad arguments, configuration or database; 1 anything else.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from email_scheduler.cli.backups import backup
from email_scheduler.cli.campaign_output import hold_object
from email_scheduler.cli.campaigns import campaigns
from email_scheduler.cli.config_versions import config_commands
from email_scheduler.cli.explain import explain
from email_scheduler.cli.health import health
from email_scheduler.cli.holds import hold, release
from email_scheduler.cli.import_history import import_history
from email_scheduler.cli.rate_increases import migrate_rate_increases
from email_scheduler.cli.report import report
from email_scheduler.cli.shadow import shadow
from email_scheduler.cli.shared import (
    AnyDatabase,
    AsJson,
    AsOf,
    By,
    Config,
    OrganizationName,
    database_and_config,
    err,
    load,
    log,
    out,
    print_json,
)
from email_scheduler.cli.simulate import simulate
from email_scheduler.cli.what_if import what_if
from email_scheduler.clock import today
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import EmailSchedulerError, UsageError
from email_scheduler.operations.planning_run import PlanRun, plan_and_publish, preview_plan, warnings
from email_scheduler.operations.sample_data import generate_sample
from email_scheduler.operations.summary import changes_table, effects_table, plan_summary
from email_scheduler.planning.registry.email_types import STATUSES
from email_scheduler.storage.faults import told
from email_scheduler.storage.holds import current_hold
from email_scheduler.storage.schema import initialise_database

app = typer.Typer(
    help="Plans which email every contact gets on which day, proves the plan and publishes it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_DEMO_ORGANIZATION = "sample"
_DEMO_CONTACTS = 2_000
_DEMO_SEED = 1

Database = Annotated[
    str,
    typer.Option(
        "--database",
        metavar="URL",
        help="The organisation's database: sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE.",
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
    change = initialise_database(database, load(config))
    if not change.is_change:
        out.print(f"The database is up to date (schema version {change.after}).")
    elif change.before is None:
        out.print(f"The database is ready (schema version {change.after}).")
    else:
        out.print(f"The database went from schema version {change.before} to {change.after}.")


@app.command()
def generate(
    database: Database,
    contacts: Annotated[int, typer.Option(min=1, help="How many contacts.")] = _DEMO_CONTACTS,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same contacts.")] = _DEMO_SEED,
    as_of: AsOf = None,
    config: Config = None,
) -> None:
    """Fill an empty database with a sample organisation: contacts, campaigns, history, clicks, answers."""
    settings = load(config)
    with _progress() as show:
        rows = generate_sample(
            database,
            contacts,
            seed,
            as_of or today(),
            settings,
            on_progress=lambda done: show("generate", done, contacts),
        )
    out.print(", ".join(f"{table}: {count:,}" for table, count in rows.items()))


@app.command()
def plan(
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_of: AsOf = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; write nothing.")
    ] = False,
    as_json: AsJson = False,
    allow_older: Annotated[
        bool, typer.Option("--allow-older", help="Publish although a later plan has been published.")
    ] = False,
    replica: Annotated[
        str | None,
        typer.Option(
            "--replica",
            metavar="URL",
            help="A copy of the database that the plan is made from.",
        ),
    ] = None,
    by: By = None,
) -> None:
    """Plan every email of an organisation, prove the plan, and publish it."""
    url, settings = database_and_config(database, organization, config)
    run = _run(
        url,
        settings,
        as_of or today(),
        dry_run=dry_run,
        allow_older=allow_older,
        replica=replica,
        by=by,
    )
    if as_json:
        for warning in run.warnings:
            log.warning(warning)
        print_json(as_object(run))
    else:
        _show(run, dry_run=dry_run)


@app.command()
def demo() -> None:
    """Plan today for a sample organisation under data/, which is generated the first time."""
    database, settings = database_and_config(None, _DEMO_ORGANIZATION, None)
    path = Path(database.removeprefix("sqlite:///"))
    if not path.exists():
        out.print(f"Generating {_DEMO_CONTACTS:,} sample contacts in {path} ...")
        generate_sample(database, _DEMO_CONTACTS, _DEMO_SEED, today(), settings)
    # Dagster takes a second or two to load, which no other command needs
    from email_scheduler.definitions import defs  # noqa: PLC0415
    from email_scheduler.orchestration.demo import lasting_instance, materialize_today  # noqa: PLC0415

    with _progress() as show, lasting_instance() as instance:
        made = materialize_today(defs, instance, _DEMO_ORGANIZATION, on_asset=show)
    held = current_hold(database, settings)
    out.print(plan_summary(made.plan, made.changes, warnings(made.plan, settings, held)))
    out.print(f"The plan is in the table email_schedules of {path}.")
    out.print(
        "make ui opens it in Dagster, at http://127.0.0.1:3000: the lineage graph, the checks, the charts."
    )


app.add_typer(campaigns, name="campaigns")
app.add_typer(backup, name="backup")
app.add_typer(config_commands, name="config")
app.command()(hold)
app.command()(release)
app.command()(health)
app.command()(report)
app.command()(explain)
app.command("migrate-rate-increases")(migrate_rate_increases)
app.command("import-history")(import_history)
app.command()(shadow)
app.command("what-if")(what_if)
app.command()(simulate)


def as_object(run: PlanRun) -> dict[str, Any]:
    """Return what ``plan --json`` prints."""
    valid, rows = len(run.plan.contacts), run.plan.counts.rows.most_frequent("status")
    return {
        "run_id": run.run_id,
        "as_of": run.plan.as_of.isoformat(),
        "contacts": {"valid": valid, "invalid": run.plan.contact_count - valid},
        "rows": rows | {status: 0 for status in STATUSES if status not in rows},
        "changes": run.changes.totals,
        "campaign_changes": _effects(run.effects),
        "seconds": {phase: round(seconds, 3) for phase, seconds in run.seconds.items()},
        "hold": hold_object(run.hold),
    }


def _effects(effects: pd.DataFrame) -> Any:
    plain = effects.astype({"campaign_type": "object", "field_changed": "object"})
    return plain.where(plain.notna(), None).to_dict("records")


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
        # nobody knows what its message holds; whoever asks for --debug gets it
        name, said = type(error).__name__, told(error)
        _fail(f"{name if said == name else f'{name}: {said}'} (--debug shows what and where)", 1)


def _fail(message: str, code: int) -> None:
    # a file may have a million bad lines, one of the message each
    sys.stderr.write(f"error: {message}\n")
    sys.exit(code)


def _run(
    database: str,
    settings: SchedulerConfig,
    as_of: date,
    *,
    dry_run: bool,
    allow_older: bool,
    replica: str | None,
    by: str | None,
) -> PlanRun:
    with _progress() as show:
        if dry_run:
            return preview_plan(database, settings, as_of, replica=replica, on_phase=show)
        return plan_and_publish(
            database,
            settings,
            as_of,
            replica=replica,
            allow_older=allow_older,
            planned_by=by,
            on_phase=show,
            on_progress=lambda done, total: show("write", done, total),
        )


def _show(run: PlanRun, *, dry_run: bool) -> None:
    out.print(plan_summary(run.plan, run.changes.totals, run.warnings, is_dry_run=dry_run))
    if len(run.effects):
        out.print(effects_table(run.effects))
    if dry_run and run.changes.by_type:
        out.print(changes_table(run.changes.by_type))


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
    is_shown = err.is_terminal
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
