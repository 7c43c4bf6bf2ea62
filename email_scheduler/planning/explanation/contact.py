"""The contact: its state and how it came from the ZIP, and what is wrong with it (section 4)."""

import re
from collections.abc import Sequence
from typing import Any, Final

from email_scheduler.planning.contacts import ISSUE_FIELDS
from email_scheduler.planning.explanation.facts import Facts, as_date
from email_scheduler.planning.explanation.results import ContactState, Finding, Suppression
from email_scheduler.planning.explanation.words import ISSUE_MEANINGS
from email_scheduler.planning.frames import NO_DATE
from email_scheduler.planning.zip_codes import STATES, state_codes_by_zip

_WHOLE: Final = re.compile(r"[0-9]{5}(-[0-9]{4}|[0-9]{4})?", re.ASCII)
_TRUNCATED: Final = re.compile(r"([0-9]{3,4})(-[0-9]{4})?", re.ASCII)


def contact_state(
    facts: Facts, contact_id: int, suppressions: Sequence[Suppression], same_address: Sequence[int]
) -> ContactState:
    """Return what is known of a contact.

    Args:
        facts: What the planner works out for it.
        contact_id: The contact.
        suppressions: Those in force: its own, and those of contacts with the same address.
        same_address: Other contacts with the same address.
    """
    stored = facts.stored(contact_id)
    position = facts.position(contact_id)
    valid = facts.contacts.iloc[position] if position >= 0 else None
    issues = facts.issues_of(contact_id)
    findings = [
        Finding(issue, ISSUE_FIELDS[issue], ISSUE_MEANINGS[issue].text, ISSUE_MEANINGS[issue].section)
        for issue in sorted(issues, key=list(ISSUE_FIELDS).index)
    ]
    digits, reading = read_zip(stored["zip_code"])
    state = state_of(digits)
    if "invalid_zip_code" in issues:
        reading = _why_invalid(digits, state, stored["state"], reading)
        state = None
    elif state is not None and "state_mismatch" in issues:
        reading += f" The column state says {stored['state'].strip()}; the ZIP counts."
    return ContactState(
        contact_id=contact_id,
        zip_code=stored["zip_code"],
        zip_read=digits,
        zip_reading=reading,
        state_column=stored["state"],
        state=str(valid["state"]) if valid is not None else state,
        birth_date=stored["birth_date"],
        birth_date_read=_read(valid, "birth_date"),
        effective_date=stored["effective_date"],
        effective_date_read=_read(valid, "effective_date"),
        is_valid=valid is not None,
        findings=tuple(findings),
        suppressions=tuple(suppressions),
        same_address=tuple(same_address),
    )


def read_zip(written: str | None) -> tuple[str | None, str]:
    """Return the five digits of a ZIP, None if it cannot be read, and how it was read."""
    text = (written or "").strip()
    if not text:
        return None, "There is no ZIP code."
    if _WHOLE.fullmatch(text):
        rest = " (the four digits behind them say nothing about the state)" if len(text) > 5 else ""
        return text[:5], f"{text[:5]}{rest} lies in {state_of(text[:5]) or 'no state'}."
    match = _TRUNCATED.fullmatch(text)
    if match:
        digits = match[1].zfill(5)
        lost = "zero was" if len(match[1]) == 4 else "zeros were"
        where = state_of(digits) or "no state"
        return (
            digits,
            f"{match[1]} has {len(match[1])} digits: the leading {lost} put back, {digits}, {where}.",
        )
    return None, "The ZIP code is neither of 5 or 9 digits, nor of 3 or 4 that lost their leading zeros."


def state_of(digits: str | None) -> str | None:
    """Return the state in which a ZIP of five digits lies, None if there is no such ZIP."""
    if digits is None:
        return None
    code = int(state_codes_by_zip()[int(digits)])
    return STATES[code] if code >= 0 else None


def _why_invalid(digits: str | None, state: str | None, column: str | None, reading: str) -> str:
    if digits is None:
        return reading
    if state is None:
        return f"{reading} There is no such ZIP code."
    return (
        f"{reading} But the column state says {(column or '').strip()}: the ZIP may have lost other digits,"
        " so that it is not used."
    )


def _read(valid: Any, name: str) -> Any:
    return None if valid is None or valid[name] == NO_DATE else as_date(int(valid[name]))
