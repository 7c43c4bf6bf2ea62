"""The words of the registry as categories of pandas: email types, skip reasons, adjustments."""

from collections.abc import Collection, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.rules.exclusions import EXCLUSION_REASONS, ReasonCodes
from email_scheduler.registry import (
    ANNIVERSARY_TYPES,
    BUILT_IN_TYPES,
    CAMPAIGN_PREFIX,
    FOLLOW_UP_TYPES,
    SKIP_REASONS,
)

# Every skip reason. The reason code of an excluded day, less 1, is its position here.
ALL_SKIP_REASONS: Final = (*EXCLUSION_REASONS, *SKIP_REASONS)
SKIP_REASON_DTYPE: Final = pd.CategoricalDtype(pd.Index(ALL_SKIP_REASONS, dtype="str"))
NOT_SKIPPED: Final = np.int16(-1)


def email_type_dtype(campaign_types: Iterable[str]) -> pd.CategoricalDtype:
    """Return the category of the planner's email types, given the names of the campaign types."""
    campaigns = sorted({CAMPAIGN_PREFIX + name for name in campaign_types})
    return pd.CategoricalDtype(pd.Index([*ANNIVERSARY_TYPES, *campaigns, *FOLLOW_UP_TYPES], dtype="str"))


def skip_code(reason: str) -> np.int16:
    """Return the code of a skip reason in ``SKIP_REASON_DTYPE``."""
    return np.int16(ALL_SKIP_REASONS.index(reason))


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
    known = email_types.isin(BUILT_IN_TYPES)
    flags: npt.NDArray[np.bool_] = known | email_types.str.startswith(CAMPAIGN_PREFIX)
    return flags
