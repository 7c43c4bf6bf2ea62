"""Sections 1 and 14 of the planning rules: anniversaries, texts that hold dates, and stable_hash."""

import hashlib
import re
from datetime import date, timedelta

SENDER_STATUSES_ARE_NOT = {"pre-scheduled", "skipped"}
LIVE_STATUSES = {"scheduled", "processing", "sent", "delivered"}
ANNIVERSARY_TYPES = {"birthday", "effective_date", "aep", "post_window"}


def plus(day: date, days: int) -> date:
    """Return the day that many days later; the first or last one of the calendar where there is none."""
    return date.fromordinal(min(max(day.toordinal() + days, 1), date.max.toordinal()))


def anniversary(day: date, year: int) -> date:
    """Section 1: month and day of ``day`` in ``year``; 29 February becomes 28 February in a common year."""
    if (day.month, day.day) == (2, 29):
        return last_of_february(year)
    return date(year, day.month, day.day)


def last_of_february(year: int) -> date:
    """Return the day before the first of March of ``year``."""
    return date(year, 3, 1) - timedelta(days=1)


def month_day_in(month: int, day: int, year: int) -> date:
    """Section 1, for a configured month and day: 29 February becomes 28 February in a common year."""
    if (month, day) == (2, 29):
        return last_of_february(year)
    return date(year, month, day)


def is_blank(text: str | None) -> bool:
    """Say whether there is no text, or only white space."""
    return text is None or text.strip() == ""


def calendar_date(text: str) -> date | None:
    """Return the date that ten characters ``YYYY-MM-DD`` name, if the calendar has it."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is None:
        return None
    try:
        return date(int(text[0:4]), int(text[5:7]), int(text[8:10]))
    except ValueError:
        return None


def read_date(text: str | None) -> date | None:
    """Section 4: an ISO date, trimmed; a time part after it is ignored."""
    if text is None:
        return None
    text = text.strip()
    if len(text) > 10 and text[10] not in "T ":
        return None
    return calendar_date(text[:10])


def date_part(timestamp: str | None) -> date | None:
    """Section 1: the date part of a timestamp is its first ten characters."""
    if timestamp is None:
        return None
    return calendar_date(timestamp[:10])


def mix(x: int) -> int:
    """Section 14."""
    x = (x + 0x9E3779B97F4A7C15) % 2**64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
    return x ^ (x >> 31)


def stable_hash(purpose: str, contact_id: int, email_type: str, number: int) -> int:
    """Section 14."""
    digest = hashlib.sha256(f"{purpose}|{email_type}|{number}".encode()).digest()
    salt = int.from_bytes(digest[:8], "big")
    return mix(mix(contact_id % 2**64) ^ salt)
