"""Section 8 of the planning rules: whom an audience is for, and about which date."""

import itertools
import re
from datetime import date

from email_scheduler_tests.oracle.book import Book, Instance, default_trigger_date
from email_scheduler_tests.oracle.contacts import Contact
from email_scheduler_tests.oracle.words import anniversary, is_blank, plus, read_date

Cells = dict[str, object]


def cells_of(contact: Contact, book: Book) -> Cells:
    """Return what the table ``contacts`` says of a contact."""
    [known] = [row for row in book.contact_rows if row["id"] == contact.id]
    columns = {name for row in book.attributes.values() for name in row}
    return {**dict.fromkeys(columns), **book.attributes.get(contact.id, {}), **known, "id": str(contact.id)}


def matches(contact: Contact, instance: Instance, book: Book) -> bool:
    """Section 8: all conditions of ``where`` hold."""
    where = instance.metadata["audience"].get("where") or {}
    cells = cells_of(contact, book)
    return all(holds(condition, value_of(name.lower(), contact, cells)) for name, condition in where.items())


def value_of(name: str, contact: Contact, cells: Cells) -> str | int | None:
    """Section 8: the contact's value of a name: a text, trimmed; a number for part of a date, or nothing."""
    if name == "state":
        return contact.state
    if name in cells:
        text = "" if is_blank(cells[name]) else cells[name].strip()
        day = read_date(text)
        return day.isoformat() if name.endswith("_date") and day is not None else text
    base, part = name.rsplit("_", 1)
    day = read_date(cells[f"{base}_date"])
    return None if day is None else getattr(day, part)


def holds(condition: object, value: str | int | None) -> bool:
    """Section 8: a value equals one of some, or none of some, or is in a range."""
    if value is None:
        return False
    if isinstance(condition, dict) and "not" in condition:
        return not holds(condition["not"], value)
    if isinstance(condition, dict):
        return is_within(value, condition.get("min"), condition.get("max"))
    return any(
        equals(value, wanted) for wanted in (condition if isinstance(condition, list) else [condition])
    )


def equals(value: str | int, wanted: str | int | float | None) -> bool:
    """Section 8: numbers as numbers, texts in small letters, null for blank."""
    if isinstance(wanted, int | float):
        return number(value) == wanted
    return small(str(value)) == small((wanted or "").strip())


def is_within(value: str | int, least: object, most: object) -> bool:
    """Section 8: a date or a number from ``least`` to ``most``, both inclusive."""
    if isinstance(least, str) or isinstance(most, str):
        day = read_date(str(value))
        return (
            day is not None
            and (least is None or day >= date.fromisoformat(least))
            and (most is None or day <= date.fromisoformat(most))
        )
    found = number(value)
    return found is not None and (least is None or found >= least) and (most is None or found <= most)


def number(value: str | int) -> float | None:
    """Section 8: the number that a text is."""
    is_number = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", str(value))
    return float(value) if is_number else None


def small(text: str) -> str:
    """Section 8: A to Z and a to z are the same."""
    return re.sub("[A-Z]", lambda letter: letter[0].lower(), text)


def trigger_of(contact: Contact, instance: Instance, book: Book) -> tuple[date | None, str | None]:
    """Section 8: the trigger date of a contact that matches, or the issue why it has none."""
    trigger = instance.metadata["audience"].get("trigger") or {}
    column = trigger.get("column") or trigger.get("anniversary_of")
    if column is None:
        stated = trigger.get("date")
        day = default_trigger_date(instance) if stated is None else read_date(stated)
        return day, None if day is not None else "missing_trigger_date"
    text = cells_of(contact, book)[column.lower()]
    if is_blank(text):
        return None, "missing_trigger_date"
    day = read_date(text)
    last = book.today if column.lower() == "birth_date" else date(2100, 12, 31)
    if day is None or not date(1900, 1, 1) <= day <= last:
        return None, "invalid_trigger_date"
    return (day if trigger.get("column") else current_anniversary(day, instance, book)), None


def is_yearly(instance: Instance) -> bool:
    """Say whether the trigger of an instance's audience is an anniversary."""
    trigger = (instance.metadata.get("audience") or {}).get("trigger") or {}
    return bool(trigger.get("anniversary_of"))


def anniversary_deadline(event: date, instance: Instance, book: Book) -> date:
    """Section 8: the deadline of an anniversary, whenever the campaign begins and ends."""
    days_before = instance.days_before_event
    if days_before > 0:
        return plus(event, -1)
    return plus(event, -days_before + min(book.config.timing_constants.campaign_catch_up_days, 364))


def current_anniversary(day: date, instance: Instance, book: Book) -> date:
    """Section 8: the earliest whose deadline is neither before ``D`` nor before ``active_start_date``."""
    start = instance.active_start_date or book.today
    for year in itertools.count(day.year + 1):
        deadline = anniversary_deadline(anniversary(day, year), instance, book)
        if deadline >= book.today and deadline >= start:
            return anniversary(day, year)
    raise AssertionError
