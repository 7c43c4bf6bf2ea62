"""Differences of configurations and of plans on a terminal and as JSON. Counts only."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from email_scheduler.cli.show import counts_table, table, texts_table
from email_scheduler.config.documents import KeyDifference
from email_scheduler.config.problems import shown
from email_scheduler.operations.plan_difference import KINDS, DifferenceOfPlans
from email_scheduler.planning.dates import from_day

_SHOWN_STATES: Final = 20


def change_object(change: KeyDifference) -> dict[str, Any]:
    """Return a key that differs for JSON."""
    return {"key": change.path, "before": change.before, "after": change.after}


def effect_object(effect: DifferenceOfPlans) -> dict[str, Any]:
    """Return what becomes of emails for JSON."""
    return {
        "emails_before": effect.before,
        "emails_after": effect.after,
        **effect.totals,
        "dropped_by_reason": effect.dropped_by_reason,
        "by_state_and_type": effect.rows,
    }


def days_object(days: pd.DataFrame) -> list[dict[str, Any]]:
    """Return ``VOLUME_BY_DAY`` for JSON."""
    return [
        {"day": from_day(row["day"]).isoformat(), "before": row["before"], "after": row["after"]}
        for row in days.to_dict("records")
    ]


def changes_table(changes: Sequence[KeyDifference], names: tuple[str, str]) -> RenderableType:
    """Return the keys that differ between two configurations of these names."""
    if not changes:
        return f"Nothing differs between {names[0]} and {names[1]}."
    rows = [(each.path, shown(each.before), shown(each.after)) for each in changes]
    return texts_table("key", *names, rows=rows)


def effect_tables(effect: DifferenceOfPlans, day: date) -> RenderableType:
    """Return what becomes of emails, by type, state and reason."""
    title = Text(f"The plan for {day:%A}, {day.isoformat()}", style="bold")
    line = f"{effect.before:,} emails before, {effect.after:,} afterwards. Nothing was published."
    if not effect.rows:
        return Group("", title, "No email changes.", line)
    return Group(
        "",
        title,
        _effect_table(effect, "email_type", "email type"),
        "",
        _effect_table(effect, "state", "state"),
        "",
        counts_table("Why emails are dropped", "reason", "emails", effect.dropped_by_reason),
        "",
        line,
    )


def days_table(title: str, days: pd.DataFrame) -> RenderableType:
    """Return ``VOLUME_BY_DAY`` and by how much the days differ."""
    rows = [
        (
            f"{from_day(row['day']):%a %Y-%m-%d}",
            row["before"],
            row["after"],
            f"{difference:+,}" if (difference := row["after"] - row["before"]) else "",
        )
        for row in days.to_dict("records")
    ]
    return table(title, "day", "before", "after", "difference", rows=rows)


def _effect_table(effect: DifferenceOfPlans, column: str, heading: str) -> RenderableType:
    counts = effect.by(column)
    most = sorted(counts, key=lambda label: -sum(counts[label].values()))
    rows: list[tuple[object, ...]] = [(label, *counts[label].values()) for label in most[:_SHOWN_STATES]]
    if len(most) > _SHOWN_STATES:
        rows.append((f"{len(most) - _SHOWN_STATES} more",))
    rows.append(("all", *effect.totals.values()))
    return table("", heading, *KINDS, rows=rows)
