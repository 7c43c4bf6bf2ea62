"""Campaign emails: their targets, and conflicts among them (section 8 of the planning rules)."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.campaign_instances import CampaignInstance
from email_scheduler.planning.contacts import issues
from email_scheduler.planning.dates import Days, Flags, parse_dates
from email_scheduler.planning.frames import NO_DATE, OCCURRENCES
from email_scheduler.planning.handled import is_handled
from email_scheduler.planning.vocabulary import (
    CAMPAIGN_CONFLICT,
    EVENT_PASSED,
    NOT_SKIPPED,
    OUTSIDE_CAMPAIGN_DATES,
    skip_code,
    skip_codes,
    skip_reasons,
)

# How long an email of an implicit target may go out after it is first due.
IMPLICIT_CATCH_UP_DAYS: Final = 365
OPEN_TARGET_STATUSES: Final = ("pending", "scheduled")


def campaign_occurrences(basis: PlanningBasis, targets: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the campaign emails that are due to the contacts (section 8, without conflicts).

    Args:
        basis: What planning looks at.
        targets: ``CONTACT_CAMPAIGNS_TABLE``; rows of other contacts do no harm.

    Returns:
        ``OCCURRENCES`` in no particular order, and ``CONTACT_ISSUES`` of targets without a readable trigger
        date.
    """
    planned = [i for i in basis.instances.values() if i.is_active and i.end >= basis.today]
    if not basis.config.features.enable_campaigns:
        planned = []
    explicit, unreadable = _explicit_targets(basis, targets, planned)
    found = pd.concat([explicit, _implicit_targets(basis, targets, planned)], ignore_index=True)
    is_missing = found["trigger"].to_numpy() == NO_DATE
    audit = issues(
        {
            "missing_trigger_date": found["contact_id"].to_numpy()[is_missing],
            "invalid_trigger_date": unreadable,
        }
    )
    dated = found[~is_missing].drop_duplicates(["contact_id", "instance", "trigger"], ignore_index=True)
    frame = _occurrences(basis, dated, planned)
    is_due = basis.is_live(frame["ideal_send_date"].to_numpy()) & ~is_handled(
        frame,
        basis.history,
        basis.config.aep_config.default_dates,
        is_implicit=dated["is_implicit"].to_numpy(),
    )
    return OCCURRENCES.check(frame[is_due].reset_index(drop=True)), audit


def resolve_conflicts(schedules: pd.DataFrame) -> pd.DataFrame:
    """Skip all but one of a contact's campaign emails that have an interval and the same ideal date.

    The lowest (priority, instance id, event date) stays; the others become ``campaign_conflict``.

    Args:
        schedules: ``SCHEDULES`` of campaign emails, all of each contact.
    """
    contending = schedules[schedules["skip_reason"].isna()].sort_values(
        ["priority", "campaign_instance_id", "event_date"], kind="stable"
    )
    losers = contending.index[contending.duplicated(["contact_id", "ideal_send_date"])]
    codes = schedules["skip_reason"].cat.codes.to_numpy().astype(np.int16)
    codes[schedules.index.get_indexer(losers)] = skip_code(CAMPAIGN_CONFLICT)
    return schedules.assign(skip_reason=skip_reasons(codes))


def trigger_days(targets: pd.DataFrame, instances: dict[int, CampaignInstance]) -> tuple[Days, Flags]:
    """Return the trigger day of each ``CONTACT_CAMPAIGNS_TABLE`` row, and which are unreadable.

    A row without a date has its instance's default; ``NO_DATE`` where there is none or it is unreadable.
    """
    trigger, is_unreadable = parse_dates(targets["trigger_date"])
    defaults = targets["campaign_instance_id"].map({i.id: i.default_trigger for i in instances.values()})
    default = defaults.fillna(NO_DATE).to_numpy().astype(np.int32)
    return np.where((trigger == NO_DATE) & ~is_unreadable, default, trigger).astype(np.int32), is_unreadable


def _explicit_targets(
    basis: PlanningBasis, targets: pd.DataFrame, planned: list[CampaignInstance]
) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    chosen = targets[
        targets["status"].isin(OPEN_TARGET_STATUSES)
        & targets["campaign_instance_id"].isin([i.id for i in planned])
        & targets["contact_id"].isin(basis.contacts["contact_id"])
    ]
    contact_ids, instances = chosen["contact_id"].to_numpy(), chosen["campaign_instance_id"].to_numpy()
    trigger, is_unreadable = trigger_days(chosen, basis.instances)
    found = _targets(contact_ids, instances, trigger, is_implicit=False)
    return found[~is_unreadable], contact_ids[is_unreadable]


def _implicit_targets(
    basis: PlanningBasis, targets: pd.DataFrame, planned: list[CampaignInstance]
) -> pd.DataFrame:
    nobody = np.empty(0, np.int64)
    frames = [_targets(nobody, nobody, np.empty(0, np.int32), is_implicit=True)]
    everyone = basis.contacts["contact_id"].to_numpy()
    for instance in planned:
        if instance.targets_all_contacts:
            named = targets["contact_id"].to_numpy()[
                targets["campaign_instance_id"].to_numpy() == instance.id
            ]
            ids = everyone[~np.isin(everyone, named)]
            trigger = np.full(len(ids), instance.default_trigger, np.int32)
            frames.append(_targets(ids, np.full(len(ids), instance.id), trigger, is_implicit=True))
    return pd.concat(frames, ignore_index=True)


def _targets(
    contact_ids: npt.NDArray[np.int64], instances: npt.NDArray[np.int64], trigger: Days, *, is_implicit: bool
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "contact_id": contact_ids,
            "instance": instances,
            "trigger": trigger,
            "is_implicit": np.full(len(contact_ids), is_implicit),
        }
    )


def _occurrences(
    basis: PlanningBasis, targets: pd.DataFrame, planned: list[CampaignInstance]
) -> pd.DataFrame:
    position = pd.Index([i.id for i in planned], dtype="int64").get_indexer(pd.Index(targets["instance"]))

    def setting(of: Callable[[CampaignInstance], Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
        return np.array([of(i) for i in planned], dtype)[position]

    trigger = targets["trigger"].to_numpy()
    days_before = setting(lambda i: i.days_before_event, np.int32)
    end = setting(lambda i: i.end, np.int32)
    ideal = np.maximum(trigger - days_before, setting(lambda i: i.start, np.int32))
    implicit_last = np.maximum(ideal, basis.today) + IMPLICIT_CATCH_UP_DAYS
    explicit_last = ideal + basis.config.timing_constants.campaign_catch_up_days
    catch_up = np.where(targets["is_implicit"].to_numpy(), implicit_last, explicit_last)
    deadline = np.minimum(np.where(days_before > 0, trigger - 1, catch_up), end).astype(np.int32)
    type_codes = setting(lambda i: basis.email_types.categories.get_loc(i.email_type), np.int16)
    has_follow_ups = basis.config.features.enable_followups
    frame = OCCURRENCES.build(
        {
            "contact_id": targets["contact_id"].to_numpy(),
            "email_type": pd.Categorical.from_codes(type_codes, dtype=basis.email_types),
            "campaign_instance_id": targets["instance"].to_numpy(),
            "event_date": trigger,
            "ideal_send_date": ideal,
            "deadline": deadline,
            "priority": setting(lambda i: i.priority, np.int32),
            "is_window_bound": setting(lambda i: i.respects_windows, np.bool_),
            "expects_follow_up": setting(lambda i: i.enables_follow_ups and has_follow_ups, np.bool_),
            "skip_reason": skip_reasons(np.full(len(targets), NOT_SKIPPED)),
        }
    )
    return frame.assign(skip_reason=skip_reasons(_skip_codes(basis, frame, end)))


def _skip_codes(basis: PlanningBasis, frame: pd.DataFrame, end: Days) -> npt.NDArray[np.int16]:
    ideal, deadline = frame["ideal_send_date"].to_numpy(), frame["deadline"].to_numpy()
    is_passed = (deadline < basis.today) | (deadline < ideal)
    codes = np.where(is_passed, skip_code(EVENT_PASSED), NOT_SKIPPED)
    codes[ideal > end] = skip_code(OUTSIDE_CAMPAIGN_DATES)
    bound = np.flatnonzero(frame["is_window_bound"].to_numpy())
    rows = basis.rows_of(frame["contact_id"].to_numpy()[bound])
    exclusions = skip_codes(basis.windows.reasons(rows, ideal[bound]))
    codes[bound] = np.where(exclusions != NOT_SKIPPED, exclusions, codes[bound])
    return codes
