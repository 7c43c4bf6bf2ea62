"""The report as one page of HTML that holds all that it needs: to be mailed, printed, or served."""

from typing import Final

from email_scheduler.clock import TIME_ZONE
from email_scheduler.database import read_moment
from email_scheduler.proof.violations import RULES
from email_scheduler.reports.charts import calendar_pictures
from email_scheduler.reports.pages import picture, render_page
from email_scheduler.reports.report import Report

_PARTS: Final[tuple[tuple[str, str], ...]] = (
    ("week", "Today and this week"),
    ("changes", "Changes since yesterday"),
    ("balancing", "What balancing moved"),
    ("skipped", "Skipped"),
    ("problems", "Data problems"),
    ("proof", "Compliance proof"),
    ("campaigns", "Campaigns"),
    ("year", "The year"),
    ("origin", "Origin"),
)
_KINDS: Final = {
    "added": "Emails added",
    "later": "Emails moved to a later day",
    "earlier": "Emails moved to an earlier day",
    "cancelled": "Emails cancelled",
}


def report_page(report: Report) -> str:
    """Return the page of a report."""
    figures, run = report.figures, report.run
    pictures = () if figures is None else calendar_pictures(figures, report.as_of)
    adjustments, moves = report.moves()
    violations = {} if figures is None else figures.violations
    sender = report.published.sender
    return render_page(
        "report.html.j2",
        report=report,
        published_at=_moment(run.completed_at),
        held=_sentence(report.published.hold),
        waiting=_sentence(report.published.waiting),
        accepted=[_sentence(each) for each in report.accepted_losses],
        headline=_headline(report),
        parts=[each for each in _PARTS if each[0] != "year" or pictures],
        pictures=pictures,
        images=[picture(each.png, each.text) for each in pictures],
        week=[(f"{day:%a %Y-%m-%d}", count, _share(count, report)) for day, count in report.week()],
        taken=0 if sender is None else sum(sender.taken.values()),
        totals={} if report.changes is None else report.changes.totals,
        changes=[
            (_KINDS[kind], [(email_type, _words(reason), count) for email_type, reason, count in rows])
            for kind, rows in report.changes_by_kind()
        ],
        adjustments=[_words(name) for name in adjustments],
        moves=[(name, *counts) for name, counts in moves],
        skipped=[(name, _words(reason), count) for name, reason, count in report.skipped()],
        problems=[
            (_words(name), "gets no email" if is_invalid else "noted", count)
            for name, is_invalid, count in report.problems()
        ],
        notes=report.notes(),
        proof=[
            (rule, RULES.get(rule, ""), 0 if figures is None else figures.rows_looked_at, count)
            for rule, count in violations.items()
        ],
        violations=sum(violations.values()),
        campaigns=[]
        if figures is None
        else [
            (
                f"{each.campaign_type} ({each.instance_id})",
                each.starts or "open",
                each.ends or "open",
                *(each.planned, each.skipped, each.sent),
            )
            for each in figures.campaigns
        ],
        origin=_origin(report),
    )


def _headline(report: Report) -> list[tuple[str, int | str]]:
    """Return what matters most, in numbers."""
    week = report.week()
    planned: list[tuple[str, int | str]] = [
        ("emails on " + f"{report.as_of:%a %Y-%m-%d}", week[0][1] if week else "not kept"),
        ("emails in seven days", sum(count for _, count in week) if week else "not kept"),
    ]
    return [
        *planned,
        ("emails planned", report.run.planned),
        ("emails skipped", report.run.skipped),
        ("contacts", report.run.contacts),
        ("contacts not valid", report.run.invalid_contacts),
    ]


def _origin(report: Report) -> list[tuple[str, str]]:
    run = report.run
    config = report.published.config
    by = f", first used by {config.created_by}" if config is not None and config.created_by else ""
    since = _moment(None if config is None else config.valid_from)
    version = f"{run.config_version}, since {since}{by}"
    return [
        ("run", run.run_id),
        ("published", _moment(run.completed_at)),
        ("runs of that day", f"{len(report.published.runs)}, and {report.published.failed_runs} that failed"),
        ("configuration version", "not kept" if run.config_version is None else version),
    ]


def _share(count: int, report: Report) -> str:
    cap = 0 if report.figures is None else report.figures.daily_cap
    return f"{100 * count / cap:.0f} %" if cap else ""


def _moment(text: str | None) -> str:
    """Return a moment as people read it, in US Central time."""
    moment = read_moment(text)
    return "at an unknown time" if moment is None else f"{moment.astimezone(TIME_ZONE):%Y-%m-%d %H:%M}"


def _sentence(what: object) -> str:
    said = "" if what is None else str(what)
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def _words(name: str) -> str:
    return name.replace("_", " ")
