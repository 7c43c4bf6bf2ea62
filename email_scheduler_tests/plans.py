"""Plans as people read them, and days of sending what they say."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.columns.dates import from_day
from email_scheduler.planning.frames import HISTORY_TABLE, PlanInputs
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler_tests.builders import Row, email_row, table


class PlannedEmail(NamedTuple):
    """A row of a plan; dates are written ``YYYY-MM-DD``, the reason is ``None`` for a pre-scheduled row."""

    contact_id: int
    email_type: str
    campaign_instance_id: int
    event_date: str
    send_date: str
    skip_reason: str | None
    initial_email_id: int


def emails(plan: Plan, *email_types: str) -> list[PlannedEmail]:
    """Return the rows of a plan, in its order; those of these types only, if any are named."""
    frame = plan.schedules
    rows = zip(
        frame["contact_id"].tolist(),
        frame["email_type"].tolist(),
        frame["campaign_instance_id"].tolist(),
        [from_day(day).isoformat() for day in frame["event_date"]],
        [from_day(day).isoformat() for day in frame["scheduled_send_date"]],
        [reason if isinstance(reason, str) else None for reason in frame["skip_reason"].tolist()],
        frame["initial_email_id"].tolist(),
        strict=True,
    )
    return [email for email in map(PlannedEmail._make, rows) if not email_types or email[1] in email_types]


def as_sent(email: PlannedEmail, email_id: int) -> Row:
    """Return the row of ``email_schedules`` that says that a planned email went out on its day."""
    return email_row(
        email_id,
        email.contact_id,
        email.email_type,
        email.send_date,
        email.event_date,
        actual_send_datetime=f"{email.send_date}T08:30:07",
        campaign_instance_id=email.campaign_instance_id,
        initial_email_id=email.initial_email_id,
    )


def days_from(first: str, last: str, step: int = 1) -> list[date]:
    """Return the days from ``first`` to ``last``, both inclusive, every ``step``-th."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [start + timedelta(days=number) for number in range(0, (end - start).days + 1, step)]


def plan_and_send(
    days: Iterable[date], situation: Callable[[date], tuple[PlanInputs, SchedulerConfig]]
) -> list[PlannedEmail]:
    """Plan on each of these days and send what is due until the next one; return what went out.

    Args:
        days: Days in order; on the last one only its own emails go out.
        situation: What the tables (their history aside) and the configuration say on a day.
    """
    days = list(days)
    sent: list[PlannedEmail] = []
    for day, following in zip(days, [*days[1:], days[-1] + timedelta(days=1)], strict=True):
        organisation, config = situation(day)
        history = table(HISTORY_TABLE, [as_sent(email, number) for number, email in enumerate(sent, 1)])
        plan = make_plan(replace(organisation, history=history), config)
        planned = [email for email in emails(plan) if email.skip_reason is None]
        sent += [email for email in planned if email.send_date < following.isoformat()]
    return sent
