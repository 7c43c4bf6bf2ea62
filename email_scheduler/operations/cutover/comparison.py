"""Two plans beside each other: which emails are the same, and what becomes of the others.

An older program does not say which occurrence an email is about (``planning.matching``): neither a campaign
instance nor, often, an event date. Rows are matched by contact and type. Follow-ups count as one type, since
a contact gets one, whichever. Of the pairs that are possible, those whose event dates lie nearest come first.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.frames import DATE, ID, LABEL, NO_DATE, Frame
from email_scheduler.planning.handled import TOLERANCE_DAYS
from email_scheduler.planning.labels import is_label
from email_scheduler.planning.packing import pack_alike
from email_scheduler.planning.registry.email_types import AEP, FOLLOW_UP_PREFIX, PRE_SCHEDULED

# What an older program has planned. event_date is NO_DATE where it says none.
OLDER_PLAN: Final = Frame(
    "older plan",
    {
        "contact_id": ID,
        "email_type": LABEL,
        "event_date": DATE,
        "scheduled_send_date": DATE,
        "status": LABEL,
        "skip_reason": LABEL,
    },
)

SAME: Final = "same"
EARLIER: Final = "earlier"
LATER: Final = "later"
SKIPPED_HERE: Final = "skipped_here"
SKIPPED_THERE: Final = "skipped_there"
ONLY_HERE: Final = "only_here"
ONLY_THERE: Final = "only_there"
OUTCOMES: Final = (SAME, EARLIER, LATER, SKIPPED_HERE, SKIPPED_THERE, ONLY_HERE, ONLY_THERE)
OUTCOME_DTYPE: Final = pd.CategoricalDtype(pd.Index(OUTCOMES, dtype="str"))

# How far the dates of one email may lie apart in two plans, days, inclusive. An AEP email of next year is
# another one.
_TOLERANCE_DAYS: Final = TOLERANCE_DAYS | {AEP: 182}
_OTHER_TOLERANCE_DAYS: Final = 60
_FAR: Final = np.int64(1) << 32

Positions = npt.NDArray[np.int64]


def match_rows(here: pd.DataFrame, there: pd.DataFrame) -> tuple[Positions, Positions]:
    """Return the positions of the rows that are about the same email, in both plans; each row at most once.

    Two rows are, if their event dates lie within the tolerance of their type, or where they do not or one is
    not known, their send dates do.

    Args:
        here: Rows with contact_id, email_type, event_date and scheduled_send_date.
        there: ``OLDER_PLAN``.
    """
    groups, tolerances = _groups(here, there)
    keys = pack_alike([(here["contact_id"].to_numpy(), there["contact_id"].to_numpy()), groups])
    left, right = (pd.DataFrame({"key": each, "row": np.arange(len(each))}) for each in keys)
    # contacts have few rows of a type on either side
    pairs = left.merge(right, on="key", validate="many_to_many")
    ours, theirs = pairs["row_x"].to_numpy(), pairs["row_y"].to_numpy()
    tolerance = tolerances[groups[0][ours]]
    event_gap = _gap(here["event_date"], there["event_date"], ours, theirs)
    send_gap = _gap(here["scheduled_send_date"], there["scheduled_send_date"], ours, theirs)
    by_event = event_gap <= tolerance
    rank = np.where(by_event, event_gap, tolerance + 1 + send_gap)
    order = np.lexsort((theirs, ours, send_gap, rank))
    order = order[(by_event | (send_gap <= tolerance))[order]]
    return _nearest_first(ours[order], theirs[order])


def _groups(here: pd.DataFrame, there: pd.DataFrame) -> tuple[tuple[Positions, Positions], Positions]:
    """Return a number for the type of each row, the same in both plans, and the tolerance of each number."""
    columns = [frame["email_type"].cat for frame in (here, there)]
    names = sorted({_group_name(name) for column in columns for name in column.categories})
    tolerances = np.array([_TOLERANCE_DAYS.get(name, _OTHER_TOLERANCE_DAYS) for name in names], np.int64)
    index = pd.Index(names, dtype="str")
    ours, theirs = (
        np.append(index.get_indexer(pd.Index(map(_group_name, column.categories))), -1)[column.codes]
        for column in columns
    )
    return (ours, theirs), tolerances


def _group_name(email_type: str) -> str:
    return FOLLOW_UP_PREFIX if email_type.startswith(FOLLOW_UP_PREFIX) else email_type


def _gap(here: pd.Series, there: pd.Series, ours: Positions, theirs: Positions) -> Positions:
    """Return the days between two dates of each pair; very many where one is not known."""
    a, b = here.to_numpy()[ours].astype(np.int64), there.to_numpy()[theirs].astype(np.int64)
    gap: Positions = np.where((a == NO_DATE) | (b == NO_DATE), _FAR, np.abs(a - b))
    return gap


def _nearest_first(ours: Positions, theirs: Positions) -> tuple[Positions, Positions]:
    """Choose pairs in their order, so that each row is in one at most.

    A pair that is the first of both of its rows is chosen, whatever becomes of others. A few rounds settle
    all, since contacts have few rows.
    """
    chosen: list[tuple[Positions, Positions]] = []
    while len(ours):
        is_first = ~(pd.Series(ours).duplicated() | pd.Series(theirs).duplicated()).to_numpy()
        chosen.append((ours[is_first], theirs[is_first]))
        is_left = ~(np.isin(ours, ours[is_first]) | np.isin(theirs, theirs[is_first]))
        ours, theirs = ours[is_left], theirs[is_left]
    if not chosen:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    found = [np.concatenate(each) for each in zip(*chosen, strict=True)]
    return found[0], found[1]


def outcomes(here: pd.DataFrame, there: pd.DataFrame) -> pd.Categorical:
    """Return what pairs of rows come to, one pair a row: the same, earlier, later, or skipped on one side."""
    goes, went = (is_label(frame["status"], [PRE_SCHEDULED]) for frame in (here, there))
    days = here["scheduled_send_date"].to_numpy() - there["scheduled_send_date"].to_numpy()
    conditions = [
        (goes == went) & (~goes | (days == 0)),
        goes & went & (days < 0),
        goes & went,
        went,
    ]
    codes = np.select(conditions, [OUTCOMES.index(each) for each in (SAME, EARLIER, LATER, SKIPPED_HERE)], 4)
    return pd.Categorical.from_codes(codes, dtype=OUTCOME_DTYPE)
