"""What becomes of other emails because there is a campaign: two plans beside each other."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from email_scheduler.operations.plan_difference import NOT_PLANNED
from email_scheduler.planning.cube import Axis, Cube
from email_scheduler.planning.labels import is_label
from email_scheduler.planning.matching import match_occurrences
from email_scheduler.planning.registry.email_types import PRE_SCHEDULED
from email_scheduler.storage.changes import (
    CANCELLED,
    EARLIER,
    EMAIL_KINDS,
    GOES_OUT,
    LATER,
    email_change_codes,
)


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
    matches = match_occurrences(planned, without)
    both = np.flatnonzero(matches >= 0)
    gone = np.setdiff1d(np.arange(len(without)), matches)
    went, goes = (is_label(frame["status"], [PRE_SCHEDULED]) for frame in (without, planned))
    before = np.zeros(len(planned), np.bool_)
    before[both] = went[matches[both]]
    days_later = np.zeros(len(planned), np.int32)
    days = [frame["scheduled_send_date"].to_numpy() for frame in (without, planned)]
    days_later[both] = days[1][both] - days[0][matches[both]]
    others, others_gone = (
        np.flatnonzero((frame["campaign_instance_id"] != instance_id).to_numpy())
        for frame in (planned, without)
    )
    gone = np.intersect1d(gone[went[gone]], others_gone)
    codes = email_change_codes(before, goes, days_later)[others]
    counts = Cube.count(
        {
            "email_type": Axis.of_labels(planned["email_type"], others),
            "kind": Axis(codes, EMAIL_KINDS),
            "reason": Axis.of_labels(planned["skip_reason"], others),
        }
    ) + Cube.count(
        {
            "email_type": Axis.of_labels(without["email_type"], gone),
            "kind": Axis(np.zeros(len(gone), np.int8), [CANCELLED]),
            "reason": Axis(np.zeros(len(gone), np.int8), [NOT_PLANNED]),
        }
    )
    counts = counts.where(kind=(GOES_OUT, LATER, EARLIER, CANCELLED))
    by_kind = counts.table("email_type", "kind")
    return [
        Displaced(
            email_type,
            by_kind[email_type].get(LATER, 0),
            by_kind[email_type].get(EARLIER, 0),
            counts.where(email_type=email_type, kind=CANCELLED).most_frequent("reason"),
            by_kind[email_type].get(GOES_OUT, 0),
        )
        for email_type in sorted(by_kind)
    ]
