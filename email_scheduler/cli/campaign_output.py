"""Campaigns on a terminal and as JSON. Counts and ids, nobody's data."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from email_scheduler.cli.shared import out, print_json, tell_bad_lines
from email_scheduler.operations.campaigns import Selection, TargetResult
from email_scheduler.operations.campaigns.catalogue import InstanceRow, TypeRow
from email_scheduler.operations.campaigns.results import InstanceCounts, InstanceReport, LogRow
from email_scheduler.operations.campaigns.selections import source_of
from email_scheduler.operations.campaigns.stored_values import to_json
from email_scheduler.operations.campaigns.sync import SyncResult
from email_scheduler.operations.csv_files.bad_lines import PLURALS
from email_scheduler.storage.holds import Hold

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
_SHOWN_DATES: Final = 31


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


def types_table(types: list[TypeRow]) -> RenderableType:
    """Return the list of types."""
    headings = (
        "type",
        "active",
        "priority",
        "days",
        "windows",
        "follow-ups",
        "all",
        "used",
    )
    table = plain_table("Campaign types", *headings)
    for each in types:
        table.add_row(
            each.name,
            _yes(each.active),
            str(each.priority),
            str(each.days_before_event),
            _yes(each.respect_exclusion_windows),
            _yes(each.enable_followups),
            _yes(each.target_all_contacts),
            f"{each.instances:,}",
        )
    return table


def instances_table(found: list[InstanceCounts], hold: Hold | None) -> RenderableType:
    """Return the list of instances."""
    table = plain_table(
        "Campaign instances", "instance", "id", "active", "from", "to", "targets", "planned", "sent"
    )
    for each in found:
        row = each.instance
        table.add_row(
            row.reference,
            str(row.id),
            _yes(row.active),
            _or_none(row.active_start_date),
            _or_none(row.active_end_date),
            f"{each.targets:,}",
            f"{each.planned:,}",
            f"{each.sent:,}",
        )
    return Group(*hold_lines(hold), table)


def report_tables(report: InstanceReport, hold: Hold | None) -> RenderableType:
    """Return all that there is to say about an instance."""
    row, of_type = report.instance, report.campaign_type
    facts = plain_table(f"{row.reference} ({row.id})", "", "")
    facts.show_header = False
    state = "yes" if row.active and of_type.active else "no (stopped)" if not row.active else "no (its type)"
    facts.add_row("active", state)
    facts.add_row("from", _or_none(row.active_start_date))
    facts.add_row("to", _or_none(row.active_end_date))
    facts.add_row("email template", str(row.email_template))
    if row.sms_template:
        facts.add_row("sms template", row.sms_template)
    for key, value in row.metadata.items():
        if key == "variants" and report.variants:
            continue
        facts.add_row(f"metadata.{key}", Text(to_json(value) if isinstance(value, dict) else str(value)))
    facts.add_row("contacts", _whom(report))
    parts: list[RenderableType] = [*hold_lines(hold), facts]
    parts += [
        counts_table("Listed contacts", "status", "contacts", report.targets),
        counts_table("Planned", "date", "emails", dict(islice(report.planned_by_date.items(), _SHOWN_DATES))),
    ]
    if len(report.planned_by_date) > _SHOWN_DATES:
        later = list(report.planned_by_date.items())[_SHOWN_DATES:]
        parts.append(Text(f"and {sum(count for _, count in later):,} on {len(later)} later dates"))
    achieved = {
        **{f"taken: {status}": count for status, count in report.emails_by_status.items()},
        "sent": report.sent,
        "clicked": report.clicked,
        "answered": report.answered,
    }
    follow_ups = {f"{kind}, {status}": count for (kind, status), count in report.follow_ups.items()}
    parts += [
        counts_table("Skipped", "reason", "emails", report.skipped_by_reason),
        counts_table("Achieved", "", "emails", achieved),
        counts_table("Follow-ups", "kind and status", "emails", follow_ups),
    ]
    return Group(*(part for each in parts for part in (each, "")))


def _whom(report: InstanceReport) -> str:
    if report.is_for_audience:
        return "those of its audience, and those listed"
    return "everybody, and those listed" if report.is_for_everybody else "those listed"


def changes_table(found: list[LogRow]) -> RenderableType:
    """Return the list of changes; what changed stands below its name, since values may be long."""
    table = plain_table("Changes", "at (UTC)", "by", "in a plan", "what")
    for column in table.columns:
        column.justify = "left"
        column.no_wrap = column.header != "what"
    for each in found:
        processed = "yes" if each.is_processed else "not yet" if each.requires_rescheduling else "no need"
        name = each.instance or each.campaign_type or ""
        values = (each.new or "") if each.old is None else f"{each.old} → {each.new or '(none)'}"
        table.add_row(
            (each.changed_at or "")[:19],
            Text(each.changed_by or ""),
            processed,
            Text(f"{name}\n{each.field or ''}: {values}"),
        )
    return table


def sync_tables(result: SyncResult, *, is_dry_run: bool) -> RenderableType:
    """Return what syncing changed, or would change."""
    parts: list[RenderableType] = []
    if result.differences:
        title = "What would change" if is_dry_run else "What changed"
        table = plain_table(title, "what", "name", "field", "before", "now")
        for column in table.columns:
            column.justify = "left"
        for each in result.differences:
            table.add_row(
                each.what, each.name, each.field or "(new)", Text(each.old or ""), Text(each.new or "")
            )
        parts.append(table)
    else:
        parts.append(Text("The database is as the configuration says."))
    if result.only_in_database:
        names = ", ".join(result.only_in_database)
        parts.append(Text(f"Only in the database, and left as they are: {names}"))
    return Group(*parts)


def print_target_result(result: TargetResult, selection: Selection, *, as_json: bool) -> None:
    """Print what targeting or withdrawing did; lines that were not taken go to standard error, too."""
    source = source_of(selection)
    bad = tell_bad_lines(result.bad_lines, source.name, source.unit)
    if as_json:
        reported = [asdict(each) for each in result.reported]
        instance = {"id": result.instance.id, "instance": result.instance.reference}
        notes = {"notes": list(result.notes)} if result.notes else {}
        print_json({**instance, "counts": result.counts, "reported": reported, "bad_lines": bad, **notes})
        return
    for note in result.notes:
        out.print(f"Note: {note}.")
    counts = {_OUTCOMES[name]: result.counts[name] for name in _OUTCOMES if result.counts.get(name)}
    if result.bad_lines:
        counts["not taken: see above"] = result.bad_lines.count()
    out.print(counts_table(result.instance.reference, "", "contacts", counts))
    if result.reported:
        shown = ", ".join(str(each.line) for each in result.reported[:_SHOWN_LINES])
        more = " and more" if len(result.reported) > _SHOWN_LINES else ""
        out.print(f"Left out, {PLURALS[source.unit]}: {shown}{more}")


def hold_lines(hold: Hold | None) -> list[RenderableType]:
    """Return the warning that an organisation is held; nothing if it is not."""
    return [] if hold is None else [Text.assemble(("Held: ", "bold red"), str(hold))]


def _instance(row: InstanceRow) -> dict[str, Any]:
    return {"instance": row.reference, **asdict(row)}


def counts_table(title: str, heading: str, unit: str, counts: Mapping[Any, int]) -> RenderableType:
    """Return how many there are of each."""
    table = plain_table(title, heading, unit)
    for name, count in counts.items():
        table.add_row("(none)" if name is None else str(name), f"{count:,}")
    if not counts:
        table.add_row("none", "0")
    return table


def plain_table(title: str, *headings: str) -> Table:
    """Return a table without rows, whose first column is text and whose others are numbers."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        min_width=len(title),
    )
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=number == 0)
    return table


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _or_none(value: object) -> str:
    return "-" if value is None else str(value)
