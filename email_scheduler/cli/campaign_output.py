"""Campaigns on a terminal and as JSON. Counts and ids, nobody's data."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from rich.console import Group, RenderableType

from email_scheduler.campaigns import (
    CampaignPreview,
    InstanceCounts,
    InstanceReport,
    InstanceRow,
    LogRow,
    Rate,
    SyncResult,
    TargetResult,
    TypeRow,
    VariantResult,
    to_json,
)
from email_scheduler.cli.shared import (
    counts_table,
    dates_tables,
    spaced,
)
from email_scheduler.database import PLURALS, Hold
from email_scheduler.planning import AudienceCounts
from email_scheduler.reports.terminal import line, lines, table

_OUTCOMES: Final = {
    "added": "added",
    "moved": "moved to another trigger date",
    "annotated": "got other metadata",
    "withdrawn": "withdrawn",
    "kept_out": "kept out (were no targets)",
    "unchanged": "unchanged",
    "repeated": "said twice",
    "already_sent": "left out: the email was sent (--again adds them)",
    "already_withdrawn": "left out: withdrawn before",
    "several_targets": "left out: several targets",
}
_SHOWN_LINES: Final = 20


def type_object(row: TypeRow) -> dict[str, Any]:
    """Return a type for JSON."""
    return asdict(row)


def instance_object(counts: InstanceCounts) -> dict[str, Any]:
    """Return an instance of the list for JSON."""
    return {
        **_instance(counts.instance),
        "targets": counts.targets,
        "planned": counts.planned,
        "sent": counts.sent,
    }


def report_object(report: InstanceReport) -> dict[str, Any]:
    """Return the report on an instance for JSON."""
    follow_ups: dict[str, dict[str, int]] = {}
    for (kind, status), count in report.follow_ups.items():
        follow_ups.setdefault(kind, {})[status] = count
    return {
        **_instance(report.instance),
        "is_for_everybody": report.is_for_everybody,
        "is_for_audience": report.is_for_audience,
        "targets": report.targets,
        "planned": report.planned_by_date,
        "skipped": report.skipped_by_reason,
        "taken": report.emails_by_status,
        "sent": report.sent,
        "clicked": report.clicked,
        "answered": report.answered,
        "follow_ups": follow_ups,
        "variants": [asdict(each) for each in report.variants],
    }


def hold_object(hold: Hold | None) -> dict[str, str] | None:
    """Return a hold for JSON."""
    return None if hold is None else asdict(hold)


def log_object(row: LogRow) -> dict[str, Any]:
    """Return a change for JSON."""
    return asdict(row)


def sync_object(result: SyncResult, *, is_dry_run: bool) -> dict[str, Any]:
    """Return what syncing changed for JSON."""
    return {
        "dry_run": is_dry_run,
        "differences": [asdict(each) for each in result.differences],
        "only_in_database": result.only_in_database,
    }


def target_object(result: TargetResult, bad_lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what targeting or withdrawing did for JSON."""
    reported = [asdict(each) for each in result.reported]
    instance = {"id": result.instance.id, "instance": result.instance.reference}
    notes = {"notes": list(result.notes)} if result.notes else {}
    return {**instance, "counts": result.counts, "reported": reported, "bad_lines": bad_lines, **notes}


def preview_object(preview: CampaignPreview, hold: Hold | None) -> dict[str, Any]:
    """Return a preview for JSON."""
    audience = preview.audience
    counts = None if audience is None else {**asdict(audience), "taken": audience.taken}
    return {"hold": hold_object(hold), **asdict(preview), "audience": counts}


def types_table(types: list[TypeRow]) -> RenderableType:
    """Return the list of types."""
    headings = ("type", "active", "priority", "days", "windows", "follow-ups", "all", "used")
    rows = [
        (
            each.name,
            each.active,
            str(each.priority),
            str(each.days_before_event),
            each.respect_exclusion_windows,
            each.enable_followups,
            each.target_all_contacts,
            each.instances,
        )
        for each in types
    ]
    return table("Campaign types", *headings, rows=rows)


def instances_tables(found: list[InstanceCounts], hold: Hold | None) -> Iterator[RenderableType]:
    """Yield the list of instances, below why nothing of them is due."""
    yield from hold_lines(hold)
    headings = ("instance", "id", "active", "from", "to", "targets", "planned", "sent")
    rows = [
        (
            each.instance.reference,
            str(each.instance.id),
            each.instance.active,
            each.instance.active_start_date,
            each.instance.active_end_date,
            each.targets,
            each.planned,
            each.sent,
        )
        for each in found
    ]
    yield table("Campaign instances", *headings, rows=rows)


def report_tables(report: InstanceReport, hold: Hold | None) -> Iterator[RenderableType]:
    """Yield all that there is to say about an instance."""
    achieved = {
        **{f"taken: {status}": count for status, count in report.emails_by_status.items()},
        "sent": report.sent,
        "clicked": report.clicked,
        "answered": report.answered,
    }
    follow_ups = {f"{kind}, {status}": count for (kind, status), count in report.follow_ups.items()}
    yield from spaced(
        [
            *hold_lines(hold),
            _facts_table(report),
            counts_table("Listed contacts", "status", "contacts", report.targets),
            *dates_tables("Planned", report.planned_by_date),
            counts_table("Skipped", "reason", "emails", report.skipped_by_reason),
            counts_table("Achieved", "", "emails", achieved),
            counts_table("Follow-ups", "kind and status", "emails", follow_ups),
        ]
    )
    if report.variants:
        yield _variants_table(report.variants)


def _facts_table(report: InstanceReport) -> RenderableType:
    row, of_type = report.instance, report.campaign_type
    state = "yes" if row.active and of_type.active else "no (stopped)" if not row.active else "no (its type)"
    facts: list[tuple[str, object]] = [
        ("active", state),
        ("from", row.active_start_date),
        ("to", row.active_end_date),
        ("email template", row.email_template),
    ]
    if row.sms_template:
        facts.append(("sms template", row.sms_template))
    for key, value in row.metadata.items():
        if key != "variants" or not report.variants:
            facts.append((f"metadata.{key}", to_json(value) if isinstance(value, dict) else str(value)))
    facts.append(("contacts", _whom(report)))
    return table(f"{row.reference} ({row.id})", "", "", rows=facts, header=False)


def _whom(report: InstanceReport) -> str:
    if report.is_for_audience:
        return "those of its audience, and those listed"
    return "everybody, and those listed" if report.is_for_everybody else "those listed"


def _variants_table(variants: list[VariantResult]) -> RenderableType:
    rows = [
        (
            each.name or "(none)",
            each.weight,
            each.planned,
            each.sent,
            _rate(each.clicked),
            _rate(each.answered),
            each.email_template or None,
        )
        for each in variants
    ]
    headings = ("variant", "weight", "planned", "sent", "clicked", "answered", "template")
    return Group(
        table("Variants", *headings, rows=rows, left={"template"}),
        "In brackets: the 95 % interval of the rate.",
    )


def _rate(rate: Rate) -> str:
    if rate.share is None:
        return "-"
    return f"{rate.count:,}: {rate.share:.1%} ({rate.low:.1%}-{rate.high:.1%})"


def preview_tables(preview: CampaignPreview, hold: Hold | None) -> list[RenderableType]:
    """Return a preview for a terminal."""
    state = "" if preview.is_saved else ", with what is not saved yet"
    title = f"{preview.reference}, planned for {preview.as_of:%A}, {preview.as_of.isoformat()}{state}"
    emails = sum(preview.emails_by_day.values())
    return spaced(
        [
            *hold_lines(hold),
            line(title, style="bold"),
            *(line(("Note: ", "bold yellow"), note) for note in preview.notes),
            *([] if preview.audience is None else [_audience_table(preview.audience)]),
            *dates_tables("Emails", preview.emails_by_day),
            counts_table("Skipped", "reason", "emails", preview.skipped_by_reason),
            _displaced_table(preview),
            f"{emails:,} emails for {preview.contacts:,} contacts. Nothing was changed.",
        ]
    )


def _audience_table(audience: AudienceCounts) -> RenderableType:
    counts = {
        "match": audience.matched,
        "left out: listed": audience.listed,
        "left out: without a trigger date": audience.without_trigger_date,
        "taken": audience.taken,
    }
    return counts_table("Audience", "", "contacts", counts)


def _displaced_table(preview: CampaignPreview) -> RenderableType:
    headings = ("email type", "later", "earlier", "skipped", "instead", "why skipped")
    rows = [
        (
            each.email_type,
            each.later,
            each.earlier,
            sum(each.skipped.values()),
            each.instead,
            ", ".join(f"{reason} ({count:,})" for reason, count in each.skipped.items()),
        )
        for each in preview.displaced
    ]
    if not rows:
        return "No other email changes."
    return table("What becomes of other emails", *headings, rows=rows, left={"why skipped"})


def changes_table(found: list[LogRow]) -> RenderableType:
    """Return the list of changes; what changed stands below its name, since values may be long."""
    headings = ("at (UTC)", "by", "in a plan", "what")
    made = table("Changes", *headings, rows=map(_change_cells, found), left=headings)
    for column in made.columns:
        column.no_wrap = column.header != "what"
    return made


def _change_cells(each: LogRow) -> tuple[object, ...]:
    processed = "yes" if each.is_processed else "not yet" if each.requires_rescheduling else "no need"
    name = each.instance or each.campaign_type or ""
    values = (each.new or "") if each.old is None else f"{each.old} → {each.new or '(none)'}"
    what = lines(name, f"{each.field or ''}: {values}")
    return (each.changed_at or "")[:19], each.changed_by or "", processed, what


def sync_tables(result: SyncResult, *, is_dry_run: bool) -> Iterator[RenderableType]:
    """Yield what syncing changed, or would change."""
    if result.differences:
        headings = ("what", "name", "field", "before", "now")
        rows = [
            (each.what, each.name, each.field or "(new)", each.old or "", each.new or "")
            for each in result.differences
        ]
        yield table(
            "What would change" if is_dry_run else "What changed", *headings, rows=rows, left=headings
        )
    else:
        yield "The database is as the configuration says."
    if result.only_in_database:
        yield f"Only in the database, and left as they are: {', '.join(result.only_in_database)}"


def target_tables(result: TargetResult, unit: str) -> Iterator[RenderableType]:
    """Yield what targeting or withdrawing did."""
    yield from (f"Note: {note}." for note in result.notes)
    counts = {_OUTCOMES[name]: result.counts[name] for name in _OUTCOMES if result.counts.get(name)}
    if result.bad_lines:
        counts["not taken: see above"] = result.bad_lines.count()
    yield counts_table(result.instance.reference, "", "contacts", counts)
    if result.reported:
        shown = ", ".join(str(each.line) for each in result.reported[:_SHOWN_LINES])
        more = " and more" if len(result.reported) > _SHOWN_LINES else ""
        yield f"Left out, {PLURALS[unit]}: {shown}{more}"


def hold_lines(hold: Hold | None) -> list[RenderableType]:
    """Return the warning that an organisation is held; nothing if it is not."""
    return [] if hold is None else [line(("Held: ", "bold red"), str(hold))]


def _instance(row: InstanceRow) -> dict[str, Any]:
    return {"instance": row.reference, **asdict(row)}
