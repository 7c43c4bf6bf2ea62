"""The page of an explanation: one file that needs nothing else, for one reader."""

from collections.abc import Iterator
from dataclasses import dataclass

from email_scheduler.planning.explanation.results import NO_EMAIL, Answer, ExplainedContact
from email_scheduler.reporting.explanation_words import (
    Line,
    contact_lines,
    email_line,
    lines_of,
    next_lines,
    outcome_of,
    plan_lines,
    row_line,
    title_of,
    why_of,
    window_lines,
)
from email_scheduler.reporting.pages import render_page
from email_scheduler.reporting.timeline import Timeline, timeline_of


@dataclass(frozen=True)
class _Email:
    """One occurrence on the page."""

    title: str
    outcome: str
    kind: str
    why: str
    lines: list[Line]


@dataclass(frozen=True)
class _Contact:
    """One contact on the page."""

    contact_id: int
    is_valid: bool
    plan: list[Line]
    about: list[Line]
    coming: list[Line]
    notes: tuple[str, ...]
    timeline: Timeline
    windows: list[tuple[str, list[Line]]]
    emails: list[_Email]
    history: list[str]
    behaviour: list[str]
    left_plan: list[str]


def explanation_page(answer: Answer, organization: str | None) -> str:
    """Return the page.

    Args:
        answer: The explanation.
        organization: The name of the organisation, if it has one.
    """
    contacts = [_contact(each, answer) for each in answer.contacts]
    ids = ", ".join(str(each.contact_id) for each in contacts)
    return render_page(
        "explanation.html.j2",
        contacts=contacts,
        ids=ids,
        asked_for=answer.asked_for,
        organization=organization,
        hold=answer.hold,
    )


def _contact(explained: ExplainedContact, answer: Answer) -> _Contact:
    explanation = explained.explanation
    return _Contact(
        contact_id=explanation.contact.contact_id,
        is_valid=explanation.contact.is_valid,
        plan=list(plan_lines(explained.plan, answer.asked_for)),
        about=list(contact_lines(explanation.contact)),
        coming=list(next_lines(explanation)),
        notes=explanation.notes,
        timeline=timeline_of(explanation),
        windows=[(each.reason, list(window_lines(each))) for each in explanation.windows],
        emails=list(_emails(explained)),
        history=[email_line(each) for each in explanation.history],
        behaviour=[
            f"{each.at or 'at an unknown time'}: {each.kind}"
            + (f" of email {each.email_id}" if each.email_id else "")
            for each in explanation.behaviour
        ],
        left_plan=[f"{each.row.email_type} {row_line(each)}" for each in explanation.left_plan],
    )


def _emails(explained: ExplainedContact) -> Iterator[_Email]:
    for one in explained.explanation.occurrences:
        kind = {"planned": "good", "skipped": "warn"}.get(one.outcome, "quiet")
        yield _Email(
            title_of(one),
            outcome_of(one),
            "quiet" if one.outcome == NO_EMAIL else kind,
            why_of(one),
            list(lines_of(one)),
        )
