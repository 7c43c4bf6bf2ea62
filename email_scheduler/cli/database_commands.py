"""``email-scheduler init-db``, ``generate`` and ``demo``: what makes a database."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from email_scheduler.cli.plan_commands import progress
from email_scheduler.cli.shared import Answer, AsOf, At, AtChanged, Config, command, load, out, show
from email_scheduler.clock import today
from email_scheduler.database import current_hold, is_table
from email_scheduler.database.upgrade import SchemaChange, initialise_database
from email_scheduler.planning_run import warnings
from email_scheduler.reports.summary import plan_summary
from email_scheduler.sample import generate_sample

_DEMO_ORGANIZATION: Final = "sample"
_DEMO_CONTACTS: Final = 2_000
_DEMO_SEED: Final = 1
Database = Annotated[
    str,
    typer.Option(
        "--database",
        metavar="URL",
        help="The organisation's database: sqlite:///PATH, with four slashes before an absolute path, or"
        " postgresql+psycopg://USER@HOST/DATABASE.",
    ),
]


@command
def init_db(at: AtChanged) -> Answer:
    """Create a database, or bring an older one up to date."""
    change = initialise_database(at.url, at.settings)
    return Answer({"is_change": change.is_change, **asdict(change)}, _lines_of_change(change))


def _lines_of_change(change: SchemaChange) -> Iterator[str]:
    if change.before == change.after:
        yield f"The database is up to date (schema version {change.after})."
    elif change.before is None:
        yield f"The database is ready (schema version {change.after})."
    else:
        yield f"The database went from schema version {change.before} to {change.after}."
    if change.new_tables:
        yield f"New tables: {', '.join(change.new_tables)}."
    for each in change.changes:
        for names, what in ((each.added, "new"), (each.removed, "removed")):
            if names:
                yield f"Table {each.table}, {what} {each.kind}: {', '.join(names)}."
    if change.ignored_columns:
        ignored = ", ".join(change.ignored_columns)
        yield f"Columns of contacts that no plan reads, unless an audience names them: {ignored}."
    if not is_table(change.contacts):
        yield (
            f"contacts is a {change.contacts}: it is read as a table is, and has no triggers and no indexes"
            " of its own."
        )
        yield (
            "Edits of contacts are not noted, as with features.watch_contacts: false: who is edited after the"
            " plan is due as it was planned until the next plan, at the address that contacts shows by then."
        )
        yield (
            "Its rows are the agency's affair: each id once; an index on the address of the table behind it;"
            " a backup of tables in other schemas. contacts import works where contacts can be written to."
        )


def generate(
    database: Database,
    contacts: Annotated[
        int, typer.Option(metavar="N", min=1, max=20_000_000, help="How many contacts, valid or not.")
    ] = _DEMO_CONTACTS,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="The same number of contacts, seed, date and configuration give the same rows.",
        ),
    ] = _DEMO_SEED,
    as_of: AsOf = None,
    config: Config = None,
) -> None:
    """Fill an empty database with a sample organisation, whose history ends the day before ``as_of``."""
    settings = load(config)
    with progress() as show_phase:
        rows = generate_sample(
            database,
            contacts,
            seed,
            as_of or today(),
            settings,
            on_progress=lambda done: show_phase("generate", done, contacts),
        )
    said = ", ".join(f"{table}: {count:,}" for table, count in rows.items())
    show(Answer(rows, [said]), as_json=False, is_done=True)


def demo() -> None:
    """Plan today for the sample organisation of ``config/organizations.yaml``, through Dagster."""
    at = At(organization=_DEMO_ORGANIZATION)
    path = Path(at.url.removeprefix("sqlite:///"))
    if not path.exists():
        out.print(f"Generating {_DEMO_CONTACTS:,} sample contacts in {path} ...")
        generate_sample(at.url, _DEMO_CONTACTS, _DEMO_SEED, today(), at.settings)
    # Dagster takes a second or two to load, which no other command needs
    from email_scheduler.definitions import defs  # noqa: PLC0415
    from email_scheduler.orchestration.demo import (  # noqa: PLC0415
        lasting_instance,
        materialize_today,
    )

    with progress() as show_phase, lasting_instance() as instance:
        made = materialize_today(defs, instance, _DEMO_ORGANIZATION, on_asset=show_phase)
    held = current_hold(at.url, at.settings)
    parts = [
        plan_summary(made.plan, made.changes, warnings(made.plan, at.settings, held)),
        f"The plan is in the table email_schedules of {path}.",
        "make ui opens it in Dagster, at http://127.0.0.1:3000: the lineage graph, the checks, the charts.",
    ]
    show(Answer(None, parts), as_json=False, is_done=True)
