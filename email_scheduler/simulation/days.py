"""The days of a simulation, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.planning import (
    CONTACTS,
    DATE,
    NUMBER,
    Axis,
    Cube,
    Frame,
    PlanInputs,
    is_label,
    make_plan,
    refuse_beyond_calendar,
    to_day,
)
from email_scheduler.proof import find_violations
from email_scheduler.registry import DAILY_CAP_EXCEEDED
from email_scheduler.simulation.settled_emails import SettledEmails, Steadiness
from email_scheduler.simulation.simulated_tables import Reactions, Tables

PROOF_EVERY_DAYS: Final = 30

# One row a day: emails sent, the daily cap and limit, and how many emails the plan of the day found no place
# for, whenever they were due.
SIMULATED_DAYS: Final = Frame(
    "simulated days",
    {"day": DATE, "emails": NUMBER, "daily_cap": NUMBER, "daily_limit": NUMBER, "no_place": NUMBER},
    key=("day",),
    order=("day",),
)


@dataclass(frozen=True)
class Simulation:
    """What happened.

    Attributes:
        contacts: ``CONTACTS``: the valid contacts of the first day.
        emails: ``SETTLED_EMAILS``.
        days: ``SIMULATED_DAYS``.
        open_count: Emails of the last plan that are still to come, or still skipped.
        promises: How steady the plans were.
        proofs: How many of the plans were proved.
        violations: Rows of these that break a rule.
    """

    contacts: pd.DataFrame
    emails: pd.DataFrame
    days: pd.DataFrame
    open_count: int
    promises: Steadiness
    proofs: int
    violations: int

    @cached_property
    def counts(self) -> Cube:
        """``SETTLED_EMAILS`` by day, state, type, outcome, reason and delay, counted once."""
        numbers = {name: Axis.of_numbers(self.emails[name].to_numpy()) for name in ("day", "late_days")}
        names = ("state", "email_type", "outcome", "reason")
        labels = {name: Axis.of_labels(self.emails[name]) for name in names}
        return Cube.count({"day": numbers["day"], **labels, "late_days": numbers["late_days"]})


def simulate(
    inputs: PlanInputs,
    config: SchedulerConfig,
    days: int,
    reactions: Reactions,
    *,
    on_day: Callable[[int], None] = lambda _: None,
) -> Simulation:
    """Plan every day, send what is due on it, and let contacts react.

    What is sent arrives, and nobody is added, edited or unsubscribes meanwhile; suppressions that are dated
    later count from their date. Rows that the sending system had claimed before stay as they are. Every
    ``PROOF_EVERY_DAYS`` days, from the first on, the plan is proved.

    Args:
        inputs: The organisation's tables on the first day, which is their as-of date. They stay as they are.
        config: Its configuration.
        days: How many days, at least 1.
        reactions: What contacts do.
        on_day: Told how many days are done.

    Raises:
        UsageError: There is no day to simulate, or one of them is too near to an end of the calendar.
        PlanningError: A plan cannot be made.
    """
    if days < 1:
        raise UsageError(f"days {days}; accepted is a number from 1 on")
    refuse_beyond_calendar(inputs.as_of, config, days - 1)
    tables = Tables(inputs, reactions)
    rows: list[tuple[int, int, int, int, int]] = []
    ledger, contacts, proofs, violations = SettledEmails(CONTACTS.empty()), CONTACTS.empty(), 0, 0
    for number in range(days):
        day = inputs.as_of + timedelta(days=number)
        today = tables.on(day)
        plan = make_plan(today, config)
        if number == 0:
            contacts = plan.contacts
            ledger = SettledEmails(contacts)
        if number % PROOF_EVERY_DAYS == 0:
            proofs += 1
            violations += len(find_violations(today, plan.contacts, plan.schedules, config))
        due = ledger.follow(plan, to_day(day))
        tables.publish(plan.target_statuses)
        tables.send(due, day)
        no_place = np.count_nonzero(is_label(plan.schedules["skip_reason"], [DAILY_CAP_EXCEEDED]))
        rows.append((to_day(day), len(due), plan.daily_cap, plan.daily_limit, int(no_place)))
        on_day(number + 1)
    by_day = pd.DataFrame(rows, columns=list(SIMULATED_DAYS.columns), dtype="int32")
    return Simulation(
        contacts=contacts,
        emails=ledger.settled(),
        days=SIMULATED_DAYS.check(by_day),
        open_count=ledger.open_count(),
        promises=ledger.promises,
        proofs=proofs,
        violations=violations,
    )
