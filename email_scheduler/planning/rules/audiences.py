"""Audiences: what they ask of contacts, who matches, what emails are about (section 8 of the rules)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from email_scheduler.config import NOT, STATE, Audience, Condition, SchedulerConfig, Value, values_of
from email_scheduler.errors import InputDataError
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.columns import (
    Anchors,
    Days,
    Flags,
    SortedIds,
    codes_and_texts,
    format_days,
    parse_dates,
    to_day,
    to_flags,
    trim,
    years_of,
)
from email_scheduler.planning.frames import NO_DATE, PlanInputs
from email_scheduler.planning.rules.campaign_instances import CampaignInstance, read_instances
from email_scheduler.planning.rules.contacts import FIRST_DATE, LAST_EFFECTIVE_DATE
from email_scheduler.planning.rules.exclusions import Rows

# What of a date may be asked for, and the greatest that it can be.
PARTS: Final = {"month": 12, "year": 9999}
_DATE: Final = "_date"
_NUMBER: Final = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?\z"
# How many days after its ideal date an anniversary may count at most: fewer than to the next one.
MOST_CATCH_UP_DAYS_OF_ANNIVERSARY: Final = 364


def source_of(name: str, columns: Collection[str]) -> tuple[str, str] | None:
    """Return the column that a value is taken from, and which part of its date (``""``: all of it).

    None: there is no such column. Names are in small letters.
    """
    if name in columns:
        return name, ""
    base, _, part = name.rpartition("_")
    return (base + _DATE, part) if part in PARTS and base + _DATE in columns else None


def suits_part(condition: Condition, part: str) -> bool:
    """Tell whether a condition can be asked of a part of a date: whole numbers that it can have."""
    return all(isinstance(value, int) and 1 <= value <= PARTS[part] for value in values_of(condition))


class ContactTable:
    """The columns of ``contacts`` for some of them, each looked up when it is asked for.

    Args:
        contacts: Their ``contact_id``, and ``state``: that of the ZIP, missing where there is none.
        tables: Where the columns are, each with ``id``.
    """

    def __init__(self, contacts: pd.DataFrame, tables: Sequence[pd.DataFrame]) -> None:
        self._contacts = contacts
        self._tables = tables
        self._known_places: dict[int, Rows] = {}
        self.columns = {str(name) for table in self._tables for name in table.columns}

    def meets(self, name: str, condition: Condition) -> Flags:
        """Tell which contacts meet a condition.

        Of a part of a date, those who have none meet nothing, whatever it is not.
        """
        is_negated = isinstance(condition, dict) and NOT in condition
        wanted = values_of(condition) if is_negated else condition
        if name == STATE:
            codes, texts = codes_and_texts(self._contacts[STATE])
            is_met = to_flags(pc.is_in(texts, pa.array(wanted, texts.type))) != is_negated
            return np.append(is_met, _takes_blank(wanted) != is_negated)[codes]
        column, part = source_of(name, self.columns) or (name, "")
        codes, texts = codes_and_texts(self._column(column))
        texts = trim(texts)
        if part:
            values = _part_of_dates(texts, part)
            is_met = (
                _is_in_range(values, wanted)
                if isinstance(wanted, dict)
                else (np.isin(values, wanted) != is_negated) & (values != NO_DATE)
            )
            return np.append(is_met, False)[codes]
        is_met = _meets(texts, wanted, is_date=column.endswith(_DATE)) != is_negated
        return np.append(is_met, _takes_blank(wanted) != is_negated)[codes]

    def days(self, column: str, rows: Rows, as_of: date) -> tuple[Days, Flags]:
        """Return the date of some contacts in a column, and where it cannot be read (section 4)."""
        last = as_of if column == "birth_date" else LAST_EFFECTIVE_DATE
        return parse_dates(self._column(column).iloc[rows], first=FIRST_DATE, last=last)

    def _column(self, name: str) -> pd.Series:
        table = next(each for each in self._tables if name in each.columns)
        values = table[name].astype("str") if name == "id" else table[name]
        return pd.Series(values.array.take(self._places(table), allow_fill=True))

    def _places(self, table: pd.DataFrame) -> Rows:
        """Return the row of each contact in a table, -1 where there is none."""
        if id(table) not in self._known_places:
            ids = table["id"].to_numpy()
            order = np.argsort(ids, kind="stable")
            found = SortedIds(ids[order]).positions(self._contacts["contact_id"].to_numpy())
            self._known_places[id(table)] = np.append(order, -1)[found]
        return self._known_places[id(table)]


def _meets(texts: pa.Array, condition: Condition, *, is_date: bool) -> Flags:
    """Tell which trimmed texts meet a condition."""
    if isinstance(condition, dict):
        return _is_in_range(*_comparable(texts, condition))
    numbers = [value for value in condition if not isinstance(value, str)]
    words = pa.array([value.strip() for value in condition if isinstance(value, str)], texts.type)
    shown = _with_iso_dates(texts) if is_date else texts
    is_met = to_flags(pc.is_in(pc.ascii_lower(shown), pc.ascii_lower(words)))
    return is_met | np.isin(_numbers(texts), numbers) if numbers else is_met


def _comparable(texts: pa.Array, bounds: dict[str, Value]) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Return texts and the bounds of a range as numbers: day numbers if it is a range of dates."""
    if any(isinstance(bound, str) for bound in bounds.values()):
        days = {name: to_day(date.fromisoformat(str(bound))) for name, bound in bounds.items()}
        return _days(texts), days
    return _numbers(texts), bounds


def _is_in_range(values: npt.NDArray[Any], bounds: dict[str, Any]) -> Flags:
    is_within: Flags = np.isfinite(values) & (values != NO_DATE)
    if "min" in bounds:
        is_within &= values >= bounds["min"]
    if "max" in bounds:
        is_within &= values <= bounds["max"]
    return is_within


def _takes_blank(condition: Condition) -> bool:
    return not isinstance(condition, dict) and any(not str(value).strip() for value in condition)


def _numbers(texts: pa.Array) -> npt.NDArray[np.float64]:
    """Return the number that each text is; NaN where it is none."""
    is_number = pc.match_substring_regex(texts, _NUMBER)
    numbers: npt.NDArray[np.float64] = pc.cast(pc.if_else(is_number, texts, "nan"), pa.float64()).to_numpy(
        zero_copy_only=False
    )
    return numbers


def _days(texts: pa.Array) -> Days:
    return parse_dates(pd.Series(texts.to_pandas(), dtype="str"))[0]


def _with_iso_dates(texts: pa.Array) -> pa.Array:
    """Return the texts, those that are dates without the time after them."""
    days = _days(texts)
    is_day = days != NO_DATE
    iso = pa.array(format_days(np.where(is_day, days, 0)).astype(object), texts.type)
    return pc.if_else(pa.array(is_day), iso, texts)


def _part_of_dates(texts: pa.Array, part: str) -> npt.NDArray[np.int32]:
    """Return month or year of each text that is a date; ``NO_DATE`` where it is none."""
    anchors = Anchors.of(_days(texts))
    values = anchors.month if part == "month" else anchors.year
    # NO_DATE has no room in the few bits of a month
    return np.where(anchors.is_known, values.astype(np.int32), np.int32(NO_DATE))


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
