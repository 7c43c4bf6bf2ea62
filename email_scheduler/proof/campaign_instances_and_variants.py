"""The campaign instances as the database describes them, with their overrides and variants (section 8).

The rows of an instance that is split are of the variant that their contact has (section 13).
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.frames import NO_DATE, NO_NUMBER, PlanInputs
from email_scheduler.proof.arithmetic import (
    CAMPAIGN,
    CAMPAIGN_PREFIX,
    FOREVER,
    LONG_AGO,
    Codes,
    Days,
    Flags,
    Ids,
    Numbers,
    codes_of,
    day_of_date,
    object_of_json,
)
from email_scheduler.proof.planned_and_sent import PlanRows
from email_scheduler.proof.violations import Violations

_IMPLICIT_CATCH_UP_DAYS = 365
_MOST_ANNIVERSARY_CATCH_UP_DAYS = 364
# no date is that many days away from another; sums with it stay within int32
_MOST_DAYS = 10_000_000

InstancePositions = npt.NDArray[np.intp]
_HALF = np.uint64(32)
_LOW_HALF = np.uint64(2**32 - 1)


@dataclass(frozen=True)
class CampaignInstances:
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


def read_campaign_instances(as_of: int, inputs: PlanInputs, config: SchedulerConfig) -> CampaignInstances:
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
    return CampaignInstances(
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


@dataclass(frozen=True)
class Split:
    """An instance whose contacts are split; one entry of each list for each variant, in their order.

    Attributes:
        salt: What tells this instance's split from those of others.
        ends: The first point behind those of the variant.
        sms_templates: Of contacts with a phone number; None: no text message.
    """

    salt: int
    ends: list[int]
    names: list[str]
    email_templates: list[str]
    sms_templates: list[str | None]

    def variants(self, contact_ids: Ids) -> npt.NDArray[np.intp]:
        """Return the position of each contact's variant."""
        hashes = _mixed(_mixed(contact_ids.astype(np.uint64)) ^ np.uint64(self.salt))
        total = np.uint64(self.ends[-1])
        # the whole product has more than 64 bits: its halves are multiplied one by one
        points = ((hashes >> _HALF) * total + (((hashes & _LOW_HALF) * total) >> _HALF)) >> _HALF
        return np.searchsorted(np.array(self.ends, np.uint64), points, side="right")


def read_splits(inputs: PlanInputs, config: SchedulerConfig) -> dict[int, Split]:
    """Return the instances that are split, by id; none unless that is switched on."""
    splits: dict[int, Split] = {}
    if not config.features.enable_ab_testing:
        return splits
    for row in inputs.campaign_instances.to_dict("records"):
        variants: Any = object_of_json(row["metadata"]).get("variants")
        if not variants:
            continue
        email_type = f"{CAMPAIGN_PREFIX}{row['campaign_type']}"
        own = row["sms_template"]
        sms = own if isinstance(own, str) and own.strip() else config.email_templates.sms.get(email_type)
        splits[int(row["id"])] = Split(
            int.from_bytes(sha256(f"variant|{email_type}|{row['id']}".encode()).digest()[:8], "big"),
            np.cumsum([variant["weight"] for variant in variants]).tolist(),
            [variant["name"] for variant in variants],
            [variant["email_template"] for variant in variants],
            [
                (variant.get("sms_template") or sms) if config.features.enable_sms else None
                for variant in variants
            ],
        )
    return splits


def check_variants(
    splits: dict[int, Split],
    rows: PlanRows,
    schedules: pd.DataFrame,
    contacts: pd.DataFrame,
    violations: Violations,
) -> None:
    """Report campaign rows that say another variant, or have other templates, than their contact's.

    Args:
        splits: The instances that are split.
        rows: The plan.
        schedules: The same rows as ``EMAIL_SCHEDULES``.
        contacts: ``CONTACTS``, in the order that ``rows`` count them in.
        violations: Where violations are noted.
    """
    campaign = rows.of_kind(CAMPAIGN)
    instances = rows.instance[campaign]
    is_split = np.isin(instances, list(splits))
    metadata, texts = codes_of(schedules["metadata"])
    violations.rows(
        "wrong_variant", campaign[~is_split & (metadata[campaign] >= 0)], "the instance is not split"
    )
    if not is_split.any():
        return
    emails, sms = codes_of(schedules["email_template"]), codes_of(schedules["sms_template"])
    has_phone = contacts["has_phone"].to_numpy()
    contact_ids = contacts["contact_id"].to_numpy()
    for instance in np.unique(instances[is_split]).tolist():
        split, at = splits[instance], campaign[instances == instance]
        own = split.variants(contact_ids[rows.who[at]])
        codes, place = np.unique(metadata[at], return_inverse=True)
        said = [object_of_json(texts[code] if code >= 0 else None) for code in codes]
        is_wrong = np.array([_position(one, split.names) for one in said])[place] != own
        is_wrong |= emails[0][at] != _codes_in(emails[1], split.email_templates)[own]
        message = np.where(has_phone[rows.who[at]], _codes_in(sms[1], split.sms_templates)[own], -1)
        is_wrong |= sms[0][at] != message
        details = np.array([f"the contact's is {name}" for name in split.names], object)
        violations.rows("wrong_variant", at[is_wrong], details[own[is_wrong]])


def _position(said: dict[str, object], names: list[str]) -> int:
    """Return the position of the variant that a row's metadata names; -1 if it says anything else."""
    name = said.get("variant")
    return names.index(name) if len(said) == 1 and isinstance(name, str) and name in names else -1


def _codes_in(texts: list[str], wanted: list[str] | list[str | None]) -> npt.NDArray[np.intp]:
    """Return the code of each wanted text; -1 for none, -2 for one that no row has."""
    return np.array([-1 if text is None else texts.index(text) if text in texts else -2 for text in wanted])


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the splitmix64 finaliser of each number (section 14)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
