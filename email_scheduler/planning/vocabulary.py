"""The words of the rules as categories: email types, statuses, skip reasons, adjustments."""

from collections.abc import Collection, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.exclusions import EXCLUSION_REASONS, ReasonCodes

BIRTHDAY: Final = "birthday"
EFFECTIVE_DATE: Final = "effective_date"
AEP: Final = "aep"
POST_WINDOW: Final = "post_window"
ANNIVERSARY_TYPES: Final = (BIRTHDAY, EFFECTIVE_DATE, AEP, POST_WINDOW)
CAMPAIGN_PREFIX: Final = "campaign_"
FOLLOW_UP_PREFIX: Final = "followup_"
# Each follow-up type with its key in email_templates.followups.
FOLLOW_UP_TEMPLATES: Final = {
    "followup_1_cold": "cold",
    "followup_2_clicked_no_hq": "clicked_no_hq",
    "followup_3_hq_no_yes": "hq_no_conditions",
    "followup_4_hq_with_yes": "hq_with_conditions",
}
FOLLOW_UP_TYPES: Final = tuple(FOLLOW_UP_TEMPLATES)

PRE_SCHEDULED: Final = "pre-scheduled"
SKIPPED: Final = "skipped"
STATUSES: Final = (PRE_SCHEDULED, SKIPPED)
LIVE_STATUSES: Final = ("scheduled", "processing", "sent", "delivered")
SENT_STATUSES: Final = ("sent", "delivered")

OUTSIDE_CAMPAIGN_DATES: Final = "outside_campaign_dates"
EVENT_PASSED: Final = "event_passed"
NO_SEND_DAY: Final = "no_send_day"
DAILY_CAP_EXCEEDED: Final = "daily_cap_exceeded"
CAMPAIGN_CONFLICT: Final = "campaign_conflict"
FREQUENCY_LIMIT_EXCEEDED: Final = "frequency_limit_exceeded"
# The reason code of an excluded day, less 1, is its position here.
SKIP_REASONS: Final = (
    *EXCLUSION_REASONS,
    OUTSIDE_CAMPAIGN_DATES,
    EVENT_PASSED,
    NO_SEND_DAY,
    DAILY_CAP_EXCEEDED,
    CAMPAIGN_CONFLICT,
    FREQUENCY_LIMIT_EXCEEDED,
)
SKIP_REASON_DTYPE: Final = pd.CategoricalDtype(pd.Index(SKIP_REASONS, dtype="str"))
NOT_SKIPPED: Final = np.int16(-1)

ADJUSTMENTS: Final = ("smoothed", "brought_forward", "redistributed", "catch_up")


def email_type_dtype(campaign_types: Iterable[str]) -> pd.CategoricalDtype:
    """Return the category of the planner's email types, given the names of the campaign types."""
    campaigns = sorted({CAMPAIGN_PREFIX + name for name in campaign_types})
    return pd.CategoricalDtype(pd.Index([*ANNIVERSARY_TYPES, *campaigns, *FOLLOW_UP_TYPES], dtype="str"))


def skip_code(reason: str) -> np.int16:
    """Return the code of a skip reason in ``SKIP_REASON_DTYPE``."""
    return np.int16(SKIP_REASONS.index(reason))


def skip_codes(exclusions: ReasonCodes) -> npt.NDArray[np.int16]:
    """Return the codes of exclusion reasons in ``SKIP_REASON_DTYPE``; ``NOT_SKIPPED`` for allowed days."""
    return exclusions - np.int16(1)


def labels(codes: npt.NDArray[np.integer], names: Iterable[str]) -> pd.Categorical:
    """Return codes, -1 where there is none, as a category of these names."""
    dtype: pd.CategoricalDtype[object] = pd.CategoricalDtype(pd.Index(list(names), dtype="str"))
    return pd.Categorical.from_codes(codes, dtype=dtype)


def is_label(column: pd.Series, names: Collection[str]) -> npt.NDArray[np.bool_]:
    """Tell which rows of a category have one of these labels; faster than to compare texts."""
    labels_of = column.cat
    flags: npt.NDArray[np.bool_] = np.append(labels_of.categories.isin(list(names)), False)[
        labels_of.codes.to_numpy()
    ]
    return flags


def skip_reasons(codes: npt.NDArray[np.int16]) -> pd.Categorical:
    """Return codes of ``SKIP_REASON_DTYPE`` as the category."""
    return pd.Categorical.from_codes(codes, dtype=SKIP_REASON_DTYPE)


def is_planners_type(email_types: pd.Index) -> npt.NDArray[np.bool_]:
    """Tell which of these distinct types are planned here, whether or not their campaign exists any more."""
    known = email_types.isin([*ANNIVERSARY_TYPES, *FOLLOW_UP_TYPES])
    flags: npt.NDArray[np.bool_] = known | email_types.str.startswith(CAMPAIGN_PREFIX)
    return flags
