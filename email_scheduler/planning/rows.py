"""The rows that a plan publishes: dates, adjustments, target statuses (section 13 of the planning rules)."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.campaigns import OPEN_TARGET_STATUSES, trigger_days
from email_scheduler.planning.chunks import side_by_side
from email_scheduler.planning.dates import Days, Flags
from email_scheduler.planning.exclusions import Rows
from email_scheduler.planning.frames import EMAIL_SCHEDULES, NO_DATE, TARGET_STATUSES
from email_scheduler.planning.labels import is_label, labels
from email_scheduler.planning.packing import is_among, pack, pack_alike
from email_scheduler.planning.registry.email_types import PRE_SCHEDULED, SENT_STATUSES, STATUSES
from email_scheduler.planning.registry.reasons import (
    ADJUSTMENTS,
    BROUGHT_FORWARD,
    CATCH_UP,
    REDISTRIBUTED,
    SMOOTHED,
)
from email_scheduler.planning.templates import Templates

_SMOOTHED, _BROUGHT_FORWARD, _REDISTRIBUTED, _CATCH_UP = (
    list(ADJUSTMENTS).index(name) for name in (SMOOTHED, BROUGHT_FORWARD, REDISTRIBUTED, CATCH_UP)
)
_NONE = -1
Ids = npt.NDArray[np.int64]

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
# What rows are made from.
COLUMNS_OF_ROWS: Final = [*_SHARED, "base_date", "is_brought_forward"]


def email_schedules_by_part(
    basis: PlanningBasis, balanced: pd.DataFrame, balanced_by_part: list[Rows], follow_ups: pd.DataFrame
) -> list[pd.DataFrame]:
    """Return the plan as rows of ``EMAIL_SCHEDULES``, in its order, for each part of ``basis`` (section 13).

    Args:
        basis: What planning looked at, for all contacts of the organisation.
        balanced: ``COLUMNS_OF_ROWS`` of ``BALANCED_SCHEDULES`` after the limits per contact.
        balanced_by_part: Its rows by the parts of ``basis``.
        follow_ups: ``FOLLOW_UPS``.
    """
    templates = Templates(basis, balanced, follow_ups)

    def rows_of_part(part: tuple[PlanningBasis, Rows, Rows]) -> pd.DataFrame:
        contacts, rows, follow_up_rows = part
        return _rows(contacts, balanced.take(rows), follow_ups.take(follow_up_rows), templates)

    follow_ups_by_part = basis.rows_by_part(follow_ups["contact_id"].to_numpy())
    parts = zip(basis.parts, balanced_by_part, follow_ups_by_part, strict=True)
    return side_by_side(rows_of_part, parts)


def _rows(
    basis: PlanningBasis, balanced: pd.DataFrame, follow_ups: pd.DataFrame, templates: Templates
) -> pd.DataFrame:
    both = pd.concat([balanced[_SHARED], follow_ups[_SHARED]], ignore_index=True)
    count = len(both)
    is_skipped = both["skip_reason"].notna().to_numpy()
    adjustment = np.concatenate([_adjustments(balanced, basis.config), _follow_up_adjustments(follow_ups)])
    initial = np.zeros(count, np.int64)
    initial[len(balanced) :] = follow_ups["initial_email_id"]
    email_templates, sms_templates = templates.of_rows(basis, both)
    metadata = templates.metadata_of_rows(balanced, follow_ups)
    columns: dict[str, object] = {name: both[name] for name in _SHARED}
    columns |= {
        "initial_email_id": initial,
        "scheduled_send_date": both["send_date"],
        "status": labels(is_skipped.astype(np.int8), STATUSES),
        "adjustment": labels(np.where(is_skipped, _NONE, adjustment), ADJUSTMENTS),
        "scheduled_send_time": labels(np.zeros(count, np.int8), [basis.config.timing_constants.send_time]),
        "email_template": email_templates,
        "sms_template": sms_templates,
        "metadata": metadata,
    }
    frame = EMAIL_SCHEDULES.build(columns)
    in_order = [frame[name].array for name in EMAIL_SCHEDULES.order]
    keys = pack([each.codes if isinstance(each, pd.Categorical) else each.to_numpy() for each in in_order])
    return frame.take(np.argsort(keys)).reset_index(drop=True)


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
    wanted = (opened["contact_id"].to_numpy(), opened["campaign_instance_id"].to_numpy(), trigger)
    is_scheduled = _is_among(
        wanted,
        schedules,
        (schedules["campaign_instance_id"].to_numpy() != 0)
        & (schedules["initial_email_id"].to_numpy() == 0)
        & is_label(schedules["status"], [PRE_SCHEDULED]),
    )
    is_sent = _is_among(
        wanted,
        history,
        (history["campaign_instance_id"].to_numpy() != 0)
        & is_label(history["status"], SENT_STATUSES)
        & is_label(history["email_type"], {i.email_type for i in instances.values()}),
    )
    # a target without a readable date is about no day, also not about that of a row without one
    is_sent &= trigger != NO_DATE
    status = np.where(is_sent, "sent", np.where(is_scheduled, "scheduled", "pending"))
    changed = status != opened["status"].astype("str").to_numpy()
    return TARGET_STATUSES.build(
        {"id": opened["id"].to_numpy()[changed], "status": pd.Categorical(status[changed])}
    ).sort_values("id", ignore_index=True)


def _is_among(wanted: tuple[Ids, Ids, Days], frame: pd.DataFrame, is_asked: Flags) -> Flags:
    """Tell which contacts, campaign instances and days are those of one of the rows that are asked."""
    rows = np.flatnonzero(is_asked)
    rows = rows[np.isin(frame["campaign_instance_id"].to_numpy()[rows], np.unique(wanted[1]))]
    names = ("contact_id", "campaign_instance_id", "event_date")
    columns = [frame[name].to_numpy()[rows] for name in names]
    keys, asked = pack_alike(list(zip(wanted, columns, strict=True)))
    return is_among(keys, np.sort(asked))


def _adjustments(balanced: pd.DataFrame, config: SchedulerConfig) -> npt.NDArray[np.int8]:
    send, ideal, base = (balanced[name].to_numpy() for name in ("send_date", "ideal_send_date", "base_date"))
    deadline_of_spread = base.astype(np.int64) + config.load_balancing.catch_up_spread_days
    on_base = np.where(balanced["is_brought_forward"].to_numpy(), _BROUGHT_FORWARD, _SMOOTHED)
    later = np.where(send <= deadline_of_spread, _REDISTRIBUTED, _CATCH_UP)
    return np.where(send == ideal, _NONE, np.where(send == base, on_base, later)).astype(np.int8)


def _follow_up_adjustments(follow_ups: pd.DataFrame) -> npt.NDArray[np.int8]:
    is_on_time = follow_ups["send_date"].to_numpy() == follow_ups["ideal_send_date"].to_numpy()
    return np.where(is_on_time, _NONE, _CATCH_UP).astype(np.int8)
