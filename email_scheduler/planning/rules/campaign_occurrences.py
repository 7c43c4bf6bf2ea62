"""Campaign emails: their targets, and conflicts among them (section 8 of the planning rules)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import MOST_DAYS
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.categories import NOT_SKIPPED, skip_code, skip_codes, skip_reasons
from email_scheduler.planning.columns import (
    FIRST_DAY,
    LAST_DAY,
    Days,
    Flags,
    SortedIds,
    is_in_calendar,
    pack,
    parse_dates,
)
from email_scheduler.planning.frames import NO_DATE, OCCURRENCES
from email_scheduler.planning.rules.audiences import Members, catch_up_days_of_anniversary, planned_instances
from email_scheduler.planning.rules.campaign_instances import CampaignInstance
from email_scheduler.planning.rules.exclusions import Rows
from email_scheduler.planning.rules.history import tolerance_of_campaigns
from email_scheduler.registry import CAMPAIGN_CONFLICT, EVENT_PASSED, OUTSIDE_CAMPAIGN_DATES

# How long an email of an implicit target may go out after it is first due.
IMPLICIT_CATCH_UP_DAYS: Final = 365
OPEN_TARGET_STATUSES: Final = ("pending", "scheduled")

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ListedTargets:
    """The rows of ``contact_campaigns`` that name valid contacts, in the order of the contacts.

    Attributes:
        rows: Position of the contact.
        instances: Id of the campaign instance.
        triggers: Trigger day, the instance's where the row has none; ``NO_DATE`` if there is none to be read.
        has_date: Whether the row has a trigger date of its own that can be read.
        is_unreadable: Whether the row has a trigger date that cannot be read.
        is_open: Whether its status is pending or scheduled.
    """

    rows: Rows
    instances: Ids
    triggers: Days
    has_date: Flags
    is_unreadable: Flags
    is_open: Flags

    @classmethod
    def read(cls, table: pd.DataFrame, basis: PlanningBasis) -> "ListedTargets":
        """Read ``CONTACT_CAMPAIGNS_TABLE``."""
        triggers, has_date, is_unreadable = trigger_days(table, basis.instances)
        contact = basis.positions(table["contact_id"].to_numpy())
        order = np.argsort(contact, kind="stable")
        known = order[np.count_nonzero(contact < 0) :]
        return cls(
            contact[known],
            table["campaign_instance_id"].to_numpy()[known],
            triggers[known],
            has_date[known],
            is_unreadable[known],
            table["status"].isin(OPEN_TARGET_STATUSES).to_numpy()[known],
        )

    def of_contacts(self, start: int, stop: int) -> "ListedTargets":
        """Return those of the contacts from ``start`` (0 from now on) to before ``stop``."""
        part = slice(*self.rows.searchsorted(np.array([start, stop])))
        return ListedTargets(
            self.rows[part] - start,
            self.instances[part],
            self.triggers[part],
            self.has_date[part],
            self.is_unreadable[part],
            self.is_open[part],
        )


@dataclass(frozen=True)
class _Targets:
    """Who is to get an email of which planned instance (by position), about which day.

    Attributes:
        is_listed: Whether the database lists it.
        tolerance: By which rows it is handled: ``THAT_DAY`` of targets that are listed with a date,
            ``THAT_YEAR`` of an anniversary of an audience, ``ANY_DAY`` of all others.
    """

    rows: Rows
    planned: Rows
    triggers: Days
    is_listed: Flags
    tolerance: Days

    def where(self, is_chosen: Flags) -> "_Targets":
        chosen = np.flatnonzero(is_chosen)
        return _Targets(
            self.rows[chosen],
            self.planned[chosen],
            self.triggers[chosen],
            self.is_listed[chosen],
            self.tolerance[chosen],
        )


def campaign_occurrences(
    basis: PlanningBasis, listed: ListedTargets, members: Mapping[int, Members]
) -> tuple[pd.DataFrame, dict[str, Ids]]:
    """Return the campaign emails that are due to the contacts (section 8, without conflicts).

    Args:
        basis: What planning looks at.
        listed: The targets that the database lists for these contacts.
        members: The contacts that match the audience of planned instances that have one, by instance id.

    Returns:
        ``OCCURRENCES`` in no particular order, and the contacts of targets without a trigger date or with an
        unreadable one, by issue.
    """
    planned = planned_instances(basis.instances, basis.today, basis.config)
    ids = basis.contacts["contact_id"].to_numpy()
    explicit, unreadable = _explicit_targets(listed, planned)
    implicit, unreadable_too = _implicit_targets(len(ids), listed, planned, members)
    targets, unreadable = [explicit, *implicit], np.concatenate([unreadable, *unreadable_too])
    is_dated = [each.triggers != NO_DATE for each in targets]
    missing = [each.rows[~dated] for each, dated in zip(targets, is_dated, strict=True)]
    found = {"missing_trigger_date": ids[np.concatenate(missing)], "invalid_trigger_date": ids[unreadable]}
    open_targets = [
        each.where(dated & ~_is_handled(basis, each, planned))
        for each, dated in zip(targets, is_dated, strict=True)
    ]
    frame = _occurrences(basis, open_targets, planned)
    is_live = basis.is_live(frame["ideal_send_date"].to_numpy())
    return frame if is_live.all() else frame[is_live], found


def resolve_conflicts(schedules: pd.DataFrame) -> pd.DataFrame:
    """Skip all but one of a contact's campaign emails that have an interval and the same ideal date.

    The lowest (priority, instance id, event date) stays; the others become ``campaign_conflict``.

    Args:
        schedules: ``SCHEDULES`` of campaign emails, all of each contact.
    """
    codes = schedules["skip_reason"].cat.codes.to_numpy().astype(np.int16)
    contending = np.flatnonzero(codes == NOT_SKIPPED)
    contest = ("contact_id", "ideal_send_date")
    order_of_merit = ("priority", "campaign_instance_id", "event_date")
    columns = [schedules[name].to_numpy()[contending] for name in (*contest, *order_of_merit)]
    order = np.argsort(pack(columns))
    is_beaten = np.ones(max(len(order) - 1, 0), np.bool_)
    for column in columns[: len(contest)]:
        is_beaten &= column[order[1:]] == column[order[:-1]]
    codes[contending[order[1:][is_beaten]]] = skip_code(CAMPAIGN_CONFLICT)
    return schedules.assign(skip_reason=skip_reasons(codes))


def trigger_days(targets: pd.DataFrame, instances: dict[int, CampaignInstance]) -> tuple[Days, Flags, Flags]:
    """Return the trigger day of each ``CONTACT_CAMPAIGNS_TABLE`` row, and which are its own or unreadable.

    A row without a date has its instance's default; ``NO_DATE`` where there is none or it is unreadable. A
    date whose email would go out on a day that does not exist is as unreadable as one that does not exist.
    """
    trigger, is_unreadable = parse_dates(targets["trigger_date"])
    ids = targets["campaign_instance_id"].to_numpy()
    for row in np.flatnonzero(_is_at_an_end_of_the_calendar(trigger)):
        instance = instances.get(int(ids[row]))
        if instance and not is_in_calendar(max(trigger[row] - instance.days_before_event, instance.start)):
            trigger[row], is_unreadable[row] = NO_DATE, True
    defaults = targets["campaign_instance_id"].map({i.id: i.default_trigger for i in instances.values()})
    default = defaults.fillna(NO_DATE).to_numpy().astype(np.int32)
    has_date = trigger != NO_DATE
    day = np.where(has_date | is_unreadable, trigger, default).astype(np.int32)
    return day, has_date, is_unreadable


def _is_at_an_end_of_the_calendar(days: Days) -> Flags:
    is_near: Flags = ((days < FIRST_DAY + MOST_DAYS) & (days != NO_DATE)) | (days > LAST_DAY - MOST_DAYS)
    return is_near


def _explicit_targets(listed: ListedTargets, planned: list[CampaignInstance]) -> tuple[_Targets, Rows]:
    """Return the targets that the database lists, those of one date once; and the unreadable ones.

    Where one of them has the date as its own, it is the one that counts.
    """
    position = SortedIds(np.array([i.id for i in planned], np.int64)).positions(listed.instances)
    chosen = np.flatnonzero(listed.is_open & (position >= 0))
    unreadable = chosen[listed.is_unreadable[chosen]]
    chosen = chosen[~listed.is_unreadable[chosen]]
    chosen = np.concatenate([chosen[listed.has_date[chosen]], chosen[~listed.has_date[chosen]]])
    keys = pack((listed.rows[chosen], position[chosen], listed.triggers[chosen]))
    once = chosen[np.unique(keys, return_index=True)[1]]
    is_listed = np.ones(len(once), np.bool_)
    tolerance = tolerance_of_campaigns(is_listed, listed.has_date[once], is_yearly=False)
    targets = _Targets(listed.rows[once], position[once], listed.triggers[once], is_listed, tolerance)
    return targets, listed.rows[unreadable]


def _implicit_targets(
    contact_count: int,
    listed: ListedTargets,
    planned: list[CampaignInstance],
    members: Mapping[int, Members],
) -> tuple[list[_Targets], list[Rows]]:
    """Return the contacts of each audience or instance for all that the database does not list.

    The second are those of an audience whose trigger date cannot be read.
    """
    targets, unreadable = [], []
    for position, instance in enumerate(planned):
        if instance.id not in members and not instance.targets_all_contacts:
            continue
        is_open = np.ones(contact_count, np.bool_)
        is_open[listed.rows[listed.instances == instance.id]] = False
        if instance.id in members:
            those = members[instance.id]
            unreadable.append(those.rows[is_open[those.rows] & those.is_unreadable])
            is_target = is_open[those.rows] & ~those.is_unreadable
            rows, triggers = those.rows[is_target], those.triggers[is_target]
        else:
            rows = np.flatnonzero(is_open)
            triggers = np.full(len(rows), instance.default_trigger, np.int32)
        tolerance = tolerance_of_campaigns(is_listed=False, has_date=False, is_yearly=instance.is_yearly)
        is_listed = np.zeros(len(rows), np.bool_)
        targets.append(
            _Targets(rows, np.full(len(rows), position), triggers, is_listed, np.full(len(rows), tolerance))
        )
    return targets, unreadable


def _is_handled(basis: PlanningBasis, targets: _Targets, planned: list[CampaignInstance]) -> Flags:
    result = np.zeros(len(targets.rows), np.bool_)
    for position, instance in enumerate(planned):
        at = np.flatnonzero(targets.planned == position)
        result[at] = basis.senders.answer_campaign(
            instance.id,
            targets.rows[at],
            targets.triggers[at],
            targets.tolerance[at],
        )
    return result


def _occurrences(
    basis: PlanningBasis, targets: list[_Targets], planned: list[CampaignInstance]
) -> pd.DataFrame:
    rows = np.concatenate([each.rows for each in targets])
    position = np.concatenate([each.planned for each in targets])
    trigger = np.concatenate([each.triggers for each in targets])
    is_listed = np.concatenate([each.is_listed for each in targets])

    def setting(of: Callable[[CampaignInstance], Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
        settings: npt.NDArray[Any] = np.array([of(i) for i in planned], dtype)[position]
        return settings

    days_before = setting(lambda i: i.days_before_event, np.int32)
    end = setting(lambda i: i.end, np.int32)
    ideal = np.maximum(trigger - days_before, setting(lambda i: i.start, np.int32))
    implicit_last = np.maximum(ideal, basis.today) + IMPLICIT_CATCH_UP_DAYS
    explicit_last = ideal + basis.config.timing_constants.campaign_catch_up_days
    yearly_last = trigger - days_before + catch_up_days_of_anniversary(basis.config)
    is_yearly = setting(lambda i: i.is_yearly, np.bool_)
    catch_up = np.select([is_listed, is_yearly], [explicit_last, yearly_last], implicit_last)
    deadline = np.minimum(np.where(days_before > 0, trigger - 1, catch_up), end).astype(np.int32)
    type_codes = setting(lambda i: basis.email_types.categories.get_loc(i.email_type), np.int16)
    is_bound = setting(lambda i: i.respects_windows, np.bool_)
    has_follow_ups = basis.config.features.enable_followups
    codes = _skip_codes(basis, rows, ideal, deadline, end, is_bound)
    return OCCURRENCES.build(
        {
            "contact_id": basis.contacts["contact_id"].to_numpy()[rows],
            "email_type": pd.Categorical.from_codes(type_codes, dtype=basis.email_types),
            "campaign_instance_id": setting(lambda i: i.id, np.int64),
            "event_date": trigger,
            "ideal_send_date": ideal,
            "deadline": deadline,
            "priority": setting(lambda i: i.priority, np.int32),
            "is_window_bound": is_bound,
            "expects_follow_up": setting(lambda i: i.enables_follow_ups and has_follow_ups, np.bool_),
            "skip_reason": skip_reasons(codes),
        }
    )


def _skip_codes(
    basis: PlanningBasis, rows: Rows, ideal: Days, deadline: Days, end: Days, is_bound: Flags
) -> npt.NDArray[np.int16]:
    is_passed = (deadline < basis.today) | (deadline < ideal)
    codes = np.where(is_passed, skip_code(EVENT_PASSED), NOT_SKIPPED)
    codes[ideal > end] = skip_code(OUTSIDE_CAMPAIGN_DATES)
    bound = np.flatnonzero(is_bound)
    exclusions = skip_codes(basis.windows.reasons(rows[bound], ideal[bound]))
    codes[bound] = np.where(exclusions != NOT_SKIPPED, exclusions, codes[bound])
    return codes
