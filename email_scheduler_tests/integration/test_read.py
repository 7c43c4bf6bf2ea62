"""Reading a database into the frames that a plan is made from, whatever its columns hold."""

import sqlite3
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections import sqlite
from email_scheduler.database.connections.opening import connect
from email_scheduler.database.inputs import read_inputs
from email_scheduler.database.publishing import planned_rows
from email_scheduler.database.publishing.planned_rows import existing_planner_rows, planner_rows_in_background
from email_scheduler.errors import DatabaseError
from email_scheduler.planning.columns.dates import to_day
from email_scheduler.planning.frames import NO_CONTACT, NO_DATE, NO_NUMBER, PlanInputs
from email_scheduler.planning.matching import EXISTING_ROWS, PLANNER_ROWS, existing_rows
from email_scheduler_tests.builders import table
from email_scheduler_tests.databases import Database, on_sqlite

AS_OF = date(2026, 11, 23)


class Organisation:
    """A database that a test fills."""

    def __init__(self, database: Database) -> None:
        self.url = database.url
        self.run, self.insert = database.run, database.insert

    def read(self, **timing: int) -> PlanInputs:
        return read_inputs(self.url, AS_OF, SchedulerConfig.model_validate({"timing_constants": timing}))

    def planner_rows(self) -> pd.DataFrame:
        with connect(self.url, SchedulerConfig()) as connection:
            return existing_planner_rows(connection)


@pytest.fixture
def organisation(database: Database) -> Organisation:
    return Organisation(database)


def _values(frame: pd.DataFrame, *columns: str) -> list[tuple]:
    """Return rows as tuples, missing values as None, in the order of the first column."""
    lists = [[_value(column, value) for value in frame[column]] for column in columns]
    return sorted(zip(*lists, strict=True), key=lambda row: row[0])


def _value(column: str, value: object) -> object:
    if pd.isna(value):
        return None
    if column in {"clicked_at", "created_at"}:
        # PostgreSQL writes a moment in its own way, with the offset of US Central time
        return datetime.fromisoformat(str(value)).replace(tzinfo=None).isoformat()
    return value


def _email(row_id: int, status: str, **others: object) -> dict[str, object]:
    sent = {"email_type": "birthday", "scheduled_send_date": "2026-01-02", "status": status}
    return {"id": row_id, "contact_id": 1, **sent, **others}


def test_an_empty_database_gives_empty_frames(organisation: Organisation) -> None:
    inputs = organisation.read()
    assert inputs.as_of == AS_OF
    assert len(inputs.contacts) == len(inputs.history) == len(inputs.clicks) == len(inputs.answers) == 0
    assert len(organisation.planner_rows()) == 0


@on_sqlite
def test_contacts_are_read_as_text_whatever_their_columns_hold(organisation: Organisation) -> None:
    organisation.run(
        """
        DROP VIEW due_emails;
        DROP TABLE contacts;
        CREATE TABLE contacts (id INTEGER PRIMARY KEY, email, zip_code, state, birth_date, effective_date,
            phone_number);
        INSERT INTO contacts VALUES
            (1, 'a@example.org', 2134, NULL, '1950-03-10', 20190601, 5551234),
            (2, NULL, '75001-1234', 'TX', 1950.5, NULL, NULL),
            (3, x'ff40', '', '', '', '2019-06-01 00:00:00', '');
        """
    )
    columns = ("id", "email", "zip_code", "state", "birth_date", "effective_date", "phone_number")
    assert _values(organisation.read().contacts, *columns) == [
        (1, "a@example.org", "2134", None, "1950-03-10", "20190601", "5551234"),
        (2, None, "75001-1234", "TX", "1950.5", None, None),
        (3, "\ufffd@", "", "", "", "2019-06-01 00:00:00", ""),
    ]


def test_repeating_columns_are_categories_and_addresses_are_not(organisation: Organisation) -> None:
    organisation.insert("contacts", {"id": 1, "email": "a@example.org", "zip_code": "75001"})
    contacts = organisation.read().contacts
    assert {name for name in contacts if isinstance(contacts[name].dtype, pd.CategoricalDtype)} == {
        *("zip_code", "state", "birth_date", "effective_date")
    }
    assert list(contacts["zip_code"].cat.categories) == ["75001"]


@on_sqlite
@pytest.mark.parametrize("batch_rows", [1, 2, 3])
def test_a_first_batch_of_nulls_does_not_decide_the_type(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch, batch_rows: int
) -> None:
    monkeypatch.setattr(sqlite, "_ROWS_AT_A_TIME", batch_rows)
    organisation.insert("contacts", *({"id": i, "email": None} for i in range(1, 6)), {"id": 6, "email": "a"})
    organisation.insert(
        "email_schedules", *(_email(i, "sent") for i in range(1, 6)), _email(6, "sent", priority=3)
    )
    inputs = organisation.read()
    assert _values(inputs.contacts, "id", "email") == [*((i, None) for i in range(1, 6)), (6, "a")]
    assert list(inputs.history["priority"]) == [NO_NUMBER] * 5 + [3]


def test_suppressions_keep_dates_that_nobody_can_read(organisation: Organisation) -> None:
    organisation.insert(
        "contact_suppressions",
        {"contact_id": 1, "suppressed_at": None},
        {"contact_id": 2, "suppressed_at": "soon"},
        {"contact_id": 3, "suppressed_at": "2026-01-05T10:00:00"},
    )
    assert _values(organisation.read().suppressions, "contact_id", "suppressed_at") == [
        (1, None),
        (2, "soon"),
        (3, "2026-01-05T10:00:00"),
    ]


@on_sqlite
def test_campaigns_are_read_with_the_defaults_of_their_columns(organisation: Organisation) -> None:
    organisation.run(
        """
        INSERT INTO campaign_types VALUES
            ('silent', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
            ('words', 'false', 'no', '14', 'true', '1', 'TRUE', NULL, NULL),
            ('wrong', 0, 0, -3, 1, 99999999999, 0, NULL, NULL);
        INSERT INTO campaign_instances (id, campaign_type, instance_name, metadata, active) VALUES
            (1, 'silent', 'a', '{"priority": 2}', NULL),
            (2, 'words', 'b', NULL, 'False'),
            (3, 'wrong', 'c', '', 1);
        """
    )
    inputs = organisation.read()
    columns = (
        *(
            "name",
            "respect_exclusion_windows",
            "enable_followups",
            "days_before_event",
            "target_all_contacts",
        ),
        *("priority", "active"),
    )
    assert _values(inputs.campaign_types, *columns) == [
        ("silent", True, True, 0, False, 5, True),
        ("words", False, False, 14, True, 1, True),
        ("wrong", False, False, -3, True, 2**31 - 1, False),
    ]
    assert _values(inputs.campaign_instances, "id", "campaign_type", "metadata", "active") == [
        (1, "silent", '{"priority": 2}', True),
        (2, "words", None, False),
        (3, "wrong", "", True),
    ]


def test_targets_of_every_status_are_read(organisation: Organisation) -> None:
    organisation.run(
        """
        INSERT INTO campaign_types (name) VALUES ('promo');
        INSERT INTO campaign_instances (id, campaign_type) VALUES (7, 'promo');
        INSERT INTO contact_campaigns (id, contact_id, campaign_instance_id, trigger_date, status) VALUES
            (1, 5, 7, '2026-12-01', 'pending'), (2, 6, 7, NULL, 'skipped');
        """
    )
    columns = ("id", "contact_id", "campaign_instance_id", "trigger_date", "status")
    assert _values(organisation.read().contact_campaigns, *columns) == [
        (1, 5, 7, "2026-12-01", "pending"),
        (2, 6, 7, None, "skipped"),
    ]


def test_history_holds_the_senders_rows_and_what_waits_of_other_types(organisation: Organisation) -> None:
    statuses = ("scheduled", "processing", "sent", "delivered", "failed", "bounced")
    organisation.insert(
        "email_schedules",
        *(_email(i, status) for i, status in enumerate(statuses, start=1)),
        _email(20, "pre-scheduled"),
        _email(21, "skipped"),
        _email(22, "pre-scheduled", email_type="rate_increase"),
        _email(23, "skipped", email_type="rate_increase"),
        _email(24, "pre-scheduled", email_type="campaign_gone"),
        _email(25, "pre-scheduled", email_type="followup_5_new"),
        _email(26, "pre-scheduled", email_type=None),
        _email(27, "pre-scheduled", email_type="CAMPAIGN_x"),
        _email(28, "pre-scheduled", email_type="campaignX"),
    )
    history = organisation.read().history
    assert _values(history, "id", "status")[:6] == list(enumerate(statuses, start=1))
    assert sorted(history["id"])[6:] == [22, 25, 26, 27, 28]
    assert sorted(organisation.planner_rows()["id"]) == [20, 21, 24]


def test_history_keeps_what_is_missing_apart_from_zero(organisation: Organisation) -> None:
    organisation.insert(
        "email_schedules",
        _email(1, "sent", contact_id=None, scheduled_send_date="2026-01-05"),
        _email(
            2,
            "sent",
            scheduled_send_date=None,
            actual_send_datetime="2026-01-06T08:30:00",
            event_year=2026,
            event_month=1,
            event_day=20,
            campaign_instance_id=7,
            priority=0,
            initial_email_id=1,
        ),
    )
    columns = (
        *("id", "contact_id", "scheduled_send_date", "actual_send_datetime", "event_year", "event_month"),
        *("event_day", "campaign_instance_id", "priority", "initial_email_id"),
    )
    assert _values(organisation.read().history, *columns) == [
        (1, NO_CONTACT, "2026-01-05", None, NO_NUMBER, NO_NUMBER, NO_NUMBER, 0, NO_NUMBER, 0),
        (2, 1, None, "2026-01-06", 2026, 1, 20, 7, 0, 1),
    ]


def test_clicks_that_can_matter_are_read(organisation: Organisation) -> None:
    organisation.insert(
        "tracking_clicks",
        {"id": 1, "contact_id": 1, "email_schedule_id": None, "clicked_at": "2026-11-13T00:00:00"},
        {"id": 2, "contact_id": 2, "email_schedule_id": None, "clicked_at": "2026-11-23 23:59:59"},
        {"id": 3, "contact_id": 3, "email_schedule_id": 9, "clicked_at": "2020-01-01"},
        {"id": 4, "contact_id": 4, "email_schedule_id": None, "clicked_at": "2026-11-12 23:59:59"},
        {"id": 5, "contact_id": 5, "email_schedule_id": 9, "clicked_at": "2026-11-24 00:00:00"},
        {"id": 6, "contact_id": 6, "email_schedule_id": 0, "clicked_at": "2020-01-01"},
    )
    clicks = organisation.read(followup_lookback_days=10).clicks
    assert _values(clicks, "contact_id", "email_schedule_id", "clicked_at") == [
        (1, 0, "2026-11-13T00:00:00"),
        (2, 0, "2026-11-23T23:59:59"),
        (3, 9, "2020-01-01T00:00:00"),
    ]


def test_answers_from_the_first_day_looked_back_to_until_the_as_of_date_are_read(
    organisation: Organisation,
) -> None:
    event = {"contact_id": 1, "event_type": "eligibility_answered", "event_data": "{}"}
    organisation.insert(
        "contact_events",
        {**event, "id": 1, "created_at": "2026-11-12T23:59:59"},
        {**event, "id": 2, "created_at": "2026-11-13"},
        {**event, "id": 3, "created_at": "2026-11-23 23:59:59", "event_data": None},
        {**event, "id": 4, "created_at": "2026-11-24"},
        {**event, "id": 5, "created_at": "2026-11-20", "event_type": "quote_requested"},
    )
    answers = organisation.read(followup_lookback_days=10).answers
    assert _values(answers, "id", "contact_id", "created_at", "event_data") == [
        (2, 1, "2026-11-13T00:00:00", "{}"),
        (3, 1, "2026-11-23T23:59:59", None),
    ]


def test_the_older_tracking_table_counts_for_the_contact_of_its_email(organisation: Organisation) -> None:
    organisation.insert("email_schedules", _email(50, "sent", contact_id=8))
    event = {"email_id": 50, "created_at": "2026-11-20T10:00:00", "event_data": '{"a": 1}'}
    organisation.insert(
        "email_tracking",
        {**event, "id": 1, "event_type": "click"},
        {**event, "id": 2, "event_type": "health_question_response"},
        {**event, "id": 3, "event_type": "open"},
        {**event, "id": 4, "event_type": "click", "email_id": 51},
        {**event, "id": 5, "event_type": "health_question_response", "created_at": "2026-11-24"},
    )
    inputs = organisation.read()
    assert _values(inputs.clicks, "contact_id", "email_schedule_id", "clicked_at") == [
        (8, 50, "2026-11-20T10:00:00")
    ]
    assert _values(inputs.answers, "id", "contact_id", "created_at", "event_data") == [
        (2, 8, "2026-11-20T10:00:00", '{"a": 1}')
    ]


def test_planned_rows_are_read_with_all_that_a_plan_says(organisation: Organisation) -> None:
    organisation.insert(
        "email_schedules",
        _email(
            1,
            "pre-scheduled",
            email_type="campaign_promo",
            campaign_instance_id=7,
            event_year=2027,
            event_month=2,
            event_day=28,
            ideal_send_date="2027-02-14",
            scheduled_send_date="2027-02-16",
            adjustment="redistributed",
            priority=4,
            scheduled_send_time="08:30:00",
            email_template="promo_v1",
            metadata='{"a": 1}',
        ),
        _email(2, "skipped", scheduled_send_date="2027-01-01", event_year=2027, event_month=2, event_day=30),
    )
    rows = organisation.planner_rows()
    february_28, february_14, february_16, january_1 = (
        to_day(day) for day in (date(2027, 2, 28), date(2027, 2, 14), date(2027, 2, 16), date(2027, 1, 1))
    )
    expected = [
        (
            *(1, 1, "campaign_promo", 7, february_28, 0, february_14, february_16, "pre-scheduled", None),
            *("redistributed", 4, "08:30:00", "promo_v1", None, '{"a": 1}'),
        ),
        (
            *(2, 1, "birthday", 0, NO_DATE, 0, NO_DATE, january_1, "skipped", None),
            *(None, NO_NUMBER, None, None, None, None),
        ),
    ]
    named = [dict(zip(PLANNER_ROWS.columns, row, strict=True)) for row in expected]
    same = existing_rows(table(PLANNER_ROWS, named))
    assert _values(rows, *EXISTING_ROWS.columns) == _values(same, *EXISTING_ROWS.columns)


def test_many_planned_rows_are_read_by_a_process_of_their_own_and_are_the_same(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planned_rows, "_ROWS_WORTH_A_PROCESS", 0)
    monkeypatch.setattr(planned_rows, "read_planner_rows", None)
    organisation.insert(
        "email_schedules",
        _email(1, "pre-scheduled", event_year=2027, event_month=2, event_day=28, priority=4),
        _email(2, "skipped", email_type="aep", skip_reason="excluded_birthday_window_CA"),
    )
    with planner_rows_in_background(organisation.url, SchedulerConfig()) as rows_there:
        rows = rows_there()
    assert len(rows) == 2
    columns = EXISTING_ROWS.columns
    assert _values(rows, *columns) == _values(organisation.planner_rows(), *columns)


def test_what_fails_in_that_process_is_one_clear_error(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planned_rows, "_ROWS_WORTH_A_PROCESS", 0)
    organisation.insert("email_schedules", _email(1, "skipped"))
    monkeypatch.setattr(planned_rows, "_save_planner_rows", _fail_to_save)
    with (
        planner_rows_in_background(organisation.url, SchedulerConfig()) as rows_there,
        pytest.raises(DatabaseError, match="the disk is full"),
    ):
        rows_there()


def _fail_to_save(*_: object) -> None:
    raise DatabaseError("the disk is full")


def test_a_database_that_was_not_initialised_is_one_clear_error(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "org.db")) as connection:
        connection.execute("CREATE TABLE contacts (id INTEGER PRIMARY KEY)")
    with pytest.raises(DatabaseError, match="no such table: email_schedules"):
        read_inputs(f"sqlite:///{tmp_path}/org.db", AS_OF, SchedulerConfig())
