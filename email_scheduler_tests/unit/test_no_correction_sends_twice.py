"""After an email went out, no correction of what it was about sends it once more.

Each test lives through days: plan, send what is due, correct something, and go on until nothing can go out
any more.
"""

from collections.abc import Callable
from datetime import date

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import PlanInputs
from email_scheduler_tests.builders import campaign_instance, campaign_type, contact, inputs, target
from email_scheduler_tests.plans import PlannedEmail, send_daily

Situation = Callable[[date], tuple[PlanInputs, SchedulerConfig]]
ROOMY = {
    "load_balancing": {"daily_send_percentage_cap": 1, "ed_soft_limit_percentage": 1},
    "features": {"enable_followups": False},
}
ROOMY_CONFIG = SchedulerConfig.model_validate(ROOMY)
NEVER = "9999-12-31"


def corrected(
    on: str,
    before: tuple[PlanInputs, SchedulerConfig],
    after: tuple[PlanInputs, SchedulerConfig],
) -> Situation:
    """Return what is known on each day: ``after`` from the morning of ``on``."""

    def situation(day: date) -> tuple[PlanInputs, SchedulerConfig]:
        organisation, config = after if day >= date.fromisoformat(on) else before
        return PlanInputs(**{**vars(organisation), "as_of": day}), config

    return situation


def people(*rows: object) -> tuple[PlanInputs, SchedulerConfig]:
    """Return an organisation of these contacts, with room for all of them."""
    return inputs("2026-01-01", rows), ROOMY_CONFIG


def days_of(sent: list[PlannedEmail], email_type: str) -> list[str]:
    """Return the days on which emails of a type went out."""
    return [email.send_date for email in sent if email.email_type == email_type]


BIRTHDAY_CORRECTIONS = [
    # born on 10 March: the email is due on 24 February
    ("1950-03-10", "1950-03-12", "2026-02-22", ["2026-02-26"]),
    ("1950-03-10", "1950-03-12", "2026-02-24", ["2026-02-26"]),
    ("1950-03-10", "1950-03-12", "2026-02-25", ["2026-02-24"]),
    ("1950-03-10", "1950-03-12", "2026-02-26", ["2026-02-24"]),
    ("1950-03-10", "1950-03-12", "2026-03-10", ["2026-02-24"]),
    ("1950-03-10", "1950-03-12", "2026-03-11", ["2026-02-24"]),
    ("1950-03-10", "1950-03-08", "2026-02-23", ["2026-02-23"]),
    ("1950-03-10", "1950-03-08", "2026-02-25", ["2026-02-24"]),
    ("1950-03-10", "1950-03-08", "2026-03-09", ["2026-02-24"]),
    ("1952-02-29", "1952-03-02", "2026-02-15", ["2026-02-14"]),
    ("1952-03-01", "1952-02-28", "2026-02-16", ["2026-02-15"]),
    # across the end of a year, where the event moves into another one
    ("1950-12-31", "1951-01-02", "2026-12-18", ["2026-12-17"]),
    ("1950-12-31", "1951-01-02", "2026-12-31", ["2026-12-17"]),
    ("1950-12-31", "1951-01-02", "2027-01-01", ["2026-12-17"]),
    ("1951-01-01", "1950-12-30", "2026-12-19", ["2026-12-18"]),
    ("1951-01-01", "1950-12-30", "2026-12-30", ["2026-12-18"]),
    ("1951-01-01", "1950-12-30", "2026-12-31", ["2026-12-18"]),
    ("1951-01-01", "1950-12-30", "2027-01-05", ["2026-12-18"]),
    # the email of the corrected date would have gone out in the year before
    ("1951-01-15", "1951-01-13", "2027-01-01", ["2026-12-30"][:0] + ["2027-01-01"]),
    ("1951-01-15", "1951-01-13", "2027-01-02", ["2027-01-01"]),
]


@pytest.mark.parametrize(("wrong", "right", "on", "expected"), BIRTHDAY_CORRECTIONS)
def test_a_birth_date_corrected_by_two_days(wrong: str, right: str, on: str, expected: list[str]) -> None:
    year = int(expected[0][:4])
    first, last = (f"{year}-12-10", f"{year + 1}-02-10") if expected[0][5:7] == "12" else ("", "")
    if not first:
        first, last = (f"{year - 1}-12-20", f"{year}-03-31")
    situation = corrected(on, people(contact(1, "75001", wrong)), people(contact(1, "75001", right)))
    assert days_of(send_daily(first, last, situation), "birthday") == expected
