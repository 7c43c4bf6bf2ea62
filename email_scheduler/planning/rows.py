"""The rows that a plan publishes: dates, adjustments, templates (section 13 of the planning rules)."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.campaign_instances import CampaignInstance
from email_scheduler.planning.campaigns import OPEN_TARGET_STATUSES, trigger_days
from email_scheduler.planning.dates import Flags
from email_scheduler.planning.frames import EMAIL_SCHEDULES, TARGET_STATUSES
from email_scheduler.planning.vocabulary import (
    ADJUSTMENTS,
    ANNIVERSARY_TYPES,
    FOLLOW_UP_TEMPLATES,
    PRE_SCHEDULED,
    SENT_STATUSES,
    STATUSES,
    labels,
)

_SMOOTHED, _BROUGHT_FORWARD, _REDISTRIBUTED, _CATCH_UP = range(len(ADJUSTMENTS))
_NONE = -1
_SHARED: Final = [
    "contact_id",
    "email_type",
    "campaign_instance_id",
    "event_date",
    "ideal_send_date",
    "send_date",
    "priority",
    "skip_reason",
]


def email_schedules(basis: PlanningBasis, balanced: pd.DataFrame, follow_ups: pd.DataFrame) -> pd.DataFrame:
    """Return the plan as rows of ``EMAIL_SCHEDULES``, in its order (section 13).

    Args:
        basis: What planning looked at, for all contacts of the organisation.
        balanced: ``BALANCED_SCHEDULES`` after the limits per contact.
        follow_ups: ``FOLLOW_UPS``.
    """
    both = pd.concat([balanced[_SHARED], follow_ups[_SHARED]], ignore_index=True)
    count = len(both)
    is_skipped = both["skip_reason"].notna().to_numpy()
    adjustment = np.concatenate([_adjustments(balanced, basis.config), _follow_up_adjustments(follow_ups)])
    initial = np.zeros(count, np.int64)
    initial[len(balanced) :] = follow_ups["initial_email_id"]
    metadata = np.full(count, _NONE, np.int32)
    metadata[len(balanced) :] = follow_ups["metadata"].cat.codes
    templates, sms_templates = _templates(basis, both)
    columns: dict[str, object] = {name: both[name] for name in _SHARED}
    columns |= {
        "initial_email_id": initial,
        "scheduled_send_date": both["send_date"],
        "status": labels(is_skipped.astype(np.int8), STATUSES),
        "adjustment": labels(np.where(is_skipped, _NONE, adjustment), ADJUSTMENTS),
        "scheduled_send_time": labels(np.zeros(count, np.int8), [basis.config.timing_constants.send_time]),
        "email_template": templates,
        "sms_template": sms_templates,
        "metadata": labels(metadata, follow_ups["metadata"].cat.categories),
    }
    frame = EMAIL_SCHEDULES.build(columns)
    order = np.lexsort(
        [
            frame[name].cat.codes.to_numpy() if name == "email_type" else frame[name].to_numpy()
            for name in reversed(EMAIL_SCHEDULES.order)
        ]
    )
    return frame.iloc[order].reset_index(drop=True)


def target_statuses(basis: PlanningBasis, schedules: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Return what becomes of ``contact_campaigns.status`` (section 13): only rows that change.

    Args:
        basis: What planning looked at.
        schedules: ``EMAIL_SCHEDULES``.
        targets: ``CONTACT_CAMPAIGNS_TABLE``.
    """
    history, instances = basis.history, basis.instances
    opened = targets[targets["status"].isin(OPEN_TARGET_STATUSES)]
    trigger, _ = trigger_days(opened, instances)
    wanted = pd.DataFrame(
        {
            "contact_id": opened["contact_id"].to_numpy(),
            "campaign_instance_id": opened["campaign_instance_id"].to_numpy(),
            "event_date": trigger,
        }
    )
    planned = schedules[(schedules["status"] == PRE_SCHEDULED) & (schedules["campaign_instance_id"] != 0)]
    planned = planned[planned["initial_email_id"] == 0]
    sent = history[history["status"].isin(SENT_STATUSES) & (history["campaign_instance_id"] != 0)]
    sent = sent[sent["email_type"].isin({i.email_type for i in instances.values()})]
    status = np.where(
        _is_among(wanted, sent), "sent", np.where(_is_among(wanted, planned), "scheduled", "pending")
    )
    changed = status != opened["status"].astype("str").to_numpy()
    return TARGET_STATUSES.build(
        {"id": opened["id"].to_numpy()[changed], "status": pd.Categorical(status[changed])}
    ).sort_values("id", ignore_index=True)


def _is_among(wanted: pd.DataFrame, rows: pd.DataFrame) -> Flags:
    keys = list(wanted.columns)
    found: Flags = pd.MultiIndex.from_frame(wanted).isin(pd.MultiIndex.from_frame(rows[keys]))
    return found


def _adjustments(balanced: pd.DataFrame, config: SchedulerConfig) -> npt.NDArray[np.int8]:
    send, ideal, base = (balanced[name].to_numpy() for name in ("send_date", "ideal_send_date", "base_date"))
    deadline_of_spread = base.astype(np.int64) + config.load_balancing.catch_up_spread_days
    on_base = np.where(balanced["is_brought_forward"].to_numpy(), _BROUGHT_FORWARD, _SMOOTHED)
    later = np.where(send <= deadline_of_spread, _REDISTRIBUTED, _CATCH_UP)
    return np.where(send == ideal, _NONE, np.where(send == base, on_base, later)).astype(np.int8)


def _follow_up_adjustments(follow_ups: pd.DataFrame) -> npt.NDArray[np.int8]:
    is_on_time = follow_ups["send_date"].to_numpy() == follow_ups["ideal_send_date"].to_numpy()
    return np.where(is_on_time, _NONE, _CATCH_UP).astype(np.int8)


def _templates(basis: PlanningBasis, rows: pd.DataFrame) -> tuple[pd.Categorical, pd.Categorical]:
    """Return email and SMS template of each row; there are as many answers as pairs of type and instance."""
    types = rows["email_type"].cat
    instance_ids, instance = np.unique(rows["campaign_instance_id"].to_numpy(), return_inverse=True)
    packed = types.codes.to_numpy().astype(np.int64) * len(instance_ids) + instance
    pairs, pair = np.unique(packed, return_inverse=True)
    answers = []
    for type_code, position in zip(*divmod(pairs, max(len(instance_ids), 1)), strict=True):
        of = basis.instances.get(int(instance_ids[position]))
        answers.append(_templates_of(types.categories[type_code], of, basis.config))
    has_phone = basis.contacts["has_phone"].to_numpy()[basis.rows_of(rows["contact_id"].to_numpy())]
    gets_sms = has_phone & basis.config.features.enable_sms
    return (
        _spread([email for email, _ in answers], pair, np.ones(len(rows), np.bool_)),
        _spread([sms for _, sms in answers], pair, gets_sms),
    )


def _templates_of(
    email_type: str, instance: CampaignInstance | None, config: SchedulerConfig
) -> tuple[str | None, str | None]:
    templates = config.email_templates
    if email_type in ANNIVERSARY_TYPES:
        return getattr(templates.anniversary, email_type), templates.sms.get(email_type)
    if email_type in FOLLOW_UP_TEMPLATES:
        kind = FOLLOW_UP_TEMPLATES[email_type]
        own: Mapping[str, str] = {} if instance is None else instance.followup_templates
        own_sms: Mapping[str, str] = {} if instance is None else instance.followup_sms_templates
        return (
            own.get(kind) or getattr(templates.followups, kind),
            own_sms.get(kind) or templates.sms.get(f"followup_{kind}"),
        )
    if instance is None:
        raise AssertionError(f"{email_type} without a campaign instance")
    return instance.email_template, instance.sms_template or templates.sms.get(email_type)


def _spread(texts: list[str | None], pair: npt.NDArray[np.int64], is_given: Flags) -> pd.Categorical:
    distinct = pd.Index(sorted({text for text in texts if text is not None}), dtype="str")
    codes = np.array([_NONE if text is None else distinct.get_loc(text) for text in texts], np.int32)
    spread = codes[pair] if len(codes) else np.empty(0, np.int32)
    return labels(np.where(is_given, spread, _NONE), distinct)
