"""What becomes of other emails because there is a campaign: two plans beside each other."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from email_scheduler.operations.plan_difference import match_plans
from email_scheduler.planning.registry.email_types import PRE_SCHEDULED
from email_scheduler.storage.compare import Positions


@dataclass(frozen=True)
class Displaced:
    """What becomes of the other emails of one type.

    Attributes:
        email_type: The type.
        later, earlier: Emails that go out on a later day, or on an earlier one.
        skipped: Emails that do not go out any more, by reason.
        instead: Emails that go out only because of the instance.
    """

    email_type: str
    later: int
    earlier: int
    skipped: dict[str, int]
    instead: int


def displaced_by(planned: pd.DataFrame, without: pd.DataFrame, instance_id: int) -> list[Displaced]:
    """Return what becomes of other emails because of an instance, by type.

    Args:
        planned: The plan with the instance (``EMAIL_SCHEDULES``).
        without: The plan without it.
        instance_id: The instance, whose own emails are left out.
    """
    matches, _ = match_plans(planned, without)
    is_others = (planned["campaign_instance_id"] != instance_id).to_numpy()
    now = np.flatnonzero(is_others & (matches >= 0))
    before = matches[now]
    goes, went = (
        (frame["status"] == PRE_SCHEDULED).to_numpy()[places]
        for frame, places in ((planned, now), (without, before))
    )
    days = planned["scheduled_send_date"].to_numpy()[now] - without["scheduled_send_date"].to_numpy()[before]
    unmatched = np.flatnonzero(is_others & (matches < 0) & (planned["status"] == PRE_SCHEDULED).to_numpy())
    gone = np.setdiff1d(np.arange(len(without)), matches[matches >= 0])
    gone = gone[
        ((without["campaign_instance_id"] != instance_id) & (without["status"] == PRE_SCHEDULED)).to_numpy()[
            gone
        ]
    ]
    later = _types(planned, now[goes & went & (days > 0)])
    earlier = _types(planned, now[goes & went & (days < 0)])
    instead = _types(planned, np.concatenate([now[goes & ~went], unmatched]))
    dropped = _types(without, gone)
    stopped = planned.iloc[now[~goes & went]]
    reasons = {
        str(email_type): count_reasons(part["skip_reason"])
        for email_type, part in stopped.groupby("email_type", observed=True)
    }
    for email_type, count in dropped.items():
        reasons.setdefault(email_type, {})["not planned any more"] = count
    types = sorted({*later, *earlier, *instead, *reasons})
    return [
        Displaced(each, later.get(each, 0), earlier.get(each, 0), reasons.get(each, {}), instead.get(each, 0))
        for each in types
    ]


def _types(rows: pd.DataFrame, positions: Positions) -> dict[str, int]:
    counts = rows["email_type"].iloc[positions].value_counts()
    return {str(name): int(count) for name, count in counts.items() if count}


def count_reasons(reasons: pd.Series) -> dict[str, int]:
    """Count reasons, the most frequent first."""
    counts = reasons.value_counts()
    return {str(reason): int(count) for reason, count in counts.items() if count}
