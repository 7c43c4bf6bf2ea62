"""Sections 6 and 7 of the planning rules, and the word *handled* of section 1."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler_tests.oracle.book import Book, HistoryRow
from email_scheduler_tests.oracle.contacts import Contact
from email_scheduler_tests.oracle.emails import Email
from email_scheduler_tests.oracle.windows import Windows
from email_scheduler_tests.oracle.words import anniversary, month_day_in, plus


@dataclass(frozen=True)
class Occurrence:
    """One birthday, effective-date or AEP occurrence of a contact (section 6)."""

    email_type: str
    event_date: date
    ideal_date: date
    deadline: date


def yearly_series(email_type: str, anchor: date, days_before: int, spread: int) -> Iterator[Occurrence]:
    """Section 6: birthday and effective date, the years after that of the anchor."""
    for year in itertools.count(anchor.year + 1):
        event_date = anniversary(anchor, year)
        ideal_date = plus(event_date, -days_before)
        deadline = plus(event_date, -1) if days_before > 0 else plus(ideal_date, spread - 1)
        yield Occurrence(email_type, event_date, ideal_date, deadline)


def aep_dates_of(year: int, config: SchedulerConfig) -> list[date]:
    """Return the AEP dates of a year, ``years`` or not, ascending."""
    return sorted(month_day_in(entry.month, entry.day, year) for entry in config.aep_config.default_dates)


def aep_series(number: int, config: SchedulerConfig) -> Iterator[Occurrence]:
    """Section 6: one entry of ``default_dates``; it ends before the next AEP date of the same year."""
    years = config.aep_config.years
    for year in itertools.count(1900) if years is None else sorted(years):
        dates = aep_dates_of(year, config)
        event_date = dates[number]
        deadline = plus(event_date, config.aep_config.send_period_days - 1)
        if number + 1 < len(dates):
            deadline = min(deadline, plus(dates[number + 1], -1))
        yield Occurrence("aep", event_date, event_date, deadline)


def current_and_previous(
    series: Iterable[Occurrence], today: date
) -> tuple[Occurrence | None, Occurrence | None]:
    """Section 6: the earliest with a deadline of ``D`` or later; the latest with one before ``D``."""
    previous = None
    for occurrence in series:
        if occurrence.deadline >= today:
            return occurrence, previous
        previous = occurrence
    return None, previous


def current_and_previous_of_all_aep_dates(book: Book) -> list[tuple[Occurrence | None, Occurrence | None]]:
    """Section 6: one series for each entry of ``default_dates``, the same for every contact."""
    entries = len(book.config.aep_config.default_dates)
    return [current_and_previous(aep_series(number, book.config), book.today) for number in range(entries)]


def occurrences_of(contact: Contact, book: Book) -> list[tuple[Occurrence | None, Occurrence | None]]:
    """Section 6: the current and the previous occurrence of the series of a contact, AEP excepted."""
    timing = book.config.timing_constants
    spread = book.config.load_balancing.catch_up_spread_days
    series = []
    if contact.birth_date is not None:
        days = timing.birthday_email_days_before
        series.append(yearly_series("birthday", contact.birth_date, days, spread))
    if contact.effective_date is not None:
        days = timing.effective_date_days_before
        series.append(yearly_series("effective_date", contact.effective_date, days, spread))
    return [current_and_previous(one, book.today) for one in series]


def nearest_aep_date(day: date, config: SchedulerConfig) -> date:
    """Section 1: the nearest AEP date of all years, the earlier of two."""
    dates = sorted(
        {
            aep_date
            for year in (day.year - 1, day.year, day.year + 1)
            if date.min.year <= year <= date.max.year
            for aep_date in aep_dates_of(year, config)
        }
    )
    nearest = dates[0]
    for aep_date in dates:
        if abs((aep_date - day).days) < abs((nearest - day).days):
            nearest = aep_date
    return nearest


def is_handled(contact: Contact, email_type: str, event_date: date, book: Book) -> bool:
    """Section 1, *handled*, for the anniversary types."""
    for row in sender_rows_of(contact, email_type, book):
        if row.counted_date is None:
            continue
        days_away = abs((row.counted_date - event_date).days)
        if email_type in {"birthday", "effective_date"} and days_away <= 182:
            return True
        if email_type == "aep" and nearest_aep_date(row.counted_date, book.config) == event_date:
            return True
        if email_type == "post_window" and days_away <= 60:
            return True
    return False


def sender_rows_of(contact: Contact, email_type: str, book: Book) -> list[HistoryRow]:
    """Section 1: the sender's rows of the same contact and type."""
    return [
        row
        for row in book.history
        if row.contact_id == contact.id and row.email_type == email_type and row.is_senders
    ]


def is_before_go_live(day: date, config: SchedulerConfig) -> bool:
    """Section 3, ``go_live_date``."""
    return config.go_live_date is not None and day < config.go_live_date


def priority_of(email_type: str, config: SchedulerConfig) -> int:
    """Section 3, ``priorities``."""
    return getattr(config.priorities, email_type)


def anniversary_emails(
    contact: Contact,
    occurrences: list[tuple[Occurrence | None, Occurrence | None]],
    book: Book,
    windows: Windows,
) -> list[Email]:
    """Section 6: one email for each current occurrence; skipped where the ideal date is excluded."""
    emails = []
    for current, _ in occurrences:
        if current is None or is_before_go_live(current.ideal_date, book.config):
            continue
        if is_handled(contact, current.email_type, current.event_date, book):
            continue
        email = Email(
            contact=contact,
            email_type=current.email_type,
            event_date=current.event_date,
            ideal_date=current.ideal_date,
            deadline=current.deadline,
            priority=priority_of(current.email_type, book.config),
            is_bound=True,
            causes_followups=True,
        )
        reason = windows.reason(contact, current.ideal_date)
        if reason is not None:
            email.skip(reason)
        emails.append(email)
    return emails


def post_window_emails(
    contact: Contact,
    occurrences: list[tuple[Occurrence | None, Occurrence | None]],
    book: Book,
    windows: Windows,
) -> list[Email]:
    """Section 7: one email for each distinct last excluded day ``e``."""
    last_excluded_days = set()
    for pair in occurrences:
        for occurrence in pair:
            if occurrence is None or is_before_go_live(occurrence.ideal_date, book.config):
                continue
            if is_handled(contact, occurrence.email_type, occurrence.event_date, book):
                continue
            if windows.is_allowed(contact, occurrence.ideal_date):
                continue
            for days in range(1, 367):
                if windows.is_allowed(contact, plus(occurrence.ideal_date, days)):
                    last_excluded_days.add(plus(occurrence.ideal_date, days - 1))
                    break
    emails = []
    for e in sorted(last_excluded_days):
        ideal_date = plus(e, 1)
        deadline = plus(ideal_date, book.config.timing_constants.post_window_grace_days)
        if deadline < book.today or is_before_go_live(ideal_date, book.config):
            continue
        if is_handled(contact, "post_window", e, book):
            continue
        emails.append(
            Email(
                contact=contact,
                email_type="post_window",
                event_date=e,
                ideal_date=ideal_date,
                deadline=deadline,
                priority=priority_of("post_window", book.config),
                is_bound=True,
                causes_followups=True,
            )
        )
    return emails
