"""Contacts with new ids: everything that is stored about the old ones follows, or nothing does."""

import json
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.contacts.rekey import (
    BOTH_SENT,
    BOTH_SUPPRESSED,
    BOTH_TARGETS,
    SAME_ID,
    STILL_THERE,
    TWICE,
    Rekeyed,
    rekey_contacts,
)
from email_scheduler.database.csv_files import ACCEPTED_ID, BadLinesError
from email_scheduler.database.line_import import UNKNOWN_CONTACT
from email_scheduler.database.tables import metadata
from email_scheduler.errors import UsageError
from email_scheduler_tests.databases import Database
from email_scheduler_tests.integration.conftest import Command

CONFIG = SchedulerConfig()
TABLES = [
    each for each in metadata.sorted_tables if "contact_id" in each.c and each.name != "contact_changes"
]
EVENT = {"email_type": "birthday", "event_year": 2026, "event_month": 12, "event_day": 7}


def email(contact_id: int, status: str, number: int, **values: object) -> dict[str, object]:
    return {
        "id": number,
        "contact_id": contact_id,
        "status": status,
        "ideal_send_date": "2026-11-23",
        "scheduled_send_date": "2026-11-23",
        **EVENT,
        **values,
    }


@pytest.fixture
def agency(database: Database) -> Database:
    """The contacts 110, 111 and 112 are loaded; what is stored is about 10, 11 and 12."""
    database.insert("contacts", *({"id": number, "email": f"{number}@b.co"} for number in (110, 111, 112)))
    database.insert("campaign_types", {"name": "promo"})
    database.insert("campaign_instances", {"id": 1, "campaign_type": "promo", "instance_name": "spring"})
    for number in (10, 11):
        database.insert("email_schedules", email(number, "sent", number))
        database.insert(
            "contact_campaigns",
            {"contact_id": number, "campaign_instance_id": 1, "trigger_date": "2027-03-01", "status": "sent"},
        )
        database.insert("tracking_clicks", {"contact_id": number, "clicked_at": "2026-11-24"})
        database.insert("contact_events", {"contact_id": number, "event_type": "x"})
        database.insert("followup_processing_log", {"contact_id": number})
        database.insert("contact_issues", {"contact_id": number, "field": "email", "issue": "missing_email"})
    database.insert("email_schedules_archive", {**email(10, "skipped", 5), "archived_at": "2026-11-01"})
    database.insert("contact_suppressions", {"contact_id": 11, "reason": "unsubscribed"})
    return database


def rekeyed(database: Database, directory: Path, text: str, **options: Any) -> Rekeyed:
    path = directory / "ids.csv"
    path.write_text(text, encoding="utf-8")
    return rekey_contacts(database.url, CONFIG, path, changed_by="anna", **options)


def named(database: Database) -> dict[str, list[int]]:
    """Return the contacts that each table names."""
    found = {
        each.name: [row[0] for row in database.query(f"SELECT contact_id FROM {each.name} ORDER BY 1")]
        for each in TABLES
    }
    return {name: ids for name, ids in found.items() if ids}


def test_everything_that_is_stored_about_a_contact_follows_its_id(agency: Database, tmp_path: Path) -> None:
    done = rekeyed(agency, tmp_path, "old_id,new_id\n10,110\n11.0,111\n12,112\n")
    assert done.contacts == 3
    assert named(agency) == {
        "email_schedules": [110, 111],
        "email_schedules_archive": [110],
        "contact_campaigns": [110, 111],
        "tracking_clicks": [110, 111],
        "contact_events": [110, 111],
        "followup_processing_log": [110, 111],
        "contact_issues": [110, 111],
        "contact_suppressions": [111],
        "suppressed_addresses": [111],
    }
    # the address of 111 is suppressed since its suppression has arrived
    carried = {name: len(ids) for name, ids in named(agency).items() if name != "suppressed_addresses"}
    assert done.rows == carried
    assert [row[0] for row in agency.query("SELECT id FROM contacts ORDER BY id")] == [110, 111, 112]


def test_a_dry_run_tells_the_same_and_changes_nothing(agency: Database, tmp_path: Path) -> None:
    before = named(agency)
    promised = rekeyed(agency, tmp_path, "old_id,new_id\n10,110\n11,111\n", is_dry_run=True)
    assert named(agency) == before
    assert rekeyed(agency, tmp_path, "old_id,new_id\n10,110\n11,111\n") == promised


def test_ids_may_change_hands_in_a_chain_or_in_a_ring(agency: Database, tmp_path: Path) -> None:
    agency.insert("contacts", {"id": 11}, {"id": 10})
    agency.insert("contact_suppressions", {"contact_id": 10, "reason": "bounced"})
    rekeyed(agency, tmp_path, "New ID;Old ID\n11;10\n10;11\n")
    assert agency.query("SELECT contact_id, reason FROM contact_suppressions ORDER BY 1") == [
        (10, "unsubscribed"),
        (11, "bounced"),
    ]
    assert agency.query("SELECT id, contact_id FROM email_schedules ORDER BY 1") == [(10, 11), (11, 10)]
    agency.write("DELETE FROM contacts WHERE id = 10")
    rekeyed(agency, tmp_path, "old_id,new_id\n10,11\n11,112\n")
    assert agency.query("SELECT id, contact_id FROM email_schedules ORDER BY 1") == [(10, 112), (11, 11)]


def test_a_planned_row_gives_way_to_what_was_sent_and_goes_to_the_archive(
    agency: Database, tmp_path: Path
) -> None:
    agency.insert(
        "email_schedules",
        email(110, "pre-scheduled", 50),
        email(110, "skipped", 51, event_year=2027),
        email(11, "pre-scheduled", 52, event_year=2027),
        email(111, "sent", 53, event_year=2027),
        email(110, "pre-scheduled", 54, email_type="campaign_promo", campaign_instance_id=1),
    )
    done = rekeyed(agency, tmp_path, "old_id,new_id\n10,110\n11,111\n")
    assert done.archived == 2
    assert agency.query("SELECT id, contact_id, status FROM email_schedules ORDER BY id") == [
        (10, 110, "sent"),
        (11, 111, "sent"),
        (51, 110, "skipped"),
        (53, 111, "sent"),
        (54, 110, "pre-scheduled"),
    ]
    archived = agency.query("SELECT id, contact_id FROM email_schedules_archive WHERE id > 5 ORDER BY id")
    assert archived == [(50, 110), (52, 111)]


def test_conflicts_are_refused_by_line_and_nothing_is_changed(agency: Database, tmp_path: Path) -> None:
    agency.insert("contacts", {"id": 13}, {"id": 113}, {"id": 114}, {"id": 115})
    agency.insert("email_schedules", email(14, "sent", 60), email(114, "failed", 61))
    agency.insert(
        "contact_campaigns",
        {"contact_id": 110, "campaign_instance_id": 1, "trigger_date": "2027-03-01", "status": "pending"},
    )
    agency.insert("contact_suppressions", {"contact_id": 111})
    before = named(agency)
    text = "old_id,new_id\nx,112\n,112\n9,9\n10,110\n11,111\n12,999\n13,113\n14,114\n15,115\n15,112\n16,115\n"
    with pytest.raises(BadLinesError) as error:
        rekeyed(agency, tmp_path, text)
    assert list(error.value.bad_lines) == [
        (2, "old_id", ACCEPTED_ID),
        (3, "old_id", ACCEPTED_ID),
        (4, "new_id", SAME_ID),
        (5, "new_id", BOTH_TARGETS),
        (6, "new_id", BOTH_SUPPRESSED),
        (7, "new_id", UNKNOWN_CONTACT),
        (8, "old_id", STILL_THERE),
        (9, "new_id", BOTH_SENT),
        (11, "old_id", f"the old id {TWICE}"),
        (12, "new_id", f"the new id {TWICE}"),
    ]
    assert "--skip-bad" not in str(error.value)
    assert named(agency) == before


@pytest.mark.parametrize("heading", ["old_id,id", "old_id,new_id,New ID", "10,110"])
def test_a_file_without_the_two_columns_is_refused(agency: Database, tmp_path: Path, heading: str) -> None:
    with pytest.raises(UsageError, match="not one column old_id and one column new_id"):
        rekeyed(agency, tmp_path, f"{heading}\n")


def test_who_did_it_and_why_is_on_record(database: Database, tmp_path: Path) -> None:
    database.insert("contacts", {"id": 110}, {"id": 111})
    rekeyed(database, tmp_path, "old_id,new_id\n11,111\n10,110\n", reason="a new CRM")
    rekeyed(database, tmp_path, "old_id,new_id\n9,110\n")
    rows = "SELECT old_contact_id, new_contact_id, rekeyed_by, reason FROM contact_rekeys ORDER BY id"
    assert database.query(rows) == [
        (11, 111, "anna", "a new CRM"),
        (10, 110, "anna", "a new CRM"),
        (9, 110, "anna", None),
    ]


def test_the_command_tells_what_was_carried_over(agency: Database, tmp_path: Path, command: Command) -> None:
    path = tmp_path / "ids.csv"
    path.write_text("old_id,new_id\n11,111\n", encoding="utf-8")
    rekey = ("contacts", "rekey", "--database", agency.url, "--csv", str(path), "--by", "anna")
    shown = command(*rekey, "--dry-run").splitlines()
    assert shown[:2] == ["Contacts with new ids: 1", "Rows carried over:"]
    assert "  contact_suppressions: 1" in shown
    assert shown[-1] == "This was a dry run: nothing was changed."
    document = json.loads(command(*rekey, "--json"))
    assert (document["contacts"], document["rows"]["email_schedules"], document["archived"]) == (1, 1, 0)
