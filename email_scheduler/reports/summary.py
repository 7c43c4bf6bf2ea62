"""What an operator wants to know of a plan, as tables and bars for the terminal. Counts only, nobody's data.

Each function turns frames and counts into something that ``rich`` prints; none reads a database or a clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import pandas as pd
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table

from email_scheduler.planning import Axis, Cube, Plan, emails_by_day, from_day, to_day
from email_scheduler.registry import INVALIDATING_ISSUES, PRE_SCHEDULED, SKIPPED, STATUSES
from email_scheduler.reports.terminal import line, table

SHOWN_DAYS: Final = 14
NOTHING_CHANGED: Final = "Nothing changed."

_SHOWN_REASONS: Final = 20
_SHOWN_CHANGES: Final = 20
_WIDEST_BAR: Final = 60
# "Mon 2026-11-23  1,234,567  "
_BESIDE_BAR: Final = 28
_ALTERATIONS: Final = ("added", "changed", "removed")


def plan_summary(
    plan: Plan,
    changes: Mapping[str, int] | None = None,
    warnings: Sequence[str] = (),
    *,
    is_dry_run: bool = False,
) -> RenderableType:
    """Return all that there is to say about a plan.

    Args:
        plan: The plan.
        changes: Rows ``added``, ``changed``, ``removed`` and ``unchanged`` by publishing it; None: it was not
            compared with what was published before.
        warnings: What the operator should look at, a sentence each.
        is_dry_run: Nothing was written; the changes are those that there would be.
    """
    parts: list[RenderableType] = [
        line(f"Plan for {plan.as_of:%A}, {plan.as_of.isoformat()}", style="bold"),
        contacts_table(plan.contact_count, len(plan.contacts), plan.issues),
        email_types_table(plan.counts.rows),
        skip_reasons_table(plan.counts.rows),
        volume_bars(
            emails_by_day(plan.counts, plan.fixed, SHOWN_DAYS, plan.as_of),
            plan.as_of,
            plan.daily_cap,
            plan.daily_limit,
        ),
    ]
    if changes is not None:
        parts.append(change_line(changes, is_dry_run=is_dry_run))
    if warnings:
        parts.append(warning_list(warnings))
    return Group(*(part for each in parts for part in (each, "")))


def contacts_table(contact_count: int, valid_count: int, issues: pd.DataFrame) -> Table:
    """Return how many contacts are valid, why the others are not, and what was noted of the valid ones.

    Args:
        contact_count: Contacts, valid or not.
        valid_count: Valid ones.
        issues: ``CONTACT_ISSUES``.
    """
    counts = Cube.count({"issue": Axis.of_labels(issues["issue"])}).most_frequent("issue")
    rows = [("valid", valid_count), ("not valid", contact_count - valid_count)]
    rows += [(f"  {_words(issue)}", counts[issue]) for issue in INVALIDATING_ISSUES if issue in counts]
    rows += [
        (f"noted: {_words(issue)}", counts[issue]) for issue in counts if issue not in INVALIDATING_ISSUES
    ]
    return table("Contacts", "", "", rows=rows, header=False)


def email_types_table(rows: Cube) -> Table:
    """Return the rows of a plan (``PlanCounts.rows``) by email type and status."""
    totals = rows.counts_by("status")
    return table(
        "Rows of the plan",
        *("email type", PRE_SCHEDULED, SKIPPED),
        rows=[
            (str(email_type), *(counts.get(name, 0) for name in STATUSES))
            for email_type, counts in rows.table("email_type", "status").items()
        ],
        footer=("all", *(totals.get(name, 0) for name in STATUSES)),
    )


def skip_reasons_table(rows: Cube) -> Table:
    """Return why rows of a plan (``PlanCounts.rows``) are skipped, the most frequent reason first."""
    counts = list(rows.where(status=SKIPPED).most_frequent("reason").items())
    shown = [(str(reason), count) for reason, count in counts[:_SHOWN_REASONS]]
    others = counts[_SHOWN_REASONS:]
    if others:
        shown.append((f"{len(others)} other reasons", sum(count for _, count in others)))
    return table("Why emails are skipped", "reason", "rows", rows=shown or [("nothing is skipped", 0)])


def volume_bars(volume: list[int], as_of: date, daily_cap: int, daily_limit: int) -> RenderableType:
    """Return the emails of some days as bars against the daily cap.

    Args:
        volume: Emails of each day.
        as_of: The first day shown.
        daily_cap: Emails that a day takes.
        daily_limit: The largest volume that does not count as over the limit.
    """
    return _VolumeBars(to_day(as_of), volume, daily_cap, daily_limit)


def change_line(changes: Mapping[str, int], *, is_dry_run: bool = False) -> RenderableType:
    """Return what publishing changed, or would change: rows added, changed, removed and unchanged."""
    unchanged = f"{changes['unchanged']:,} rows"
    if not any(changes[name] for name in _ALTERATIONS):
        text = (
            f"Nothing would change: {unchanged} stay."
            if is_dry_run
            else f"{NOTHING_CHANGED} {unchanged} stay."
        )
        return line(text, style="green")
    counts = ", ".join(f"{changes[name]:,} {name}" for name in (*_ALTERATIONS, "unchanged"))
    return line(f"Rows {'there would be' if is_dry_run else 'published'}: {counts}.", style="green")


def changes_table(changes: Mapping[str, Mapping[str, int]]) -> Table:
    """Return what publishing changed, or would change, by email type.

    Args:
        changes: Email type to the numbers of rows ``added``, ``changed`` and ``removed``; a number that is
            left out is 0.
    """
    rows = [
        (email_type, *(counts.get(name, 0) for name in _ALTERATIONS))
        for email_type, counts in changes.items()
    ]
    return table("Changes", "email type", *_ALTERATIONS, rows=rows)


def change_name(campaign_type: str | float | None, instance_id: int) -> str:
    """Return what a change of campaigns is about; a plan that was restored is about all of them."""
    of = f" ({instance_id})" if instance_id else ""
    return f"all campaigns{of}" if pd.isna(campaign_type) else f"{campaign_type}{of}"


def effects_table(effects: pd.DataFrame) -> Table:
    """Return what the plan made, or would make, of each change of campaigns (``CHANGE_EFFECTS``)."""
    rows: list[tuple[object, ...]] = [
        (
            change_name(row["campaign_type"], row["campaign_instance_id"]),
            row["field_changed"],
            *(row[name] for name in ("contacts", *_ALTERATIONS)),
        )
        for row in effects.head(_SHOWN_CHANGES).to_dict("records")
    ]
    if len(effects) > _SHOWN_CHANGES:
        rows.append((f"{len(effects) - _SHOWN_CHANGES:,} more changes",))
    headings = ("change", "field", "contacts", *_ALTERATIONS)
    return table("Changes of campaigns in this plan", *headings, rows=rows, left={"field"})


def warning_list(warnings: Sequence[str]) -> RenderableType:
    """Return the warnings, one a paragraph."""
    return Group(*(line(("Warning: ", "bold yellow"), text) for text in warnings))


def capacity_warnings(shortfall: pd.DataFrame, daily_cap: int) -> list[str]:
    """Return a sentence for each email type that loses emails because the days are full, and what would help.

    Args:
        shortfall: ``CAPACITY_SHORTFALL``.
        daily_cap: Emails that a day takes now.
    """
    warnings = []
    for row in shortfall.to_dict("records"):
        first, last = from_day(row["first_date"]), from_day(row["last_date"])
        warnings.append(
            f"{row['emails']:,} emails of the type {row['email_type']} find no place from {first} to {last}:"
            f" a day takes {daily_cap:,} emails; about {row['sufficient_cap']:,} a day would do"
            f" (load_balancing.daily_send_percentage_cap: {row['sufficient_percentage_cap']})"
        )
    return warnings


@dataclass(frozen=True)
class _VolumeBars:
    """A bar a day, and a mark where the cap is; drawn with what the terminal can show."""

    first_day: int
    volume: list[int]
    daily_cap: int
    daily_limit: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(10, min(_WIDEST_BAR, options.max_width - _BESIDE_BAR))
        scale = max(*self.volume, self.daily_limit, 1)
        block, mark = ("#", "|") if options.ascii_only else ("█", "│")
        yield line(f"The next {len(self.volume)} days", style="bold")
        legend = (
            f"emails a day, without follow-ups still to come; {mark} is the daily cap of {self.daily_cap:,}"
        )
        yield line(legend, style="dim")
        yield line()
        cap_cell = min(width - 1, round(self.daily_cap / scale * width))
        for number, count in enumerate(self.volume):
            filled = max(round(count / scale * width), 1 if count else 0)
            bar = line(f"{from_day(self.first_day + number):%a %Y-%m-%d}  {count:>9,}  ")
            bar.append(block * min(filled, cap_cell), style="cyan")
            bar.append(" " * max(0, cap_cell - filled))
            bar.append(mark, style="bold yellow")
            bar.append(block * max(0, filled - cap_cell - 1), style="yellow")
            yield bar


def _words(issue: str) -> str:
    return issue.replace("_", " ")
