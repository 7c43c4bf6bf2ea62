"""What ``campaigns preview`` prints."""

from dataclasses import asdict
from itertools import islice
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from email_scheduler.cli.campaign_output import counts_table, hold_lines, hold_object, plain_table
from email_scheduler.operations.campaigns.preview import CampaignPreview
from email_scheduler.planning.audiences import AudienceCounts
from email_scheduler.storage.holds import Hold

_SHOWN_DATES: Final = 31


def preview_object(preview: CampaignPreview, hold: Hold | None) -> dict[str, Any]:
    """Return a preview for JSON."""
    audience = preview.audience
    counts = None if audience is None else {**asdict(audience), "taken": audience.taken}
    return {"hold": hold_object(hold), **asdict(preview), "audience": counts}


def preview_tables(preview: CampaignPreview, hold: Hold | None) -> RenderableType:
    """Return a preview for a terminal."""
    state = "" if preview.is_saved else ", with what is not saved yet"
    title = f"{preview.reference}, planned for {preview.as_of:%A}, {preview.as_of.isoformat()}{state}"
    parts: list[RenderableType] = [*hold_lines(hold), Text(title, style="bold")]
    parts += [Text.assemble(("Note: ", "bold yellow"), note) for note in preview.notes]
    if preview.audience is not None:
        parts.append(_audience_table(preview.audience))
    days = preview.emails_by_day
    parts.append(counts_table("Emails", "date", "emails", dict(islice(days.items(), _SHOWN_DATES))))
    if len(days) > _SHOWN_DATES:
        later = list(days.values())[_SHOWN_DATES:]
        parts.append(Text(f"and {sum(later):,} on {len(later)} later dates"))
    parts += [
        counts_table("Skipped", "reason", "emails", preview.skipped_by_reason),
        _displaced_table(preview),
        Text(f"{sum(days.values()):,} emails for {preview.contacts:,} contacts. Nothing was changed."),
    ]
    return Group(*(part for each in parts for part in (each, "")))


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
    table = plain_table("What becomes of other emails", *headings)
    table.columns[-1].justify = "left"
    for each in preview.displaced:
        counts = (each.later, each.earlier, sum(each.skipped.values()), each.instead)
        why = ", ".join(f"{reason} ({count:,})" for reason, count in each.skipped.items())
        table.add_row(each.email_type, *(f"{count:,}" for count in counts), why)
    return table if preview.displaced else Text("No other email changes.")
