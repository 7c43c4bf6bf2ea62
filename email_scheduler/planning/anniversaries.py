"""Birthday, effective-date, AEP and post-window emails (sections 6 and 7 of the planning rules)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.dates import Anchors, Days, Flags, anniversaries, from_day
from email_scheduler.planning.exclusions import ALLOWED, SEARCH_DAYS, ReasonCodes, Rows
from email_scheduler.planning.frames import OCCURRENCES
from email_scheduler.planning.handled import is_handled
from email_scheduler.planning.vocabulary import (
    AEP,
    BIRTHDAY,
    EFFECTIVE_DATE,
    POST_WINDOW,
    skip_codes,
    skip_reasons,
)


@dataclass(frozen=True)
class _Occurrences:
    """Occurrences of one type: positions in the contacts frame, and the days of each."""

    email_type: str
    rows: Rows
    event: Days
    ideal: Days
    deadline: Days

    def take(self, chosen: Flags) -> "_Occurrences":
        return _Occurrences(
            self.email_type, self.rows[chosen], self.event[chosen], self.ideal[chosen], self.deadline[chosen]
        )


@dataclass(frozen=True)
class _Series:
    """The current and the previous occurrence of one series, of the contacts that have one (section 6)."""

    current: _Occurrences
    previous: _Occurrences


def anniversary_occurrences(basis: PlanningBasis) -> pd.DataFrame:
    """Return the anniversary emails that are due to the contacts, and what follows their windows.

    Implements sections 6 and 7: the current occurrence of each series that is not handled and whose ideal
    date is not before ``go_live_date``, skipped where the ideal date is excluded; and one post-window email
    for each distinct end of a window that hides a current or previous occurrence.

    Returns:
        ``OCCURRENCES``, one row an occurrence, in no particular order.
    """
    frames, hidden = [], []
    for series in (_birthdays(basis), _effective_dates(basis), *_aep(basis)):
        current, is_open, is_excluded = _open_occurrences(basis, series.current)
        frames.append(current[is_open])
        hidden.append(series.current.take(is_open & is_excluded))
        # only a window can hide a previous occurrence, so that the others need no look
        previous = series.previous.take(basis.windows.is_ruled[series.previous.rows])
        _, is_open, is_excluded = _open_occurrences(basis, previous)
        hidden.append(previous.take(is_open & is_excluded))
    frames.append(_post_windows(basis, hidden))
    return OCCURRENCES.check(pd.concat(frames, ignore_index=True))


def effective_date_load(basis: PlanningBasis) -> "pd.Series[int]":
    """Return how many current effective-date occurrences the contacts have on each allowed ideal date.

    What smoothing counts (section 9, rule 5): handled occurrences too. Loads of disjoint subsets of contacts
    add up. The index holds day numbers.
    """
    current = _effective_dates(basis).current
    ideal = current.ideal[basis.windows.reasons(current.rows, current.ideal) == ALLOWED]
    days, counts = np.unique(ideal, return_counts=True)
    return pd.Series(counts, index=days)


def _open_occurrences(basis: PlanningBasis, occurrences: _Occurrences) -> tuple[pd.DataFrame, Flags, Flags]:
    """Return the occurrences as a frame, which of them are still to be dealt with, and which are excluded."""
    reasons = basis.windows.reasons(occurrences.rows, occurrences.ideal)
    frame = _frame(basis, occurrences, reasons)
    is_open = basis.is_live(occurrences.ideal) & ~is_handled(
        frame, basis.history, basis.config.aep_config.default_dates
    )
    return frame, is_open, reasons != ALLOWED


def _birthdays(basis: PlanningBasis) -> _Series:
    days_before = basis.config.timing_constants.birthday_email_days_before
    return _yearly(basis, BIRTHDAY, basis.contacts["birth_date"].to_numpy(), days_before)


def _effective_dates(basis: PlanningBasis) -> _Series:
    days_before = basis.config.timing_constants.effective_date_days_before
    return _yearly(basis, EFFECTIVE_DATE, basis.contacts["effective_date"].to_numpy(), days_before)


def _yearly(basis: PlanningBasis, email_type: str, dates: Days, days_before: int) -> _Series:
    anchors = Anchors.of(dates)
    rows = np.flatnonzero(anchors.is_known)
    anchors = anchors.take(rows)
    spread = basis.config.load_balancing.catch_up_spread_days
    deadline_offset = -1 if days_before > 0 else spread - 1 - days_before
    earliest_event = basis.today - deadline_offset
    year = np.maximum(np.int32(from_day(earliest_event).year), anchors.year + np.int32(1))
    year = year + (anchors.anniversaries(year) < earliest_event).astype(np.int32)

    def occurrences(years: Days) -> _Occurrences:
        event = anchors.anniversaries(years)
        ideal, deadline = event - np.int32(days_before), event + np.int32(deadline_offset)
        return _Occurrences(email_type, rows, event, ideal, deadline)

    return _Series(occurrences(year), occurrences(year - np.int32(1)).take(year - 1 > anchors.year))


def _aep(basis: PlanningBasis) -> list[_Series]:
    """Return one series for each AEP date of the configuration; its days are the same for every contact."""
    aep = basis.config.aep_config
    reach = aep.send_period_days // 365 + 2
    around = range(basis.as_of.year - reach, basis.as_of.year + 3)
    years = np.unique(around if aep.years is None else aep.years).astype(np.int32)
    series = []
    for position, entry in enumerate(aep.default_dates):
        event = anniversaries(entry.month, entry.day, years)
        deadline = event + np.int32(aep.send_period_days - 1)
        for following in aep.default_dates[position + 1 : position + 2]:
            deadline = np.minimum(deadline, anniversaries(following.month, following.day, years) - 1)
        is_over = deadline < basis.today
        current, previous = np.flatnonzero(~is_over)[:1], np.flatnonzero(is_over)[-1:]
        series.append(
            _Series(
                _for_everybody(basis, event[current], deadline[current]),
                _for_everybody(basis, event[previous], deadline[previous]),
            )
        )
    return series


def _for_everybody(basis: PlanningBasis, event: Days, deadline: Days) -> _Occurrences:
    """Return the one AEP occurrence for every contact, or none if there is none."""
    count = len(basis.contacts)
    rows = np.tile(np.arange(count), len(event))
    events = np.repeat(event, count)
    return _Occurrences(AEP, rows, events, events, np.repeat(deadline, count))


def _post_windows(basis: PlanningBasis, hidden: list[_Occurrences]) -> pd.DataFrame:
    rows = np.concatenate([occurrences.rows for occurrences in hidden])
    ideal = np.concatenate([occurrences.ideal for occurrences in hidden])
    last = ideal + np.int32(SEARCH_DAYS)
    allowed = basis.windows.first_allowed(rows, ideal + np.int32(1), last)
    is_found = allowed <= last
    rows, day = _distinct(rows[is_found], allowed[is_found])
    deadline = day + np.int32(basis.config.timing_constants.post_window_grace_days)
    due = _Occurrences(POST_WINDOW, rows, day - np.int32(1), day, deadline)
    due = due.take((deadline >= basis.today) & basis.is_live(day))
    frame = _frame(basis, due, np.full(len(due.rows), ALLOWED, np.int16))
    return frame[~is_handled(frame, basis.history, basis.config.aep_config.default_dates)]


def _distinct(rows: Rows, days: Days) -> tuple[Rows, Days]:
    # positions and days fit into one integer, which is sorted once
    packed = np.unique((rows << 32) | days.astype(np.uint32).astype(np.int64))
    return packed >> 32, (packed & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def _frame(basis: PlanningBasis, occurrences: _Occurrences, reasons: ReasonCodes) -> pd.DataFrame:
    count = len(occurrences.rows)
    type_code = basis.email_types.categories.get_loc(occurrences.email_type)
    priority: npt.NDArray[np.int32] = np.full(
        count, getattr(basis.config.priorities, occurrences.email_type), np.int32
    )
    return OCCURRENCES.build(
        {
            "contact_id": basis.contacts["contact_id"].to_numpy()[occurrences.rows],
            "email_type": pd.Categorical.from_codes(
                np.full(count, type_code, np.int16), dtype=basis.email_types
            ),
            "campaign_instance_id": np.zeros(count, np.int64),
            "event_date": occurrences.event,
            "ideal_send_date": occurrences.ideal,
            "deadline": occurrences.deadline,
            "priority": priority,
            "is_window_bound": np.ones(count, np.bool_),
            "expects_follow_up": np.full(count, basis.config.features.enable_followups),
            "skip_reason": skip_reasons(skip_codes(reasons)),
        }
    )
