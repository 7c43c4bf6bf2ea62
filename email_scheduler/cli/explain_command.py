"""``email-scheduler explain``: why a contact gets an email, or does not; for a terminal of 80 columns."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table

from email_scheduler.cli.shared import (
    Answer,
    At,
    Force,
    command,
    date_option,
    write_private,
)
from email_scheduler.clock import today
from email_scheduler.errors import UsageError
from email_scheduler.explain import (
    NO_EMAIL,
    PLANNED,
    SKIPPED,
    ContactAnswer,
    ExplainedContact,
    Explanation,
    Line,
    answer_object,
    contact_lines,
    email_line,
    explain_address,
    explain_contact,
    lines_of,
    next_lines,
    outcome_of,
    plan_lines,
    row_line,
    title_of,
    why_of,
    window_lines,
)
from email_scheduler.reports.terminal import line, texts_table

_SHOWN_ROWS: Final = 20
# Days of one character of the timeline.
_DAYS_OF_CELL: Final = 6
_COLOURS: Final = {PLANNED: "green", SKIPPED: "yellow"}


def explanation_text(answer: ContactAnswer) -> RenderableType:
    """Return an answer for a terminal."""
    parts: list[RenderableType] = []
    if answer.hold is not None:
        parts += [line(("Note: ", "bold yellow"), answer.hold), ""]
    if len(answer.contacts) > 1:
        ids = ", ".join(str(each.explanation.contact.contact_id) for each in answer.contacts)
        parts += [
            line(f"{len(answer.contacts)} contacts have this address: {ids}. Each is explained below."),
            "",
        ]
    for each in answer.contacts:
        parts += [part for section in _contact(each, answer) for part in (section, "")]
    return Group(*parts[:-1])


def _contact(explained: ExplainedContact, answer: ContactAnswer) -> Iterator[RenderableType]:
    explanation = explained.explanation
    yield line(f"Contact {explanation.contact.contact_id}", style="bold")
    lines = [*plan_lines(explained.plan, answer.asked_for), *contact_lines(explanation.contact)]
    yield _lines([*lines, *next_lines(explanation), *(("note", note) for note in explanation.notes)])
    yield from _windows(explanation)
    yield _summary(explanation)
    for one in explanation.occurrences:
        if one.outcome != NO_EMAIL or one.rule is not None or one.notes:
            yield Group(line(title_of(one), style="bold"), _lines(lines_of(one)))
    yield from _past(explanation)


def _windows(explanation: Explanation) -> Iterator[RenderableType]:
    days = f"{explanation.first_day} to {explanation.last_day}"
    yield line(f"Exclusion windows, {days}", style="bold")
    if not explanation.contact.is_valid:
        yield line("  not looked at: the contact is not valid")
        return
    yield _timeline(explanation)
    for window in explanation.windows:
        yield Group(line(f"  {window.reason}"), _lines(window_lines(window)))
    if not explanation.windows:
        yield line("  none: no rule of the state excludes this contact")


def _timeline(explanation: Explanation) -> RenderableType:
    """Return the year as a line: ``#`` days of a window, ``*`` days on which an email goes out."""
    first, last = explanation.first_day, explanation.last_day
    cells = (last - first).days // _DAYS_OF_CELL + 1
    marks, months = ["."] * cells, [" "] * (cells + 3)
    for window in explanation.windows:
        begin, end = max(window.first or first, first), min(window.last or last, last)
        for number in range((begin - first).days // _DAYS_OF_CELL, (end - first).days // _DAYS_OF_CELL + 1):
            marks[number] = "#"
    for one in explanation.occurrences:
        day = one.plan_row.row.scheduled_send_date if one.plan_row and one.outcome == PLANNED else None
        if day is not None and first <= day <= last:
            marks[(day - first).days // _DAYS_OF_CELL] = "*"
    for number in range(cells):
        day = first + timedelta(days=number * _DAYS_OF_CELL)
        if day.day <= _DAYS_OF_CELL:
            months[number : number + 3] = f"{day:%b}"
    legend = "  # excluded   * an email goes out   . neither"
    return Group(
        *(line(f"  {''.join(each).rstrip()}") for each in (months, marks)), line(legend, style="dim")
    )


def _summary(explanation: Explanation) -> RenderableType:
    rows = [
        (title_of(one), line(outcome_of(one), style=_COLOURS.get(one.outcome, "")), why_of(one))
        for one in explanation.occurrences
    ]
    if not rows:
        return "No email is due, and none was planned."
    return texts_table("email", "what becomes of it", "why", rows=rows, title="Emails")


def _past(explanation: Explanation) -> Iterator[RenderableType]:
    behaviour = [
        f"{each.at or 'at an unknown time'}: {each.kind}"
        + (f" of email {each.email_id}" if each.email_id else "")
        for each in explanation.behaviour
    ]
    for title, texts in (
        ("What the sending system has taken", [email_line(each) for each in explanation.history]),
        ("Clicks and answers", behaviour),
        (
            "What had left the plan before",
            [f"{r.row.email_type} {row_line(r)}" for r in explanation.left_plan],
        ),
    ):
        if texts:
            more = [f"and {len(texts) - _SHOWN_ROWS:,} earlier ones"] if len(texts) > _SHOWN_ROWS else []
            shown = [Padding(line(text), (0, 0, 0, 2)) for text in (*texts[:_SHOWN_ROWS], *more)]
            yield Group(line(title, style="bold"), *shown)


def _lines(lines: Iterable[Line]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=13)
    grid.add_column(overflow="fold")
    before = ""
    for name, text in lines:
        grid.add_row(line(f"  {name}" if name != before else ""), line(text))
        before = name
    return grid


@command
def explain(
    at: At,
    contact: Annotated[int | None, typer.Option("--contact", metavar="ID", help="The contact's id.")] = None,
    email: Annotated[
        str | None,
        typer.Option(
            "--email",
            metavar="ADDRESS",
            help="Instead: all contacts with this address, however it is written. Up to 10 are"
            " explained one after the other; of more, the first ids are named, for --contact.",
        ),
    ] = None,
    as_of: Annotated[
        date | None,
        date_option(
            "--as-of",
            says="The plan that was in force on this date: the last one that was made for it or an earlier"
            " date. [default: today in US Central time]",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write a page with a drawn timeline; it needs no other file, opens on a phone, and prints."
            " The file is its owner's alone.",
        ),
    ] = None,
    force: Force = False,
) -> Answer:
    """Say why a contact gets an email, or does not get it, and when it may get it. Nothing is changed."""
    url, settings = at.url, at.settings
    day, page = as_of or today(), at.output(html, force=force)
    if contact is not None and email is None:
        answer = explain_contact(url, settings, contact, day)
    elif email is not None and contact is None:
        answer = explain_address(url, settings, email, day)
    else:
        raise UsageError("accepted is either --contact ID or --email ADDRESS, one of the two")
    parts: list[RenderableType] = [explanation_text(answer)]
    if page is not None:
        # drawing a page takes a moment to load, which no other command needs
        from email_scheduler.explain.explanation_page import explanation_page  # noqa: PLC0415

        write_private(page, explanation_page(answer, None if at.entry is None else at.entry.name))
        parts = [f"The page is in {html}. Whoever reads it learns about a person: keep it to yourself."]
    return Answer(answer_object(answer), parts)
