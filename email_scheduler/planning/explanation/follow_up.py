"""The follow-up of one contact: which email it follows, or why there is none (section 10)."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from email_scheduler.planning.explanation.facts import Facts
from email_scheduler.planning.explanation.occurrences import Emails, no_email
from email_scheduler.planning.explanation.past import PlanRow
from email_scheduler.planning.explanation.results import NextDate, Occurrence, Rule
from email_scheduler.planning.explanation.words import (
    FOLLOW_UPS_OFF,
    FOLLOWED_UP,
    NOT_IN_PLAN,
    NOTHING_TO_FOLLOW_UP,
)
from email_scheduler.planning.vocabulary import FOLLOW_UP_PREFIX, PRE_SCHEDULED, SENT_STATUSES


def follow_up_occurrences(emails: Emails) -> list[Occurrence]:
    """Return the follow-up of a contact, or why it gets none, and rows of follow-ups that are left over."""
    facts = emails.facts
    due = facts.follow_up(emails.contact_id)
    rows = [each for each in emails.rows if each.row.initial_email_id is not None]
    found = [_of_row(emails, row, due) for row in rows]
    if due is not None and due["initial_email_id"] not in {each.row.initial_email_id for each in rows}:
        found.append(no_email(due["email_type"], NOT_IN_PLAN))
    elif not found:
        found.append(_none(facts, emails.contact_id))
    return found


def _of_row(emails: Emails, plan_row: PlanRow, due: dict[str, Any] | None) -> Occurrence:
    occurrence = emails.left_over(plan_row)
    if plan_row.status is not None and _fits(plan_row, due):
        occurrence = replace(occurrence, notes=())
    next_date = occurrence.next_date
    if next_date is not None:
        lookback = emails.facts.config.timing_constants.followup_lookback_days
        next_date = NextDate(
            None,
            "It is looked at again every day, for as long as the email that it follows went out no more than"
            f" {lookback} days ago.",
        )
    return replace(occurrence, notes=(_decision(plan_row), *occurrence.notes), next_date=next_date)


def _decision(plan_row: PlanRow) -> str:
    """Return which email a follow-up follows, and what the contact did: its metadata in a sentence."""
    row = plan_row.row
    try:
        told = json.loads(row.metadata or "{}")
        did = [
            f"{name.replace('_', ' ')}: {'yes' if value else 'no'}"
            for name, value in told["behavior"].items()
        ]
        kind = told["initial_email_type"]
        return f"It follows the {kind} email, row {row.initial_email_id}; {', '.join(did)}."
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"It follows the email of row {row.initial_email_id}."


def _fits(plan_row: PlanRow, due: dict[str, Any] | None) -> bool:
    row = plan_row.row
    return due is not None and (
        due["initial_email_id"] == row.initial_email_id
        and due["email_type"] == row.email_type
        and due["ideal_send_date"] == row.ideal_send_date
        and due["send_date"] == row.scheduled_send_date
        and due["skip_reason"] == (None if plan_row.status == PRE_SCHEDULED else row.skip_reason)
    )


def _none(facts: Facts, contact_id: int) -> Occurrence:
    if not facts.config.features.enable_followups:
        rule = Rule("features.enable_followups", "false")
        return replace(no_email(FOLLOW_UP_PREFIX, FOLLOW_UPS_OFF), rule=rule)
    lookback = facts.config.timing_constants.followup_lookback_days
    since = facts.inputs.as_of - timedelta(days=lookback)
    own = facts.history(contact_id)
    made = [row["id"] for row in own if row["email_type"].startswith(FOLLOW_UP_PREFIX)]
    is_recent = any(
        row["status"] in SENT_STATUSES
        and row["send_date"] is not None
        and since <= row["send_date"] <= facts.inputs.as_of
        and not row["email_type"].startswith(FOLLOW_UP_PREFIX)
        for row in own
    )
    reason = FOLLOWED_UP if made and is_recent else NOTHING_TO_FOLLOW_UP
    rule = Rule("timing_constants.followup_lookback_days", str(lookback))
    return replace(
        no_email(FOLLOW_UP_PREFIX, reason),
        rule=rule,
        answered_by=tuple(made) if reason == FOLLOWED_UP else (),
    )
