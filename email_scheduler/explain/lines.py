"""What an explanation says, line by line: the same words on the terminal and on the page; and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Final

from email_scheduler.clock import TIME_ZONE
from email_scheduler.explain.explanation import (
    NO_EMAIL,
    NOT_KEPT,
    PLANNED,
    SKIPPED,
    TAKEN,
    ContactAnswer,
    ContactState,
    Email,
    Explanation,
    Occurrence,
    PlanInForce,
    Rule,
    WindowInterval,
)
from email_scheduler.explain.stored_rows import PlanRow
from email_scheduler.registry import FOLLOW_UP_PREFIX

Line = tuple[str, str]
RULES = "docs/planning-rules.md"
NOT_BOUND = (
    "Exclusion windows do not stop it: respect_exclusion_windows of campaign instance {}, or of its type, is"
    " false."
)

# of rows that other programs have written
_NO_DAY: Final = "no day"


def title_of(one: Occurrence) -> str:
    """Return what an occurrence is, in short: type, campaign, event date."""
    if one.email_type == FOLLOW_UP_PREFIX:
        return "follow-up"
    campaign = ""
    if one.campaign_instance_id is not None:
        campaign = f" ({one.campaign_name or 'instance'}, {one.campaign_instance_id})"
    about = f", for {one.event_date}" if one.event_date else ""
    return f"{one.email_type}{campaign}{about}"


def outcome_of(one: Occurrence) -> str:
    """Return what becomes of an occurrence, in short."""
    row = one.plan_row.row if one.plan_row else None
    if one.outcome == PLANNED and row is not None:
        return f"goes out on {row.scheduled_send_date or _NO_DAY}"
    if one.outcome == TAKEN and one.plan_row is not None and row is not None:
        return f"taken by the sending system: {one.plan_row.taken_as}, {row.send_date or _NO_DAY}"
    return {
        SKIPPED: "skipped",
        TAKEN: "taken by the sending system before",
        NO_EMAIL: "no email",
        NOT_KEPT: "not kept",
    }.get(one.outcome, one.outcome)


def why_of(one: Occurrence) -> str:
    """Return the word of the plan for it; blank where the email goes out on its ideal date."""
    return one.reason or ("" if one.outcome == NOT_KEPT else "on its ideal date")


def lines_of(one: Occurrence) -> Iterator[Line]:
    """Return all that is known of an occurrence."""
    yield "why", f"{one.meaning} ({RULES}, section {one.section})"
    if not one.is_window_bound:
        yield "windows", NOT_BOUND.format(one.campaign_instance_id)
    if one.rule is not None:
        yield from rule_lines(one.rule)
    yield from _date_lines(one)
    if one.makes_up_for:
        held = ", ".join(f"{email_type} for {day}" for email_type, day in one.makes_up_for)
        yield "makes up for", held
    if one.plan_row is not None:
        yield "row", row_line(one.plan_row)
    if one.answered_by:
        yield "answered by", ", ".join(f"row {number}" for number in one.answered_by)
    if one.counted:
        yield "what counts", "; ".join(map(email_line, one.counted))
    if one.next_date is not None:
        when = f"{one.next_date.date}: " if one.next_date.date else ""
        yield "next possible", f"{when}{one.next_date.meaning}"
    for note in one.notes:
        yield "note", note


def _date_lines(one: Occurrence) -> Iterator[Line]:
    if one.ideal_send_date is not None:
        yield "ideal date", str(one.ideal_send_date)
    if one.base_dates and one.base_dates != (one.ideal_send_date,):
        either = " or ".join(map(str, one.base_dates))
        unsure = "; only the plan of everybody tells which" if len(one.base_dates) > 1 else ""
        yield "meant for", f"{either} (base date{unsure})"
    if one.deadline is not None:
        yield "deadline", str(one.deadline)
    if one.first_date is not None and one.last_date is not None:
        yield "may go out", f"{one.first_date} to {one.last_date}"


def rule_lines(rule: Rule) -> Iterator[Line]:
    """Return what is known of a rule."""
    yield "rule", f"{rule.setting}: {rule.value}"
    if rule.source:
        yield "source", rule.source
    if rule.valid_from or rule.valid_to:
        yield "in force", f"{rule.valid_from or 'always'} to {rule.valid_to or 'now'}"


def row_line(plan_row: PlanRow) -> str:
    """Return a row as it is published."""
    row = plan_row.row
    day = row.scheduled_send_date or _NO_DAY
    said = ", ".join(filter(None, (row.status, row.skip_reason, row.adjustment)))
    if plan_row.status is None:
        return f"{row.id}, as it is now: {day}, {said}, run {row.run_id or 'unknown'}"
    said = ", ".join(filter(None, (plan_row.status, row.skip_reason, row.adjustment)))
    if plan_row.taken_as is not None:
        said += f"; now {plan_row.taken_as}"
    if row.archived_at is not None:
        said += f"; left the plan for {row.archived_as_of or _NO_DAY}"
    return f"{row.id}: {day}, {said}, run {row.run_id or 'unknown'}"


def email_line(email: Email) -> str:
    """Return an email in short."""
    return f"{email.send_date or _NO_DAY} {email.email_type} ({email.status}, row {email.id})"


def window_lines(window: WindowInterval) -> Iterator[Line]:
    """Return what is known of an exclusion window."""
    yield "days", days_of(window)
    if window.anchor is not None:
        name = (window.anchor_name or "").replace("_", " ")
        yield "hangs on", f"the anniversary of the {name}, {window.anchor}"
    yield from rule_lines(window.rule)


def days_of(window: WindowInterval) -> str:
    """Return from when to when a window is."""
    if window.first is None and window.last is None:
        return "always"
    return f"{window.first or 'always'} to {window.last or 'no end'}"


def contact_lines(contact: ContactState) -> Iterator[Line]:
    """Return what is known of the contact."""
    yield "state", contact.state or "not known"
    yield "ZIP code", f"{contact.zip_code or 'none'}. {contact.zip_reading}"
    yield "column state", contact.state_column or "blank"
    for name, stored, read in (
        ("birth date", contact.birth_date, contact.birth_date_read),
        ("effective date", contact.effective_date, contact.effective_date_read),
    ):
        yield name, date_line(stored, read, is_read=contact.is_valid)
    yield "valid", "yes" if contact.is_valid else "no: nothing is planned for this contact"
    for finding in contact.findings:
        where = f"{RULES}, section {finding.section}"
        yield "found", f"{finding.issue}: {finding.meaning} ({where})"
    for each in contact.suppressions:
        whose = "this contact" if each.contact_id == contact.contact_id else f"contact {each.contact_id}"
        if each.is_of_address:
            whose = "the address, of a list" if each.contact_id is None else f"the address, of {whose}"
        until = f" until {each.suppressed_until}" if each.suppressed_until else ""
        since = f"since {each.suppressed_at or 'an unknown date'}{until}"
        yield "suppressed", f"{whose}, {since}: {each.reason or 'no reason is stored'}"
    if contact.same_address:
        yield "same address", ", ".join(f"contact {number}" for number in contact.same_address)


def date_line(stored: str | None, read: date | None, *, is_read: bool) -> str:
    """Return a date of the contact as it is stored and read."""
    if not (stored or "").strip():
        return "none"
    if read is not None:
        return str(read)
    return f"{stored}, which cannot be read" if is_read else str(stored)


def plan_lines(plan: PlanInForce, asked_for: date) -> Iterator[Line]:
    """Return which plan is explained, and what it was made with."""
    published = (
        f", published {plan.completed_at.astimezone(TIME_ZONE):%Y-%m-%d %H:%M} US Central"
        if plan.completed_at
        else ""
    )
    yield "plan", f"for {plan.as_of}{published}, run {plan.run_id}"
    if plan.as_of != asked_for:
        yield "note", f"It is the plan that was in force on {asked_for}: none was made for that day itself."
    if not plan.is_completed:
        yield "note", "The run was stopped after it had written this contact. Planning again completes it."
    if not plan.is_last:
        yield "note", "Later plans have been published since. This is what was planned then."
    if plan.accepted_loss is not None:
        yield "note", f"{plan.accepted_loss[:1].upper()}{plan.accepted_loss[1:]}."
    if plan.config_version is not None:
        since = f", in use from {plan.config_valid_from[:19]}" if plan.config_valid_from else ""
        who = f", by {plan.config_created_by}" if plan.config_created_by else ""
        yield "configuration", f"version {plan.config_version}{since}{who}"
    if plan.config_problem is not None:
        yield "note", f"The present configuration is used: {plan.config_problem}."
    if plan.changed_keys:
        yield "note", f"The configuration says something else now: {', '.join(plan.changed_keys)}."


def next_lines(explanation: Explanation) -> Iterator[Line]:
    """Return what comes next."""
    email = explanation.next_email
    yield "next email", email_line(email) if email else "none is planned"
    if explanation.contact.is_valid:
        day = explanation.next_allowed
        yield (
            "may get email",
            f"from {day} on, the first day that no window excludes and that is not closed"
            if day
            else "on no day within a year: each is excluded, for all emails that windows bind, or closed",
        )


def answer_object(answer: ContactAnswer) -> dict[str, Any]:
    """Return an answer for JSON."""
    plain: dict[str, Any] = _plain(asdict(answer))
    return plain


def _plain(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date | datetime) else value
