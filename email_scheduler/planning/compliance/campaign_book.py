"""The campaign instances as the database describes them, with their overrides (section 8)."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.compliance.columns import (
    CAMPAIGN_PREFIX,
    Codes,
    day_of_date,
    object_of_json,
)
from email_scheduler.planning.compliance.days import FOREVER, LONG_AGO, Days, Flags, Ids, Numbers
from email_scheduler.planning.frames import NO_DATE, NO_NUMBER, PlanInputs

_IMPLICIT_CATCH_UP_DAYS = 365
_MOST_ANNIVERSARY_CATCH_UP_DAYS = 364
# no date is that many days away from another; sums with it stay within int32
_MOST_DAYS = 10_000_000

InstancePositions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class CampaignBook:
    """One entry of each column for each campaign instance, ascending by id.

    Attributes:
        ids: The id of the instance.
        email_types: ``campaign_<type>``.
        is_active: The instance and its type exist and are active.
        is_planned: ... and it has not ended, and campaign emails are planned at all.
        is_bound: Exclusion windows bind its emails.
        has_follow_ups: Its emails are followed up.
        is_for_all: Contacts without a target of their own get it too: all, or those of its audience.
        audiences: ``metadata.audience``, None where there is none.
        is_yearly: Its audience gets it for each anniversary of a date.
        days_before: From the ideal date to the trigger.
        starts: First day on which its emails are meant to go out; long ago where there is none.
        ends: Last day on which they may; for ever where there is none.
        default_trigger: The trigger date of targets that have none, ``NO_DATE`` where there is none.
        catch_up_days: How long after its ideal date an email without days before it may still go out to a
            target of its own (one number for all instances).
    """

    ids: Ids
    email_types: list[str]
    is_active: Flags
    is_planned: Flags
    is_bound: Flags
    has_follow_ups: Flags
    is_for_all: Flags
    audiences: list[dict[str, object] | None]
    is_yearly: Flags
    days_before: Numbers
    starts: Days
    ends: Days
    default_trigger: Days
    catch_up_days: int

    @property
    def anniversary_catch_up_days(self) -> int:
        """The same for an anniversary: before that of the next year."""
        return min(self.catch_up_days, _MOST_ANNIVERSARY_CATCH_UP_DAYS)

    def find(self, instances: Ids) -> InstancePositions:
        """Return the position of each instance, -1 where the database has none with that id."""
        if not len(self.ids):
            return np.full(len(instances), -1, dtype=np.intp)
        at = np.searchsorted(self.ids, instances)
        at[at == len(self.ids)] = 0
        return np.where(self.ids[at] == instances, at, -1)

    def find_typed(self, instances: Ids, type_codes: Codes, type_names: list[str]) -> InstancePositions:
        """Return the position of each row's instance, -1 where the row's type is not that of the instance."""
        at = self.find(instances)
        code_of_type = {name: code for code, name in enumerate(type_names)}
        own_codes = np.array([*(code_of_type.get(name, -2) for name in self.email_types), -2])
        return np.where(own_codes[at] == type_codes, at, -1)

    def dates(
        self, at: InstancePositions, triggers: Days, as_of: int, *, implicit: bool
    ) -> tuple[Days, Days]:
        """Return ideal date and deadline of emails of these instances with these trigger dates."""
        days_before = self.days_before[at]
        ideal = np.maximum(triggers - days_before, self.starts[at])
        if implicit:
            yearly = triggers - days_before + self.anniversary_catch_up_days
            once = np.maximum(ideal, as_of) + _IMPLICIT_CATCH_UP_DAYS
            latest = np.where(self.is_yearly[at], yearly, once)
        else:
            latest = ideal + self.catch_up_days
        deadline = np.where(days_before > 0, triggers - 1, latest)
        return ideal, np.minimum(deadline, self.ends[at])


def read_campaign_book(as_of: int, inputs: PlanInputs, config: SchedulerConfig) -> CampaignBook:
    """Return the instances of ``inputs`` with the overrides of their metadata."""
    types = {str(row["name"]): row for row in inputs.campaign_types.to_dict("records")}
    instances = inputs.campaign_instances.sort_values("id", ignore_index=True).to_dict("records")
    metadata = [object_of_json(row["metadata"]) for row in instances]
    audiences = [_audience(extra) for extra in metadata]
    starts = [_day(row["active_start_date"]) for row in instances]
    ends = [_day(row["active_end_date"]) for row in instances]
    own = [types.get(str(row["campaign_type"]), {}) for row in instances]
    pairs = list(zip(metadata, own, strict=True))
    days_before = [_number(extra, kind, "days_before_event") for extra, kind in pairs]
    is_active = [bool(row["active"] and kind.get("active")) for row, kind in zip(instances, own, strict=True)]
    is_planned = [
        config.features.enable_campaigns and active and (end is None or end >= as_of)
        for active, end in zip(is_active, ends, strict=True)
    ]
    defaults = [
        _default_trigger(extra, start, days)
        for extra, start, days in zip(metadata, starts, days_before, strict=True)
    ]
    return CampaignBook(
        ids=np.array([row["id"] for row in instances], dtype=np.int64),
        email_types=[f"{CAMPAIGN_PREFIX}{row['campaign_type']}" for row in instances],
        is_active=np.array(is_active, dtype=bool),
        is_planned=np.array(is_planned, dtype=bool),
        is_bound=np.array(
            [_flag(extra, kind, "respect_exclusion_windows") for extra, kind in pairs], dtype=bool
        ),
        has_follow_ups=np.array(
            [_flag(extra, kind, "enable_followups") for extra, kind in pairs], dtype=bool
        ),
        is_for_all=np.array(
            [
                audience is not None or bool(kind.get("target_all_contacts"))
                for audience, kind in zip(audiences, own, strict=True)
            ],
            dtype=bool,
        ),
        audiences=audiences,
        is_yearly=np.array([_is_yearly(audience) for audience in audiences], dtype=bool),
        days_before=np.array(days_before, dtype=np.int32),
        starts=np.array([LONG_AGO if day is None else day for day in starts], dtype=np.int32),
        ends=np.array([FOREVER if day is None else day for day in ends], dtype=np.int32),
        default_trigger=np.array([NO_DATE if day is None else day for day in defaults], dtype=np.int32),
        catch_up_days=config.timing_constants.campaign_catch_up_days,
    )


def _day(text: object) -> int | None:
    day = day_of_date(text) if isinstance(text, str) else NO_DATE
    return None if day == NO_DATE else day


def _default_trigger(metadata: dict[str, object], start: int | None, days_before: int) -> int | None:
    stated = metadata.get("trigger_date")
    if stated is not None and str(stated).strip():
        return _day(stated)
    return None if start is None else start + max(days_before, 0)


def _audience(metadata: dict[str, object]) -> dict[str, object] | None:
    stated = metadata.get("audience")
    return stated if isinstance(stated, dict) else None


def _is_yearly(audience: dict[str, object] | None) -> bool:
    trigger = (audience or {}).get("trigger")
    return isinstance(trigger, dict) and trigger.get("anniversary_of") is not None


def _flag(metadata: dict[str, object], campaign_type: Mapping[Hashable, object], name: str) -> bool:
    value = metadata.get(name)
    return value if isinstance(value, bool) else bool(campaign_type.get(name, True))


def _number(metadata: dict[str, object], campaign_type: Mapping[Hashable, object], name: str) -> int:
    value = metadata.get(name)
    if type(value) is not int:
        value = campaign_type.get(name)
    if not isinstance(value, int) or value == NO_NUMBER:
        return 0
    return max(-_MOST_DAYS, min(_MOST_DAYS, value))
