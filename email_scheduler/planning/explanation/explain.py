"""Why one contact gets, or does not get, each of its emails, from the parts beside this module."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final

from email_scheduler.planning.explanation.campaigns import campaigns_without_email
from email_scheduler.planning.explanation.contact import contact_state
from email_scheduler.planning.explanation.facts import Facts
from email_scheduler.planning.explanation.follow_up import follow_up_occurrences
from email_scheduler.planning.explanation.limits import as_email, first_allowed_day
from email_scheduler.planning.explanation.occurrences import Emails, no_email
from email_scheduler.planning.explanation.past import PlanRow, Publication
from email_scheduler.planning.explanation.records import StoredRow
from email_scheduler.planning.explanation.results import (
    Behaviour,
    ContactState,
    Email,
    Explanation,
    Occurrence,
    Rule,
    Suppression,
)
from email_scheduler.planning.explanation.windows import window_intervals
from email_scheduler.planning.explanation.words import (
    NO_AEP_DATES,
    NO_AEP_YEARS,
    NO_BIRTH_DATE,
    NO_EFFECTIVE_DATE,
)
from email_scheduler.planning.vocabulary import AEP, BIRTHDAY, EFFECTIVE_DATE, PRE_SCHEDULED

_DAYS_SHOWN: Final = 365
_DATA_ARE_OF_NOW: Final = (
    "What a contact and a campaign were on a past day is not kept. Windows, ideal dates and intervals are"
    " worked out from what the database holds now; rows, statuses and reasons are those of the plan."
)
_ROWS_OF_THE_PLAN_BEFORE: Final = (
    "The rows below are of the plan before: the contact is not valid any more, due_emails leaves out whoever"
    " is suppressed, and the next plan moves the rows to the archive."
)


def explain(
    facts: Facts,
    contact_id: int,
    publication: Publication,
    stored: Sequence[StoredRow],
    suppressions: Sequence[Suppression],
    same_address: Sequence[int],
) -> Explanation:
    """Explain one contact.

    Args:
        facts: What the planner works out for it and the others of the same inputs.
        contact_id: The contact.
        publication: The plan.
        stored: Its rows of ``email_schedules`` and of the archive.
        suppressions: Those in force that concern it.
        same_address: Other contacts with the same address.
    """
    contact = contact_state(facts, contact_id, suppressions, same_address)
    as_of = facts.inputs.as_of
    rows = publication.rows(stored)
    emails = Emails(facts, contact_id, rows)
    position = emails.position
    last_day = as_of + timedelta(days=min(_DAYS_SHOWN, (date.max - as_of).days))
    if contact.is_valid:
        occurrences = [
            *emails.occurrences(),
            *campaigns_without_email(facts, contact_id),
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
        notes=tuple(_notes(contact, rows, publication)),
    )


def _notes(contact: ContactState, rows: Sequence[PlanRow], publication: Publication) -> Iterator[str]:
    if not publication.is_last:
        yield _DATA_ARE_OF_NOW
    if not contact.is_valid and rows:
        yield _ROWS_OF_THE_PLAN_BEFORE


def _missing_series(facts: Facts, contact: ContactState) -> Iterator[Occurrence]:
    """Yield the anniversary types of which a contact has no occurrence, and why."""
    present = {candidate.email_type for candidate in facts.candidates(contact.contact_id)}
    aep = facts.config.aep_config
    years = ", ".join(map(str, aep.years or ())) or "none"
    aep_reason = NO_AEP_YEARS if aep.default_dates else NO_AEP_DATES
    aep_rule = (
        Rule("aep_config.years", years) if aep.default_dates else Rule("aep_config.default_dates", "none")
    )
    for email_type, reason, rule in (
        (BIRTHDAY, NO_BIRTH_DATE, None),
        (EFFECTIVE_DATE, NO_EFFECTIVE_DATE, None),
        (AEP, aep_reason, aep_rule),
    ):
        if email_type not in present:
            yield no_email(email_type, reason, rule)


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
