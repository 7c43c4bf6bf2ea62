"""Sections 11 and 12 of the planning rules: the sweep over the days, and the limits per contact."""

from collections import Counter
from datetime import date

from email_scheduler_tests.oracle.book import Book, HistoryRow
from email_scheduler_tests.oracle.emails import Email
from email_scheduler_tests.oracle.follow_ups import TYPES as FOLLOW_UP_TYPES
from email_scheduler_tests.oracle.follow_ups import FollowUp
from email_scheduler_tests.oracle.interval import is_closed, is_offered_late, next_open_day
from email_scheduler_tests.oracle.words import ANNIVERSARY_TYPES, plus, stable_hash


def daily_cap(valid_contacts: int, book: Book) -> int:
    """Section 11: ``max(1, floor(daily_send_percentage_cap * N))``."""
    return max(1, int(book.config.load_balancing.daily_send_percentage_cap * valid_contacts))


def is_of_this_page(email_type: str) -> bool:
    """Section 11: whether the planner plans emails of this type."""
    return (
        email_type in ANNIVERSARY_TYPES
        or email_type in FOLLOW_UP_TYPES.values()
        or email_type.startswith("campaign_")
    )


def fixed_emails(follow_ups: list[FollowUp], book: Book) -> Counter[date]:
    """Section 11: ``fixed``, without the places kept for follow-ups to come."""
    fixed: Counter[date] = Counter()
    for row in book.history:
        is_other_planners = row.status == "pre-scheduled" and not is_of_this_page(row.email_type)
        if row.send_date is not None and (row.is_live or is_other_planners):
            fixed[row.send_date] += 1
    for follow_up in follow_ups:
        if follow_up.skip_reason is None:
            fixed[follow_up.send_date] += 1
    return fixed


def sweep(emails: list[Email], follow_ups: list[FollowUp], cap: int, book: Book) -> None:
    """Section 11: place every email that has an interval, or skip it ``daily_cap_exceeded``."""
    fixed = fixed_emails(follow_ups, book)
    waiting = [email for email in emails if email.skip_reason is None]
    day = book.today
    while waiting:
        for email in waiting:
            if email.last < day:
                email.skip("daily_cap_exceeded")
        waiting = [email for email in waiting if email.skip_reason is None and email.placed_on is None]
        if not waiting:
            return
        # no interval has begun: nothing can happen on the days until the next one does
        day = max(day, min(email.first for email in waiting))
        if not is_closed(day, book.config):
            take_day(day, waiting, fixed, cap, book)
        waiting = [email for email in waiting if email.placed_on is None]
        day = plus(day, 1)


def take_day(day: date, waiting: list[Email], fixed: Counter[date], cap: int, book: Book) -> None:
    """Section 11: what one open day takes."""
    config = book.config
    own = [email for email in waiting if email.base == day]
    late = [
        email
        for email in waiting
        if email.base < day and email.first <= day <= email.last and is_offered_late(email, day, config)
    ]
    load = fixed[day] + len(own)
    if load > config.load_balancing.overage_threshold * cap:
        room = cap - fixed[day]
    else:
        room = max(cap, load) - fixed[day]
    room = max(room, 0)
    if not config.features.enable_load_balancing:
        room = len(own) + len(late)

    in_order = sorted(own + late, key=lambda email: place_in_line(email, day, book))
    for email in in_order[:room]:
        email.placed_on = day
        if config.features.enable_followups and email.causes_followups:
            kept = next_open_day(plus(day, config.timing_constants.followup_days_after), config)
            fixed[kept] += 1


def place_in_line(email: Email, day: date, book: Book) -> tuple[object, ...]:
    """Section 11: first those that cannot wait, then own, then late."""
    if (email.last - day).days < book.config.load_balancing.catch_up_spread_days:
        group = 0
    elif email.base == day:
        group = 1
    else:
        group = 2
    return (
        group,
        email.priority,
        email.last,
        email.ideal_date,
        stable_hash("order", email.contact.id, email.email_type, email.event_date.year),
        email.contact.id,
        email.instance_id,
        email.event_date,
    )


def apply_limits(emails: list[Email], book: Book) -> None:
    """Section 12: the limits of each contact."""
    live: dict[int, list[HistoryRow]] = {}
    for row in book.history:
        if row.is_live and row.send_date is not None and not row.is_follow_up:
            live.setdefault(row.contact_id, []).append(row)
    by_contact: dict[int, list[Email]] = {}
    for email in emails:
        if email.placed_on is not None:
            by_contact.setdefault(email.contact.id, []).append(email)
    for contact_id, its_emails in by_contact.items():
        limit_contact(its_emails, live.get(contact_id, []), book)


def limit_contact(emails: list[Email], live: list[HistoryRow], book: Book) -> None:
    """Section 12, for the placed emails and the live rows of one contact."""
    taken_dates = [row.send_date for row in live]
    campaign_dates = [row.send_date for row in live if row.is_campaign]
    in_order = sorted(
        emails,
        key=lambda email: (
            email.priority,
            email.placed_on,
            email.email_type,
            email.instance_id,
            email.event_date,
        ),
    )
    for email in in_order:
        day = email.placed_on
        if email.is_campaign and day in campaign_dates:
            email.skip("campaign_conflict", at=day)
        elif would_be_too_many(day, taken_dates, book):
            email.skip("frequency_limit_exceeded", at=day)
        else:
            taken_dates.append(day)
            if email.is_campaign:
                campaign_dates.append(day)


def would_be_too_many(day: date, taken_dates: list[date], book: Book) -> bool:
    """Section 12: whether some ``period_days`` consecutive days that contain ``day`` would hold too many."""
    balancing = book.config.load_balancing
    for days_earlier in range(balancing.period_days):
        first = plus(day, -days_earlier)
        last = plus(first, balancing.period_days - 1)
        others = sum(first <= taken <= last for taken in taken_dates)
        if others + 1 > balancing.max_emails_per_contact_per_period:
            return True
    return False
