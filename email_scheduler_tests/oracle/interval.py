"""Section 9 of the planning rules: the legal interval."""

from datetime import date

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler_tests.oracle.book import Book
from email_scheduler_tests.oracle.contacts import Contact
from email_scheduler_tests.oracle.emails import Email
from email_scheduler_tests.oracle.windows import Windows
from email_scheduler_tests.oracle.words import plus, stable_hash

WEEKDAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_closed(day: date, config: SchedulerConfig) -> bool:
    """Section 3, ``send_calendar``."""
    calendar = config.send_calendar
    return day in calendar.no_send_dates or WEEKDAY_NAMES[day.weekday()] in calendar.no_send_weekdays


def next_open_day(day: date, config: SchedulerConfig) -> date:
    """Return ``day``, or the first open day after it."""
    while is_closed(day, config):
        day = plus(day, 1)
    return day


def give_interval(email: Email, base: date, book: Book, windows: Windows) -> None:
    """Section 9, rules 2 and 3: base, first and last; or the email is skipped."""

    def is_forbidden(day: date) -> bool:
        return email.is_bound and not windows.is_allowed(email.contact, day)

    day = max(base, book.today)
    first = day
    while is_forbidden(first) and first <= email.deadline:
        first = plus(first, 1)
    if first > email.deadline:
        email.skip(windows.reason(email.contact, day))
        return
    last = first
    while last < email.deadline and not is_forbidden(plus(last, 1)):
        last = plus(last, 1)

    open_days = [one for one in days_between(first, last) if not is_closed(one, book.config)]
    if open_days:
        email.base, email.first, email.last = base, first, max(open_days)
        return
    earlier = plus(first, -1)
    while earlier >= book.today and is_closed(earlier, book.config):
        earlier = plus(earlier, -1)
    if earlier < book.today or any(is_forbidden(one) for one in days_between(earlier, plus(first, -1))):
        email.skip("no_send_day")
        return
    email.base = email.first = email.last = earlier
    email.is_brought_forward = True


def days_between(first: date, last: date) -> list[date]:
    """Return the days from ``first`` to ``last``, both inclusive, in either order of the two."""
    first, last = min(first, last), max(first, last)
    return [plus(first, days) for days in range((last - first).days + 1)]


def is_catch_up_day(email: Email, day: date, spread: int) -> bool:
    """Section 9, rule 4."""
    turn = stable_hash("catch_up", email.contact.id, email.email_type, email.event_date.year)
    return day.toordinal() % spread == turn % spread


def is_offered_late(email: Email, day: date, config: SchedulerConfig) -> bool:
    """Section 9, rule 4: whether a late email is offered on ``day``, an open day of its interval."""
    spread = config.load_balancing.catch_up_spread_days
    if day <= plus(email.base, spread) or day == email.last:
        return True
    if is_catch_up_day(email, day, spread):
        return True
    yesterday = plus(day, -1)
    while is_closed(yesterday, config):
        if is_catch_up_day(email, yesterday, spread):
            return True
        yesterday = plus(yesterday, -1)
    return False


def smoothed_base(email: Email, book: Book, windows: Windows) -> date:
    """Section 9, rule 5: the base date of an email on a crowded ideal date."""
    width = book.config.load_balancing.ed_smoothing_window_days
    chosen = stable_hash("smooth", email.contact.id, "effective_date", email.event_date.year)
    j = plus(email.ideal_date, chosen % (2 * width + 1) - width)
    if j > email.deadline or is_closed(j, book.config):
        return email.ideal_date
    if any(not windows.is_allowed(email.contact, day) for day in days_between(j, email.ideal_date)):
        return email.ideal_date
    return j


def crowded_dates(
    ideal_dates: list[tuple[Contact, date]], cap: int, book: Book, windows: Windows
) -> set[date]:
    """Section 9, rule 5: ideal dates that carry more effective-date emails than the limit.

    Args:
        ideal_dates: Of every current effective-date occurrence of a valid contact, handled ones too.
    """
    balancing = book.config.load_balancing
    if not book.config.features.enable_load_balancing:
        return set()
    limit = min(balancing.ed_daily_soft_limit, int(balancing.ed_soft_limit_percentage * cap))
    counts: dict[date, int] = {}
    for contact, ideal_date in ideal_dates:
        if windows.is_allowed(contact, ideal_date):
            counts[ideal_date] = counts.get(ideal_date, 0) + 1
    return {day for day, count in counts.items() if count > limit}
