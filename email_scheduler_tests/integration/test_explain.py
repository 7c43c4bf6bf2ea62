"""``email-scheduler explain``: past days, several contacts of an address, errors, JSON, the page."""

import json
import os
import shutil
import stat
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.explain.explaining import explain_contact
from email_scheduler.explain.explanation import (
    NO_EMAIL,
    NOT_KEPT,
    PLANNED,
    SKIPPED,
    TAKEN,
    ExplainedContact,
    Occurrence,
)
from email_scheduler.explain.lines import lines_of
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.builders import contact, filler_contacts, inputs, suppression
from email_scheduler_tests.canary import ADDRESS, BIRTH_DATE, CONTACT, CONTACT_ID
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.databases import SqliteDatabase, initialised_sqlite
from email_scheduler_tests.integration.test_random_organisations import fill

FIRST, SECOND = date(2026, 11, 23), date(2026, 11, 24)
QUIET = {"audit": {"enable_pit_backups": False}}
BEFORE = SchedulerConfig.model_validate(QUIET)
AFTER = SchedulerConfig.model_validate({**QUIET, "timing_constants": {"effective_date_days_before": 20}})
MOVED, SENT, HELD_BACK, SUPPRESSED = 1, 2, 3, 4


@pytest.fixture(scope="module")
def planned_twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two plans; between them a birth date is corrected, an email sent, one contact suppressed.

    The configuration changes, too.
    """
    directory = tmp_path_factory.mktemp("planned_twice")
    database = initialised_sqlite(directory / "template.db", directory / "org.db")
    organisation = inputs(
        FIRST,
        [
            contact(MOVED, "75001", "1950-03-10", "2019-06-01"),
            contact(SENT, "75001", "1950-12-07"),
            contact(HELD_BACK, "2134", "1950-05-20", email="Shared@example.com"),
            contact(SUPPRESSED, "90210", "1948-02-10", email=" shared@EXAMPLE.com "),
            *filler_contacts(300),
        ],
        suppressions=[suppression(9, "2026-01-01")],
    )
    fill(database, organisation)
    plan_and_publish(database.url, BEFORE, FIRST)
    database.write("UPDATE contacts SET birth_date = '1950-03-12' WHERE id = ?", (MOVED,))
    database.write(
        "UPDATE email_schedules SET status = 'sent', actual_send_datetime = '2026-11-23T08:30:00'"
        " WHERE contact_id = ? AND email_type = 'birthday'",
        (SENT,),
    )
    database.insert(
        "contact_suppressions",
        {"contact_id": SUPPRESSED, "reason": "unsubscribed", "suppressed_at": "2026-11-25T01:00:00"},
    )
    plan_and_publish(database.url, AFTER, SECOND)
    return database.path


@pytest.fixture
def url(planned_twice: Path, tmp_path: Path) -> str:
    """A copy of it."""
    shutil.copyfile(planned_twice, tmp_path / "copy.db")
    return f"sqlite:///{tmp_path / 'copy.db'}"


def explained(url: str, contact_id: int, day: date, config: SchedulerConfig = AFTER) -> ExplainedContact:
    (found,) = explain_contact(url, config, contact_id, day).contacts
    return found


def emails(found: ExplainedContact, email_type: str) -> list[Occurrence]:
    return [each for each in found.explanation.occurrences if each.email_type.startswith(email_type)]


def send_date(one: Occurrence) -> date | None:
    assert one.plan_row is not None
    return one.plan_row.row.scheduled_send_date


def test_a_row_that_has_left_the_plan_is_told_from_the_archive(url: str) -> None:
    now = emails(explained(url, MOVED, SECOND), "birthday")
    assert [(each.outcome, each.event_date, send_date(each)) for each in now] == [
        (PLANNED, date(2027, 3, 12), date(2027, 2, 26))
    ]
    then = explained(url, MOVED, FIRST)
    assert not then.plan.is_last
    planned = [each for each in emails(then, "birthday") if each.outcome == PLANNED]
    (birthday,) = planned
    assert (birthday.event_date, send_date(birthday)) == (date(2027, 3, 10), date(2027, 2, 24))
    assert birthday.plan_row.row.archived_as_of == SECOND
    # of the birth date of then nothing is kept, and nothing is guessed
    (other,) = [each for each in emails(then, "birthday") if each.outcome != PLANNED]
    assert (other.outcome, other.reason, other.event_date) == (NO_EMAIL, "not_in_plan", date(2027, 3, 12))


def test_a_row_that_was_changed_in_place_is_said_to_be_lost(url: str) -> None:
    (now,) = emails(explained(url, MOVED, SECOND), "effective_date")
    assert (now.outcome, send_date(now)) == (PLANNED, date(2027, 5, 12))
    (then,) = emails(explained(url, MOVED, FIRST), "effective_date")
    assert (then.outcome, then.plan_row.status, then.reason) == (NOT_KEPT, None, None)
    assert then.plan_row.changed_by.startswith("plan-2026-11-24-")
    (aep,) = emails(explained(url, MOVED, FIRST), "aep")
    assert (aep.outcome, send_date(aep)) == (PLANNED, date(2027, 9, 15))


def test_a_plan_is_told_with_the_configuration_that_it_was_made_with(url: str) -> None:
    then, now = explained(url, MOVED, FIRST), explained(url, MOVED, SECOND)
    assert (then.plan.config_version, now.plan.config_version) == (1, 2)
    assert then.plan.changed_keys == ("timing_constants.effective_date_days_before",)
    assert now.plan.changed_keys == ()
    (effective,) = emails(explained(url, MOVED, SECOND, config=BEFORE), "effective_date")
    assert effective.ideal_send_date == date(2027, 5, 12)


def test_an_email_that_was_sent_later_is_planned_on_the_day_before(url: str) -> None:
    then, now = explained(url, SENT, FIRST), explained(url, SENT, SECOND)
    (birthday,) = emails(then, "birthday")
    assert (birthday.outcome, birthday.plan_row.status, birthday.plan_row.taken_as) == (
        TAKEN,
        "pre-scheduled",
        "sent",
    )
    (follow_up,) = emails(then, "followup_")
    assert follow_up.reason == "nothing_to_follow_up"
    (birthday,) = emails(now, "birthday")
    assert (birthday.outcome, birthday.reason) == (TAKEN, "handled")
    (follow_up,) = emails(now, "followup_")
    assert (follow_up.outcome, send_date(follow_up)) == (PLANNED, date(2026, 11, 25))
    number = follow_up.plan_row.row.initial_email_id
    did = "clicked: no, answered: no, has conditions: no"
    assert follow_up.notes == (f"It follows the birthday email, row {number}; {did}.",)
    assert birthday.answered_by == (follow_up.plan_row.row.initial_email_id,)


def test_a_suppression_of_another_contact_with_the_address_is_told(url: str) -> None:
    for contact_id in (HELD_BACK, SUPPRESSED):
        found = explained(url, contact_id, SECOND).explanation
        assert [each.issue for each in found.contact.findings] == ["suppressed"]
        assert [each.contact_id for each in found.contact.suppressions] == [SUPPRESSED]
        assert found.occurrences == ()
    then = explained(url, HELD_BACK, FIRST).explanation
    assert (then.contact.state, then.contact.zip_read, then.contact.is_valid) == ("MA", "02134", True)
    assert then.contact.same_address == (SUPPRESSED,)
    (birthday,) = [each for each in then.occurrences if each.email_type == "birthday"]
    assert (birthday.outcome, birthday.reason) == (SKIPPED, "Year-round exclusion in MA")
    assert birthday.rule.setting == "state_rules.year_round_exclusion"
    assert birthday.next_date.date is None
    assert then.next_allowed is None


def test_a_state_that_is_closed_all_year_says_where_that_is_written(sqlite_database: SqliteDatabase) -> None:
    states = ["NY", {"state": "MA", "source": "Massachusetts, a statute"}]
    config = SchedulerConfig.model_validate({**QUIET, "state_rules": {"year_round_exclusion": states}})
    fill(
        sqlite_database,
        inputs(FIRST, [contact(1, "02134", "1950-05-20"), contact(2, "10001", "1950-05-20")]),
    )
    plan_and_publish(sqlite_database.url, config, FIRST)
    for contact_id, source in ((1, "Massachusetts, a statute"), (2, None)):
        found = explained(sqlite_database.url, contact_id, FIRST, config)
        (birthday,) = emails(found, "birthday")
        assert birthday.rule.source == source
        assert [each.rule.source for each in found.explanation.windows] == [source]
    # the configuration that the plan was made with comes back from the database, with its sources
    assert found.plan.changed_keys == ()


def test_a_skipped_email_says_when_it_is_made_up_for(url: str) -> None:
    found = explained(url, SUPPRESSED, FIRST)
    (birthday,) = emails(found, "birthday")
    assert (birthday.reason, birthday.next_date.date) == (
        "Birthday exclusion window in CA",
        date(2027, 4, 12),
    )
    (post_window,) = emails(found, "post_window")
    assert ("birthday", date(2027, 2, 10)) in post_window.makes_up_for
    assert send_date(post_window) == date(2027, 4, 12)


def test_a_campaign_that_windows_do_not_stop_says_so(url: str) -> None:
    database = SqliteDatabase(Path(url.removeprefix("sqlite:///")))
    database.insert(
        "campaign_types",
        {"name": "initial_blast", "respect_exclusion_windows": False},
    )
    database.insert(
        "campaign_instances",
        {
            "id": 5,
            "campaign_type": "initial_blast",
            "instance_name": "hello",
            "active_start_date": "2026-12-01",
        },
    )
    database.insert("contact_campaigns", {"contact_id": MOVED, "campaign_instance_id": 5})
    plan_and_publish(url, AFTER, SECOND)
    found = explained(url, MOVED, SECOND)
    (blast,) = emails(found, "campaign_")
    assert (send_date(blast), blast.is_window_bound) == (date(2026, 12, 1), False)
    said = "Exclusion windows do not stop it: respect_exclusion_windows of campaign instance 5"
    assert dict(lines_of(blast))["windows"].startswith(said)
    (birthday,) = emails(found, "birthday")
    assert "windows" not in dict(lines_of(birthday))


def test_a_day_before_all_plans_is_refused_with_the_days_that_are_kept(url: str) -> None:
    with pytest.raises(UsageError, match=r"2026-11-22 or before .* from 2026-11-23 to 2026-11-24"):
        explain_contact(url, AFTER, MOVED, date(2026, 11, 22))


def test_what_a_stopped_run_has_written_is_told_as_its_plan(url: str) -> None:
    database = SqliteDatabase(Path(url.removeprefix("sqlite:///")))
    database.insert(
        "scheduler_checkpoints",
        {
            "scheduler_run_id": "plan-stopped",
            "as_of_date": "2026-11-25",
            "run_timestamp": "2099-11-25T11:00:00+00:00",
            "config_version_id": 2,
            "status": "failed",
        },
    )
    database.write(
        "UPDATE email_schedules SET scheduler_run_id = 'plan-stopped' WHERE contact_id = ?", (MOVED,)
    )
    found = explained(url, MOVED, date(2026, 11, 25))
    assert (found.plan.run_id, found.plan.is_completed) == ("plan-stopped", False)
    assert {each.outcome for each in found.explanation.occurrences} == {PLANNED, NO_EMAIL}
    # others have the plan before, and so had this one on the day before
    assert explained(url, SENT, date(2026, 11, 25)).plan.as_of == SECOND
    before = explained(url, MOVED, SECOND)
    assert before.plan.as_of == SECOND
    assert {each.outcome for each in before.explanation.occurrences} == {NOT_KEPT, NO_EMAIL}


def test_a_contact_changed_since_the_plan_is_not_told_otherwise_than_its_row(
    url: str,
) -> None:
    SqliteDatabase(Path(url.removeprefix("sqlite:///"))).write(
        "UPDATE contacts SET zip_code = '10001' WHERE id = ?", (MOVED,)
    )
    (birthday,) = emails(explained(url, MOVED, SECOND), "birthday")
    assert (birthday.outcome, send_date(birthday)) == (PLANNED, date(2027, 2, 26))
    assert "has changed since the plan was made" in birthday.notes[0]


# -- the command -----------------------------------------------------------------------------------------

Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return partial(run_command, monkeypatch, capsys, "explain")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--contact", "99"], "there is no contact 99"),
        (["--email", "nobody@example.com"], "no contact has the address that is given"),
        ([], "either --contact ID or --email ADDRESS"),
        (["--contact", "1", "--email", "x@y.zz"], "either --contact ID or --email ADDRESS"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    command: Command, url: str, arguments: list[str], said: str
) -> None:
    code, out, err = command("--database", url, "--as-of", "2026-11-24", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert said in err
    assert "nobody@" not in err


def test_without_a_plan_it_says_how_to_make_one(command: Command, sqlite_database: SqliteDatabase) -> None:
    sqlite_database.insert("contacts", {"id": 1})
    code, _, err = command("--database", sqlite_database.url, "--contact", "1")
    assert code == 2
    assert "nor for any other day: email-scheduler plan makes one" in err


def test_all_contacts_of_an_address_are_told_on_80_columns_in_ascii(command: Command, url: str) -> None:
    code, out, err = command("--database", url, "--email", "SHARED@example.com ", "--as-of", "2026-11-23")
    assert (code, err) == (0, "")
    assert "2 contacts have this address: 3, 4." in out
    assert "Birthday exclusion window in CA" in out
    assert max(map(len, out.splitlines())) <= 80
    assert out.replace("─", "-").isascii()


def keys_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: keys_of(item) for key, item in value.items()}
    return [keys_of(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def test_the_fields_of_the_json_are_those_that_are_documented(command: Command, url: str) -> None:
    code, out, _ = command("--database", url, "--contact", "4", "--as-of", "2026-11-23", "--json")
    answer = json.loads(out)
    assert code == 0
    assert set(answer) == {"asked_for", "contacts", "hold"}
    (found,) = answer["contacts"]
    fields = keys_of(found)
    assert set(fields) == {"plan", "explanation"}
    assert set(fields["plan"]) == {
        *("run_id", "as_of", "completed_at", "is_completed", "is_last", "config_version"),
        *("config_valid_from", "config_created_by", "config_problem", "changed_keys"),
        "accepted_loss",
    }
    assert set(fields["explanation"]) == {
        *("contact", "as_of", "first_day", "last_day", "windows", "occurrences", "history", "behaviour"),
        *("left_plan", "next_email", "next_allowed", "notes"),
    }
    (occurrence,) = fields["explanation"]["occurrences"]
    assert set(occurrence) == {
        *("email_type", "campaign_instance_id", "campaign_name", "event_date", "ideal_send_date"),
        *("deadline", "outcome", "reason", "meaning", "section", "base_dates", "first_date", "last_date"),
        *("rule", "plan_row", "answered_by", "counted", "makes_up_for", "next_date"),
        *("is_window_bound", "notes"),
    }
    (birthday,) = [o for o in found["explanation"]["occurrences"] if o["email_type"] == "birthday"]
    assert birthday["ideal_send_date"] == "2027-01-27"
    assert birthday["plan_row"]["row"]["skip_reason"] == "Birthday exclusion window in CA"


def test_nothing_of_a_person_is_logged_and_the_page_is_the_owners_alone(
    command: Command, sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    sqlite_database.insert("contacts", CONTACT)
    plan_and_publish(sqlite_database.url, BEFORE, FIRST)
    config, log, page = tmp_path / "config.yaml", tmp_path / "log.txt", tmp_path / "page.html"
    config.write_text(f"logging:\n  file: {log}\n  level: DEBUG\n")
    os.umask(0o022)
    options = ("--database", sqlite_database.url, "--config", str(config), "--as-of", "2026-11-23")
    code, out, err = command(*options, "--email", ADDRESS, "--html", str(page))
    assert (code, err) == (0, "")
    assert str(CONTACT_ID) in page.read_text()
    assert BIRTH_DATE in page.read_text()
    assert ADDRESS not in page.read_text().lower()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    for text in (log.read_text(), out):
        assert not any(secret in text for secret in (ADDRESS, BIRTH_DATE, CONTACT["last_name"]))
    code, _, err = command(
        *options, "--contact", str(CONTACT_ID), "--html", str(tmp_path / "no" / "page.html")
    )
    assert code == 2
    assert "cannot be written; accepted is a file in a directory that is there" in err
