"""The whole plan: the order in which the planning rules are applied."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.anniversaries import anniversary_occurrences, effective_date_load
from email_scheduler.planning.balancing import balance, daily_cap, daily_limit, fixed_volume, foreign_rows
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.campaigns import campaign_occurrences, resolve_conflicts
from email_scheduler.planning.capacity import capacity_shortfall
from email_scheduler.planning.contacts import validate_contacts
from email_scheduler.planning.follow_ups import plan_follow_ups
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.intervals import assign_intervals, crowded_ideal_dates
from email_scheduler.planning.limits import limit_per_contact
from email_scheduler.planning.rows import email_schedules, target_statuses


@dataclass(frozen=True)
class Plan:
    """What is to happen, and what was found on the way.

    Attributes:
        as_of: The date that the plan is made for.
        schedules: ``EMAIL_SCHEDULES``: the rows of the statuses pre-scheduled and skipped.
        contacts: ``CONTACTS``: the valid contacts.
        issues: ``CONTACT_ISSUES``.
        target_statuses: ``TARGET_STATUSES``.
        contact_count: Contacts read, valid or not.
        daily_cap: Emails that a day takes.
        daily_limit: The largest load that does not count as over the limit.
        fixed: Emails of each day that balancing could not move; the index holds day numbers.
        capacity_shortfall: ``CAPACITY_SHORTFALL``: emails that find no place, by type.
        foreign_rows: Pre-scheduled rows of types that are not planned here, by type: nobody proves them.
    """

    as_of: date
    schedules: pd.DataFrame
    contacts: pd.DataFrame
    issues: pd.DataFrame
    target_statuses: pd.DataFrame
    contact_count: int
    daily_cap: int
    daily_limit: int
    fixed: pd.Series
    capacity_shortfall: pd.DataFrame
    foreign_rows: dict[str, int]


def make_plan(
    inputs: PlanInputs, config: SchedulerConfig, *, on_phase: Callable[[str], None] = lambda _: None
) -> Plan:
    """Plan every email of every contact: a pure function of its arguments (section 1).

    Args:
        inputs: The organisation's tables as they were read, and the date to plan for.
        config: The organisation's configuration.
        on_phase: Told the name of each phase as it begins, for progress and timing.

    Raises:
        InputDataError: A campaign cannot be read, or two rows have the same key.
    """
    as_of = inputs.as_of
    on_phase("contacts")
    contacts, issues = validate_contacts(inputs.contacts, inputs.suppressions, as_of)
    basis = PlanningBasis.of(
        as_of, config, contacts, inputs.campaign_types, inputs.campaign_instances, inputs.history
    )
    cap = daily_cap(len(contacts), config)

    on_phase("anniversary schedules")
    crowded = crowded_ideal_dates(effective_date_load(basis), cap, config)
    anniversaries = assign_intervals(basis, anniversary_occurrences(basis), crowded)

    on_phase("campaign schedules")
    due, target_issues = campaign_occurrences(basis, inputs.contact_campaigns)
    campaigns = resolve_conflicts(assign_intervals(basis, due, crowded))

    on_phase("follow-ups")
    follow_ups, answer_issues = plan_follow_ups(basis, inputs.clicks, inputs.answers)

    on_phase("balancing")
    schedules = pd.concat([anniversaries, campaigns], ignore_index=True)
    del anniversaries, campaigns, due
    fixed = fixed_volume(basis.history, follow_ups)
    balanced = balance(schedules, fixed, cap, config, as_of)
    del schedules

    on_phase("limits")
    balanced = limit_per_contact(balanced, basis.history, config)

    on_phase("rows")
    rows = email_schedules(basis, balanced, follow_ups)
    return Plan(
        as_of=as_of,
        schedules=rows,
        contacts=contacts,
        issues=pd.concat([issues, target_issues, answer_issues], ignore_index=True),
        target_statuses=target_statuses(basis, rows, inputs.contact_campaigns),
        contact_count=len(inputs.contacts),
        daily_cap=cap,
        daily_limit=daily_limit(cap, config),
        fixed=fixed,
        foreign_rows=foreign_rows(basis.history),
        capacity_shortfall=capacity_shortfall(balanced, len(contacts), cap, config),
    )
