"""The view from which the sending system takes the emails of a day."""

import re
from datetime import timedelta

import pytest

from email_scheduler.clock import today
from email_scheduler.database import tables
from email_scheduler_tests.databases import Database, on_postgresql, on_sqlite

TODAY = today()


@pytest.fixture
def organisation(database: Database) -> Database:
    """Contacts 1, 2 and 3, of which 2 and 3 share an address, with a birthday email each."""
    database.insert(
        "contacts",
        {"id": 1, "email": "\t one@example.org\u2003", "phone_number": "555"},
        {"id": 2, "email": "two@example.org"},
        {"id": 3, "email": " TWO@example.org\n"},
    )
    database.run(
        """
        INSERT INTO email_schedules (id, contact_id, email_type, scheduled_send_date, status) VALUES
            (11, 1, 'birthday', '2027-01-01', 'pre-scheduled'),
            (12, 2, 'birthday', '2027-01-01', 'pre-scheduled'),
            (13, 3, 'birthday', '2027-01-02', 'pre-scheduled');
        INSERT INTO campaign_types (name) VALUES ('promo');
        INSERT INTO campaign_instances (id, campaign_type, instance_name) VALUES (7, 'promo', 'spring');
        """
    )
    return database


def _due(organisation: Database) -> list[int]:
    return [row[0] for row in organisation.query("SELECT id FROM due_emails ORDER BY id")]


def test_pre_scheduled_rows_come_with_address_and_phone_number(organisation: Database) -> None:
    columns = [*tables.email_schedules.columns.keys(), "email", "phone_number"]
    rows = organisation.rows("SELECT * FROM due_emails WHERE scheduled_send_date = '2027-01-01' ORDER BY id")
    assert list(rows[0]) == columns
    assert [(row["id"], row["email"], row["phone_number"]) for row in rows] == [
        (11, "one@example.org", "555"),
        (12, "two@example.org", None),
    ]


@pytest.mark.parametrize("status", ["skipped", "processing", "sent", "failed"])
def test_rows_of_other_statuses_are_not_due(organisation: Database, status: str) -> None:
    organisation.write("UPDATE email_schedules SET status = ? WHERE id = 11", (status,))
    assert _due(organisation) == [12, 13]


def test_rows_of_deleted_contacts_are_not_due(organisation: Database) -> None:
    organisation.write("DELETE FROM contacts WHERE id = 1")
    assert _due(organisation) == [12, 13]


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
        ("9999-12-31", False),
        ("2400-02-29", False),
        ("2399-02-29", True),
        ("0000-13-45", True),
    ],
)
def test_suppressed_contacts_get_nothing(
    organisation: Database, suppressed_at: str | None, is_in_force: bool
) -> None:
    organisation.write("INSERT INTO contact_suppressions VALUES (1, 'unsubscribed', ?)", (suppressed_at,))
    assert _due(organisation) == ([12, 13] if is_in_force else [11, 12, 13])


def test_a_suppression_counts_for_everybody_with_the_same_address(organisation: Database) -> None:
    organisation.write("INSERT INTO contact_suppressions (contact_id) VALUES (3)")
    assert _due(organisation) == [11]


@pytest.mark.parametrize("switch_off", ["FALSE", "'false'", "'0'", "' No '"])
@pytest.mark.parametrize("table", ["campaign_types", "campaign_instances"])
def test_campaigns_that_are_switched_off_are_not_due(
    organisation: Database, table: str, switch_off: str
) -> None:
    organisation.write("UPDATE email_schedules SET campaign_instance_id = 7 WHERE id = 11")
    assert _due(organisation) == [11, 12, 13]
    organisation.write(f"UPDATE {table} SET active = {switch_off}")
    assert _due(organisation) == [12, 13]


@pytest.mark.parametrize("active", ["TRUE", "'true'", "NULL", "'1'"])
def test_campaigns_that_are_active_or_do_not_say_are_due(organisation: Database, active: str) -> None:
    organisation.write("UPDATE email_schedules SET campaign_instance_id = 7 WHERE id = 11")
    organisation.write(f"UPDATE campaign_types SET active = {active}")
    organisation.write(f"UPDATE campaign_instances SET active = {active}")
    assert _due(organisation) == [11, 12, 13]


def test_emails_of_a_deleted_campaign_are_not_due(organisation: Database) -> None:
    organisation.write("UPDATE email_schedules SET campaign_instance_id = 8 WHERE id = 11")
    assert _due(organisation) == [12, 13]


@on_sqlite
@pytest.mark.parametrize("is_analysed", [False, True])
def test_the_emails_of_a_day_are_found_without_a_scan(organisation: Database, is_analysed: bool) -> None:
    organisation.run(
        """
        WITH RECURSIVE ids (id) AS (SELECT 100 UNION ALL SELECT id + 1 FROM ids WHERE id < 2100)
        INSERT INTO contacts (id, email) SELECT id, 'person' || id || '@example.org' FROM ids;
        INSERT INTO email_schedules (contact_id, email_type, scheduled_send_date, status)
            SELECT id, 'aep', date('2027-01-01', (id % 300) || ' days'), 'pre-scheduled' FROM contacts;
        """
    )
    if is_analysed:
        organisation.write("ANALYZE")
    steps = organisation.query(
        "EXPLAIN QUERY PLAN SELECT * FROM due_emails WHERE scheduled_send_date = '2027-01-01'"
    )
    details = [step[3] for step in steps]
    # scanning the few campaigns, and the contacts that were just edited, does no harm
    scans = [detail for detail in details if detail.startswith(("SCAN s", "SCAN c", "SCAN n"))]
    assert set(scans) <= {"SCAN change"}
    assert any("SEARCH schedule USING INDEX ix_email_schedules_due_date" in detail for detail in details)
    assert any("SEARCH namesake USING INDEX ix_contacts_address" in detail for detail in details)


@on_postgresql
def test_a_server_finds_the_emails_of_a_day_and_a_single_one_by_indexes(organisation: Database) -> None:
    organisation.run(
        """
        INSERT INTO contacts (id, email)
            SELECT id, 'person' || id || '@example.org' FROM generate_series(100, 12100) AS id;
        INSERT INTO email_schedules (contact_id, email_type, scheduled_send_date, status)
            SELECT id, 'aep', DATE '2027-01-01' + CAST(id % 300 AS INTEGER), 'pre-scheduled' FROM contacts;
        INSERT INTO contact_suppressions (contact_id) SELECT id FROM contacts WHERE id % 10 = 0;
        ANALYZE contacts, contact_suppressions, suppressed_addresses, email_schedules;
        """
    )

    def steps(condition: str) -> str:
        return "\n".join(
            row[0] for row in organisation.query(f"EXPLAIN SELECT id FROM due_emails WHERE {condition}")
        )

    assert "ix_email_schedules_due_date" in steps("scheduled_send_date = '2027-01-01'")
    claim = steps("id = 11 AND scheduled_send_date = '2027-01-01'")
    assert "ix_contacts_address" in claim
    assert not {f"Seq Scan on {table}" for table in ("contacts", "contact_suppressions")} & set(
        re.findall(r"Seq Scan on \w+", claim)
    )
