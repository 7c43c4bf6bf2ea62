"""Addresses that must not be written to: the commands, and the triggers that note and free them."""

import json
from datetime import date
from pathlib import Path

import pytest

from email_scheduler.clock import today
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.contacts.suppressions import suppress_file, suppress_one, unsuppress
from email_scheduler.database.csv_files import BadLinesError
from email_scheduler.errors import UsageError
from email_scheduler.explain.explaining import explain_contact
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.databases import Database
from email_scheduler_tests.integration.conftest import Command

CONFIG = SchedulerConfig.model_validate({"audit": {"enable_pit_backups": False}})
# what is suppressed now counts for the plan of today
AS_OF = today()


@pytest.fixture
def agency(database: Database) -> Database:
    """Three Texans, and their plan."""
    for number, email in ((1, "ann@example.com"), (2, "JÜRGEN@Example.com"), (3, "kim@example.com")):
        person = {"id": number, "email": email, "zip_code": "75001", "birth_date": "1950-03-10"}
        database.insert("contacts", person)
    plan_and_publish(database.url, CONFIG, AS_OF)
    assert due(database) == {1, 2, 3}
    return database


def due(database: Database) -> set[int]:
    return {row[0] for row in database.query("SELECT contact_id FROM due_emails")}


def listed(database: Database) -> list[tuple[object, ...]]:
    return database.query(
        "SELECT address, reason, suppressed_until, contact_id FROM suppressed_addresses ORDER BY address"
    )


def written(directory: Path, text: str) -> Path:
    path = directory / "addresses.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("spelling", ["jürgen@example.com", "ju\u0308rgen@EXAMPLE.com", "JÜRGEN@Example.com"])
def test_an_address_is_suppressed_at_once_in_all_its_spellings(agency: Database, spelling: str) -> None:
    suppress_one(agency.url, CONFIG, f" {spelling}", "asked by telephone", None)
    assert due(agency) == {1, 3}
    assert listed(agency) == [(spelling, "asked by telephone", None, None)]
    plan_and_publish(agency.url, CONFIG, AS_OF)
    assert agency.query("SELECT DISTINCT contact_id FROM email_schedules ORDER BY 1") == [(1,), (3,)]


def test_a_file_of_addresses_is_taken_with_its_reasons_and_last_days(
    agency: Database, tmp_path: Path
) -> None:
    lines = ["sep=;", "E-Mail;Until;Reason;note", "KIM@example.com;2099-01-31 10:00;bounced;x", "x@y.de;;;"]
    path = written(tmp_path, "\n".join([*lines, "KIM@example.com;;;", ""]))
    tried = suppress_file(agency.url, CONFIG, path, "a list", None, dry_run=True)
    assert (tried.added, tried.known, tried.repeated, tried.ignored) == (2, 0, 1, ["note"])
    assert listed(agency) == []
    done = suppress_file(agency.url, CONFIG, path, "a list", None)
    assert (done.added, done.known, done.repeated) == (2, 0, 1)
    assert listed(agency) == [
        ("KIM@example.com", "bounced", "2099-01-31", None),
        ("x@y.de", "a list", None, None),
    ]
    assert due(agency) == {1, 2}
    again = suppress_file(agency.url, CONFIG, path, "a list", None)
    assert (again.added, again.known) == (0, 2)


def test_a_line_that_is_no_address_is_told_and_nothing_is_changed(agency: Database, tmp_path: Path) -> None:
    path = written(tmp_path, "email,until\n<ann@example.com>,\nkim@example.com,31.1.2027\nann@example.com,\n")
    with pytest.raises(BadLinesError) as error:
        suppress_file(agency.url, CONFIG, path, "a list", None)
    assert [(line, column) for line, column, _ in error.value.bad_lines] == [(2, "email"), (3, "until")]
    assert listed(agency) == []
    done = suppress_file(agency.url, CONFIG, path, "a list", None, skip_bad=True)
    assert (done.added, done.bad_lines.count()) == (1, 2)
    assert due(agency) == {2, 3}


def test_a_list_never_weakens_what_is_suppressed(agency: Database, tmp_path: Path) -> None:
    suppress_one(agency.url, CONFIG, "ann@example.com", "for good", None)
    suppress_one(agency.url, CONFIG, "kim@example.com", "for a while", date(2099, 1, 31))
    path = written(tmp_path, "email,until\nann@example.com,2099-06-30\nkim@example.com,2099-06-30\n")
    suppress_file(agency.url, CONFIG, path, None, None)
    assert listed(agency) == [
        ("ann@example.com", "for good", None, None),
        ("kim@example.com", "for a while", "2099-06-30", None),
    ]


def test_an_address_of_a_list_stays_when_the_contact_is_free_again(agency: Database) -> None:
    agency.insert("contact_suppressions", {"contact_id": 1, "reason": "unsubscribed"})
    assert listed(agency) == [("ann@example.com", "unsubscribed", None, 1)]
    suppress_one(agency.url, CONFIG, "ann@example.com", "bounced", None)
    agency.write("DELETE FROM contact_suppressions WHERE contact_id = 1")
    assert listed(agency) == [("ann@example.com", "bounced", None, None)]
    assert due(agency) == {2, 3}


def test_a_contact_that_is_free_again_leaves_the_address_to_another_one_that_is_not(agency: Database) -> None:
    agency.insert("contacts", {"id": 4, "email": "ANN@example.com"})
    for contact_id in (1, 4):
        agency.insert("contact_suppressions", {"contact_id": contact_id, "reason": "unsubscribed"})
    agency.write("DELETE FROM contact_suppressions WHERE contact_id = 1")
    assert sorted(row[3] for row in listed(agency)) == [4, 4]
    agency.write("UPDATE contacts SET email = 'other@example.com' WHERE id = 4")
    plan_and_publish(agency.url, CONFIG, AS_OF)
    assert due(agency) == {2, 3}
    agency.write("DELETE FROM contact_suppressions WHERE contact_id = 4")
    assert listed(agency) == []


def test_whoever_is_free_again_is_so_by_contact_and_by_address(agency: Database) -> None:
    agency.insert("contact_suppressions", {"contact_id": 2, "reason": "unsubscribed"})
    suppress_one(agency.url, CONFIG, "jürgen@example.com", "bounced", None)
    tried = unsuppress(agency.url, CONFIG, "JÜRGEN@EXAMPLE.COM", dry_run=True)
    assert (tried.addresses, tried.contacts, due(agency)) == (2, [2], {1, 3})
    assert unsuppress(agency.url, CONFIG, "JÜRGEN@EXAMPLE.COM") == tried
    assert listed(agency) == []
    assert due(agency) == {1, 2, 3}
    with pytest.raises(UsageError, match="this address is not suppressed"):
        unsuppress(agency.url, CONFIG, "JÜRGEN@EXAMPLE.COM")


def test_the_commands_say_what_they_did_and_never_an_address(
    agency: Database, command: Command, tmp_path: Path
) -> None:
    place = ("--database", agency.url)
    for arguments, message in (
        (("suppress", *place), "either --email ADDRESS or --csv FILE"),
        (("suppress", "--email", "ann@example.com", *place), "--reason is missing"),
        (("suppress", "--email", "ann", "--reason", "x", *place), "not an address"),
    ):
        with pytest.raises(RuntimeError, match=message):
            command(*arguments)
    said = command("suppress", "--email", "ann@example.com", "--reason", "asked", *place, "--json")
    assert json.loads(said)["added"] == 1
    agency.insert("contact_suppressions", {"contact_id": 9, "reason": "unsubscribed"})
    file = tmp_path / "suppressed.csv"
    printed = command("suppressions", "list", "--csv", str(file), *place)
    assert "1 of which are in no row of contacts" in " ".join(printed.split())
    assert "ann@" not in printed
    assert file.read_text(encoding="utf-8").splitlines()[1].startswith("ann@example.com,asked,")
    assert json.loads(command("suppressions", "list", *place, "--json"))["reasons"] == [
        {"reason": "asked", "of_lists": 1, "of_contacts": 0}
    ]


def test_explain_says_that_the_address_is_suppressed_and_that_a_contact_was_edited(agency: Database) -> None:
    suppress_one(agency.url, CONFIG, "KIM@example.com", "bounced", date(2099, 6, 30))
    agency.write("UPDATE contacts SET zip_code = '10001' WHERE id = 1")
    (found,) = explain_contact(agency.url, CONFIG, 3, AS_OF).contacts
    (reason,) = found.explanation.contact.suppressions
    assert (reason.contact_id, reason.reason, reason.is_of_address) == (None, "bounced", True)
    assert [each.issue for each in found.explanation.contact.findings] == ["suppressed"]
    (edited,) = explain_contact(agency.url, CONFIG, 1, AS_OF).contacts
    assert any("was edited" in note for note in edited.explanation.notes)
    plan_and_publish(agency.url, CONFIG, AS_OF)
    (planned,) = explain_contact(agency.url, CONFIG, 1, AS_OF).contacts
    assert not any("was edited" in note for note in planned.explanation.notes)
