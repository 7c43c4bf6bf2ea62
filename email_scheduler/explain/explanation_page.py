"""The page of an explanation: one file that needs nothing else, for one reader.

It shows the year of the contact as a drawing (SVG): what excludes it, and each email within its legal
interval.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from email_scheduler.explain.explanation import (
    NO_EMAIL,
    NOT_KEPT,
    PLANNED,
    SKIPPED,
    TAKEN,
    ContactAnswer,
    ExplainedContact,
    Explanation,
    Occurrence,
)
from email_scheduler.explain.lines import (
    Line,
    contact_lines,
    days_of,
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
from email_scheduler.reports.pages import render_page

WIDTH: Final = 960
_MARGIN: Final = 12
_HEAD: Final = 28
_LANE: Final = 44
_BAR: Final = 14


@dataclass(frozen=True)
class Lane:
    """One line of the drawing.

    Attributes:
        y: Where it begins.
        text: What it is about.
        kind: ``window``, or the outcome of an email.
        bar: Begin and width of the days that it is about; None: there are none in this year.
        mark: Where its email goes out, or would have gone out if it is skipped; None: not in this year.
        ideal: Where its ideal date is; None: not in this year.
        label: Where its text stands, and which end of the text that is.
    """

    y: int
    text: str
    kind: str
    bar: tuple[float, float] | None
    mark: float | None = None
    ideal: float | None = None
    label: tuple[float, str] = (_MARGIN, "start")


@dataclass(frozen=True)
class Timeline:
    """What the drawing consists of.

    Attributes:
        width, height: Of the drawing.
        months: Where each month begins, and its name.
        shades: Begin and width of the excluded days, behind everything.
        lanes: The lines, from above.
        bar_height: Of each lane.
        summary: What it shows, for those who do not see it.
    """

    width: int
    height: int
    months: list[tuple[float, str]]
    shades: list[tuple[float, float]]
    lanes: list[Lane]
    summary: str
    bar_height: int = _BAR


def timeline_of(explanation: Explanation) -> Timeline:
    """Return the drawing of an explanation."""
    first, last = explanation.first_day, explanation.last_day
    windows = [(w.reason, days_of(w), _bar(first, last, w.first, w.last)) for w in explanation.windows]
    lanes = [
        _labelled(Lane(_HEAD + number * _LANE, f"{reason}: {days}", "window", bar))
        for number, (reason, days, bar) in enumerate(windows)
    ]
    shown = [each for each in explanation.occurrences if _is_drawn(each)]
    lanes += [
        _labelled(_lane(one, _HEAD + number * _LANE, first, last))
        for number, one in enumerate(shown, len(lanes))
    ]
    said = [f"{reason}, {days}" for reason, days, _ in windows]
    said += [f"{title_of(one)}: {outcome_of(one)}" for one in shown]
    return Timeline(
        width=WIDTH,
        height=_HEAD + max(len(lanes), 1) * _LANE + 6,
        months=list(_months(first, last)),
        shades=[bar for *_, bar in windows if bar is not None],
        lanes=lanes,
        summary=f"From {first} to {last}. " + ("; ".join(said) or "Nothing is planned and nothing excluded."),
    )


def _is_drawn(one: Occurrence) -> bool:
    return one.outcome in {PLANNED, SKIPPED, TAKEN, NOT_KEPT} and one.ideal_send_date is not None


def _lane(one: Occurrence, y: int, first: date, last: date) -> Lane:
    row = one.plan_row.row if one.plan_row else None
    day = row.scheduled_send_date if row is not None and one.outcome not in {NO_EMAIL, NOT_KEPT} else None
    return Lane(
        y=y,
        text=f"{title_of(one)}: {outcome_of(one)}",
        kind=one.outcome,
        bar=_bar(first, last, one.first_date, one.last_date) if one.first_date else None,
        mark=_x(first, last, day),
        ideal=_x(first, last, one.ideal_send_date),
    )


def _labelled(lane: Lane) -> Lane:
    """Put the text of a lane where its bar begins, or so that it ends with the drawing."""
    begin = lane.bar[0] if lane.bar else min(filter(None, (lane.ideal, lane.mark)), default=_MARGIN)
    # about seven units a letter
    if begin + 7 * len(lane.text) < WIDTH - _MARGIN:
        label = (float(begin), "start")
    else:
        label = (float(WIDTH - _MARGIN), "end")
    return Lane(lane.y, lane.text, lane.kind, lane.bar, lane.mark, lane.ideal, label)


def _bar(first: date, last: date, begin: date | None, end: date | None) -> tuple[float, float] | None:
    shown_begin, shown_end = max(begin or first, first), min(end or last, last)
    if shown_begin > shown_end:
        return None
    left = _scaled(first, last, shown_begin)
    return left, round(max(_scaled(first, last, shown_end + timedelta(days=1)) - left, 2.0), 1)


def _x(first: date, last: date, day: date | None) -> float | None:
    return _scaled(first, last, day) if day is not None and first <= day <= last else None


def _scaled(first: date, last: date, day: date) -> float:
    share = (day - first).days / max((last - first).days + 1, 1)
    return round(_MARGIN + share * (WIDTH - 2 * _MARGIN), 1)


def _months(first: date, last: date) -> Iterator[tuple[float, str]]:
    day = date(first.year, first.month, 1)
    while day <= last:
        if day >= first:
            name = f"{day:%b %Y}" if day.month == 1 else f"{day:%b}"
            yield _scaled(first, last, day), name
        day = date(day.year + day.month // 12, day.month % 12 + 1, 1)


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


def explanation_page(answer: ContactAnswer, organization: str | None) -> str:
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


def _contact(explained: ExplainedContact, answer: ContactAnswer) -> _Contact:
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
