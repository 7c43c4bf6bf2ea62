"""Real data on real days: contacts are reloaded, corrected and unsubscribed between a plan and its sending.

What is refused because too much is lost is in ``test_guard.py``; plans far ahead are in ``test_cli.py``;
organisations with one database in ``unit/test_shared_databases.py``.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.contacts.rekey import rekey_contacts
from email_scheduler.database.inputs import read_inputs_and_changes
from email_scheduler.database.lock import planner_lock
from email_scheduler.database.publishing.planned_rows import planner_rows_in_background
from email_scheduler.database.publishing.publish import publish_plan
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.health.installation import check_health
from email_scheduler.health.judgement import UNHEALTHY
from email_scheduler.planning.plan import make_plan
from email_scheduler.planning_run import PlanRun, plan_and_publish
from email_scheduler_tests.databases import Database, PostgresqlDatabase, on_postgresql, on_sqlite
from email_scheduler_tests.reference_sender import Email, Sender

AS_OF = date(2026, 11, 23)
CONFIG = SchedulerConfig.model_validate({"audit": {"enable_pit_backups": False}})
UNWATCHED = SchedulerConfig.model_validate({"features": {"watch_contacts": False}})
TEXAS, NEW_YORK = "75001", "10001"


def load(database: Database, addresses: dict[int, str | None], zip_code: str = TEXAS) -> None:
    """Insert contacts whose birthday emails are ideal on ``AS_OF``."""
    database.insert(
        "contacts",
        *(
            {"id": each, "email": email, "zip_code": zip_code, "birth_date": "1950-12-07"}
            for each, email in addresses.items()
        ),
    )


def numbered(ids: Iterable[int]) -> dict[int, str | None]:
    return {each: f"contact{each}@example.com" for each in ids}


def plan(database: Database, days: int = 0, config: SchedulerConfig = CONFIG) -> PlanRun:
    return plan_and_publish(database.url, config, AS_OF + timedelta(days=days))


def suppress(database: Database, contact_id: int, suppressed_at: str | None = "2026-11-01") -> None:
    database.insert("contact_suppressions", {"contact_id": contact_id, "suppressed_at": suppressed_at})


def due(database: Database) -> set[int]:
    """Return the contacts that have emails due, whenever."""
    return {contact_id for (contact_id,) in database.query("SELECT contact_id FROM due_emails")}


def noted(database: Database) -> set[int]:
    return {contact_id for (contact_id,) in database.query("SELECT contact_id FROM contact_changes")}


def send(database: Database, last: date = date(9999, 1, 1)) -> list[Email]:
    """Send on each day up to ``last`` what is due on it, all of one plan; return what went out."""
    outbox: list[Email] = []
    days = database.query(
        "SELECT DISTINCT CAST(scheduled_send_date AS TEXT) FROM email_schedules"
        " WHERE status = 'pre-scheduled' ORDER BY 1"
    )
    for (day,) in days:
        if day <= str(last):
            noon = datetime.combine(date.fromisoformat(day), datetime.min.time(), TIME_ZONE).replace(hour=12)
            Sender(database.url, outbox.append, lambda noon=noon: noon).send_due_emails()  # type: ignore[misc]
    return outbox


def contacts_of(emails: Iterable[Email]) -> set[int]:
    return {email.contact_id for email in emails}


def test_who_unsubscribed_gets_nothing_after_contacts_were_loaded_again_under_other_ids(
    database: Database, tmp_path: Path
) -> None:
    load(database, {10: "ann@example.com", 11: "bob@example.com"})
    suppress(database, 10)
    plan(database)
    assert contacts_of(send(database, AS_OF + timedelta(days=60))) == {11}

    database.write("DELETE FROM contacts")
    load(database, {110: "Ann@Example.com", 111: "bob@example.com"})
    plan(database, 1)
    assert due(database) == {111}
    # that 111 is 11 is known to whoever says so: what bob got already is not planned once more
    file = tmp_path / "ids.csv"
    file.write_text("old_id,new_id\n11,111\n")
    rekey_contacts(database.url, CONFIG, file, changed_by="ann")
    plan(database, 1)
    assert not database.query(
        "SELECT id FROM email_schedules WHERE status = 'pre-scheduled' AND email_type = 'birthday'"
        " AND event_year = 2026"
    )
    assert 110 not in contacts_of(send(database))


def test_what_was_planned_for_an_old_id_is_not_due_until_it_is_planned_for_the_new_one(
    database: Database, tmp_path: Path
) -> None:
    load(database, numbered([1, 2]))
    plan(database)
    database.write("DELETE FROM contacts WHERE id = 1")
    load(database, {101: "contact1@example.com"}, NEW_YORK)
    file = tmp_path / "ids.csv"
    file.write_text("old_id,new_id\n1,101\n")
    rekey_contacts(database.url, CONFIG, file, changed_by="ann")
    assert due(database) == {2}
    plan(database)
    assert (due(database), noted(database)) == ({2}, set())


def test_an_address_that_unsubscribed_stays_so_when_the_contact_gets_another_one(database: Database) -> None:
    load(database, {5: "both@example.com", 8: " BOTH@example.com", 9: "nine@example.com"})
    plan(database)
    assert due(database) == {5, 8, 9}
    suppress(database, 8)
    assert due(database) == {9}
    database.write("UPDATE contacts SET email = 'eight@example.com' WHERE id = 8")
    assert due(database) == {9}
    assert contacts_of(send(database, AS_OF)) <= {9}
    plan(database, 1)
    assert contacts_of(send(database)) == {9}


def test_who_shares_an_address_in_another_spelling_is_not_due_at_once(database: Database) -> None:
    load(database, {1: "jürgen@example.com", 2: "JÜRGEN@example.com", 3: "ju\u0308rgen@example.com"})
    load(database, numbered([4]))
    plan(database)
    assert due(database) == {1, 2, 3, 4}
    suppress(database, 1)
    assert due(database) == {4}
    assert contacts_of(send(database, AS_OF)) <= {4}
    plan(database, 1)
    assert contacts_of(send(database)) == {4}


def test_a_suppression_of_the_evening_is_in_force_in_the_plan_of_that_evening(database: Database) -> None:
    database.write("INSERT INTO contact_suppressions (contact_id) VALUES (1)")
    ((written,),) = database.query("SELECT substr(suppressed_at, 1, 10) FROM contact_suppressions")
    evening = date.fromisoformat(written) - timedelta(days=1)
    load(database, numbered([1, 2]))
    plan_and_publish(database.url, CONFIG, evening)
    assert due(database) == {2}
    issues = database.query("SELECT contact_id, issue FROM contact_issues")
    assert issues == [(1, "suppressed")]


def test_who_moves_to_another_state_after_the_plan_is_held_back_and_planned_anew(database: Database) -> None:
    load(database, numbered([1, 2]))
    plan(database)
    database.write("UPDATE contacts SET zip_code = ? WHERE id = 1", (NEW_YORK,))
    assert (due(database), noted(database)) == ({2}, {1})
    assert contacts_of(send(database, AS_OF)) <= {2}
    plan(database)
    assert noted(database) == set()
    assert 1 not in due(database)
    # and back again
    database.write("UPDATE contacts SET zip_code = ? WHERE id = 1", (TEXAS,))
    assert 1 not in due(database)
    plan(database)
    assert 1 in due(database)


@pytest.mark.parametrize(
    "address", [None, "", " \u3000\t", "contact1", "contact1@example..com", "<c@example.com>"]
)
def test_an_address_that_is_blanked_or_made_invalid_after_the_plan_is_not_due(
    database: Database, address: str | None
) -> None:
    load(database, numbered([1, 2]))
    plan(database)
    database.write("UPDATE contacts SET email = ? WHERE id = 1", (address,))
    assert due(database) == {2}
    plan(database)
    assert due(database) == {2}


@pytest.mark.parametrize("address", [None, "", " \u3000\t"])
def test_a_blank_address_is_not_due_even_where_nobody_watches(
    database: Database, address: str | None
) -> None:
    initialise_database(database.url, UNWATCHED)
    load(database, numbered([1, 2]))
    plan(database)
    database.write("UPDATE contacts SET email = ? WHERE id = 1", (address,))
    assert due(database) == {2}
    initialise_database(database.url, CONFIG)


@pytest.mark.parametrize("is_targeted", [False, True])
def test_a_campaign_that_is_given_another_type_goes_to_nobody_twice(
    database: Database, is_targeted: bool
) -> None:
    load(database, numbered(range(1, 51)))
    for name in ("promo", "season"):
        database.insert(
            "campaign_types", {"name": name, "target_all_contacts": not is_targeted, "priority": 1}
        )
    database.insert(
        "campaign_instances",
        {
            "id": 2,
            "campaign_type": "promo",
            "instance_name": "winter",
            "active_start_date": "2026-11-23",
            "active_end_date": "2027-03-31",
            "email_template": "v1",
        },
    )
    if is_targeted:
        database.insert(
            "contact_campaigns", *({"contact_id": each, "campaign_instance_id": 2} for each in range(1, 51))
        )
    plan(database)
    database.write(
        "UPDATE email_schedules SET status = 'sent' WHERE campaign_instance_id = 2 AND contact_id <= 40"
    )
    database.write("UPDATE campaign_instances SET campaign_type = 'season' WHERE id = 2")
    plan(database, 1)
    planned = database.query(
        "SELECT DISTINCT contact_id FROM email_schedules"
        " WHERE campaign_instance_id = 2 AND initial_email_id IS NULL AND status = 'pre-scheduled'"
    )
    assert {contact_id for (contact_id,) in planned} == set(range(41, 51))


@pytest.mark.parametrize("email_type", ["newsletter", "Birthday", "campaign", "rate_increase"])
def test_a_row_of_a_type_that_nobody_plans_is_not_due_and_makes_the_organisation_unhealthy(
    database: Database, email_type: str
) -> None:
    load(database, numbered([1, 2]))
    plan(database)
    database.insert(
        "email_schedules",
        {
            "id": 1000,
            "contact_id": 1,
            "email_type": email_type,
            "status": "pre-scheduled",
            "scheduled_send_date": str(AS_OF),
            "scheduled_send_time": "08:30:00",
        },
    )
    assert not database.query("SELECT id FROM due_emails WHERE id = 1000")
    assert 1000 not in {email.id for email in send(database)}
    now = datetime(2026, 11, 23, 12, tzinfo=TIME_ZONE)
    [found] = check_health([("north", lambda: (database.url, CONFIG))], CONFIG, now).organizations
    reasons = [each.text for each in found.reasons if each.status == UNHEALTHY]
    assert any(f"types that are not planned here ({email_type}: 1)" in text for text in reasons)
    database.write("DELETE FROM email_schedules WHERE id = 1000")
    [found] = check_health([("north", lambda: (database.url, CONFIG))], CONFIG, now).organizations
    assert not any("not planned here" in each.text for each in found.reasons)


UPSERT = """INSERT INTO contacts (id, email, zip_code, birth_date) VALUES (1, ?, ?, '1950-12-07')
    ON CONFLICT (id) DO UPDATE
    SET email = excluded.email, zip_code = excluded.zip_code, birth_date = excluded.birth_date"""
REPLACE = "INSERT OR REPLACE INTO contacts (id, email, zip_code, birth_date) VALUES (1, ?, ?, '1950-12-07')"
RELOAD = "INSERT INTO contacts (id, email, zip_code, birth_date) VALUES (1, ?, ?, '1950-12-07')"
EDITED, UNCHANGED = ("contact1@example.com", NEW_YORK), ("contact1@example.com", TEXAS)


@pytest.fixture
def planned(database: Database) -> Database:
    """Contacts 1 and 2 with a plan."""
    load(database, numbered([1, 2]))
    plan(database)
    assert (due(database), noted(database)) == ({1, 2}, set())
    return database


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("email", "other@example.com"),
        ("zip_code", None),
        ("state", "NY"),
        ("birth_date", "1950-12-08"),
        ("effective_date", "2019-01-01"),
    ],
)
def test_each_column_that_a_plan_depends_on_is_watched(
    planned: Database, column: str, value: str | None
) -> None:
    planned.write(f"UPDATE contacts SET {column} = ? WHERE id = 1", (value,))
    assert (due(planned), noted(planned)) == ({2}, {1})
    plan(planned)
    assert noted(planned) == set()


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE contacts SET email = email, zip_code = zip_code, birth_date = birth_date, state = state",
        "UPDATE contacts SET first_name = 'Ann', phone_number = '555'",
        UPSERT,
    ],
)
def test_an_edit_that_changes_nothing_notes_nothing(planned: Database, edit: str) -> None:
    planned.write(edit, UNCHANGED if edit == UPSERT else ())
    assert (due(planned), noted(planned)) == ({1, 2}, set())


def test_a_deletion_and_an_upsert_that_changes_something_are_noted(planned: Database) -> None:
    planned.write(UPSERT, EDITED)
    assert (due(planned), noted(planned)) == ({2}, {1})
    planned.write("DELETE FROM contacts WHERE id = 2")
    assert (due(planned), noted(planned)) == (set(), {1, 2})
    planned.write(RELOAD.replace("(1,", "(2,"), ("contact2@example.com", TEXAS))
    assert due(planned) == set()
    plan(planned)
    assert (due(planned), noted(planned)) == ({2}, set())


def test_a_contact_that_gets_another_id_is_noted_under_both(planned: Database) -> None:
    planned.write("UPDATE contacts SET id = 7 WHERE id = 1")
    assert (due(planned), noted(planned)) == ({2}, {1, 7})


def test_a_contact_nobody_has_planned_for_is_not_noted_when_it_is_loaded(planned: Database) -> None:
    load(planned, {3: "jürgen@example.com", 4: "x@xn--mnchen-3ya.example"})
    assert (due(planned), noted(planned)) == ({1, 2}, set())


def test_a_contact_that_was_suppressed_before_it_is_loaded_holds_back_who_may_share_its_address(
    database: Database,
) -> None:
    load(database, {1: "STRASSE@b.example", 2: "two@example.com"})
    suppress(database, 9)
    plan(database)
    load(database, {9: "straße@b.example"})
    assert due(database) == {2}
    plan(database)
    assert (due(database), noted(database)) == ({2}, set())


@on_sqlite
@pytest.mark.parametrize("values", [EDITED, UNCHANGED])
def test_what_is_inserted_or_replaced_is_noted_since_its_deletion_is_not(
    planned: Database, values: tuple[str, str]
) -> None:
    planned.write(REPLACE, values)
    assert (due(planned), noted(planned)) == ({2}, {1})
    planned.write("UPDATE OR REPLACE contacts SET id = 1 WHERE id = 2")
    assert (due(planned), noted(planned)) == (set(), {1, 2})


@on_postgresql
def test_what_is_truncated_and_copied_is_noted(planned: Database) -> None:
    with planned.connection() as connection:
        connection.execute("TRUNCATE contacts")
        with connection.cursor().copy("COPY contacts (id, email, zip_code, birth_date) FROM STDIN") as copy:
            copy.write_row((1, "contact1@example.com", NEW_YORK, "1950-12-07"))
            copy.write_row((3, "contact3@example.com", TEXAS, "1950-12-07"))
    assert (due(planned), noted(planned)) == (set(), {1, 2})


@on_postgresql
def test_a_copy_of_contacts_with_planned_rows_is_noted(planned: Database) -> None:
    planned.run("ALTER TABLE contacts DISABLE TRIGGER watch_contacts_truncate; TRUNCATE contacts")
    planned.run("ALTER TABLE contacts ENABLE TRIGGER watch_contacts_truncate")
    with (
        planned.connection() as connection,
        connection.cursor().copy("COPY contacts (id, email, zip_code) FROM STDIN") as copy,
    ):
        copy.write_row((1, "contact1@example.com", NEW_YORK))
        copy.write_row((3, "contact3@example.com", TEXAS))
    assert (due(planned), noted(planned)) == (set(), {1})


def publish(database: Database, read: Any, run_id: str = "late run", **options: bool) -> None:
    """Plan and publish what was read before, as the steps of a Dagster run do."""
    inputs, seen = read
    with (
        planner_lock(database.url, CONFIG, run_id) as lock,
        planner_rows_in_background(database.url, CONFIG) as existing,
    ):
        made = make_plan(inputs, CONFIG)
        publish_plan(database.url, CONFIG, made, inputs, lock, existing, changes=seen, **options)


def read(database: Database) -> Any:
    return read_inputs_and_changes(database.url, AS_OF, CONFIG)


def edit(database: Database, contact_id: int, zip_code: str) -> None:
    database.write("UPDATE contacts SET zip_code = ? WHERE id = ?", (zip_code, contact_id))


def test_a_plan_deletes_the_notes_that_it_has_read_and_no_later_ones(planned: Database) -> None:
    edit(planned, 1, "33101")
    edit(planned, 2, "33101")
    inputs = read(planned)
    edit(planned, 2, NEW_YORK)
    publish(planned, inputs)
    assert (due(planned), noted(planned)) == ({1}, {2})
    plan(planned)
    assert (due(planned), noted(planned)) == ({1}, set())


def test_a_plan_that_is_published_late_makes_no_edited_contact_due(planned: Database) -> None:
    inputs = read(planned)
    edit(planned, 1, NEW_YORK)
    plan(planned)
    assert (due(planned), noted(planned)) == ({2}, set())
    # it was made before the edit, and the note of the edit is gone
    publish(planned, inputs)
    assert (due(planned), noted(planned)) == ({2}, {1})
    plan(planned)
    assert (due(planned), noted(planned)) == ({2}, set())


def test_a_late_plan_that_has_read_the_note_of_another_late_plan_makes_nobody_due_either(
    planned: Database,
) -> None:
    first = read(planned)
    edit(planned, 1, "33101")
    plan(planned)
    publish(planned, first)
    assert noted(planned) == {1}
    second = read(planned)
    edit(planned, 1, NEW_YORK)
    plan(planned)
    publish(planned, second, "later run")
    assert (due(planned), noted(planned)) == ({2}, {1})


def test_without_triggers_nothing_is_noted_and_init_db_brings_them_back(planned: Database) -> None:
    edit(planned, 1, "33101")
    initialise_database(planned.url, UNWATCHED)
    assert (due(planned), noted(planned)) == ({1, 2}, set())
    edit(planned, 1, NEW_YORK)
    planned.write("DELETE FROM contacts WHERE id = 2")
    assert (due(planned), noted(planned)) == ({1}, set())
    initialise_database(planned.url, CONFIG)
    edit(planned, 1, "33101")
    assert (due(planned), noted(planned)) == (set(), {1})
    initialise_database(planned.url, CONFIG)
    edit(planned, 1, NEW_YORK)
    assert noted(planned) == {1}


@pytest.mark.parametrize(
    ("until", "is_left"),
    # of a list whose last day is over, nothing is left when the contact may be written to again
    [("2001-01-01", False), ("9999-12-31", True), (None, True), ("some day", True)],
)
def test_an_unsubscribe_does_not_end_with_the_last_day_of_a_list(
    database: Database, until: str | None, is_left: bool
) -> None:
    row = {"address": "ann@example.com", "suppressed_at": "2000-01-01", "suppressed_until": until}
    database.insert("suppressed_addresses", {**row, "reason": "soft bounce"})
    load(database, {10: "ann@example.com", 11: "bob@example.com"})
    suppress(database, 10)
    ((last,),) = database.query("SELECT suppressed_until FROM suppressed_addresses")
    assert last is None
    database.write("DELETE FROM contacts WHERE id = 10")
    load(database, {110: "ANN@example.com"})
    plan(database)
    assert due(database) == {11}
    database.write("DELETE FROM contact_suppressions")
    plan(database)
    assert due(database) == ({11} if is_left else {11, 110})


@pytest.fixture
def role(postgresql_database: PostgresqlDatabase) -> Iterator[Callable[[str], Any]]:
    """Return a function that gives a new role some rights, and lets it run statements."""
    name = sql.Identifier(f"email_scheduler_test_writer_{postgresql_database.url[-8:].replace('/', '_')}")
    database = postgresql_database
    with database.connection() as connection:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(name))
        connection.execute(sql.SQL("CREATE ROLE {}").format(name))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))

    @contextmanager
    def acting(rights: str) -> Iterator[Any]:
        with database.connection() as connection:
            for right in rights.split(";"):
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.SQL(right), name))
        with database.connection() as connection:
            connection.execute(sql.SQL("SET ROLE {}").format(name))
            yield connection

    yield acting
    with database.connection() as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
        connection.execute(sql.SQL("DROP ROLE {}").format(name))


@on_postgresql
def test_who_may_write_contacts_only_can_do_so_and_is_noted(
    planned: Database, role: Callable[[str], Any]
) -> None:
    with role("SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON contacts") as connection:
        connection.execute(UPSERT.replace("?", "%s"), EDITED)
        connection.execute("DELETE FROM contacts WHERE id = 2")
        connection.execute("INSERT INTO contacts (id, email) VALUES (2, 'contact2@example.com')")
        # the role's own tables and functions do not come before those that the triggers mean
        connection.execute("CREATE TEMPORARY TABLE contact_changes (contact_id BIGINT)")
        connection.execute("INSERT INTO contacts (id, email) VALUES (3, 'contact3@example.com')")
        connection.execute("TRUNCATE contacts")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM public.contact_changes")
        connection.rollback()
    assert noted(planned) == set()
    with role("SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON contacts") as connection:
        connection.execute("CREATE TEMPORARY TABLE contact_changes (contact_id BIGINT)")
        connection.execute(UPSERT.replace("?", "%s"), EDITED)
        connection.execute("DELETE FROM contacts WHERE id = 2")
    assert noted(planned) == {1, 2}


@on_postgresql
def test_who_may_write_suppressions_only_suppresses_addresses_too(
    planned: Database, role: Callable[[str], Any]
) -> None:
    listed = "SELECT address, contact_id FROM suppressed_addresses"
    with role("SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON contact_suppressions") as connection:
        connection.execute("INSERT INTO contact_suppressions (contact_id) VALUES (1), (2)")
        connection.execute("UPDATE contact_suppressions SET reason = 'bounced' WHERE contact_id = 1")
        connection.execute("DELETE FROM contact_suppressions WHERE contact_id = 2")
    assert planned.query(listed) == [("contact1@example.com", 1)]
    assert due(planned) == {2}
    with role("TRUNCATE ON contact_suppressions") as connection:
        connection.execute("TRUNCATE contact_suppressions")
    assert planned.query(listed) == []


@on_postgresql
def test_who_may_read_the_view_only_sees_the_same_rows(planned: Database, role: Callable[[str], Any]) -> None:
    load(planned, {3: "jürgen@example.com", 4: "JÜRGEN@example.com", 5: "five@example.com"})
    plan(planned)
    suppress(planned, 3)
    edit(planned, 5, NEW_YORK)
    rows = planned.query("SELECT * FROM due_emails ORDER BY id")
    assert {row[1] for row in rows} == {1, 2}
    with role("SELECT ON due_emails") as connection:
        assert connection.execute("SELECT * FROM due_emails ORDER BY id").fetchall() == rows
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM contacts")
        connection.rollback()
