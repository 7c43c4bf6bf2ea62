"""The campaigns of a sample organisation: one with chosen contacts under way, one to all contacts ahead."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.dates import Days, to_day
from email_scheduler.planning.frames import NO_DATE, OCCURRENCES
from email_scheduler.planning.labels import SKIP_REASON_DTYPE, email_type_dtype
from email_scheduler.planning.registry.email_types import CAMPAIGN_PREFIX

Ids = npt.NDArray[np.int64]

EXPLICIT_TYPE: Final = "rate_increase"
IMPLICIT_TYPE: Final = "initial_blast"

_TARGET_SHARE: Final = 0.12
_UNDATED_SHARE: Final = 0.05
_DISMISSED_SHARE: Final = 0.02
_BEGUN_DAYS_AGO: Final = 45
_LASTS_DAYS: Final = 90
_EARLIEST_TRIGGER: Final = -20
_LATEST_TRIGGER: Final = 110
_DEFAULT_TRIGGER: Final = 40
_BLAST_BEGINS_IN_DAYS: Final = 10


@dataclass(frozen=True)
class Instance:
    """One row of ``campaign_instances``; all are active."""

    id: int
    campaign_type: str
    instance_name: str
    email_template: str
    sms_template: str | None
    active_start_date: date
    active_end_date: date | None
    metadata: dict[str, str] | None


def make_instances(config: SchedulerConfig, as_of: date) -> tuple[Instance, ...]:
    """Return two campaigns, of types that the configuration has; fewer where it has not got them."""
    instances = (
        Instance(
            id=1,
            campaign_type=EXPLICIT_TYPE,
            instance_name=f"rate_increase_{as_of.year}",
            email_template="rate_increase_v2",
            sms_template="rate_increase_sms_v1",
            active_start_date=as_of - timedelta(days=_BEGUN_DAYS_AGO),
            active_end_date=as_of + timedelta(days=_LASTS_DAYS),
            metadata={"trigger_date": (as_of + timedelta(days=_DEFAULT_TRIGGER)).isoformat()},
        ),
        Instance(
            id=2,
            campaign_type=IMPLICIT_TYPE,
            instance_name="new_website",
            email_template="initial_blast_v1",
            sms_template=None,
            active_start_date=as_of + timedelta(days=_BLAST_BEGINS_IN_DAYS),
            active_end_date=None,
            metadata=None,
        ),
    )
    return tuple(instance for instance in instances if instance.campaign_type in config.campaign_types)


def make_targets(
    contact_ids: Ids,
    instances: tuple[Instance, ...],
    as_of: date,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Choose some contacts for the campaign with explicit targets.

    Returns:
        ``contact_id``, ``campaign_instance_id``, ``trigger_date`` (``NO_DATE`` where the campaign's own
        counts), ``is_dismissed``: somebody has decided against this one.
    """
    instance = next((each for each in instances if each.campaign_type == EXPLICIT_TYPE), None)
    chosen = contact_ids[rng.random(len(contact_ids)) < _TARGET_SHARE] if instance else contact_ids[:0]
    triggers = to_day(as_of) + rng.integers(_EARLIEST_TRIGGER, _LATEST_TRIGGER, size=len(chosen))
    is_undated = rng.random(len(chosen)) < _UNDATED_SHARE
    return pd.DataFrame(
        {
            "contact_id": chosen,
            "campaign_instance_id": np.full(len(chosen), instance.id if instance else 0, np.int64),
            "trigger_date": np.where(is_undated, NO_DATE, triggers).astype(np.int32),
            "is_dismissed": rng.random(len(chosen)) < _DISMISSED_SHARE,
        }
    )


def past_campaign_emails(
    targets: pd.DataFrame,
    valid_contact_ids: Ids,
    instances: tuple[Instance, ...],
    config: SchedulerConfig,
) -> pd.DataFrame:
    """Return ``OCCURRENCES`` of the dated targets that nobody has dismissed, whenever they are due."""
    types = email_type_dtype(config.campaign_types)
    instance = next((each for each in instances if each.campaign_type == EXPLICIT_TYPE), None)
    if instance is None:
        return OCCURRENCES.empty().astype({"email_type": types})
    campaign_type = config.campaign_types[EXPLICIT_TYPE]
    is_due = targets["contact_id"].isin(valid_contact_ids) & ~targets["is_dismissed"]
    due = targets[is_due & (targets["trigger_date"] != NO_DATE)]
    trigger: Days = due["trigger_date"].to_numpy()
    ideal = np.maximum(trigger - campaign_type.days_before_event, to_day(instance.active_start_date))
    is_before_trigger = campaign_type.days_before_event > 0
    catch_up_days = config.timing_constants.campaign_catch_up_days
    code = types.categories.get_loc(CAMPAIGN_PREFIX + EXPLICIT_TYPE)
    count = len(due)
    expects_follow_up = campaign_type.enable_followups and config.features.enable_followups
    return OCCURRENCES.build(
        {
            "contact_id": due["contact_id"].to_numpy(),
            "email_type": pd.Categorical.from_codes(np.full(count, code, np.int64), dtype=types),
            "campaign_instance_id": due["campaign_instance_id"].to_numpy(),
            "event_date": trigger,
            "ideal_send_date": ideal.astype(np.int32),
            "deadline": np.where(is_before_trigger, trigger - 1, ideal + catch_up_days).astype(np.int32),
            "priority": np.full(count, campaign_type.priority, np.int32),
            "is_window_bound": np.full(count, campaign_type.respect_exclusion_windows),
            "expects_follow_up": np.full(count, expects_follow_up),
            "skip_reason": pd.Categorical.from_codes(np.full(count, -1, np.int64), dtype=SKIP_REASON_DTYPE),
        }
    )
