"""Random organisations on their way through a real database: read, planned, proved, published."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.operations.planning_run import plan_and_publish
from email_scheduler.planning.dates import format_days
from email_scheduler.planning.frames import NO_NUMBER, PlanInputs
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler.storage.schema import initialise_database
from email_scheduler_tests.oracle.book import rows_of
from email_scheduler_tests.strategies import random_case

CONTENT = (
    "contact_id",
    "email_type",
    "campaign_instance_id",
    "event_date",
    "initial_email_id",
    "ideal_send_date",
    "scheduled_send_date",
    "scheduled_send_time",
    "status",
    "skip_reason",
    "adjustment",
    "priority",
    "email_template",
    "sms_template",
    "metadata",
)
DATES = ("event_date", "ideal_send_date", "scheduled_send_date")
PUBLISHED = """
    SELECT contact_id, email_type, coalesce(campaign_instance_id, 0),
           printf('%04d-%02d-%02d', event_year, event_month, event_day), coalesce(initial_email_id, 0),
           ideal_send_date, scheduled_send_date, scheduled_send_time, status, skip_reason, adjustment,
           priority, email_template, sms_template, metadata
    FROM email_schedules
    WHERE status IN ('pre-scheduled', 'skipped') AND ideal_send_date IS NOT NULL
"""


def fill(path: Path, organisation: PlanInputs) -> None:
    """Write the organisation's tables as an agency's own programs would."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for table, frame, more in (
            ("contacts", organisation.contacts, {}),
            ("contact_suppressions", organisation.suppressions, {"reason": "unsubscribed"}),
            ("campaign_types", organisation.campaign_types, {}),
            ("campaign_instances", organisation.campaign_instances, {}),
            ("contact_campaigns", organisation.contact_campaigns, {}),
            ("email_schedules", organisation.history, {}),
            ("tracking_clicks", organisation.clicks, {}),
            ("contact_events", organisation.answers, {"event_type": "eligibility_answered"}),
        ):
            insert(connection, table, ({**row, **more} for row in rows_of(frame)))
        connection.commit()


def insert(connection: sqlite3.Connection, table: str, rows: Iterable[dict[str, object]]) -> None:
    for row in rows:
        if table == "email_schedules":
            row["status"] = row["status"] or "unknown"
        stored = {name: as_stored(name, value) for name, value in row.items()}
        present = {name: value for name, value in stored.items() if value is not None}
        places = ", ".join("?" * len(present))
        statement = f"INSERT INTO {table} ({', '.join(present)}) VALUES ({places})"
        connection.execute(statement, list(present.values()))


def as_stored(name: str, value: object) -> object:
    is_reference = name in {"campaign_instance_id", "initial_email_id", "email_schedule_id"}
    return None if value == NO_NUMBER or (is_reference and value == 0) else value


def planned(plan: Plan) -> list[tuple[object, ...]]:
    texts = {name: format_days(plan.schedules[name].to_numpy()).astype(object) for name in DATES}
    frame = plan.schedules.assign(**{name: pd.Series(values, dtype="str") for name, values in texts.items()})
    return sorted((tuple(row[name] for name in CONTENT) for row in rows_of(frame)), key=repr)


def published(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(connection.execute(PUBLISHED).fetchall(), key=repr)


@pytest.mark.parametrize("seed", range(5000, 5012))
def test_the_table_holds_exactly_the_plan_and_planning_again_writes_nothing(
    seed: int, tmp_path: Path
) -> None:
    organisation, config = random_case(seed)
    path = tmp_path / "organisation.db"
    url = f"sqlite:///{path}"
    initialise_database(url, config)
    fill(path, organisation)
    small_batches = with_batches_of(config, 5)
    plan_and_publish(url, small_batches, organisation.as_of)
    assert published(path) == planned(make_plan(organisation, config))
    again = plan_and_publish(url, small_batches, organisation.as_of)
    assert {name: again.changes.totals[name] for name in ("added", "changed", "removed")} == {
        "added": 0,
        "changed": 0,
        "removed": 0,
    }


def with_batches_of(config: SchedulerConfig, contacts: int) -> SchedulerConfig:
    processing = config.processing.model_copy(update={"batch_size": contacts})
    return config.model_copy(update={"processing": processing})
