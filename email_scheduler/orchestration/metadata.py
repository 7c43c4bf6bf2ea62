"""What operators see beside each materialisation: counts, tables, seconds. Counts and ids only."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import dagster as dg
import pandas as pd

from email_scheduler.planning import DATE, FLAG, ID, LABEL, NUMBER, TEXT, Axis, Cube, Frame, PlanCounts
from email_scheduler.registry import SKIPPED, STATUSES
from email_scheduler.reports.chart_style import data_uri
from email_scheduler.visible import visible

_MOST_ROWS: Final = 60
# what Markdown would read as more than text; an underscore within a word is one
_MARKUP: Final = re.compile(r"[\\`*\[\]<>&~|]|(?<!\w)_|_(?!\w)")
_TYPES: Final = {ID: "int64", DATE: "date", NUMBER: "int32", FLAG: "bool", TEXT: "string", LABEL: "category"}
ALTERATIONS: Final = ("added", "changed", "removed")
_KINDS: Final = {"later": "moved later", "earlier": "moved earlier"}
# What an email that nothing stops so far counts under.
_NOT_SKIPPED: Final = "not skipped"


def column_schema(frame: Frame) -> dg.TableSchema:
    """Return the columns of a frame; its key as a constraint where it has one."""
    return dg.TableSchema(
        columns=[dg.TableColumn(name, _TYPES[kind]) for name, kind in frame.columns.items()],
        constraints=dg.TableConstraints(other=[f"unique: {', '.join(frame.key)}"] if frame.key else []),
    )


def schemas(frames: Mapping[str, Frame]) -> dict[str, Any]:
    """Return the column schemas of an asset: of its first frame as Dagster's own, of the others by name."""
    first, *others = frames
    return {
        "dagster/column_schema": column_schema(frames[first]),
        **{
            f"columns of {name}": dg.MetadataValue.table_schema(column_schema(frames[name]))
            for name in others
        },
    }


def row_counts(frames: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the rows of the first frame as Dagster's own row count, and of all frames by name."""
    first = next(iter(frames.values()))
    counts = {f"rows of {name}": len(frame) for name, frame in frames.items()}
    return {"dagster/row_count": len(first), **counts}


def issue_counts(issues: pd.DataFrame) -> dict[str, Any]:
    """Return ``CONTACT_ISSUES`` by issue."""
    return {"issues": counts_table(_by("issue", issues["issue"]), "issue", "contacts")}


def schedule_counts(schedules: pd.DataFrame) -> dict[str, Any]:
    """Return emails by type and reason (``SCHEDULES`` or ``FOLLOW_UPS``)."""
    counts = Cube.count(
        {
            "email_type": Axis.of_labels(schedules["email_type"]),
            "reason": Axis.of_labels(schedules["skip_reason"], missing=_NOT_SKIPPED),
        }
    )
    return {"by type and reason": pairs_table(counts, ("email type", "skip reason", "emails"))}


def emails_in_words(schedules: pd.DataFrame) -> str:
    """Return how many emails of a frame are stopped by a reason, and how many are not."""
    skipped = int(schedules["skip_reason"].notna().sum())
    return f"{len(schedules) - skipped:,} emails, and {skipped:,} skipped"


def stretch_counts(stretches: pd.DataFrame) -> dict[str, Any]:
    """Return ``EXCLUSION_STRETCHES`` by reason, which names the state."""
    people = stretches.drop_duplicates(["contact_id", "reason"])
    return {
        "excluded contacts": int(stretches["contact_id"].nunique()),
        "by state and reason": counts_table(_by("reason", people["reason"]), "reason", "contacts"),
    }


def plan_counts(counts: PlanCounts) -> dict[str, Any]:
    """Return the rows of a plan by type and status, and why rows are skipped."""
    by_status = counts.rows.counts_by("status")
    rows = [
        (name, *(statuses.get(status, 0) for status in STATUSES))
        for name, statuses in counts.rows.table("email_type", "status").items()
    ]
    adjusted = counts.rows.counts_by("adjustment")
    skipped = counts.rows.where(status=SKIPPED).counts_by("reason")
    return {
        **{status: by_status.get(status, 0) for status in STATUSES},
        "by type and status": markdown_table(("email type", *STATUSES), rows),
        "skip reasons": counts_table(skipped, "skip reason", "rows"),
        "adjustments": counts_table(adjusted, "adjustment", "rows"),
    }


def change_counts(totals: Mapping[str, int], by_type: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Return what publishing changed since the last plan.

    Args:
        totals: Rows added, changed, removed and unchanged.
        by_type: Email type to rows added, changed and removed.
    """
    rows = [(name, *(counts.get(each, 0) for each in ALTERATIONS)) for name, counts in by_type.items()]
    return {
        **{f"rows {name}": count for name, count in totals.items()},
        "changes since the last plan": markdown_table(("email type", *ALTERATIONS), rows),
    }


def email_change_counts(
    totals: Mapping[str, int], changes: Mapping[str, Mapping[str, Mapping[str, int]]]
) -> dict[str, Any]:
    """Return what publishing did to emails that go out.

    Args:
        totals: Emails added, moved to a later or an earlier day, and cancelled.
        changes: Each of these to email type to reason to emails.
    """
    rows = [
        (kind, email_type, reason, count)
        for kind, types in changes.items()
        for email_type, reasons in types.items()
        for reason, count in sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    ]
    headings = ("change", "email type", "reason", "emails")
    return {
        **{f"emails {_KINDS.get(kind, kind)}": count for kind, count in totals.items()},
        "emails added, moved and cancelled": markdown_table(headings, rows),
    }


def effect_counts(effects: pd.DataFrame) -> dict[str, Any]:
    """Return what each change of campaigns led to (``CHANGE_EFFECTS``)."""
    rows = [
        (
            str(row["id"]),
            "all" if pd.isna(row["campaign_type"]) else row["campaign_type"],
            str(row["campaign_instance_id"] or "all"),
            row["field_changed"],
            *(row[name] for name in ("contacts", *ALTERATIONS)),
        )
        for row in effects.head(_MOST_ROWS).to_dict("records")
    ]
    headings = ("change", "type", "instance", "field", "contacts", *(f"rows {name}" for name in ALTERATIONS))
    return {
        "campaign changes": len(effects),
        "contacts and rows by campaign change": markdown_table(headings, rows),
    }


def picture(png: bytes, text: str) -> dg.MarkdownMetadataValue:
    """Return a picture that is there for as long as the run is remembered: it holds the PNG itself.

    Args:
        png: The picture.
        text: What it shows, for those who do not see it.
    """
    return dg.MetadataValue.md(f"![{text}]({data_uri(png)})")


def hold_metadata(hold: object) -> dict[str, Any]:
    """Return why nothing of the organisation is due; nothing if it is not held."""
    return {} if hold is None else {"held": str(hold)}


def seconds_by_phase(seconds: Mapping[str, float]) -> dict[str, Any]:
    """Return how long a step took, in all and by phase."""
    rows = [(phase, f"{taken:.2f}") for phase, taken in seconds.items()]
    return {
        "seconds": round(sum(seconds.values()), 3),
        "seconds by phase": markdown_table(("phase", "seconds"), rows),
    }


def counts_table(counts: Mapping[str | None, int], heading: str, unit: str) -> dg.MarkdownMetadataValue:
    """Return how often labels occur, the most frequent first; rows without one are left out."""
    ordered = sorted((-count, name) for name, count in counts.items() if name is not None)
    return markdown_table((heading, unit), [(name, -count) for count, name in ordered])


def pairs_table(counts: Cube, headings: tuple[str, str, str]) -> dg.MarkdownMetadataValue:
    """Return how often each pair of labels of a cube with two axes occurs."""
    ordered = sorted((str(left), -count, str(right)) for (left, right), count in counts.cells())
    return markdown_table(headings, [(left, right, -count) for left, count, right in ordered])


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """Return a table; numbers have thousands separators, and of many rows the first ones are shown."""
    rows = list(rows)
    if not rows:
        return dg.MetadataValue.md("none")
    lines = [_line(headings), _line("---:" if isinstance(value, int) else "---" for value in rows[0])]
    lines += [_line([_text(value) for value in row]) for row in rows[:_MOST_ROWS]]
    if len(rows) > _MOST_ROWS:
        lines.append(f"\n{len(rows) - _MOST_ROWS} more rows")
    return dg.MetadataValue.md("\n".join(lines))


def _by(name: str, labels: pd.Series) -> dict[str | None, int]:
    return Cube.count({name: Axis.of_labels(labels)}).counts_by(name)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return _MARKUP.sub(r"\\\g<0>", visible(str(value)))
