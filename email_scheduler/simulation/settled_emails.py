"""What becomes of the emails of a simulation: each is settled once, when it is sent or cannot be any more."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning import (
    ALL_SKIP_REASONS,
    DATE,
    ID,
    LABEL,
    NUMBER,
    Flags,
    Frame,
    Plan,
    Positions,
    SortedIds,
    is_label,
    labels,
    match_occurrences,
)
from email_scheduler.registry import ADJUSTMENTS, PRE_SCHEDULED, SKIP_REASONS

ON_TIME: Final = "on time"
LATE: Final = "late"
LOST: Final = "lost"
EXCLUDED: Final = "excluded"
OUTSIDE_DATES: Final = "outside dates"
WITHDRAWN: Final = "withdrawn"
# What becomes of an email: it is sent on its day (or on one that smoothing or a closed day has chosen), or
# later; it is never sent because there was no room, because an exclusion window forbade it, or because it
# was for a day outside the dates of its campaign, or past; or it was planned and then not any more, since
# another email, such as a later follow-up, took its place.
OUTCOMES: Final = (ON_TIME, LATE, LOST, EXCLUDED, OUTSIDE_DATES, WITHDRAWN)
SENT_OUTCOMES: Final = (ON_TIME, LATE)

# Emails that are settled. day: that on which it was sent, or on which the plan first did not count on it any
# more. reason: the skip reason, of sent emails the adjustment, where there is one. late_days: of late emails
# how many days after the ideal date it was sent, else 0. state: by the contact's ZIP.
SETTLED_EMAILS: Final = Frame(
    "settled emails",
    {
        "contact_id": ID,
        "state": LABEL,
        "email_type": LABEL,
        "campaign_instance_id": ID,
        "event_date": DATE,
        "initial_email_id": ID,
        "ideal_send_date": DATE,
        "day": DATE,
        "outcome": LABEL,
        "reason": LABEL,
        "late_days": NUMBER,
    },
)

Codes = npt.NDArray[np.int16]
_NONE: Final = -1
_REASONS: Final = (*ALL_SKIP_REASONS, *ADJUSTMENTS)
_LATE_ADJUSTMENTS: Final = [name for name, adjustment in ADJUSTMENTS.items() if adjustment.is_late]
_IS_EXCLUSION: Final = np.array([*(name not in SKIP_REASONS for name in ALL_SKIP_REASONS), False])
_IS_ROOM: Final = np.array(
    [*(name in SKIP_REASONS and SKIP_REASONS[name].is_want_of_room for name in ALL_SKIP_REASONS), False]
)
_IS_OUTSIDE: Final = np.array(
    [*(name in SKIP_REASONS and not SKIP_REASONS[name].is_want_of_room for name in ALL_SKIP_REASONS), False]
)


@dataclass
class Steadiness:
    """Dates that a plan announced for a later day, follow-ups aside, one an email and plan.

    Attributes:
        compared: How many the next plan could keep.
        moved: Those that it moved to another day.
        withdrawn: Those that it skipped or had not any more.
    """

    compared: int = 0
    moved: int = 0
    withdrawn: int = 0


@dataclass(frozen=True)
class _Open:
    """The rows of a plan that are not sent on its day.

    Attributes:
        rows: ``EMAIL_SCHEDULES``.
        room: The code of the last skip reason for want of room that each had so far, ``_NONE``: none.
        is_settled: Rows that stay in the plan although nothing will become of them.
    """

    rows: pd.DataFrame
    room: Codes
    is_settled: Flags


@dataclass
class SettledEmails:
    """Follows every occurrence from plan to plan.

    Attributes:
        contacts: ``CONTACTS`` of the first day, whose states count.
        promises: How steady the plans are.
    """

    contacts: pd.DataFrame
    promises: Steadiness = field(default_factory=Steadiness)
    _settled: list[pd.DataFrame] = field(default_factory=list)
    _open: _Open | None = None

    def follow(self, plan: Plan, day: int) -> pd.DataFrame:
        """Look at the plan of a day; return its rows that are sent on this day (``EMAIL_SCHEDULES``)."""
        rows = plan.schedules
        reasons = _reasons(rows)
        room = np.where(_IS_ROOM[reasons], reasons, _NONE).astype(np.int16)
        is_settled = np.zeros(len(rows), np.bool_)
        before = self._open
        if before is not None:
            match = match_occurrences(before.rows, rows)
            self._settle_those_that_are_gone(before, np.flatnonzero(match < 0), day)
            found = np.flatnonzero(match >= 0)
            here = match[found]
            room[here] = np.where(room[here] == _NONE, before.room[found], room[here])
            is_settled[here] = before.is_settled[found]
            self._compare(before.rows, rows, match)
        is_due = is_label(rows["status"], [PRE_SCHEDULED]) & (rows["scheduled_send_date"] == day).to_numpy()
        due = rows[is_due]
        self._settle_sent(due, day)
        # nothing comes of these any more, and they stay in the plan
        is_over = (_IS_OUTSIDE[reasons] | (_IS_EXCLUSION[reasons] & (room != _NONE))) & ~is_settled
        self._settle(rows[is_over], day, *_unsent(reasons[is_over], room[is_over]))
        rest = np.flatnonzero(~is_due)
        self._open = _Open(rows.take(rest), room[rest], (is_settled | is_over)[rest])
        return due

    def settled(self) -> pd.DataFrame:
        """Return ``SETTLED_EMAILS`` so far, in the order of their days."""
        if not self._settled:
            return SETTLED_EMAILS.empty()
        # joining uses its parts up
        return SETTLED_EMAILS.join([each.copy(deep=False) for each in self._settled])

    def open_count(self) -> int:
        """Return how many emails of the last plan are neither sent nor settled."""
        return 0 if self._open is None else int(np.count_nonzero(~self._open.is_settled))

    def _settle_those_that_are_gone(self, before: _Open, gone: Positions, day: int) -> None:
        gone = gone[~before.is_settled[gone]]
        rows = before.rows.take(gone)
        self._settle(rows, day, *_unsent(_reasons(rows), before.room[gone]))

    def _settle_sent(self, due: pd.DataFrame, day: int) -> None:
        adjustment = due["adjustment"].array
        may_be_late = is_label(due["adjustment"], _LATE_ADJUSTMENTS)
        late = np.where(may_be_late, np.maximum(day - due["ideal_send_date"].to_numpy(), 0), 0)
        names = pd.Index(_REASONS).get_indexer(adjustment.categories)
        reasons = np.append(names, _NONE)[adjustment.codes]
        outcomes = np.where(late > 0, OUTCOMES.index(LATE), OUTCOMES.index(ON_TIME))
        self._settle(due, day, outcomes, reasons, late)

    def _settle(
        self,
        rows: pd.DataFrame,
        day: int,
        outcomes: npt.NDArray[np.integer],
        reasons: npt.NDArray[np.integer],
        late_days: npt.NDArray[np.integer] | int = 0,
    ) -> None:
        if len(rows) == 0:
            return
        columns: dict[str, object] = {
            name: rows[name].array for name in SETTLED_EMAILS.columns if name in rows.columns
        }
        states = self.contacts["state"].array
        position = SortedIds(self.contacts["contact_id"].to_numpy()).positions(rows["contact_id"].to_numpy())
        columns |= {
            "state": pd.Categorical.from_codes(np.append(states.codes, _NONE)[position], dtype=states.dtype),
            "day": np.full(len(rows), day, np.int32),
            "outcome": labels(outcomes.astype(np.int8), OUTCOMES),
            "reason": labels(reasons.astype(np.int16), _REASONS),
            "late_days": np.broadcast_to(late_days, len(rows)).astype(np.int32),
        }
        self._settled.append(SETTLED_EMAILS.build(columns))

    def _compare(self, before: pd.DataFrame, now: pd.DataFrame, match: Positions) -> None:
        is_promise = is_label(before["status"], [PRE_SCHEDULED])
        promised = np.flatnonzero(is_promise & (before["initial_email_id"].to_numpy() == 0))
        kept = promised[match[promised] >= 0]
        goes = is_label(now["status"], [PRE_SCHEDULED])[match[kept]]
        days = [frame["scheduled_send_date"].to_numpy() for frame in (before, now)]
        is_moved = goes & (days[0][kept] != days[1][match[kept]])
        self.promises.compared += len(promised)
        self.promises.moved += int(np.count_nonzero(is_moved))
        self.promises.withdrawn += len(promised) - int(np.count_nonzero(goes))


def _unsent(reasons: Codes, room: Codes) -> tuple[npt.NDArray[np.integer], Codes]:
    """Return what becomes of emails that are not sent, and why: want of room counts before all else."""
    is_planned = reasons == _NONE
    is_lost = ~is_planned & (room != _NONE)
    names = (WITHDRAWN, LOST, EXCLUDED)
    codes = [OUTCOMES.index(name) for name in names]
    outcomes = np.select(
        [is_planned, is_lost, _IS_EXCLUSION[reasons]], codes, default=OUTCOMES.index(OUTSIDE_DATES)
    )
    return outcomes, np.where(is_lost, room, reasons)


def _reasons(rows: pd.DataFrame) -> Codes:
    codes: Codes = rows["skip_reason"].cat.codes.to_numpy().astype(np.int16)
    return codes
