"""The view from which the sending system takes the emails of a day."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from email_scheduler.storage import tables
from email_scheduler.storage.schema import initialise_database

TODAY = datetime.now(UTC).date()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Contacts 1, 2 and 3, of which 2 and 3 share an address, with a birthday email each."""
    initialise_database(f"sqlite:///{tmp_path}/org.db")
    with closing(sqlite3.connect(tmp_path / "org.db")) as connection:
        connection.executescript(
            """
            INSERT INTO contacts (id, email, phone_number) VALUES
                (1, '\t one@example.org ', '555'), (2, 'two@example.org', NULL),
                (3, ' TWO@example.org\n', NULL);
            INSERT INTO email_schedules (id, contact_id, email_type, scheduled_send_date, status) VALUES
                (11, 1, 'birthday', '2027-01-01', 'pre-scheduled'),
                (12, 2, 'birthday', '2027-01-01', 'pre-scheduled'),
                (13, 3, 'birthday', '2027-01-02', 'pre-scheduled');
            INSERT INTO campaign_types (name) VALUES ('promo');
            INSERT INTO campaign_instances (id, campaign_type, instance_name) VALUES (7, 'promo', 'spring');
            """
        )
        yield connection


def _due(database: sqlite3.Connection) -> list[int]:
    return [row[0] for row in database.execute("SELECT id FROM due_emails ORDER BY id")]


def test_pre_scheduled_rows_come_with_address_and_phone_number(database: sqlite3.Connection) -> None:
    columns = [*tables.email_schedules.columns.keys(), "email", "phone_number"]
    cursor = database.execute("SELECT * FROM due_emails WHERE scheduled_send_date = '2027-01-01' ORDER BY id")
    assert [column[0] for column in cursor.description] == columns
    rows = cursor.fetchall()
    assert [(row[0], *row[-2:]) for row in rows] == [
        (11, "one@example.org", "555"),
        (12, "two@example.org", None),
    ]


@pytest.mark.parametrize("status", ["skipped", "processing", "sent", "failed"])
def test_rows_of_other_statuses_are_not_due(database: sqlite3.Connection, status: str) -> None:
    database.execute("UPDATE email_schedules SET status = ? WHERE id = 11", (status,))
    assert _due(database) == [12, 13]


def test_rows_of_deleted_contacts_are_not_due(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM contacts WHERE id = 1")
    assert _due(database) == [12, 13]


@pytest.mark.parametrize(
    ("suppressed_at", "is_in_force"),
    [
        (str(TODAY), True),
        (f"{TODAY}T23:59:59Z", True),
        ("2020-02-29 10:00:00", True),
        (None, True),
        ("", True),
        ("9999", True),
        ("9999-02-30", True),
        ("next year", True),
        (str(TODAY + timedelta(days=2)), False),
        (f"{TODAY + timedelta(days=2)} 00:00:00", False),
    ],
)
def test_suppressed_contacts_get_nothing(
    database: sqlite3.Connection, suppressed_at: str | None, is_in_force: bool
) -> None:
    database.execute("INSERT INTO contact_suppressions VALUES (1, 'unsubscribed', ?)", (suppressed_at,))
    assert _due(database) == ([12, 13] if is_in_force else [11, 12, 13])


def test_a_suppression_counts_for_everybody_with_the_same_address(database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO contact_suppressions (contact_id) VALUES (3)")
    assert _due(database) == [11]


@pytest.mark.parametrize("switch_off", ["0", "'false'", "'0'", "' No '"])
@pytest.mark.parametrize("table", ["campaign_types", "campaign_instances"])
def test_campaigns_that_are_switched_off_are_not_due(
    database: sqlite3.Connection, table: str, switch_off: str
) -> None:
    database.execute("UPDATE email_schedules SET campaign_instance_id = 7 WHERE id = 11")
    assert _due(database) == [11, 12, 13]
    database.execute(f"UPDATE {table} SET active = {switch_off}")
    assert _due(database) == [12, 13]


@pytest.mark.parametrize("active", ["1", "'true'", "NULL", "'1'"])
def test_campaigns_that_are_active_or_do_not_say_are_due(database: sqlite3.Connection, active: str) -> None:
    database.execute("UPDATE email_schedules SET campaign_instance_id = 7 WHERE id = 11")
    database.execute(f"UPDATE campaign_types SET active = {active}")
    database.execute(f"UPDATE campaign_instances SET active = {active}")
    assert _due(database) == [11, 12, 13]


def test_emails_of_a_deleted_campaign_are_not_due(database: sqlite3.Connection) -> None:
    database.execute("UPDATE email_schedules SET campaign_instance_id = 8 WHERE id = 11")
    assert _due(database) == [12, 13]


@pytest.mark.parametrize("is_analysed", [False, True])
def test_the_emails_of_a_day_are_found_without_a_scan(
    database: sqlite3.Connection, is_analysed: bool
) -> None:
    database.executescript(
        """
        WITH RECURSIVE ids (id) AS (SELECT 100 UNION ALL SELECT id + 1 FROM ids WHERE id < 2100)
        INSERT INTO contacts (id, email) SELECT id, 'person' || id || '@example.org' FROM ids;
        INSERT INTO email_schedules (contact_id, email_type, scheduled_send_date, status)
            SELECT id, 'aep', date('2027-01-01', (id % 300) || ' days'), 'pre-scheduled' FROM contacts;
        """
    )
    if is_analysed:
        database.execute("ANALYZE")
    steps = database.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM due_emails WHERE scheduled_send_date = '2027-01-01'"
    )
    details = [step[3] for step in steps]
    # scanning the few campaigns does no harm
    assert [detail for detail in details if detail.startswith(("SCAN s", "SCAN c", "SCAN n"))] == []
    assert any("SEARCH schedule USING INDEX ix_email_schedules_due_date" in detail for detail in details)
    assert any("SEARCH namesake USING INDEX ix_contacts_address" in detail for detail in details)
