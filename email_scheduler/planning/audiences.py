"""Audiences: which contacts match, and what their emails are about (section 8 of the planning rules)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from email_scheduler.config.audiences import STATE, Audience
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import InputDataError
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.campaign_instances import CampaignInstance, read_instances
from email_scheduler.planning.contact_values import PARTS, ContactTable, source_of, suits_part
from email_scheduler.planning.dates import Anchors, Days, Flags, to_day, years_of
from email_scheduler.planning.exclusions import Rows
from email_scheduler.planning.frames import NO_DATE, PlanInputs

# How many days after its ideal date an anniversary may count at most: fewer than to the next one.
MOST_CATCH_UP_DAYS_OF_ANNIVERSARY: Final = 364


@dataclass(frozen=True)
class Members:
    """The contacts that match an audience, in order.

    Attributes:
        rows: Position of the contact.
        triggers: Trigger day; ``NO_DATE`` if there is none to be read.
        is_unreadable: Whether the column holds something that cannot be read as a trigger date.
    """

    rows: Rows
    triggers: Days
    is_unreadable: Flags

    def of_contacts(self, start: int, stop: int) -> "Members":
        """Return those of the contacts from ``start`` (0 from now on) to before ``stop``."""
        part = slice(*self.rows.searchsorted(np.array([start, stop])))
        return Members(self.rows[part] - start, self.triggers[part], self.is_unreadable[part])


def planned_instances(
    instances: dict[int, CampaignInstance], today: int, config: SchedulerConfig
) -> list[CampaignInstance]:
    """Return the instances whose emails are planned, by id: active, not ended (section 8)."""
    if not config.features.enable_campaigns:
        return []
    return [each for _, each in sorted(instances.items()) if each.is_active and each.end >= today]


def named_values(
    types: pd.DataFrame, instances: pd.DataFrame, as_of: date, config: SchedulerConfig
) -> set[str]:
    """Return the names of the values of contacts that the audiences of planned instances depend on.

    Args:
        types: ``CAMPAIGN_TYPES_TABLE``.
        instances: ``CAMPAIGN_INSTANCES_TABLE``; if one cannot be read there is nothing to plan.
        as_of: The date that the plan is made for.
        config: The organisation's configuration.
    """
    try:
        read = read_instances(types, instances)
    except InputDataError:
        return set()
    planned = planned_instances(read, to_day(as_of), config)
    return {name for each in planned if each.audience for name in each.audience.names}


def column_problem(audience: Audience, columns: Collection[str]) -> str | None:
    """Return why an audience does not suit a table ``contacts`` with these columns; None: it does."""
    for name in sorted(audience.names - {STATE}):
        source = source_of(name, columns)
        if source is None or (source[1] and name not in audience.where):
            return f"metadata.audience names {name}; accepted is a column of contacts"
        if source[1] and not suits_part(audience.where[name], source[1]):
            return f"metadata.audience.where.{name}: accepted are whole numbers from 1 to {PARTS[source[1]]}"
    return None


def audience_members(
    basis: PlanningBasis, inputs: PlanInputs, instances: Collection[CampaignInstance]
) -> dict[int, Members]:
    """Return who matches the audience of each of these instances that has one, by instance id.

    Args:
        basis: What planning looks at, for all valid contacts.
        inputs: The organisation's tables.
        instances: Those to look at.

    Raises:
        InputDataError: An audience names a column that was not read: ``contacts`` has none such.
    """
    found = {}
    table = ContactTable(basis.contacts, (inputs.contacts, inputs.contact_attributes))
    for instance in instances:
        if instance.audience is not None:
            problem = column_problem(instance.audience, table.columns)
            if problem is not None:
                raise InputDataError(f"campaign instance {instance.id}: {problem}")
            found[instance.id] = _members(basis, table, instance, instance.audience)
    return found


def _members(
    basis: PlanningBasis, table: ContactTable, instance: CampaignInstance, audience: Audience
) -> Members:
    is_match = np.ones(len(basis.contacts), np.bool_)
    for name, condition in audience.where.items():
        is_match &= table.meets(name, condition)
    rows = np.flatnonzero(is_match)
    trigger = audience.trigger
    if trigger is None or trigger.source is None:
        day = instance.default_trigger if trigger is None or trigger.date is None else to_day(trigger.date)
        return Members(rows, np.full(len(rows), day, np.int32), np.zeros(len(rows), np.bool_))
    days, is_unreadable = table.days(trigger.source, rows, basis.as_of)
    if instance.is_yearly:
        days = _current_anniversaries(basis, instance, days)
    return Members(rows, days, is_unreadable)


def catch_up_days_of_anniversary(config: SchedulerConfig) -> int:
    """Return how long after its ideal date an email without days before its anniversary may go out."""
    return min(config.timing_constants.campaign_catch_up_days, MOST_CATCH_UP_DAYS_OF_ANNIVERSARY)


def _current_anniversaries(basis: PlanningBasis, instance: CampaignInstance, days: Days) -> Days:
    """Return the earliest anniversary of each day whose deadline is not over, nor before the campaign."""
    earliest_deadline = max(basis.today, instance.start)
    days_before = instance.days_before_event
    late = -1 if days_before > 0 else catch_up_days_of_anniversary(basis.config) - days_before
    earliest = np.int32(earliest_deadline - late)
    anchors = Anchors.of(days)
    year = np.maximum(anchors.year + 1, years_of(np.array([earliest], np.int32)))
    anniversary = anchors.anniversaries(year)
    current = np.where(anniversary < earliest, anchors.anniversaries(year + 1), anniversary)
    return np.where(anchors.is_known, current, NO_DATE).astype(np.int32)


@dataclass(frozen=True)
class AudienceCounts:
    """Whom an audience takes in one plan.

    Attributes:
        matched: Valid contacts that match.
        listed: Of these, those that have a row for the instance: they are no part of it.
        without_trigger_date: Of the others, those whose trigger date is missing or unreadable.
    """

    matched: int
    listed: int
    without_trigger_date: int

    @property
    def taken(self) -> int:
        """The contacts that it takes."""
        return self.matched - self.listed - self.without_trigger_date


def count_audience(basis: PlanningBasis, inputs: PlanInputs, instance: CampaignInstance) -> AudienceCounts:
    """Return whom the audience of an instance takes; nobody if it has none.

    Raises:
        InputDataError: The audience does not suit the columns of the contacts.
    """
    members = audience_members(basis, inputs, [instance]).get(instance.id)
    if members is None:
        return AudienceCounts(0, 0, 0)
    rows = inputs.contact_campaigns
    listed = rows["contact_id"].to_numpy()[(rows["campaign_instance_id"] == instance.id).to_numpy()]
    is_listed = np.isin(basis.contacts["contact_id"].to_numpy()[members.rows], listed)
    is_undated = ~is_listed & (members.triggers == NO_DATE)
    return AudienceCounts(
        len(members.rows), int(np.count_nonzero(is_listed)), int(np.count_nonzero(is_undated))
    )
