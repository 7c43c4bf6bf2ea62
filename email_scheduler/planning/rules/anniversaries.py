"""Anniversary and post-window emails (sections 6 and 7 of the planning rules)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.categories import skip_codes, skip_reasons
from email_scheduler.planning.columns import Days, Flags, anniversaries, from_day
from email_scheduler.planning.frames import OCCURRENCES
from email_scheduler.planning.rules.exclusions import ALLOWED, SEARCH_DAYS, ReasonCodes, Rows
from email_scheduler.registry import AEP, EFFECTIVE_DATE, POST_WINDOW, YEARLY_TYPES


@dataclass(frozen=True)
class AnniversaryEmails:
    """Occurrences of one type: positions in the contacts frame, and the days of each.

    Attributes:
        email_type: The type.
        rows: Positions of the contacts.
        event, ideal, deadline: Day numbers: event date, ideal date, and the last day on which it makes sense.
    """

    email_type: str
    rows: Rows
    event: Days
    ideal: Days
    deadline: Days

    def where(self, is_chosen: Flags) -> "AnniversaryEmails":
        """Return those that are chosen."""
        chosen = np.flatnonzero(is_chosen)
        return AnniversaryEmails(
            self.email_type, self.rows[chosen], self.event[chosen], self.ideal[chosen], self.deadline[chosen]
        )


@dataclass(frozen=True)
class YearlySeries:
    """The current and the previous occurrence of one series, of the contacts that have one (section 6)."""

    current: AnniversaryEmails
    previous: AnniversaryEmails


def anniversary_occurrences(basis: PlanningBasis) -> pd.DataFrame:
    """Return the anniversary emails that are due to the contacts, and what follows their windows.

    Implements sections 6 and 7: the current occurrence of each series that is not handled and whose ideal
    date is not before ``go_live_date``, skipped where the ideal date is excluded; and one post-window email
    for each distinct end of a window that hides a current or previous occurrence.

    Returns:
        ``OCCURRENCES``, one row an occurrence, in no particular order.
    """
    due: list[AnniversaryEmails] = []
    reasons_of_due: list[ReasonCodes] = []
    hidden: list[AnniversaryEmails] = []
    for series in anniversary_series(basis):
        current = series.current.where(_is_open(basis, series.current))
        reasons = basis.windows.reasons(current.rows, current.ideal)
        due.append(current)
        reasons_of_due.append(reasons)
        hidden.append(current.where(reasons != ALLOWED))
        previous = series.previous.where(_is_open(basis, series.previous))
        reasons = basis.windows.reasons(previous.rows, previous.ideal)
        hidden.append(previous.where(reasons != ALLOWED))
    due.append(_post_windows(basis, hidden))
    reasons_of_due.append(np.full(len(due[-1].rows), ALLOWED, np.int16))
    return _frame(basis, due, np.concatenate(reasons_of_due))


def anniversary_series(basis: PlanningBasis) -> list[YearlySeries]:
    """Return the series of the contacts (section 6), handled occurrences and those of others too.

    One of each yearly type (the birthdays, the effective dates), and one for each AEP date of the
    configuration.
    """
    return [*(_yearly(basis, email_type) for email_type in YEARLY_TYPES), *_aep(basis)]


def effective_date_load(basis: PlanningBasis) -> "pd.Series[int]":
    """Return how many current effective-date occurrences the contacts have on each allowed ideal date.

    What smoothing counts (section 9, rule 5): handled occurrences too. Loads of disjoint subsets of contacts
    add up. The index holds day numbers.
    """
    current = _yearly(basis, EFFECTIVE_DATE).current
    ideal = current.ideal[basis.windows.reasons(current.rows, current.ideal) == ALLOWED]
    days, counts = np.unique(ideal, return_counts=True)
    return pd.Series(counts, index=days)


def _is_open(basis: PlanningBasis, occurrences: AnniversaryEmails) -> Flags:
    """Tell which occurrences are still to be dealt with."""
    is_handled = basis.senders.answer(occurrences.email_type, occurrences.rows, occurrences.event)
    return basis.is_live(occurrences.ideal) & ~is_handled


def _yearly(basis: PlanningBasis, email_type: str) -> YearlySeries:
    yearly = YEARLY_TYPES[email_type]
    days_before: int = getattr(basis.config.timing_constants, yearly.setting)
    of_contacts = basis.windows.anchors[yearly.column]
    rows = np.flatnonzero(of_contacts.is_known)
    anchors = of_contacts.take(rows)
    spread = basis.config.load_balancing.catch_up_spread_days
    deadline_offset = -1 if days_before > 0 else spread - 1 - days_before
    earliest_event = basis.today - deadline_offset
    year = np.maximum(np.int32(from_day(earliest_event).year), anchors.year + np.int32(1))
    year = year + (anchors.anniversaries(year) < earliest_event).astype(np.int32)

    def occurrences(rows: Rows, event: Days) -> AnniversaryEmails:
        ideal, deadline = event - np.int32(days_before), event + np.int32(deadline_offset)
        return AnniversaryEmails(email_type, rows, event, ideal, deadline)

    # only a window can hide a previous occurrence, so that the others need no look
    has_previous = np.flatnonzero(basis.windows.is_ruled[rows] & (year - 1 > anchors.year))
    previous = anchors.take(has_previous).anniversaries(year[has_previous] - np.int32(1))
    return YearlySeries(
        occurrences(rows, anchors.anniversaries(year)), occurrences(rows[has_previous], previous)
    )


def _aep(basis: PlanningBasis) -> list[YearlySeries]:
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
        everybody, ruled = np.arange(len(basis.contacts)), np.flatnonzero(basis.windows.is_ruled)
        series.append(
            YearlySeries(
                _aep_of(everybody, event[current], deadline[current]),
                _aep_of(ruled, event[previous], deadline[previous]),
            )
        )
    return series


def _aep_of(rows: Rows, event: Days, deadline: Days) -> AnniversaryEmails:
    """Return the one AEP occurrence for each of these contacts, or none if there is none."""
    count = len(rows)
    events = np.repeat(event, count)
    return AnniversaryEmails(AEP, np.tile(rows, len(event)), events, events, np.repeat(deadline, count))


def _post_windows(basis: PlanningBasis, hidden: list[AnniversaryEmails]) -> AnniversaryEmails:
    rows = np.concatenate([occurrences.rows for occurrences in hidden])
    ideal = np.concatenate([occurrences.ideal for occurrences in hidden])
    last = ideal + np.int32(SEARCH_DAYS)
    allowed = basis.windows.first_allowed(rows, ideal + np.int32(1), last)
    is_found = allowed <= last
    rows, day = _distinct(rows[is_found], allowed[is_found])
    deadline = day + np.int32(basis.config.timing_constants.post_window_grace_days)
    due = AnniversaryEmails(POST_WINDOW, rows, day - np.int32(1), day, deadline)
    return due.where((deadline >= basis.today) & _is_open(basis, due))


def _distinct(rows: Rows, days: Days) -> tuple[Rows, Days]:
    # positions and days fit into one integer, which is sorted once
    packed = np.unique((rows << 32) | days.astype(np.uint32).astype(np.int64))
    return packed >> 32, (packed & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def _frame(basis: PlanningBasis, due: list[AnniversaryEmails], reasons: ReasonCodes) -> pd.DataFrame:
    counts = [len(occurrences.rows) for occurrences in due]
    types = [basis.email_types.categories.get_loc(occurrences.email_type) for occurrences in due]
    priorities = [getattr(basis.config.priorities, occurrences.email_type) for occurrences in due]
    rows = np.concatenate([occurrences.rows for occurrences in due])
    return OCCURRENCES.build(
        {
            "contact_id": basis.contacts["contact_id"].to_numpy()[rows],
            "email_type": pd.Categorical.from_codes(
                np.repeat(np.array(types, np.int16), counts), dtype=basis.email_types
            ),
            "campaign_instance_id": np.zeros(len(rows), np.int64),
            "event_date": np.concatenate([occurrences.event for occurrences in due]),
            "ideal_send_date": np.concatenate([occurrences.ideal for occurrences in due]),
            "deadline": np.concatenate([occurrences.deadline for occurrences in due]),
            "priority": np.repeat(np.array(priorities, np.int32), counts),
            "is_window_bound": np.ones(len(rows), np.bool_),
            "expects_follow_up": np.full(len(rows), basis.config.features.enable_followups),
            "skip_reason": skip_reasons(skip_codes(reasons)),
        }
    )
