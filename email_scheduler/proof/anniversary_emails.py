"""What contacts are to get about their anniversaries, and the rows for it.

The birthday, effective-date and AEP occurrences (section 6), and the post-window emails that make up for
excluded ones (section 7).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.frames import NO_DATE
from email_scheduler.proof.arithmetic import (
    AEP,
    BIRTHDAY,
    EFFECTIVE_DATE,
    LONG_AGO,
    POST_WINDOW,
    Days,
    Flags,
    Ids,
    anniversaries,
    anniversary,
    date_of,
    is_among,
    merged,
    number_of,
    pack,
    unpack,
)
from email_scheduler.proof.exclusion_windows import ALLOWED, Anchor, Windows
from email_scheduler.proof.planned_and_sent import PlanRows, SenderRows
from email_scheduler.proof.violations import Violations

ANNIVERSARY_HANDLED_WITHIN_DAYS = 182
POST_WINDOW_HANDLED_WITHIN_DAYS = 60
LONGEST_WAIT_DAYS = 366


@dataclass(frozen=True)
class Occurrences:
    """One occurrence of a series for each contact.

    Attributes:
        event: The event date, ``NO_DATE`` for a contact without one.
        is_handled: A sender's row answers it.
    """

    event: Days
    is_handled: Flags


@dataclass(frozen=True)
class AnniversarySeries:
    """A contact's occurrences of one kind, one a year.

    Attributes:
        kind: See ``arithmetic``.
        email_type: Its name.
        days_before: From the ideal date to the event.
        last_day: From the event to the deadline of the current occurrence.
        current: The earliest whose deadline is the plan's day or later.
        previous: The latest whose deadline is before it.
    """

    kind: int
    email_type: str
    days_before: int
    last_day: int
    current: Occurrences
    previous: Occurrences


def read_anniversary_series(
    as_of: int, windows: Windows, senders: SenderRows, config: SchedulerConfig
) -> list[AnniversarySeries]:
    """Return the series of the contacts, in this order: birthday, effective date, each AEP date."""
    timing = config.timing_constants
    dated = (
        (BIRTHDAY, "birthday", windows.birth, timing.birthday_email_days_before),
        (EFFECTIVE_DATE, "effective_date", windows.effective, timing.effective_date_days_before),
    )
    spread_days = config.load_balancing.catch_up_spread_days
    series = [
        _anchored(as_of, kind, name, anchor, days_before, spread_days, senders.answering(kind).dated())
        for kind, name, anchor, days_before in dated
    ]
    return [*series, *_aep(as_of, len(windows.birth.year), senders.answering(AEP).dated(), config)]


def _anchored(
    as_of: int, kind: int, name: str, anchor: Anchor, days_before: int, spread_days: int, answers: SenderRows
) -> AnniversarySeries:
    last_day = -1 if days_before > 0 else spread_days - 1 - days_before
    earliest_event = as_of - last_day
    year = date_of(earliest_event).year
    is_due = anniversaries(anchor.month, anchor.day, year) >= earliest_event
    current_year = np.maximum(np.where(is_due, year, year + 1), anchor.year + 1)
    current = np.where(anchor.is_known, anniversaries(anchor.month, anchor.day, current_year), NO_DATE)
    has_previous = anchor.is_known & (current_year - 1 > anchor.year)
    previous = np.where(has_previous, anniversaries(anchor.month, anchor.day, current_year - 1), NO_DATE)
    return AnniversarySeries(
        kind, name, days_before, last_day, _near(current, answers), _near(previous, answers)
    )


def _near(event: Days, answers: SenderRows) -> Occurrences:
    """Return the occurrences with these events; a sender's row that is near enough answers one."""
    is_handled = np.zeros(len(event), dtype=bool)
    distance = np.abs(answers.event.astype(np.int64) - event[answers.who])
    is_handled[answers.who[distance <= ANNIVERSARY_HANDLED_WITHIN_DAYS]] = True
    return Occurrences(event, is_handled)


def _aep(
    as_of: int, contact_count: int, answers: SenderRows, config: SchedulerConfig
) -> Iterator[AnniversarySeries]:
    nearest = _nearest_aep_dates(answers.event, config)
    today = date_of(as_of)
    all_years = range(today.year - 3, today.year + 4)
    for number in range(len(config.aep_config.default_dates)):
        years = sorted(set(all_years if config.aep_config.years is None else config.aep_config.years))
        occurrences = [_aep_occurrence(config, number, year) for year in years]
        due = [(event, deadline) for event, deadline in occurrences if deadline >= as_of]
        past = [(event, deadline) for event, deadline in occurrences if deadline < as_of]
        current, deadline = due[0] if due else (NO_DATE, NO_DATE)
        previous = past[-1][0] if past else NO_DATE
        yield AnniversarySeries(
            AEP,
            "aep",
            0,
            deadline - current,
            _nearest_to(current, contact_count, nearest, answers),
            _nearest_to(previous, contact_count, nearest, answers),
        )


def _aep_occurrence(config: SchedulerConfig, number: int, year: int) -> tuple[int, int]:
    """Return event and deadline of one AEP date in one year."""
    dates = config.aep_config.default_dates
    event = anniversary(dates[number].month, dates[number].day, year)
    deadline = event + config.aep_config.send_period_days - 1
    if number + 1 < len(dates):
        deadline = min(deadline, anniversary(dates[number + 1].month, dates[number + 1].day, year) - 1)
    return event, deadline


def _nearest_aep_dates(days: Days, config: SchedulerConfig) -> Days:
    """Return the AEP date of any year that is nearest to each day, the earlier of two."""
    if not len(days) or not config.aep_config.default_dates:
        return np.full(len(days), NO_DATE, dtype=np.int32)
    distinct, index = np.unique(days, return_inverse=True)
    first_year, last_year = (date_of(int(day)).year for day in (distinct[0], distinct[-1]))
    aep_dates = np.array(
        sorted(
            anniversary(day.month, day.day, year)
            for year in range(max(first_year - 1, date.min.year), min(last_year + 1, date.max.year) + 1)
            for day in config.aep_config.default_dates
        )
    )
    after = np.clip(np.searchsorted(aep_dates, distinct), 1, max(len(aep_dates) - 1, 1))
    earlier, later = aep_dates[after - 1], aep_dates[np.minimum(after, len(aep_dates) - 1)]
    nearest = np.where(distinct - earlier <= later - distinct, earlier, later)
    return nearest.astype(np.int32)[index]


def _nearest_to(event: int, contact_count: int, nearest: Days, answers: SenderRows) -> Occurrences:
    is_handled = np.zeros(contact_count, dtype=bool)
    is_handled[answers.who[nearest == event]] = event != NO_DATE
    return Occurrences(np.broadcast_to(np.int32(event), (contact_count,)), is_handled)


def check_anniversary_emails(
    series: list[AnniversarySeries],
    rows: PlanRows,
    contact_ids: Ids,
    config: SchedulerConfig,
    violations: Violations,
) -> None:
    """Settle the rows of these types; report those that are no current occurrences, and those that lack."""
    go_live = number_of(config.go_live_date) if config.go_live_date else LONG_AGO
    for kind in (BIRTHDAY, EFFECTIVE_DATE, AEP):
        of_kind = rows.of_kind(kind)
        who, event = rows.who[of_kind], rows.event[of_kind]
        is_plain = (rows.instance[of_kind] == 0) & (rows.initial[of_kind] == 0)
        for one in (one for one in series if one.kind == kind):
            found = is_plain & (event == one.current.event[who]) & (event != NO_DATE)
            rows.settle(of_kind[found], event[found] - one.days_before, event[found] + one.last_day)
            violations.rows("already_handled", of_kind[found & one.current.is_handled[who]])
            expected = (one.current.event != NO_DATE) & ~one.current.is_handled
            expected &= one.current.event.astype(np.int64) - one.days_before >= go_live
            expected[who[found]] = False
            lacking = np.flatnonzero(expected)
            violations.missing(contact_ids[lacking], one.email_type, one.current.event[lacking])
        violations.rows("unknown_occurrence", of_kind[~rows.is_known[of_kind]])


def check_post_window_emails(
    as_of: int,
    series: list[AnniversarySeries],
    windows: Windows,
    senders: SenderRows,
    rows: PlanRows,
    contact_ids: Ids,
    config: SchedulerConfig,
    violations: Violations,
) -> None:
    """Settle the post-window rows; report those that make up for nothing, and those that lack."""
    grace_days = config.timing_constants.post_window_grace_days
    due_emails = _due_post_window_emails(as_of, series, windows, config)
    is_handled = _are_handled(due_emails, senders.answering(POST_WINDOW).dated())

    of_kind = rows.of_kind(POST_WINDOW)
    keys = pack(rows.who[of_kind], rows.event[of_kind])
    is_plain = (rows.instance[of_kind] == 0) & (rows.initial[of_kind] == 0)
    found = is_plain & is_among(keys, due_emails)
    event = rows.event[of_kind[found]]
    rows.settle(of_kind[found], event + 1, event + 1 + grace_days)
    violations.rows("already_handled", of_kind[is_plain & is_among(keys, due_emails[is_handled])])
    violations.rows("unknown_occurrence", of_kind[~found])

    lacking = due_emails[~is_handled]
    lacking = lacking[~is_among(lacking, np.sort(keys[is_plain]))]
    who, event = unpack(lacking)
    violations.missing(contact_ids[who], "post_window", event)


def _due_post_window_emails(
    as_of: int, series: list[AnniversarySeries], windows: Windows, config: SchedulerConfig
) -> Ids:
    """Return contact and event of the post-window emails that are still due, packed, ascending, each once."""
    go_live = number_of(config.go_live_date) if config.go_live_date else LONG_AGO
    grace_days = config.timing_constants.post_window_grace_days
    ruled = windows.open_again()
    parts = []
    for one in series:
        for occurrences in (one.current, one.previous):
            event = occurrences.event[ruled]
            ideal = event.astype(np.int64) - one.days_before
            counts = (event != NO_DATE) & ~occurrences.is_handled[ruled] & (ideal >= go_live)
            who, day = ruled[counts], ideal[counts].astype(np.int32)
            is_excluded = windows.reasons(who, day) != ALLOWED
            who, day = who[is_excluded], day[is_excluded]
            latest = day + LONGEST_WAIT_DAYS
            first_allowed = windows.next_allowed(who, day, latest)
            due = (
                (first_allowed <= latest) & (first_allowed + grace_days >= as_of) & (first_allowed >= go_live)
            )
            parts.append(pack(who[due], first_allowed[due] - 1))
    return merged(parts)


def _are_handled(due_emails: Ids, answers: SenderRows) -> Flags:
    """Return which of them a sender's post-window row answers that is near enough."""
    who, event = unpack(due_emails)
    sent = np.sort(pack(answers.who, answers.event))
    first = np.searchsorted(sent, pack(who, event - POST_WINDOW_HANDLED_WITHIN_DAYS), side="left")
    last = np.searchsorted(sent, pack(who, event + POST_WINDOW_HANDLED_WITHIN_DAYS), side="right")
    handled: Flags = last > first
    return handled
