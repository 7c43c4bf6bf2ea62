"""The variants of campaign instances, and what their rows say (section 8, "Variants", and section 13)."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.compliance.columns import CAMPAIGN, CAMPAIGN_PREFIX, codes_of, object_of_json
from email_scheduler.planning.compliance.days import Ids
from email_scheduler.planning.compliance.plan_rows import PlanRows
from email_scheduler.planning.compliance.report import Report
from email_scheduler.planning.frames import PlanInputs

_HALF = np.uint64(32)
_LOW_HALF = np.uint64(2**32 - 1)


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
    report: Report,
) -> None:
    """Report campaign rows that say another variant, or have other templates, than their contact's.

    Args:
        splits: The instances that are split.
        rows: The plan.
        schedules: The same rows as ``EMAIL_SCHEDULES``.
        contacts: ``CONTACTS``, in the order that ``rows`` count them in.
        report: Where violations are noted.
    """
    campaign = rows.of_kind(CAMPAIGN)
    instances = rows.instance[campaign]
    is_split = np.isin(instances, list(splits))
    metadata, texts = codes_of(schedules["metadata"])
    report.rows("wrong_variant", campaign[~is_split & (metadata[campaign] >= 0)], "the instance is not split")
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
        report.rows("wrong_variant", at[is_wrong], details[own[is_wrong]])


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
