"""The whole plan: the order in which the planning rules are applied.

The stages are functions of their own, so that whoever keeps what each of them returned makes the same plan.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.basis import PlanningBasis, refuse_beyond_calendar
from email_scheduler.planning.columns import side_by_side
from email_scheduler.planning.cube import PlanCounts
from email_scheduler.planning.frames import EMAIL_SCHEDULES, SCHEDULES, PlanInputs
from email_scheduler.planning.rules.anniversaries import anniversary_occurrences, effective_date_load
from email_scheduler.planning.rules.audiences import audience_members, planned_instances
from email_scheduler.planning.rules.balancing import (
    balance,
    capacity_shortfall,
    daily_cap,
    daily_limit,
    fixed_volume,
    foreign_rows,
)
from email_scheduler.planning.rules.campaign_occurrences import (
    ListedTargets,
    campaign_occurrences,
    resolve_conflicts,
)
from email_scheduler.planning.rules.contacts import issues, validate_contacts
from email_scheduler.planning.rules.follow_ups import plan_follow_ups
from email_scheduler.planning.rules.intervals import assign_intervals, crowded_ideal_dates
from email_scheduler.planning.rules.limits import limit_per_contact
from email_scheduler.planning.rules.rows import COLUMNS_OF_ROWS, email_schedules_by_part, target_statuses


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

    @cached_property
    def counts(self) -> PlanCounts:
        """What the rows come to, counted once: all that is shown of a plan is a grouping of it."""
        return PlanCounts.of(self.schedules, self.contacts, self.as_of)


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
        UsageError: The date is too near to an end of the calendar.
    """
    refuse_beyond_calendar(inputs.as_of, config)
    on_phase("contacts")
    contacts, contact_issues = validate_contacts(inputs, config)
    basis = planning_basis(inputs, contacts, config)
    on_phase("anniversary schedules")
    anniversaries = plan_anniversaries(basis)
    on_phase("campaign schedules")
    campaigns, target_issues = plan_campaigns(basis, inputs)
    on_phase("follow-ups")
    follow_ups, answer_issues = plan_follow_ups(basis, inputs.clicks, inputs.answers)
    found = pd.concat([contact_issues, target_issues, answer_issues], ignore_index=True)
    stages = [anniversaries, campaigns]
    del anniversaries, campaigns
    # nothing here keeps the joined frame, so that balancing can let go of it
    return balance_plan(basis, inputs, SCHEDULES.join(stages), follow_ups, found, on_phase=on_phase)


def planning_basis(inputs: PlanInputs, contacts: pd.DataFrame, config: SchedulerConfig) -> PlanningBasis:
    """Return what the rules look at for the valid contacts (``CONTACTS``) of an organisation.

    Raises:
        InputDataError: A campaign instance cannot be read.
    """
    return PlanningBasis.of(
        inputs.as_of, config, contacts, inputs.campaign_types, inputs.campaign_instances, inputs.history
    )


def plan_anniversaries(basis: PlanningBasis) -> pd.DataFrame:
    """Return ``SCHEDULES`` of the anniversary and post-window emails (sections 6, 7, 9).

    Args:
        basis: What planning looks at, for all valid contacts of the organisation.
    """
    cap = daily_cap(len(basis.contacts), basis.config)
    load = pd.concat(side_by_side(effective_date_load, basis.parts)).groupby(level=0).sum()
    crowded = crowded_ideal_dates(load, cap, basis.config)

    def plan_part(part: PlanningBasis) -> pd.DataFrame:
        return assign_intervals(part, anniversary_occurrences(part), crowded)

    return SCHEDULES.join(side_by_side(plan_part, basis.parts))


def plan_campaigns(basis: PlanningBasis, inputs: PlanInputs) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return ``SCHEDULES`` of the campaign emails, and ``CONTACT_ISSUES`` of their targets (sections 8, 9).

    Args:
        basis: What planning looks at.
        inputs: The organisation's tables: its contacts and the targets that are listed.

    Raises:
        InputDataError: An audience does not suit the columns of the contacts.
    """
    listed = ListedTargets.read(inputs.contact_campaigns, basis)
    planned = planned_instances(basis.instances, basis.today, basis.config)
    members = audience_members(basis, inputs, planned)
    # only effective-date emails are smoothed
    nothing_crowded = np.empty(0, np.int32)

    def plan_part(part: PlanningBasis) -> tuple[pd.DataFrame, dict[str, npt.NDArray[np.int64]]]:
        bounds = part.first, part.first + len(part.contacts)
        members_of_part = {id_: each.of_contacts(*bounds) for id_, each in members.items()}
        due, found = campaign_occurrences(part, listed.of_contacts(*bounds), members_of_part)
        return resolve_conflicts(assign_intervals(part, due, nothing_crowded)), found

    frames, found_by_part = zip(*side_by_side(plan_part, basis.parts), strict=True)
    found = {name: np.concatenate([each[name] for each in found_by_part]) for name in found_by_part[0]}
    return SCHEDULES.join(frames), issues(found)


def balance_plan(
    basis: PlanningBasis,
    inputs: PlanInputs,
    schedules: pd.DataFrame,
    follow_ups: pd.DataFrame,
    found: pd.DataFrame,
    *,
    on_phase: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Choose the day of every email, apply the limits per contact, and make the rows (sections 11 to 13).

    Args:
        basis: What planning looks at, for all valid contacts of the organisation.
        inputs: The organisation's tables.
        schedules: ``SCHEDULES`` of the anniversary emails, then those of the campaign emails.
        follow_ups: ``FOLLOW_UPS``.
        found: ``CONTACT_ISSUES`` of all stages.
        on_phase: Told the name of each phase as it begins.
    """
    config, contact_count = basis.config, len(basis.contacts)
    cap = daily_cap(contact_count, config)
    on_phase("balancing")
    fixed = fixed_volume(basis.history, follow_ups)
    balanced = balance(schedules, fixed, cap, config, basis.as_of)
    del schedules
    on_phase("limits")
    by_part = basis.rows_by_part(balanced["contact_id"].to_numpy())
    balanced = limit_per_contact(basis, balanced, by_part)
    on_phase("rows")
    shortfall = capacity_shortfall(balanced, contact_count, cap, config)
    # the other columns have served
    balanced = balanced[COLUMNS_OF_ROWS]
    parts = email_schedules_by_part(basis, balanced, by_part, follow_ups)
    del balanced, by_part
    rows = EMAIL_SCHEDULES.join(parts)
    return Plan(
        as_of=basis.as_of,
        schedules=rows,
        contacts=basis.contacts,
        issues=found,
        target_statuses=target_statuses(basis, rows, inputs.contact_campaigns),
        contact_count=len(inputs.contacts),
        daily_cap=cap,
        daily_limit=daily_limit(cap, config),
        fixed=fixed,
        foreign_rows=foreign_rows(basis.history),
        capacity_shortfall=shortfall,
    )
