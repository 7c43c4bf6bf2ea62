"""Which rows leave when they are old, and which never do, on either kind of database."""

import multiprocessing
import sqlite3
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.health import retention
from email_scheduler.health.retention import delete_expired
from email_scheduler_tests.databases import Database, SqliteDatabase, on_sqlite

TODAY = date(2026, 11, 23)
OLD, KEPT = "2026-08-24T05:00:00.000+00:00", "2026-08-26T05:00:00.000+00:00"


def config(**audit: Any) -> SchedulerConfig:
    return SchedulerConfig.model_validate({"audit": {"audit_retention_days": 90, **audit}})


def delete(database: Database, settings: SchedulerConfig | None = None) -> dict[str, int]:
    return {
        table: count
        for table, count in delete_expired(database.url, settings or config(), TODAY).rows.items()
        if count
    }


def ids(database: Database, table: str) -> list[int]:
    return [id_ for (id_,) in database.query(f"SELECT id FROM {table} ORDER BY id")]


def test_records_of_runs_leave_after_their_days_apart_from_the_last_plan_and_open_ones(
    database: Database,
) -> None:
    rows = [
        ("completed", "2026-08-01", OLD),
        ("failed", "2026-08-20", OLD),
        ("completed", "2026-08-20", OLD),
        ("in_progress", "2026-08-20", None),
        ("completed", "2026-08-19", OLD),
        ("failed", "2026-08-26", KEPT),
    ]
    database.insert(
        "scheduler_checkpoints",
        *(
            {
                "id": id_,
                "scheduler_run_id": f"run-{id_}",
                "status": status,
                "as_of_date": day,
                "completed_at": at,
                "run_timestamp": OLD,
            }
            for id_, (status, day, at) in enumerate(rows, start=1)
        ),
    )
    assert delete(database) == {"scheduler_checkpoints": 3}
    # the plan that was published last is the one that newer plans are compared with, whatever its date
    assert ids(database, "scheduler_checkpoints") == [4, 5, 6]


def test_configurations_leave_that_are_over_and_that_no_record_refers_to(database: Database) -> None:
    for id_, valid_to in [(1, OLD), (2, OLD), (3, OLD), (4, KEPT), (5, None)]:
        database.insert("config_versions", {"id": id_, "config_type": "scheduler", "valid_to": valid_to})
    for id_, version, at in [(1, 1, OLD), (2, 2, KEPT)]:
        database.insert(
            "scheduler_checkpoints",
            {
                "id": id_,
                "scheduler_run_id": str(id_),
                "config_version_id": version,
                "status": "failed",
                "completed_at": at,
            },
        )
    # the record of the first one leaves in the same night
    assert delete(database) == {"scheduler_checkpoints": 1, "config_versions": 2}
    assert ids(database, "config_versions") == [2, 4, 5]


def test_changes_of_campaigns_leave_unless_they_wait_for_a_plan(database: Database) -> None:
    for id_, at, waits, run in [
        (1, OLD, True, None),
        (2, OLD, True, "run-1"),
        (3, OLD, False, None),
        (4, KEPT, True, "run-2"),
        (5, OLD, True, "run-2"),
    ]:
        database.insert(
            "campaign_change_log",
            {"id": id_, "changed_at": at, "requires_rescheduling": waits, "processed_run_id": run},
        )
    assert delete(database) == {"campaign_change_log": 2}
    # the last one of the log tells what a plan has seen
    assert ids(database, "campaign_change_log") == [1, 4, 5]


def archive(database: Database, *moments: str) -> None:
    database.insert(
        "email_schedules_archive",
        *({"id": id_, "status": "skipped", "archived_at": at} for id_, at in enumerate(moments, start=1)),
    )


def test_the_archive_is_kept_for_ever_unless_it_is_said_for_how_long(database: Database) -> None:
    archive(database, "2020-01-01T00:00:00+00:00", OLD, KEPT)
    assert delete(database) == {}
    assert delete(database, config(archive_retention_days=365)) == {"email_schedules_archive": 1}
    assert ids(database, "email_schedules_archive") == [2, 3]


def test_many_rows_leave_in_several_transactions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH_ROWS", 3)
    batches: list[int] = []
    real = retention._delete_batch

    def counted(*arguments: Any) -> int:
        batches.append(real(*arguments))
        return batches[-1]

    monkeypatch.setattr(retention, "_delete_batch", counted)
    archive(database, *[OLD] * 4, KEPT, *[OLD] * 4)
    assert delete(database, config(archive_retention_days=90)) == {"email_schedules_archive": 8}
    assert batches == [3, 3, 2]
    assert ids(database, "email_schedules_archive") == [5]


def test_no_row_of_email_schedules_leaves_however_old(database: Database) -> None:
    for id_, status in enumerate(["sent", "failed", "processing", "pre-scheduled", "skipped"], start=1):
        database.insert(
            "email_schedules", {"id": id_, "status": status, "updated_at": OLD, "created_at": OLD}
        )
    assert delete(database, config(audit_retention_days=0, archive_retention_days=0)) == {}
    assert ids(database, "email_schedules") == [1, 2, 3, 4, 5]


def test_a_retention_beyond_all_days_keeps_everything(database: Database) -> None:
    archive(database, OLD)
    assert delete(database, config(archive_retention_days=1_000_000_000)) == {}


def test_sizes_are_those_of_the_database(database: Database) -> None:
    archive(database, *[OLD] * 50)
    found = delete_expired(database.url, config(archive_retention_days=90), TODAY)
    assert min(found.bytes_before, found.bytes_after) > 10_000


@on_sqlite
def test_the_sending_system_never_waits_a_second(database: SqliteDatabase, tmp_path: Path) -> None:
    moment = (TODAY - timedelta(days=400)).isoformat()
    with database.connection() as connection:
        connection.executemany(
            "INSERT INTO email_schedules_archive (id, contact_id, status, metadata, archived_at)"
            " VALUES (?, ?, 'skipped', ?, ?)",
            [(n, n * 7919 % 40_000, "x" * 300, moment) for n in range(40_000)],
        )
        connection.execute("INSERT INTO email_schedules (id, status) VALUES (1, 'pre-scheduled')")
    # in a process of its own, as the sending system is: two copies of SQLite must not share a file
    context = multiprocessing.get_context("fork")
    waits, stop = context.Value("d", 0.0), context.Event()

    def sender() -> None:
        connection = sqlite3.connect(database.path, timeout=30, isolation_level=None)
        while not stop.is_set():
            begin = time.perf_counter()
            connection.execute("UPDATE email_schedules SET status = 'processing' WHERE id = 1")
            waits.value = max(waits.value, time.perf_counter() - begin)
            time.sleep(0.005)

    process = context.Process(target=sender)
    process.start()
    try:
        found = delete(database, config(archive_retention_days=90))
    finally:
        stop.set()
        process.join(30)
    assert found == {"email_schedules_archive": 40_000}
    assert 0 < waits.value < 1
