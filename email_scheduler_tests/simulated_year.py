"""A year in the life of an organisation: plan every day, send what is due, and let some contacts react.

Everything is drawn from fixed seeds, so that two runs of one configuration are the same.
"""

import json
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.compliance import find_violations
from email_scheduler.planning.dates import from_day
from email_scheduler.planning.frames import ANSWERS_TABLE, CLICKS_TABLE, HISTORY_TABLE, Frame, PlanInputs
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler_tests.builders import (
    Row,
    answer,
    campaign_instance,
    campaign_type,
    click,
    contact,
    email_row,
    inputs,
    table,
    target,
)

# one ZIP of each state, as often as the state is drawn: every state with a rule, and many without one
ZIP_CODES = (
    *("75001", "75001", "75001", "33101", "33101", "30301", "85001", "60601", "43004", "27601", "19019"),
    *("90210", "90210", "83701", "40202", "21201", "89101", "73101", "97201", "23220", "63101"),
    *("10001", "06101", "02134", "98101"),
)
Occurrence = tuple[int, str, int, int, int]


def random_organisation(start: date, contact_count: int = 300) -> PlanInputs:
    """Return contacts of all kinds of states, half of whose policies began on the first of a month."""
    rng = random.Random(20261123)
    contacts = []
    for contact_id in range(1, contact_count + 1):
        birth = date(1935, 1, 1) + timedelta(days=rng.randrange(25 * 365))
        effective = date(2012, 1, 1) + timedelta(days=rng.randrange(13 * 365))
        if rng.random() < 0.5:
            effective = effective.replace(day=1)
        if contact_id % 60 == 0:
            birth, effective = date(1952, 2, 29), date(2020, 2, 29)
        contacts.append(
            contact(
                contact_id,
                rng.choice(ZIP_CODES),
                None if rng.random() < 0.03 else birth.isoformat(),
                None if rng.random() < 0.1 else effective.isoformat(),
                email=None if rng.random() < 0.02 else "",
            )
        )
    year = start.year
    return inputs(
        start,
        contacts,
        campaign_types=[
            campaign_type("rate_increase", days_before_event=14, priority=1),
            campaign_type(
                "initial_blast",
                respect_exclusion_windows=False,
                enable_followups=False,
                target_all_contacts=True,
                priority=10,
            ),
        ],
        campaign_instances=[
            campaign_instance(1, "rate_increase", f"{year}-01-01", f"{year + 1}-12-31"),
            campaign_instance(2, "initial_blast", f"{year}-04-01", f"{year}-06-30"),
        ],
        contact_campaigns=[
            target(number, contact_id, 1, (date(year, 2, 1) + timedelta(days=rng.randrange(300))).isoformat())
            for number, contact_id in enumerate(
                rng.sample(range(1, contact_count + 1), contact_count // 5), 1
            )
        ],
    )


@dataclass(frozen=True)
class Email:
    """One row of a day's plan, or what became of it."""

    occurrence: Occurrence
    day: date
    skip_reason: str | None
    priority: int

    @property
    def email_type(self) -> str:
        return self.occurrence[1]

    @property
    def event(self) -> int:
        return self.occurrence[3]

    @property
    def is_follow_up(self) -> bool:
        return self.occurrence[4] != 0


@dataclass
class SimulatedYear:
    """What happened in the days that were simulated.

    Attributes:
        sent: Every email that went out, in the order of its going out, with the day.
        compared: Dates, follow-ups aside, that a plan promised for a day after its own; one a row and plan.
        moved: Those of them that the next plan moved: the day of that plan, and both rows.
        withdrawn: Those that the next plan skips or does not know: the day, and both rows.
        capacity_skips: By day of planning, how many emails of each type the plan found no place for.
        lost: Emails that never went out and that the last plan that knew them found no place for.
        violations: Rows that break a rule, of all plans that were proved.
    """

    sent: list[Email] = field(default_factory=list)
    compared: int = 0
    moved: list[tuple[date, Email, Email]] = field(default_factory=list)
    withdrawn: list[tuple[date, Email, Email | None]] = field(default_factory=list)
    capacity_skips: dict[date, Counter[str]] = field(default_factory=dict)
    lost: list[Email] = field(default_factory=list)
    violations: int = 0


def simulate(
    config: SchedulerConfig, start: date, days: int = 365, proof_every_days: int = 30
) -> SimulatedYear:
    """Live through ``days`` days from ``start``: each is planned, and what is due on it goes out.

    Every ``proof_every_days`` days the plan is proved as well.
    """
    life = _Life(random_organisation(start))
    year = SimulatedYear()
    yesterday: dict[Occurrence, Email] = {}
    last_seen: dict[Occurrence, Email] = {}
    for number in range(days):
        day = start + timedelta(days=number)
        organisation = life.organisation(day)
        plan = make_plan(organisation, config)
        if number % proof_every_days == 0:
            year.violations += len(find_violations(organisation, plan.contacts, plan.schedules, config))
        today = emails_of(plan)
        _compare(day, yesterday, today, year)
        year.capacity_skips[day] = Counter(
            email.email_type for email in today.values() if email.skip_reason == "daily_cap_exceeded"
        )
        last_seen |= today
        due = [email for email in today.values() if email.skip_reason is None and email.day == day]
        life.send(due, day)
        year.sent += due
        yesterday = today
    settled = {email.occurrence for email in year.sent} | yesterday.keys()
    year.lost = [
        email
        for occurrence, email in last_seen.items()
        if email.skip_reason == "daily_cap_exceeded" and occurrence not in settled
    ]
    return year


def emails_of(plan: Plan) -> dict[Occurrence, Email]:
    """Return the rows of a plan by occurrence; a follow-up may change its type."""
    columns = plan.schedules
    rows = zip(
        columns["contact_id"].tolist(),
        columns["email_type"].tolist(),
        columns["campaign_instance_id"].tolist(),
        columns["event_date"].tolist(),
        columns["initial_email_id"].tolist(),
        columns["scheduled_send_date"].tolist(),
        columns["skip_reason"].tolist(),
        columns["priority"].tolist(),
        strict=True,
    )
    emails = {}
    for contact_id, email_type, instance_id, event, initial_id, day, reason, priority in rows:
        occurrence = (contact_id, email_type, instance_id, event, initial_id)
        skip_reason = reason if isinstance(reason, str) else None
        emails[occurrence] = Email(occurrence, from_day(day), skip_reason, priority)
    return emails


def _compare(
    day: date, yesterday: dict[Occurrence, Email], today: dict[Occurrence, Email], year: SimulatedYear
) -> None:
    for occurrence, before in yesterday.items():
        # what was due yesterday went out
        if before.is_follow_up or before.skip_reason is not None or before.day < day:
            continue
        now = today.get(occurrence)
        year.compared += 1
        if now is None or now.skip_reason is not None:
            year.withdrawn.append((day, before, now))
        elif before.day != now.day:
            year.moved.append((day, before, now))


class _Life:
    """The sending system and the contacts: what they did so far."""

    def __init__(self, organisation: PlanInputs) -> None:
        self._organisation = organisation
        self._rng = random.Random(42)
        self._email_count = 0
        self._answer_count = 0

    def organisation(self, day: date) -> PlanInputs:
        """Return the tables as they are in the morning of ``day``."""
        return replace(self._organisation, as_of=day)

    def send(self, due: list[Email], day: date) -> None:
        """Send these emails; a quarter of the contacts click the day after, and some of them answer."""
        history: list[Row] = []
        clicks: list[Row] = []
        answers: list[Row] = []
        after = f"{day + timedelta(days=1)}T10:00:00"
        for email in due:
            contact_id, email_type, instance_id, event, initial_id = email.occurrence
            self._email_count += 1
            history.append(
                email_row(
                    self._email_count,
                    contact_id,
                    email_type,
                    day.isoformat(),
                    from_day(event).isoformat(),
                    actual_send_datetime=f"{day}T08:30:07",
                    campaign_instance_id=instance_id,
                    priority=email.priority,
                    initial_email_id=initial_id,
                )
            )
            if self._rng.random() < 0.25:
                clicks.append(click(contact_id, after, self._email_count))
                if self._rng.random() < 0.4:
                    self._answer_count += 1
                    data = json.dumps({"main_questions_yes_count": self._rng.choice([0, 0, 1])})
                    answers.append(answer(self._answer_count, contact_id, after, data))
        before = self._organisation
        self._organisation = replace(
            before,
            history=_longer(before.history, HISTORY_TABLE, history),
            clicks=_longer(before.clicks, CLICKS_TABLE, clicks),
            answers=_longer(before.answers, ANSWERS_TABLE, answers),
        )


def _longer(frame: pd.DataFrame, contract: Frame, rows: list[Row]) -> pd.DataFrame:
    return pd.concat([frame, table(contract, rows)], ignore_index=True) if rows else frame
