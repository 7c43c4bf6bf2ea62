"""The birthday, effective-date and AEP occurrences of every contact, and their rows (section 6)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.compliance.columns import AEP, BIRTHDAY, EFFECTIVE_DATE
from email_scheduler.planning.compliance.days import (
    LONG_AGO,
    Days,
    Flags,
    Ids,
    anniversaries,
    anniversary,
    date_of,
    number_of,
)
from email_scheduler.planning.compliance.plan_rows import PlanRows
from email_scheduler.planning.compliance.report import Report
from email_scheduler.planning.compliance.senders import SenderRows
from email_scheduler.planning.compliance.windows import Anchor, Windows
from email_scheduler.planning.frames import NO_DATE

_HANDLED_WITHIN_DAYS = 182


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
class Series:
    """A contact's occurrences of one kind, one a year.

    Attributes:
        kind: See ``columns``.
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


def read_series(as_of: int, windows: Windows, senders: SenderRows, config: SchedulerConfig) -> list[Series]:
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
) -> Series:
    last_day = -1 if days_before > 0 else spread_days - 1 - days_before
    earliest_event = as_of - last_day
    year = date_of(earliest_event).year
    is_due = anniversaries(anchor.month, anchor.day, year) >= earliest_event
    current_year = np.maximum(np.where(is_due, year, year + 1), anchor.year + 1)
    current = np.where(anchor.is_known, anniversaries(anchor.month, anchor.day, current_year), NO_DATE)
    has_previous = anchor.is_known & (current_year - 1 > anchor.year)
    previous = np.where(has_previous, anniversaries(anchor.month, anchor.day, current_year - 1), NO_DATE)
    return Series(kind, name, days_before, last_day, _near(current, answers), _near(previous, answers))


def _near(event: Days, answers: SenderRows) -> Occurrences:
    """Return the occurrences with these events; a sender's row that is near enough answers one."""
    is_handled = np.zeros(len(event), dtype=bool)
    distance = np.abs(answers.event.astype(np.int64) - event[answers.who])
    is_handled[answers.who[distance <= _HANDLED_WITHIN_DAYS]] = True
    return Occurrences(event, is_handled)


def _aep(as_of: int, contact_count: int, answers: SenderRows, config: SchedulerConfig) -> Iterator[Series]:
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
        yield Series(
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


def check_series(
    series: list[Series], rows: PlanRows, contact_ids: Ids, config: SchedulerConfig, report: Report
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
            report.rows("already_handled", of_kind[found & one.current.is_handled[who]])
            expected = (one.current.event != NO_DATE) & ~one.current.is_handled
            expected &= one.current.event.astype(np.int64) - one.days_before >= go_live
            expected[who[found]] = False
            lacking = np.flatnonzero(expected)
            report.missing(contact_ids[lacking], one.email_type, one.current.event[lacking])
        report.rows("unknown_occurrence", of_kind[~rows.is_known[of_kind]])
