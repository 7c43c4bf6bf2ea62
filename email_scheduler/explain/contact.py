"""Why one contact gets, or does not get, each of its emails."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

import numpy as np

from email_scheduler.config import Audience
from email_scheduler.explain.deciding import as_email, first_allowed_day, window_intervals
from email_scheduler.explain.emails import Emails, follow_up_occurrences, no_email
from email_scheduler.explain.explanation import (
    Behaviour,
    ContactState,
    Email,
    Explanation,
    Finding,
    Occurrence,
    Rule,
    Suppression,
)
from email_scheduler.explain.facts import Facts, as_date
from email_scheduler.explain.stored_rows import PlanRow, Publication, StoredRow
from email_scheduler.planning import (
    NO_DATE,
    OPEN_TARGET_STATUSES,
    STATES,
    CampaignInstance,
    ContactTable,
    state_codes_by_zip,
    to_day,
)
from email_scheduler.registry import (
    AEP,
    CAMPAIGN_ENDED,
    CAMPAIGN_INACTIVE,
    CAMPAIGN_PREFIX,
    CAMPAIGNS_OFF,
    ISSUES,
    NO_AEP_DATES,
    NO_AEP_YEARS,
    NO_TRIGGER_DATE,
    NOT_IN_AUDIENCE,
    PRE_SCHEDULED,
    TARGET_OF_OTHER_STATUS,
    TARGET_SENT,
    TARGET_WITHDRAWN,
    UNREADABLE_TRIGGER_DATE,
    YEARLY_TYPES,
)

_DAYS_SHOWN: Final = 365
_DATA_ARE_OF_NOW: Final = (
    "What a contact and a campaign were on a past day is not kept. Windows, ideal dates and intervals are"
    " worked out from what the database holds now; rows, statuses and reasons are those of the plan."
)
_ROWS_OF_THE_PLAN_BEFORE: Final = (
    "The rows below are of the plan before: the contact is not valid any more, due_emails leaves out whoever"
    " is suppressed, and the next plan moves the rows to the archive."
)
_EDITED: Final = (
    "The contact was edited, or loaded again, since the plan: due_emails leaves it out until the next plan"
    " has taken that into account."
)
# Campaigns for everybody that ended longer ago are not worth a line.
_DAYS_BACK: Final = 366
_FINAL: Final = {"sent": TARGET_SENT, "skipped": TARGET_WITHDRAWN}
_WHOLE: Final = re.compile(r"[0-9]{5}(-[0-9]{4}|[0-9]{4})?", re.ASCII)
_TRUNCATED: Final = re.compile(r"([0-9]{3,4})(-[0-9]{4})?", re.ASCII)


def explain(
    facts: Facts,
    contact_id: int,
    publication: Publication,
    stored: Sequence[StoredRow],
    suppressions: Sequence[Suppression],
    same_address: Sequence[int],
    *,
    is_edited: bool = False,
) -> Explanation:
    """Explain one contact.

    Args:
        facts: What the planner works out for it and the others of the same inputs.
        contact_id: The contact.
        publication: The plan.
        stored: Its rows of ``email_schedules`` and of the archive.
        suppressions: Those in force that concern it.
        same_address: Other contacts with the same address.
        is_edited: The contact was edited since the plan in force.
    """
    contact = _contact_state(facts, contact_id, suppressions, same_address)
    as_of = facts.inputs.as_of
    rows = publication.rows(stored)
    emails = Emails(facts, contact_id, rows)
    position = emails.position
    last_day = as_of + timedelta(days=min(_DAYS_SHOWN, (date.max - as_of).days))
    if contact.is_valid:
        occurrences = [
            *emails.occurrences(),
            *_campaigns_without_email(facts, contact_id),
            *follow_up_occurrences(emails),
            *_missing_series(facts, contact),
        ]
    else:
        occurrences = [emails.left_over(row) for row in rows]
    planned = [each for each in rows if each.status == PRE_SCHEDULED and each.taken_as is None]
    upcoming = sorted(map(as_email, planned), key=lambda each: (each.send_date or date.max, each.id))
    return Explanation(
        contact=contact,
        as_of=as_of,
        first_day=as_of,
        last_day=last_day,
        windows=window_intervals(facts, position, as_of, last_day) if position >= 0 else (),
        occurrences=tuple(occurrences),
        history=_history(stored, publication),
        behaviour=_behaviour(facts, contact_id),
        left_plan=tuple(publication.gone(stored)),
        next_email=next(iter(upcoming), None),
        next_allowed=first_allowed_day(facts, position, as_of) if position >= 0 else None,
        notes=tuple(_notes(contact, rows, publication, is_edited=is_edited)),
    )


def _notes(
    contact: ContactState, rows: Sequence[PlanRow], publication: Publication, *, is_edited: bool
) -> Iterator[str]:
    if not publication.is_last:
        yield _DATA_ARE_OF_NOW
    if not contact.is_valid and rows:
        yield _ROWS_OF_THE_PLAN_BEFORE
    if is_edited:
        yield _EDITED


def _missing_series(facts: Facts, contact: ContactState) -> Iterator[Occurrence]:
    """Yield the anniversary types of which a contact has no occurrence, and why."""
    present = {candidate.email_type for candidate in facts.candidates(contact.contact_id)}
    aep = facts.config.aep_config
    years = ", ".join(map(str, aep.years or ())) or "none"
    aep_reason = NO_AEP_YEARS if aep.default_dates else NO_AEP_DATES
    aep_rule = (
        Rule("aep_config.years", years) if aep.default_dates else Rule("aep_config.default_dates", "none")
    )
    for email_type, yearly in YEARLY_TYPES.items():
        if email_type not in present:
            yield no_email(email_type, yearly.if_unknown)
    if AEP not in present:
        yield no_email(AEP, aep_reason, aep_rule)


def _history(stored: Sequence[StoredRow], publication: Publication) -> tuple[Email, ...]:
    known = publication.history(stored)
    rows = [row for row in stored if row.id in known and row.archived_at is None]
    emails = [
        Email(
            row.id,
            row.email_type,
            row.status,
            row.send_date,
            row.event_date,
            row.initial_email_id,
            row.campaign_instance_id,
        )
        for row in rows
    ]
    return tuple(sorted(emails, key=lambda each: (each.send_date or date.min, each.id), reverse=True))


def _behaviour(facts: Facts, contact_id: int) -> tuple[Behaviour, ...]:
    clicks, answers = facts.behaviour(contact_id)
    found = [Behaviour("click", each["clicked_at"], each["email_schedule_id"] or None) for each in clicks]
    found += [Behaviour("answer", each["created_at"], None) for each in answers]
    return tuple(sorted(found, key=lambda each: each.at or "", reverse=True))


def _contact_state(
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
        Finding(issue.name, issue.field, issue.text, issue.section)
        for issue in ISSUES.values()
        if issue.name in issues
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


def _campaigns_without_email(facts: Facts, contact_id: int) -> Iterator[Occurrence]:
    """Yield the campaigns that list a contact, or might have meant it, and why no email comes of them."""
    targets = facts.targets(contact_id)
    ids = {target["campaign_instance_id"] for target in targets}
    for target in targets:
        instance_id, trigger, status = (
            target["campaign_instance_id"],
            target["trigger"],
            str(target["status"]),
        )
        instance = facts.basis.instances.get(instance_id)
        if status not in OPEN_TARGET_STATUSES:
            reason: str | None = _FINAL.get(status, TARGET_OF_OTHER_STATUS)
        else:
            reason = _not_planned(facts, instance) or _no_trigger(trigger, target["is_unreadable"])
        if reason is not None:
            rule = Rule("contact_campaigns.status", status) if status not in OPEN_TARGET_STATUSES else None
            yield _no_email(instance, instance_id, reason, trigger, rule)
    for instance in facts.basis.instances.values():
        if instance.id not in ids and (instance.audience is not None or instance.targets_all_contacts):
            found = _implicit(facts, instance, facts.position(contact_id))
            if found is not None:
                yield _no_email(instance, instance.id, found[0], NO_DATE, found[1])


def _implicit(facts: Facts, instance: CampaignInstance, position: int) -> tuple[str, Rule | None] | None:
    """Return why a contact that an instance does not list gets nothing from it; None: it is meant."""
    reason = _not_planned(facts, instance)
    if reason is not None:
        is_old = instance.end < to_day(facts.inputs.as_of - timedelta(days=_DAYS_BACK))
        return None if is_old else (reason, None)
    if instance.audience is None:
        return (NO_TRIGGER_DATE, None) if instance.default_trigger == NO_DATE else None
    members = facts.members[instance.id]
    at = np.flatnonzero(members.rows == position)
    if len(at) == 0:
        return NOT_IN_AUDIENCE, _unmet(facts, instance.audience, position)
    missing = _no_trigger(int(members.triggers[at[0]]), bool(members.is_unreadable[at[0]]))
    return None if missing is None else (missing, None)


def _unmet(facts: Facts, audience: Audience, position: int) -> Rule | None:
    """Return the conditions of an audience that a contact does not meet."""
    table = ContactTable(facts.basis.contacts, (facts.inputs.contacts, facts.inputs.contact_attributes))
    unmet = [name for name, condition in audience.where.items() if not table.meets(name, condition)[position]]
    return Rule("metadata.audience.where", f"not met: {', '.join(unmet)}") if unmet else None


def _not_planned(facts: Facts, instance: CampaignInstance | None) -> str | None:
    if not facts.config.features.enable_campaigns:
        return CAMPAIGNS_OFF
    if instance is None or not instance.is_active:
        return CAMPAIGN_INACTIVE
    return CAMPAIGN_ENDED if instance.end < facts.basis.today else None


def _no_trigger(trigger: int, is_unreadable: bool) -> str | None:
    if is_unreadable:
        return UNREADABLE_TRIGGER_DATE
    return NO_TRIGGER_DATE if trigger == NO_DATE else None


def _no_email(
    instance: CampaignInstance | None, instance_id: int, reason: str, trigger: int, rule: Rule | None
) -> Occurrence:
    if rule is None and reason == CAMPAIGNS_OFF:
        rule = Rule("features.enable_campaigns", "false")
    elif rule is None and reason == CAMPAIGN_ENDED and instance is not None:
        rule = Rule(f"campaign instance {instance.id}: active_end_date", str(as_date(instance.end)))
    return replace(
        no_email(instance.email_type if instance else f"{CAMPAIGN_PREFIX}?", reason, rule),
        campaign_instance_id=instance_id or None,
        campaign_name=instance.name if instance else None,
        event_date=None if trigger == NO_DATE else as_date(trigger),
    )
