"""Random cases pushed to where the planning rules change their mind: one day more or less, another plan.

Where those days lie, the oracle says; it only helps to find cases, and judges nothing here.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import HISTORY_TABLE, PlanInputs
from email_scheduler_tests.builders import email_row, table
from email_scheduler_tests.oracle import make_oracle_plan
from email_scheduler_tests.oracle.audiences import is_yearly
from email_scheduler_tests.oracle.emails import Email
from email_scheduler_tests.oracle.plan import OraclePlan

Case = tuple[PlanInputs, SchedulerConfig]
Document = dict[str, dict[str, object]]


def at_a_boundary(rng: random.Random, organisation: PlanInputs, config: SchedulerConfig) -> Case:
    """Return the case with one thing moved to the limit of one of its emails."""
    plan = make_oracle_plan(organisation, config)
    if not plan.emails:
        return organisation, config
    email = rng.choice(plan.emails)
    if rng.random() < 0.35:
        return on_a_boundary_day(rng, organisation, plan, email), config
    if rng.random() < 0.4:
        return with_an_answered_occurrence(rng, organisation, plan, email), config
    document = config.model_dump()
    change: Callable[[random.Random, Document, Email], None] = rng.choice(
        [set_go_live, close_the_interval, set_age, set_window, set_window, set_window]
    )
    change(rng, document, email)
    return organisation, SchedulerConfig.model_validate(document)


def on_a_boundary_day(
    rng: random.Random, organisation: PlanInputs, plan: OraclePlan, email: Email
) -> PlanInputs:
    """Move the as-of date to the ideal date, the end of the spread, or the deadline of an email."""
    spread = plan.book.config.load_balancing.catch_up_spread_days
    days = [email.ideal_date, email.deadline, email.ideal_date + timedelta(days=spread)]
    days += [email.first, email.last] if email.last is not None else []
    lookback = timedelta(days=plan.book.config.timing_constants.followup_lookback_days)
    days += [follow_up.initial.send_date + lookback for follow_up in plan.follow_ups[:2]]
    day = rng.choice(days) + timedelta(days=rng.choice([-1, 0, 0, 1]))
    return replace(organisation, as_of=day) if date(2025, 1, 1) <= day <= date(2032, 12, 31) else organisation


def with_an_answered_occurrence(
    rng: random.Random, organisation: PlanInputs, plan: OraclePlan, email: Email
) -> PlanInputs:
    """Add a row of the sender at the limit of what still answers an occurrence."""
    days_away = {"birthday": [182, 183], "effective_date": [182, 183], "post_window": [60, 61]}
    limits = [182, 183] if email.is_implicit and is_yearly(email.instance) else [1, 15]
    away = timedelta(days=rng.choice([0, *days_away.get(email.email_type, limits)]) * rng.choice([-1, 1]))
    event_date = email.event_date + away
    row = email_row(
        max((one.id for one in plan.book.history), default=0) + 1,
        email.contact.id,
        email.email_type,
        (plan.book.today - timedelta(days=rng.randint(0, 30))).isoformat(),
        event_date.isoformat(),
        status=rng.choice(["sent", "failed", "delivered"]),
        campaign_instance_id=email.instance_id,
    )
    history = pd.concat([organisation.history, table(HISTORY_TABLE, [row])], ignore_index=True)
    return replace(organisation, history=history)


def set_go_live(rng: random.Random, document: Document, email: Email) -> None:
    """Go live on the ideal date of an email, or a day before or after it."""
    document["go_live_date"] = email.ideal_date + timedelta(days=rng.choice([-1, 0, 0, 1]))


def close_the_interval(rng: random.Random, document: Document, email: Email) -> None:
    """Close the days on which an email may go out, one of them left out now and then."""
    first = email.first or email.ideal_date
    last = min(email.last or email.deadline, first + timedelta(days=60))
    days = [first + timedelta(days=number) for number in range(max((last - first).days, 0) + 1)]
    if rng.random() < 0.3:
        days.remove(rng.choice(days))
    if rng.random() < 0.4:
        days.append(first - timedelta(days=1))
    calendar = document["send_calendar"]
    document["send_calendar"] = {**calendar, "no_send_dates": {*calendar["no_send_dates"], *days}}


def set_age(rng: random.Random, document: Document, email: Email) -> None:
    """Let emails go out on the birthday itself, where the 76th ends them."""
    document["timing_constants"]["birthday_email_days_before"] = rng.choice([0, 0, 1])
    rules = document["state_rules"]
    rules["age_76_plus_exclusion"] = {*rules["age_76_plus_exclusion"], email.contact.state}
    rules["year_round_exclusion"] = rules["year_round_exclusion"] - {email.contact.state}


def set_window(rng: random.Random, document: Document, email: Email) -> None:
    """Give the state a window that covers the whole year, and is law from or until about an ideal date."""
    rules = document["state_rules"]
    kind = rng.choice(["birthday_windows", "effective_date_windows"])
    near = email.ideal_date + timedelta(days=rng.choice([-1, 0, 0, 1]))
    until = rng.choice(
        [near, near + timedelta(days=366), near + timedelta(days=365), near + timedelta(days=7)]
    )
    window = {
        "window_before_days": 0,
        "window_after_days": 366,
        "pre_window_extension_days": 0,
        "valid_from": rng.choice([near, near, date(2020, 1, 1)]),
        "valid_to": rng.choice([None, until, until]),
    }
    state = email.contact.state
    others = rules[kind].get(state, ()) if rng.random() < 0.5 else ()
    rules[kind] = {**rules[kind], state: (*others, window)}
    rules["year_round_exclusion"] = rules["year_round_exclusion"] - {state}
