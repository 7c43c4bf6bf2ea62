"""The sender of the tests keeps the contract of docs/sending.md, and the planner relies on nothing else."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.databases import Database
from email_scheduler_tests.reference_sender import Email, RefusedError, Sender

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "sending.md"
TODAY = "2026-11-23"
# 09:00 in US Central time
MORNING = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


class Organisation:
    """A database with contacts 1 to 3, each with a birthday email of today: rows 11 to 13."""

    def __init__(self, database: Database) -> None:
        self.url = database.url
        self.query = database.query
        self.outbox: list[Email] = []
        self._database = database
        self.execute(
            *(
                f"INSERT INTO contacts (id, email, zip_code) VALUES ({n}, 'contact{n}@example.com', '75001')"
                for n in (1, 2, 3)
            ),
            *(self._row(10 + n, n) for n in (1, 2, 3)),
        )

    @staticmethod
    def _row(row_id: int, contact_id: int, send_date: str = TODAY, send_time: str = "08:30:00") -> str:
        return (
            "INSERT INTO email_schedules (id, contact_id, email_type, status, scheduled_send_date,"
            " scheduled_send_time, priority, email_template, event_year, event_month, event_day,"
            " ideal_send_date)"
            f" VALUES ({row_id}, {contact_id}, 'birthday', 'pre-scheduled', '{send_date}', '{send_time}', 5,"
            f" 'birthday_standard_v1', 2026, 12, 7, '{send_date}')"
        )

    def execute(self, *statements: str) -> None:
        self._database.run(";\n".join(statements))

    def documented(self, *statements: str, **values: object) -> list[int]:
        """Run statements of the documentation as a sender does; return how many rows each concerned."""
        engine = sqlalchemy.create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            results = [connection.execute(sqlalchemy.text(statement), values) for statement in statements]
            return [len(result.all()) if result.returns_rows else result.rowcount for result in results]

    def statuses(self) -> dict[object, object]:
        return dict(self.query("SELECT id, status FROM email_schedules ORDER BY id"))

    def sender(self, send: Callable[[Email], None] | None = None, now: datetime = MORNING) -> Sender:
        return Sender(self.url, send or self.outbox.append, lambda: now)


@pytest.fixture
def organisation(database: Database) -> Organisation:
    return Organisation(database)


def _documented_statements() -> list[str]:
    return re.findall(r"```sql\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)


def _documented(part: str) -> str:
    (statement,) = (text for text in _documented_statements() if part in text)
    return statement


def test_what_is_due_is_sent_and_marked_with_the_central_time(organisation: Organisation) -> None:
    late_in_the_evening = datetime(2026, 11, 24, 5, 30, tzinfo=UTC)
    result = organisation.sender(now=late_in_the_evening).send_due_emails()
    assert result.sent == [11, 12, 13]
    assert [(mail.contact_id, mail.email_template) for mail in organisation.outbox] == [
        (1, "birthday_standard_v1"),
        (2, "birthday_standard_v1"),
        (3, "birthday_standard_v1"),
    ]
    rows = organisation.query("SELECT status, actual_send_datetime FROM email_schedules")
    assert {status for status, _ in rows} == {"sent"}
    assert {sent_at[:10] for _, sent_at in rows} == {"2026-11-23"}
    assert {datetime.fromisoformat(sent_at) for _, sent_at in rows} == {late_in_the_evening}


def test_nothing_is_sent_before_its_time_of_day(organisation: Organisation) -> None:
    at_8_29 = datetime(2026, 11, 23, 14, 29, tzinfo=UTC)
    assert organisation.sender(now=at_8_29).send_due_emails().sent == []
    assert organisation.sender(now=at_8_29 + timedelta(minutes=1)).send_due_emails().sent == [11, 12, 13]


@pytest.mark.parametrize("day", ["2026-11-22", "2026-11-24"])
def test_rows_of_other_days_are_not_sent(organisation: Organisation, day: str) -> None:
    organisation.execute(f"UPDATE email_schedules SET scheduled_send_date = '{day}' WHERE id = 12")
    assert organisation.sender().send_due_emails().sent == [11, 13]
    assert organisation.statuses()[12] == "pre-scheduled"


def test_two_senders_send_every_email_once(organisation: Organisation) -> None:
    second = organisation.sender()

    def send_while_another_sender_runs(mail: Email) -> None:
        organisation.outbox.append(mail)
        second.send_due_emails()

    result = organisation.sender(send_while_another_sender_runs).send_due_emails()
    assert sorted(mail.id for mail in organisation.outbox) == [11, 12, 13]
    assert (result.sent, result.missed) == ([11], [12, 13])


@pytest.mark.parametrize(
    "news",
    [
        "INSERT INTO contact_suppressions (contact_id, suppressed_at) VALUES (2, '2026-11-23')",
        "UPDATE email_schedules SET scheduled_send_date = '2026-11-24' WHERE id = 12",
        "UPDATE email_schedules SET status = 'skipped' WHERE id = 12",
        "DELETE FROM email_schedules WHERE id = 12",
    ],
    ids=["unsubscribed", "moved to tomorrow", "skipped by a new plan", "left the plan"],
)
def test_what_happens_after_the_list_was_read_counts(organisation: Organisation, news: str) -> None:
    def send(mail: Email) -> None:
        organisation.outbox.append(mail)
        if mail.id == 11:
            organisation.execute(news)

    result = organisation.sender(send).send_due_emails()
    assert (result.sent, result.missed) == ([11, 13], [12])
    assert [mail.id for mail in organisation.outbox] == [11, 13]


def test_a_template_changed_after_the_list_was_read_is_the_new_one(organisation: Organisation) -> None:
    def send(mail: Email) -> None:
        organisation.outbox.append(mail)
        organisation.execute(
            "UPDATE email_schedules SET email_template = 'v2' WHERE status = 'pre-scheduled'"
        )

    organisation.sender(send).send_due_emails()
    assert [mail.email_template for mail in organisation.outbox] == ["birthday_standard_v1", "v2", "v2"]


def test_a_refused_email_is_failed_and_not_tried_again(organisation: Organisation) -> None:
    def refuse(mail: Email) -> None:
        raise RefusedError

    assert organisation.sender(refuse).send_due_emails().failed == [11, 12, 13]
    assert set(organisation.statuses().values()) == {"failed"}
    assert organisation.sender().send_due_emails().sent == []


def test_an_email_that_may_have_been_sent_is_not_sent_again(organisation: Organisation) -> None:
    def fail_halfway(mail: Email) -> None:
        organisation.outbox.append(mail)
        if mail.id == 12:
            raise TimeoutError

    assert organisation.sender(fail_halfway).send_due_emails().unresolved == [12]
    assert organisation.statuses() == {11: "sent", 12: "processing", 13: "sent"}
    assert organisation.sender().send_due_emails().sent == []
    assert [mail.id for mail in organisation.outbox] == [11, 12, 13]


def test_nothing_is_sent_once_the_day_has_ended(organisation: Organisation) -> None:
    moments = iter([datetime(2026, 11, 24, 5, 59, 59, tzinfo=UTC)] * 4)
    midnight = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
    sender = Sender(organisation.url, organisation.outbox.append, lambda: next(moments, midnight))
    assert sender.send_due_emails().sent == [11]
    assert organisation.statuses() == {11: "sent", 12: "pre-scheduled", 13: "pre-scheduled"}


def test_the_planner_takes_up_clicks_answers_and_suppressions(organisation: Organisation) -> None:
    sender = organisation.sender()
    sender.send_due_emails()
    sender.record_click(1, 11)
    sender.record_answer(2, '{"has_medical_conditions": true}')
    sender.suppress(3, "unsubscribed")
    plan_and_publish(organisation.url, SchedulerConfig(), date(2026, 11, 25))
    follow_ups = (
        "SELECT contact_id, email_type FROM email_schedules WHERE initial_email_id > 0 ORDER BY contact_id"
    )
    assert organisation.query(follow_ups) == [(1, "followup_2_clicked_no_hq"), (2, "followup_4_hq_with_yes")]


@pytest.mark.parametrize("status", ["sent", "processing", "failed"])
def test_what_the_sender_has_taken_is_not_planned_again(organisation: Organisation, status: str) -> None:
    organisation.execute("UPDATE contacts SET birth_date = '1950-12-07'")
    organisation.sender().send_due_emails()
    organisation.execute(f"UPDATE email_schedules SET status = '{status}'")
    before = organisation.query("SELECT * FROM email_schedules WHERE id <= 13")
    plan_and_publish(organisation.url, SchedulerConfig(), date(2026, 11, 24))
    assert organisation.query("SELECT * FROM email_schedules WHERE id <= 13") == before
    birthdays = "SELECT count(*) FROM email_schedules WHERE email_type = 'birthday' AND event_year = 2026"
    assert organisation.query(birthdays) == [(3,)]


def test_a_failed_row_that_is_set_back_is_planned_again(organisation: Organisation) -> None:
    def refuse(mail: Email) -> None:
        raise RefusedError

    organisation.execute("UPDATE contacts SET birth_date = '1950-12-07'")
    # the rows stand for a plan that knows of it
    organisation.execute("DELETE FROM contact_changes")
    organisation.sender(refuse).send_due_emails()
    organisation.documented(_documented("SET status = 'pre-scheduled'"), id=11, now=TODAY)
    plan_and_publish(organisation.url, SchedulerConfig(), date(2026, 11, 24))
    rows = "SELECT id, status, scheduled_send_date FROM email_schedules WHERE event_year = 2026 ORDER BY id"
    assert organisation.query(rows)[0] == (11, "pre-scheduled", "2026-11-24")
    assert [status for _, status, _ in organisation.query(rows)] == ["pre-scheduled", "failed", "failed"]


def test_every_statement_of_the_documentation_runs(organisation: Organisation) -> None:
    statements = _documented_statements()
    assert len(statements) >= 9
    values = dict.fromkeys(("id", "contact_id", "email_schedule_id"), 11)
    texts = ("today", "time", "now", "an_hour_ago", "reason", "url", "ip_address", "user_agent")
    values |= dict.fromkeys(texts, "2026-11-23") | {"event_data": "{}"}
    assert len(organisation.documented(*statements, **values)) == len(statements)


def test_the_documented_claim_takes_a_row_once(organisation: Organisation) -> None:
    claim = _documented("SET status = 'processing'")
    values = {"id": 11, "today": TODAY, "now": "2026-11-23T09:00:00-06:00"}
    assert organisation.documented(claim, **values) == [1]
    assert organisation.documented(claim, **values) == [0]
