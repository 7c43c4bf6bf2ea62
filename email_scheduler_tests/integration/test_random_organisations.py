"""Random organisations on their way through a real database: read, planned, proved, published."""

import json
from dataclasses import fields, replace
from datetime import date, datetime, timedelta

import pandas as pd
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.columns.dates import format_days
from email_scheduler.planning.frames import NO_NUMBER, PlanInputs
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.databases import Database, PostgresqlDatabase, SqliteDatabase
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
    SELECT contact_id, email_type, coalesce(campaign_instance_id, 0), event_year, event_month, event_day,
           coalesce(initial_email_id, 0), ideal_send_date, scheduled_send_date, scheduled_send_time, status,
           skip_reason, adjustment, priority, email_template, sms_template, metadata
    FROM email_schedules
    WHERE status IN ('pre-scheduled', 'skipped') AND ideal_send_date IS NOT NULL
"""
JSON_COLUMNS = {"metadata", "event_data"}
MOMENTS = {"clicked_at", "created_at", "actual_send_datetime", "suppressed_at"}


def fill(database: Database, organisation: PlanInputs) -> None:
    """Write the organisation's tables as an agency's own programs would."""
    attributes = {row["id"]: row for row in rows_of(organisation.contact_attributes)}
    for name in organisation.contact_attributes.columns.drop("id"):
        database.write(f'ALTER TABLE contacts ADD COLUMN "{name}" TEXT')
    for table, frame, more in (
        ("contacts", organisation.contacts, {}),
        ("suppressed_addresses", organisation.suppressed_addresses, {}),
        ("contact_suppressions", organisation.suppressions, {"reason": "unsubscribed"}),
        ("campaign_types", organisation.campaign_types, {}),
        ("campaign_instances", organisation.campaign_instances, {}),
        ("contact_campaigns", organisation.contact_campaigns, {}),
        ("email_schedules", organisation.history, {}),
        ("tracking_clicks", organisation.clicks, {}),
        ("contact_events", organisation.answers, {"event_type": "eligibility_answered"}),
    ):
        if table == "contacts":
            rows = [{**row, **attributes.get(row["id"], {})} for row in rows_of(frame)]
        else:
            rows = [{**row, **more} for row in rows_of(frame)]
        database.insert(table, *(present(row, table) for row in rows))


def present(row: dict[str, object], table: str) -> dict[str, object]:
    if table == "email_schedules":
        row["status"] = row["status"] or "unknown"
    stored = {name: as_stored(name, value) for name, value in row.items()}
    # a column with a default has it where nothing is said; a time that is not known stays unknown
    return {name: value for name, value in stored.items() if value is not None or name in MOMENTS}


def as_stored(name: str, value: object) -> object:
    is_reference = name in {"campaign_instance_id", "initial_email_id", "email_schedule_id"}
    return None if value == NO_NUMBER or (is_reference and value == 0) else value


def planned(plan: Plan) -> list[tuple[object, ...]]:
    texts = {name: format_days(plan.schedules[name].to_numpy()).astype(object) for name in DATES}
    frame = plan.schedules.assign(**{name: pd.Series(values, dtype="str") for name, values in texts.items()})
    return sorted((tuple(row[name] for name in CONTENT) for row in rows_of(frame)), key=repr)


def published(database: Database) -> list[tuple[object, ...]]:
    rows = [(*row[:3], f"{row[3]:04}-{row[4]:02}-{row[5]:02}", *row[6:]) for row in database.query(PUBLISHED)]
    return sorted(rows, key=repr)


@pytest.mark.parametrize("seed", range(5000, 5012))
def test_the_table_holds_exactly_the_plan_and_planning_again_writes_nothing(
    seed: int, sqlite_database: SqliteDatabase
) -> None:
    organisation, config = random_case(seed)
    fill(sqlite_database, organisation)
    url = sqlite_database.url
    small_batches = with_batches_of(config, 5)
    plan_and_publish(url, small_batches, organisation.as_of)
    assert published(sqlite_database) == planned(make_plan(organisation, config))
    again = plan_and_publish(url, small_batches, organisation.as_of)
    assert {name: again.changes.totals[name] for name in ("added", "changed", "removed")} == {
        "added": 0,
        "changed": 0,
        "removed": 0,
    }


def storable(organisation: PlanInputs) -> PlanInputs:
    """Return the organisation without what PostgreSQL's types refuse, moments as US Central time has them."""
    frames = {field.name: getattr(organisation, field.name) for field in fields(organisation)}
    for name, frame in frames.items():
        if isinstance(frame, pd.DataFrame):
            kept = {
                column: frame[column].map(readable, na_action="ignore").astype(frame[column].dtype)
                for column, readable in [
                    *((c, json_or_none) for c in JSON_COLUMNS),
                    *((c, moment) for c in MOMENTS),
                ]
                if column in frame
            }
            frames[name] = frame.assign(**kept)
    return replace(organisation, **frames)


def json_or_none(text: str) -> str | None:
    try:
        json.loads(text)
    except ValueError:
        return None
    return text


def moment(text: str) -> str | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None).isoformat()
    except ValueError:
        return None


def send_some(database: Database, as_of: date) -> int:
    """Send some of the emails that are due next, as if all were due today; return how many."""
    due = database.query(
        "SELECT id FROM due_emails WHERE ideal_send_date IS NOT NULL"
        " ORDER BY scheduled_send_date, contact_id, email_type, event_year,"
        " event_month, event_day, coalesce(campaign_instance_id, 0), id LIMIT 16"
    )
    for (row_id,) in due[::2]:
        database.write(
            "UPDATE email_schedules SET status = 'sent', actual_send_datetime = ? WHERE id = ?",
            (f"{as_of}T08:30:00", row_id),
        )
    return len(due[::2])


@pytest.mark.parametrize("seed", [5100, 5104, 5105, 5107, 5110, 5111])
def test_both_databases_get_the_same_rows_today_and_tomorrow(
    seed: int, sqlite_database: SqliteDatabase, postgresql_database: PostgresqlDatabase
) -> None:
    organisation, config = random_case(seed)
    organisation, config = storable(organisation), with_batches_of(config, 5)
    plans: list[list[list[tuple[object, ...]]]] = []
    for database in (sqlite_database, postgresql_database):
        fill(database, organisation)
        plan_and_publish(database.url, config, organisation.as_of)
        first = published(database)
        assert send_some(database, organisation.as_of) > 0
        plan_and_publish(database.url, config, organisation.as_of + timedelta(days=1))
        plans.append([first, published(database)])
    assert plans[0] == plans[1]
    assert plans[0][0]


def with_batches_of(config: SchedulerConfig, contacts: int) -> SchedulerConfig:
    processing = config.processing.model_copy(update={"batch_size": contacts})
    return config.model_copy(update={"processing": processing})
