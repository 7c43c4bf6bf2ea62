"""Two sample organisations with a configuration of their own, for the tests of the Dagster project."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import dagster as dg

from email_scheduler.clock import today
from email_scheduler.config.loader import load_organizations, organization_config
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.orchestration.partitions import JOB_NAME, Partition
from email_scheduler.sample.sample_data import generate_sample

ORGANIZATIONS = ("northwind", "southwind")
CONTACTS = 300
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def write_configuration(
    directory: Path, *, orchestration: str = "", reporting: str = "enabled: false"
) -> Path:
    """Write a configuration of two organisations, whose second one has a smaller cap.

    Charts and pages take longer than such small plans; who looks at them asks for them.
    """
    config = directory / "config"
    config.mkdir()
    (config / "scheduler.yaml").write_text(
        f"reporting:\n  directory: {directory / 'reports'}\n  {reporting}\n"
        # the last section: tests add to it
        "orchestration:\n"
        f"  storage_url: {directory / 'frames'}\n"
        "  max_retry_attempts: 1\n"
        "  retry_delay: 0\n"
        f"{orchestration}"
    )
    (config / "organizations.yaml").write_text(
        "organizations:\n"
        + "".join(f"  {name}:\n    database: sqlite:///{directory / name}.db\n" for name in ORGANIZATIONS)
        + "    overrides:\n      load_balancing:\n        daily_send_percentage_cap: 0.05\n"
    )
    return config


def settings_of(config: Path, organization: str) -> tuple[str, SchedulerConfig]:
    """Return the database URL and the configuration of an organisation."""
    found = load_organizations(config)[organization]
    return found.database_url(), organization_config(config, found)


def generate_organizations(config: Path, as_of: date | None = None) -> None:
    """Fill the database of each organisation with another sample."""
    for seed, name in enumerate(ORGANIZATIONS, start=1):
        url, settings = settings_of(config, name)
        generate_sample(url, CONTACTS, seed, as_of or today(), settings)


def run_job(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    organization: str,
    as_of: date,
    *assets: str,
    ops: dict[str, object] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run ``plan_emails`` for one partition: all of its assets, or those named."""
    return definitions.resolve_job_def(JOB_NAME).execute_in_process(
        run_config={**QUIET, "ops": {name: {"config": config} for name, config in (ops or {}).items()}},
        instance=instance,
        partition_key=Partition(as_of, organization).key,
        asset_selection=[dg.AssetKey(name) for name in assets] or None,
        raise_on_error=False,
    )


@contextmanager
def database(url: str) -> Iterator[sqlite3.Connection]:
    """Open a database, commit and close it: two SQLite libraries of one process must not have it open."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        yield connection


def table_rows(url: str) -> list[tuple[object, ...]]:
    """Return what a plan decides of ``email_schedules``, in an order of its own."""
    with database(url) as connection:
        return connection.execute(
            "SELECT contact_id, email_type, event_year, event_month, event_day, campaign_instance_id,"
            " initial_email_id, scheduled_send_date, scheduled_send_time, status, skip_reason, priority,"
            " ideal_send_date, adjustment, email_template, sms_template, metadata"
            " FROM email_schedules ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 10"
        ).fetchall()


def failure_messages(result: dg.ExecuteInProcessResult) -> str:
    """Return what the steps that failed said."""
    events = [event for event in result.all_events if event.is_step_failure]
    return "\n".join(
        " ".join(filter(None, [_description(event), str(event.step_failure_data.error)])) for event in events
    )


def _description(event: dg.DagsterEvent) -> str | None:
    metadata = event.step_failure_data.user_failure_data
    return None if metadata is None else metadata.description
