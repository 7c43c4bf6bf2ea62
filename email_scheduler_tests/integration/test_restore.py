"""Restoring a backup: the plan is that of the backup again, and nothing goes out twice because of it."""

import subprocess
import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.backups import restore
from email_scheduler.database.backups.backup_files import Backup, backup_directory, finished_backups
from email_scheduler.database.backups.make_backup import create_backup
from email_scheduler.database.backups.replace_file import ReplacedFile, replace_file
from email_scheduler.database.backups.restore import Restored, restore_backup
from email_scheduler.database.holds import release_organization
from email_scheduler.database.lock import planner_lock
from email_scheduler.errors import BackupError, PlannerLockedError
from email_scheduler.health.figures import pending_changes
from email_scheduler.planning_run import plan_and_publish
from email_scheduler.sample.sample_data import generate_sample
from email_scheduler_tests.databases import Database, on_postgresql, on_sqlite
from email_scheduler_tests.reference_sender import Email, Sender

MONDAY = date(2026, 11, 23)
CONFIG = SchedulerConfig.model_validate(
    {
        "processing": {"batch_size": 50, "retry_delay": 0},
        "features": {"enable_load_balancing": False},
        "audit": {"enable_pit_backups": False},
    }
)


class Organisation:
    """A database, its planner and its sender. A day is a number of days after Monday.

    Attributes:
        outbox: What the provider was given, in order.
    """

    def __init__(self, database: Database) -> None:
        self.url, self.query, self.write = database.url, database.query, database.write
        self.insert = database.insert
        self.outbox: list[Email] = []

    def plan(self, day: int) -> None:
        plan_and_publish(self.url, CONFIG, MONDAY + timedelta(days=day), allow_older=True)

    def send(self, day: int, most: int | None = None) -> None:
        """Send what is due on a day; after ``most`` emails the sender crashes while the provider has one."""
        moment = datetime(2026, 11, 23, 18, 0, tzinfo=UTC) + timedelta(days=day)

        class CrashError(BaseException):
            pass

        count = 0

        def deliver(email: Email) -> None:
            nonlocal count
            self.outbox.append(email)
            count += 1
            if count == most:
                raise CrashError

        with suppress(CrashError):
            Sender(self.url, deliver, lambda: moment).send_due_emails()

    def backup(self) -> str:
        return create_backup(self.url, CONFIG).name

    def restore(self, name: str, config: SchedulerConfig = CONFIG) -> Restored:
        directory = backup_directory(self.url, config)
        (found,) = (each for each in finished_backups(directory) if each.name == name)
        return restore_backup(self.url, config, directory, found, restored_by="somebody")

    def release(self) -> None:
        release_organization(self.url, "looked at", config=CONFIG)

    def planned(self) -> dict[int, tuple[object, ...]]:
        rows = self.query(
            "SELECT id, contact_id, email_type, status, CAST(scheduled_send_date AS TEXT), priority,"
            " CAST(metadata AS TEXT), CAST(updated_at AS TEXT) FROM email_schedules"
            " WHERE status IN ('pre-scheduled', 'skipped')"
        )
        return {row[0]: row for row in rows}

    def of_sender(self) -> dict[int, object]:
        return dict(
            self.query(
                "SELECT id, status FROM email_schedules WHERE status NOT IN ('pre-scheduled', 'skipped')"
            )
        )

    def assert_nothing_went_out_twice(self) -> None:
        assert max(Counter(email.id for email in self.outbox).values()) == 1
        occurrences = self.query(
            "SELECT count(*), contact_id, email_type, event_year, event_month, event_day,"
            " campaign_instance_id, initial_email_id FROM email_schedules"
            " WHERE status NOT IN ('pre-scheduled', 'skipped') AND ideal_send_date IS NOT NULL"
            " GROUP BY 2, 3, 4, 5, 6, 7, 8 HAVING count(*) > 1"
        )
        assert occurrences == []
        # and nobody forgot that it went out
        assert {email.id for email in self.outbox} <= set(self.of_sender())


@pytest.fixture
def organisation(database: Database) -> Organisation:
    """Contacts 1 to 3 with birthdays in December and a plan for Monday, on which two of them are due."""
    database.insert(
        "contacts",
        *(
            {"id": n, "email": f"c{n}@example.com", "zip_code": "75001", "birth_date": f"1950-12-{day:02}"}
            for n, day in ((1, 7), (2, 7), (3, 20))
        ),
    )
    result = Organisation(database)
    result.plan(0)
    return result


@pytest.mark.parametrize("releases_before_planning", [True, False])
def test_mondays_backup_restored_on_wednesday_sends_nothing_twice(
    database: Database, releases_before_planning: bool
) -> None:
    generate_sample(database.url, 300, 3, MONDAY, CONFIG)
    organisation = Organisation(database)
    organisation.plan(0)
    monday = organisation.backup()
    before = organisation.planned()
    organisation.send(0)
    for day in (1, 2):
        organisation.plan(day)
        # the second day's sender dies in the middle: one email is with the provider, and processing
        organisation.send(day, most=3 if day == 2 else None)
    sent = organisation.of_sender()
    result = organisation.restore(monday)
    assert organisation.of_sender() == sent
    planned = organisation.planned()
    assert planned == {row_id: before[row_id] for row_id in planned}
    known = [email for email in organisation.outbox if email.id in before]
    assert result.answered == len(before) - len(planned) >= len(known) > 10
    if releases_before_planning:
        organisation.release()
        organisation.send(2)
        organisation.plan(2)
    else:
        organisation.send(2)
        organisation.plan(2)
        organisation.release()
    organisation.send(2)
    for day in (3, 4, 5):
        organisation.plan(day)
        organisation.send(day)
    assert len(organisation.outbox) > 15
    organisation.assert_nothing_went_out_twice()


def test_a_restored_plan_is_that_of_the_backup_row_by_row(organisation: Organisation) -> None:
    before, backup = organisation.planned(), organisation.backup()
    organisation.write("UPDATE contacts SET birth_date = '1950-06-01', zip_code = '90210' WHERE id = 3")
    organisation.insert(
        "contacts", {"id": 4, "email": "c4@example.com", "zip_code": "75001", "birth_date": "1950-12-25"}
    )
    organisation.plan(1)
    changed = organisation.planned()
    assert changed != before
    result = organisation.restore(backup)
    assert organisation.planned() == before
    assert (result.planned, result.answered, result.recovered) == (len(before), 0, 0)
    assert result.left == len(set(changed) - set(before)) > 0
    archived = organisation.query("SELECT id FROM email_schedules_archive WHERE contact_id = 4")
    assert {row_id for (row_id,) in archived} == {row_id for row_id, row in changed.items() if row[1] == 4}


def test_what_was_there_is_kept_and_can_be_restored_itself(organisation: Organisation) -> None:
    monday = organisation.backup()
    organisation.plan(1)
    organisation.write("UPDATE contacts SET birth_date = '1950-12-22' WHERE id = 3")
    organisation.plan(2)
    wednesday = organisation.planned()
    kept = organisation.restore(monday).kept
    assert organisation.planned() != wednesday
    organisation.restore(kept)
    assert organisation.planned() == wednesday


def test_an_email_about_a_corrected_date_answers_that_of_the_backup(organisation: Organisation) -> None:
    """The birthday was corrected after the backup: the row of the backup is about another day."""
    (birthday,) = (row_id for row_id, row in organisation.planned().items() if row[1:3] == (1, "birthday"))
    backup = organisation.backup()
    organisation.write("UPDATE contacts SET birth_date = '1950-12-08' WHERE id = 1")
    organisation.plan(1)
    organisation.send(1)
    assert sorted(email.contact_id for email in organisation.outbox) == [1, 2]
    organisation.restore(backup)
    assert birthday not in organisation.planned()
    organisation.release()
    for day in (0, 1, 2):
        organisation.send(day)
    organisation.plan(1)
    organisation.send(1)
    assert Counter(email.contact_id for email in organisation.outbox) == {1: 1, 2: 1}


def test_rows_of_the_sending_system_that_were_deleted_come_back(organisation: Organisation) -> None:
    organisation.send(0)
    sent, backup = organisation.of_sender(), organisation.backup()
    assert len(sent) == 2
    organisation.write("DELETE FROM email_schedules")
    # without its history, the planner plans what was sent already
    organisation.plan(0)
    assert organisation.of_sender() == {}
    result = organisation.restore(backup)
    assert (organisation.of_sender(), result.recovered) == (sent, 2)
    organisation.plan(0)
    organisation.release()
    organisation.send(0)
    organisation.assert_nothing_went_out_twice()


def test_rows_that_were_set_back_to_planned_by_accident_are_sent_again_nevertheless_not(
    organisation: Organisation,
) -> None:
    organisation.send(0)
    sent, backup = organisation.of_sender(), organisation.backup()
    organisation.write("UPDATE email_schedules SET status = 'pre-scheduled', actual_send_datetime = NULL")
    organisation.restore(backup)
    assert organisation.of_sender() == sent
    organisation.release()
    organisation.send(0)
    organisation.assert_nothing_went_out_twice()


def test_rows_that_other_programs_are_about_to_send_are_left_alone(organisation: Organisation) -> None:
    organisation.insert(
        "email_schedules", {"id": 900, "contact_id": 1, "email_type": "letter", "status": "pre-scheduled"}
    )
    backup = organisation.backup()
    organisation.write("DELETE FROM email_schedules WHERE id = 900")
    organisation.insert(
        "email_schedules", {"id": 901, "contact_id": 1, "email_type": "letter", "status": "pre-scheduled"}
    )
    organisation.restore(backup)
    assert organisation.query("SELECT id FROM email_schedules WHERE email_type = 'letter'") == [(901,)]


def test_what_others_write_stays_as_it_is(organisation: Organisation) -> None:
    backup = organisation.backup()
    organisation.insert("contact_suppressions", {"contact_id": 2, "reason": "unsubscribed"})
    organisation.insert("tracking_clicks", {"contact_id": 1, "clicked_at": "2026-11-24T10:00:00-06:00"})
    organisation.write("UPDATE contacts SET email = 'new@example.com' WHERE id = 3")
    organisation.restore(backup)
    assert organisation.query("SELECT contact_id FROM contact_suppressions") == [(2,)]
    assert organisation.query("SELECT contact_id FROM tracking_clicks") == [(1,)]
    assert organisation.query("SELECT email FROM contacts WHERE id = 3") == [("new@example.com",)]


def test_targets_get_the_status_that_they_had_unless_theirs_is_final(organisation: Organisation) -> None:
    organisation.insert("campaign_types", {"name": "promo"})
    organisation.insert("campaign_instances", {"id": 1, "campaign_type": "promo", "instance_name": "one"})
    organisation.insert(
        "contact_campaigns",
        *({"id": n, "contact_id": n, "campaign_instance_id": 1, "status": "pending"} for n in (1, 2, 3)),
    )
    organisation.insert("contact_issues", {"contact_id": 3, "field": "zip_code", "issue": "unknown_zip"})
    backup = organisation.backup()
    for target, status in ((1, "scheduled"), (2, "sent"), (3, "skipped")):
        organisation.write("UPDATE contact_campaigns SET status = ? WHERE id = ?", (status, target))
    organisation.write("DELETE FROM contact_issues")
    organisation.restore(backup)
    found = organisation.query("SELECT status FROM contact_campaigns ORDER BY id")
    assert found == [("pending",), ("sent",), ("skipped",)]
    assert organisation.query("SELECT contact_id FROM contact_issues") == [(3,)]


def test_the_organisation_is_held_and_a_new_plan_is_asked_for(organisation: Organisation) -> None:
    backup = organisation.backup()
    organisation.write(
        "INSERT INTO campaign_change_log (field_changed, requires_rescheduling) VALUES ('targets', TRUE)"
    )
    organisation.plan(0)
    assert organisation.restore(backup).is_held
    organisation.send(0)
    assert organisation.outbox == []
    pending = pending_changes(organisation.url, CONFIG)
    assert pending is not None
    # the change that the plan of the backup had not seen, and the restoring itself
    assert pending.count == 2
    ((field, name),) = organisation.query(
        "SELECT field_changed, new_value FROM campaign_change_log ORDER BY id DESC LIMIT 1"
    )
    assert (field, name) == (restore.RESTORED, backup)
    organisation.plan(0)
    assert pending_changes(organisation.url, CONFIG) is None
    assert not organisation.restore(backup).is_held


def test_nothing_is_restored_while_a_plan_is_being_published(organisation: Organisation) -> None:
    backup = organisation.backup()
    with planner_lock(organisation.url, CONFIG, "plan-1"), pytest.raises(PlannerLockedError, match="plan-1"):
        organisation.restore(backup)


def test_a_damaged_backup_is_not_restored(organisation: Organisation) -> None:
    backup, directory = organisation.backup(), backup_directory(organisation.url, CONFIG)
    organisation.plan(1)
    (found,) = (each for each in finished_backups(directory) if each.name == backup)
    content = bytearray(found.file(directory).read_bytes())
    content[-20] ^= 1
    found.file(directory).write_bytes(content)
    before = organisation.planned()
    with pytest.raises(BackupError, match="it is damaged"):
        organisation.restore(backup)
    assert organisation.planned() == before


def test_after_an_error_in_the_middle_everything_is_as_it_was(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = organisation.backup()
    organisation.write("UPDATE contacts SET birth_date = '1950-12-22' WHERE id = 3")
    organisation.plan(1)
    before = organisation.planned()

    def fails(_: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(restore._Restoration, "_hold", fails)
    with pytest.raises(RuntimeError, match="in the middle"):
        organisation.restore(backup)
    assert organisation.planned() == before
    organisation.plan(1)


def test_nothing_can_be_claimed_while_the_rows_are_exchanged(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = organisation.backup()
    claim = (
        "UPDATE email_schedules SET status = 'processing' WHERE id = (SELECT min(id) FROM email_schedules)"
    )
    program = (
        f"import sqlite3; sqlite3.connect({organisation.url.removeprefix('sqlite:///')!r}, timeout=0.2)"
        f'.execute("{claim}")'
        if organisation.url.startswith("sqlite")
        else f"import psycopg; c = psycopg.connect({organisation.url.replace('+psycopg', '')!r},"
        f" options='-c lock_timeout=200'); c.execute(\"{claim}\")"
    )
    results = []

    def try_to_claim(self: object) -> None:
        # another process, as a sending system is one
        command = [sys.executable, "-c", program]
        results.append(subprocess.run(command, check=False, capture_output=True, text=True))

    monkeypatch.setattr(restore._Restoration, "_restore_issues", try_to_claim)
    organisation.restore(backup)
    (result,) = results
    assert result.returncode == 1
    assert "database is locked" in result.stderr or "lock timeout" in result.stderr


def whole_backup(organisation: Organisation) -> Backup:
    return create_backup(organisation.url, CONFIG, scope="database")


def replaced(organisation: Organisation, backup: Backup) -> ReplacedFile:
    directory = backup_directory(organisation.url, CONFIG)
    return replace_file(organisation.url, CONFIG, directory, backup, restored_by="somebody")


@on_sqlite
def test_a_file_that_cannot_be_read_is_replaced_and_nothing_that_was_due_goes_out_by_itself(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("email_scheduler.database.backups.replace_file.today", lambda: MONDAY)
    monkeypatch.setattr(Backup, "moment", datetime(2026, 11, 23, 12, tzinfo=UTC))
    backup = whole_backup(organisation)
    organisation.send(0)
    assert len(organisation.outbox) == 2
    path = Path(organisation.url.removeprefix("sqlite:///"))
    broken = b"SQLite format 3\x00" + b"\x17" * 20_000
    path.write_bytes(broken)
    result = replaced(organisation, backup)
    assert result.kept is not None
    assert Path(result.kept).read_bytes() == broken
    assert (result.carried_over, result.unresolved) == (None, 2)
    assert set(organisation.of_sender()) == {email.id for email in organisation.outbox}
    organisation.plan(0)
    organisation.release()
    organisation.send(0)
    organisation.assert_nothing_went_out_twice()
    organisation.insert(
        "contacts", {"id": 9, "email": "c9@example.com", "zip_code": "75001", "birth_date": "1950-12-25"}
    )
    organisation.plan(0)
    assert min(row[0] for row in organisation.planned().values() if row[1] == 9) > 10_000_000


@on_sqlite
def test_what_can_be_read_of_a_replaced_file_is_carried_over(organisation: Organisation) -> None:
    backup = whole_backup(organisation)
    organisation.send(0)
    sent = organisation.of_sender()
    organisation.insert("contact_suppressions", {"contact_id": 3, "reason": "unsubscribed"})
    result = replaced(organisation, backup)
    assert (result.carried_over, result.unresolved, result.lost) == (2, 0, [])
    assert organisation.of_sender() == sent
    assert organisation.query("SELECT contact_id FROM contact_suppressions") == [(3,)]
    organisation.send(0)
    organisation.release()
    organisation.send(0)
    organisation.assert_nothing_went_out_twice()


@on_sqlite
def test_a_file_is_not_replaced_while_a_plan_is_made(organisation: Organisation) -> None:
    backup = whole_backup(organisation)
    with planner_lock(organisation.url, CONFIG, "run-1"), pytest.raises(PlannerLockedError, match="run-1"):
        replaced(organisation, backup)
    assert replaced(organisation, backup).carried_over == 0


@on_sqlite
def test_a_backup_of_the_planners_tables_does_not_replace_a_file(organisation: Organisation) -> None:
    backup = create_backup(organisation.url, CONFIG)
    with pytest.raises(BackupError, match="it holds planner_tables of a sqlite database; only"):
        replaced(organisation, backup)


@on_postgresql
def test_new_rows_get_ids_beyond_those_that_came_back(organisation: Organisation) -> None:
    backup = organisation.backup()
    organisation.write("TRUNCATE email_schedules RESTART IDENTITY")
    organisation.restore(backup)
    organisation.insert(
        "contacts", {"id": 9, "email": "c9@example.com", "zip_code": "75001", "birth_date": "1950-12-25"}
    )
    organisation.plan(0)
    ids = [row_id for row_id, row in organisation.planned().items() if row[1] == 9]
    assert min(ids) > max(row_id for row_id, row in organisation.planned().items() if row[1] != 9)
