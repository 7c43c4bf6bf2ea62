"""Rate increases of the older program become a campaign: on a database made by hand."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from email_scheduler.campaigns.service import Campaigns
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.cutover.rate_increases import migrate_rate_increases
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.planning_run import plan_and_publish, preview_plan
from email_scheduler_tests.databases import Database, SqliteDatabase
from email_scheduler_tests.integration.campaigns.campaign_database import CampaignDatabase

AS_OF = date(2026, 11, 23)
CONFIG = SchedulerConfig()
OLDER = """
    CREATE TABLE contacts (
        id INTEGER PRIMARY KEY, email TEXT, zip_code TEXT, state TEXT, birth_date TEXT, effective_date TEXT,
        Rate_Increase_Date TEXT
    );
    INSERT INTO contacts (id, email, zip_code, rate_increase_date) VALUES
        (1, '1@example.org', '75001', '2027-01-15'),
        (2, '2@example.org', '75001', NULL),
        (3, '3@example.org', '75001', ' '),
        (4, '4@example.org', '75001', '2027-02-01'),
        (5, '5@example.org', '75001', '2027-03-01T00:00:00'),
        (6, '6@example.org', '75001', 'next spring'),
        (7, '7@example.org', '75001', NULL),
        (8, '8@example.org', '75001', NULL),
        (9, '9@example.org', '75001', NULL);
    CREATE TABLE email_schedules (
        id INTEGER PRIMARY KEY, contact_id INTEGER NOT NULL, email_type TEXT NOT NULL,
        scheduled_send_date DATE NOT NULL, status TEXT DEFAULT 'pre-scheduled', skip_reason TEXT,
        event_year INTEGER, event_month INTEGER, event_day INTEGER, email_template TEXT,
        UNIQUE (contact_id, email_type, scheduled_send_date)
    );
    INSERT INTO email_schedules (id, contact_id, email_type, scheduled_send_date, status, event_year,
        event_month, event_day, email_template) VALUES
        (11, 1, 'rate_increase', '2026-12-01', 'pre-scheduled', 2026, 12, 15, 'rates_2026'),
        (12, 2, 'rate_increase', '2026-12-20', 'pre-scheduled', 2027, 1, 3, 'rates_2026'),
        (13, 3, 'rate_increase', '2026-12-05', 'pre-scheduled', NULL, NULL, NULL, NULL),
        (14, 4, 'rate_increase', '2026-10-01', 'sent', 2026, 10, 15, 'rates_2025'),
        (15, 7, 'rate_increase', '2026-11-20', 'processing', NULL, NULL, NULL, NULL),
        (16, 8, 'rate_increase', '2026-12-10', 'skipped', 2026, 12, 24, ' '),
        (17, 9, 'rate_increase', '2026-12-01', 'pre-scheduled', 2026, 12, 15, NULL),
        (18, 9, 'rate_increase', '2026-12-02', 'pre-scheduled', 2026, 12, 16, NULL),
        (19, 99, 'rate_increase', '2026-12-01', 'pre-scheduled', 2026, 12, 15, NULL),
        (20, 1, 'birthday', '2026-12-01', 'sent', 2026, 12, 15, NULL);
"""
TARGETS = [
    (1, "2027-01-15", "pending"),
    (2, "2027-01-03", "pending"),
    (3, "2026-12-19", "pending"),
    (5, "2027-03-01", "pending"),
    (8, "2026-12-24", "pending"),
    (9, "2026-12-16", "pending"),
]


@pytest.fixture(params=["sqlite", "postgresql"])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> CampaignDatabase:
    database: Database = SqliteDatabase(tmp_path / "older.db")
    if request.param == "sqlite":
        database.run(OLDER)
    else:
        database = request.getfixturevalue("bare_postgresql")
        with database.connection() as connection:
            connection.execute(OLDER)
    initialise_database(database.url)
    return CampaignDatabase(database)


def content(database: CampaignDatabase) -> list[list[tuple]]:
    tables = ("email_schedules", "email_schedules_archive", "contact_campaigns", "campaign_types")
    return [database.rows(f"SELECT * FROM {table} ORDER BY 1") for table in (*tables, "campaign_change_log")]


def test_waiting_rows_and_dates_of_contacts_become_targets(older: CampaignDatabase) -> None:
    done = migrate_rate_increases(older.url, CONFIG, changed_by="anna")
    assert done.instance is not None
    assert done.instance.reference == "rate_increase/older_program"
    assert done.instance.email_template == "rates_2026"
    assert older.targets(done.instance.id) == TARGETS
    assert done.targets == {"added": 6, "already_sent": 1}
    assert (done.archived, done.history, done.unknown_contacts) == (7, 2, 1)
    assert (done.unreadable_dates, done.several_rows) == (1, 1)
    assert older.rows("SELECT days_before_event, priority FROM campaign_types") == [(14, 1)]


def test_rows_that_were_sent_stay_as_history_of_the_campaign_and_the_others_go_into_the_archive(
    older: CampaignDatabase,
) -> None:
    migrate_rate_increases(older.url, CONFIG)
    assert older.rows(
        "SELECT id, email_type, status, campaign_instance_id FROM email_schedules ORDER BY id"
    ) == [
        (14, "campaign_rate_increase", "sent", 1),
        (15, "campaign_rate_increase", "processing", 1),
        (20, "birthday", "sent", None),
    ]
    assert [row[0] for row in older.rows("SELECT id FROM email_schedules_archive ORDER BY id")] == [
        11, 12, 13, 16, 17, 18, 19,
    ]  # fmt: skip


def test_the_plan_writes_to_the_targets_and_never_again_to_those_who_were_written_to(
    older: CampaignDatabase,
) -> None:
    before = preview_plan(older.url, CONFIG, AS_OF)
    assert any(
        "email-scheduler migrate-rate-increases --database URL turns them" in each for each in before.warnings
    )
    migrate_rate_increases(older.url, CONFIG)
    run = plan_and_publish(older.url, CONFIG, AS_OF)
    assert run.plan.foreign_rows == {}
    planned = older.rows(
        "SELECT contact_id, ideal_send_date FROM email_schedules WHERE email_type = 'campaign_rate_increase'"
        " AND status = 'pre-scheduled' ORDER BY contact_id"
    )
    assert planned == [
        (1, "2027-01-01"),
        (2, "2026-12-20"),
        (3, "2026-12-05"),
        (5, "2027-02-15"),
        (8, "2026-12-10"),
        (9, "2026-12-02"),
    ]


def test_a_dry_run_tells_the_same_and_changes_nothing(older: CampaignDatabase) -> None:
    before = content(older)
    promised = migrate_rate_increases(older.url, CONFIG, is_dry_run=True)
    assert content(older) == before
    done = migrate_rate_increases(older.url, CONFIG)
    assert done.instance is not None
    assert promised.instance is not None
    # PostgreSQL does not give an id away twice
    assert replace(done, instance=replace(done.instance, id=promised.instance.id)) == promised


def test_a_second_time_there_is_nothing_left_to_do(older: CampaignDatabase) -> None:
    migrate_rate_increases(older.url, CONFIG)
    before = content(older)
    again = migrate_rate_increases(older.url, CONFIG)
    assert content(older) == before
    assert again.is_new_instance is False
    assert again.targets == {"unchanged": 2, "already_sent": 1}
    assert (again.archived, again.history) == (0, 0)


def test_a_database_without_rate_increases_gets_no_campaign(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    initialise_database(url)
    assert migrate_rate_increases(url, CONFIG).instance is None
    assert Campaigns(url).types() == []


def test_it_is_one_entry_of_the_log_for_the_targets(older: CampaignDatabase) -> None:
    migrate_rate_increases(older.url, CONFIG, changed_by="anna", email_template="rates_v9")
    assert older.log() == [
        (None, "created", None, "rate_increase"),
        (1, "created", None, "older_program"),
        (1, "targets", None, '{"added": 6}'),
    ]
    assert older.rows("SELECT email_template FROM campaign_instances") == [("rates_v9",)]
