"""Section 4 of the planning rules: which contacts are valid, and what of them can be read."""

import functools
import re
from dataclasses import dataclass
from datetime import date, timedelta

import zipcodes

from email_scheduler.planning.frames import NO_CONTACT
from email_scheduler_tests.oracle.book import Book
from email_scheduler_tests.oracle.words import date_part, is_blank, read_date

Issue = tuple[int, str, str]


@dataclass(frozen=True)
class Contact:
    """A valid contact."""

    id: int
    state: str
    birth_date: date | None
    effective_date: date | None
    is_birth_date_unreadable: bool
    is_effective_date_unreadable: bool
    has_phone: bool


@functools.cache
def states_of_zip_codes() -> dict[str, str]:
    """Return the state of every ZIP that exists, or existed."""
    return {entry["zip_code"]: entry["state"] for entry in zipcodes.list_all()}


def state_of(zip_code: str, state_column: str | None) -> tuple[str | None, bool]:
    """Section 4: the state that a ZIP decides (``None``: invalid), and whether the ZIP is a whole one."""
    zip_code = zip_code.strip()
    stated = None if is_blank(state_column) else state_column.strip().upper()
    if re.fullmatch(r"[0-9]{5}|[0-9]{5}-[0-9]{4}|[0-9]{9}", zip_code):
        return states_of_zip_codes().get(zip_code[:5]), True
    if re.fullmatch(r"[0-9]{3,4}(-[0-9]{4})?", zip_code):
        digits = zip_code.split("-")[0]
        state = states_of_zip_codes().get("0" * (5 - len(digits)) + digits)
        if stated is None or stated == state:
            return state, False
    return None, False


def suppressed_addresses(book: Book) -> set[str]:
    """Section 4: addresses with a suppression dated ``D + 1`` or earlier, or without a readable date."""
    suppressed_ids = set()
    for row in book.suppressions:
        suppressed_on = date_part(row["suppressed_at"])
        if suppressed_on is None or suppressed_on <= book.today + timedelta(days=1):
            suppressed_ids.add(row["contact_id"])
    return {
        row["email"].strip().lower()
        for row in book.contact_rows
        if row["id"] in suppressed_ids and not is_blank(row["email"])
    }


def what_makes_invalid(row: dict[str, object], suppressed: set[str]) -> tuple[str, str] | None:
    """Section 4: the field and the issue, the first that applies."""
    if row["id"] == NO_CONTACT:
        return "id", "invalid_id"
    if is_blank(row["email"]):
        return "email", "missing_email"
    if any(character in row["email"].strip() for character in "\ufffd\0"):
        return "email", "invalid_email"
    if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", row["email"].strip()) is None:
        return "email", "invalid_email"
    if is_blank(row["zip_code"]):
        return "zip_code", "missing_zip_code"
    if state_of(row["zip_code"], row["state"])[0] is None:
        return "zip_code", "invalid_zip_code"
    # a contact with a suppression has its own address among those of suppressed contacts
    if row["email"].strip().lower() in suppressed:
        return "contact_id", "suppressed"
    return None


def read_anchor(text: str | None, last: date) -> tuple[date | None, bool]:
    """Section 4: a birth or effective date from 1900-01-01 to ``last``, and whether it is unreadable."""
    if is_blank(text):
        return None, False
    day = read_date(text)
    if day is None or day < date(1900, 1, 1) or day > last:
        return None, True
    return day, False


def read_contacts(book: Book) -> tuple[list[Contact], list[Issue]]:
    """Section 4: the valid contacts, and everything that is recorded about contacts."""
    suppressed = suppressed_addresses(book)
    contacts: list[Contact] = []
    issues: list[Issue] = []
    for row in book.contact_rows:
        problem = what_makes_invalid(row, suppressed)
        if problem is not None:
            issues.append((row["id"], *problem))
            continue
        state, is_whole = state_of(row["zip_code"], row["state"])
        if is_whole and not is_blank(row["state"]) and row["state"].strip().upper() != state:
            issues.append((row["id"], "state", "state_mismatch"))
        birth_date, is_birth_date_unreadable = read_anchor(row["birth_date"], book.today)
        if is_birth_date_unreadable:
            issues.append((row["id"], "birth_date", "invalid_birth_date"))
        effective_date, is_effective_date_unreadable = read_anchor(row["effective_date"], date(2100, 12, 31))
        if is_effective_date_unreadable:
            issues.append((row["id"], "effective_date", "invalid_effective_date"))
        contacts.append(
            Contact(
                id=row["id"],
                state=state,
                birth_date=birth_date,
                effective_date=effective_date,
                is_birth_date_unreadable=is_birth_date_unreadable,
                is_effective_date_unreadable=is_effective_date_unreadable,
                has_phone=not is_blank(row["phone_number"]),
            )
        )
    return contacts, issues
