"""``email-scheduler what-if``: what another configuration would do to the plan, before it counts.

Also how differences of configurations and of plans are shown. Counts only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import pandas as pd
import typer
from rich.console import Group, RenderableType

from email_scheduler.changes.what_if import WhatIf, write_changed_emails
from email_scheduler.changes.what_if import what_if as compare_configurations
from email_scheduler.cli.shared import (
    Answer,
    AsOf,
    At,
    DatabaseName,
    Force,
    OrganizationName,
    command,
    counts_table,
    err,
)
from email_scheduler.clock import today
from email_scheduler.config import (
    ORGANIZATIONS_FILE,
    KeyDifference,
    Organization,
    SchedulerConfig,
    load_config,
    load_organizations,
    organization_config,
    shown,
)
from email_scheduler.planning import from_day, to_day
from email_scheduler.reports.plan_difference import CHANGED_EMAILS, KINDS, DifferenceOfPlans
from email_scheduler.reports.summary import warning_list
from email_scheduler.reports.terminal import line, table, texts_table, unbroken

_SHOWN_STATES: Final = 20
_NAMES: Final = ("in force", "what if")
_MOST_DIFFERENT: Final = 10
_NEXT_DAYS: Final = 30
_NOTHING: Final = "Nothing would change"


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
    title = line(f"The plan for {day:%A}, {day.isoformat()}", style="bold")
    said = f"{effect.before:,} emails before, {effect.after:,} afterwards. Nothing was published."
    if not effect.rows:
        return Group("", title, "No email changes.", said)
    return Group(
        "",
        title,
        _effect_table(effect, "email_type", "email type"),
        "",
        _effect_table(effect, "state", "state"),
        "",
        counts_table("Why emails are dropped", "reason", "emails", effect.dropped_by_reason),
        "",
        said,
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


@command
def what_if(
    other: Annotated[
        Path,
        typer.Option(
            "--config",
            metavar="OTHER",
            help="The configuration to try: a YAML file, or a directory of them. It is taken as a whole, as"
            " it would count if it took the place of the one in force: what it leaves out has its built-in"
            " value. So begin with a copy: cp -r config trial",
            show_default=False,
        ),
    ],
    present: Annotated[
        Path | None,
        typer.Option(
            "--present",
            metavar="PATH",
            help="The configuration in force, which other commands call --config. With --organization it must"
            " hold organizations.yaml, which says where the database is."
            " [default: config/ if it exists, else the built-in values]",
        ),
    ] = None,
    as_of: AsOf = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Write every email that differs to a CSV file, its owner's alone.",
        ),
    ] = None,
    force: Force = False,
    database: DatabaseName = None,
    organization: OrganizationName = None,
) -> Answer:
    """Show what another configuration would do to the plan; publish nothing."""
    at = At(database, organization, present)
    url, settings = at.url, at.settings
    output = at.output(csv, force=force, kept=[other])
    tried = _configuration_to_try(other, at.entry)
    with err.status("") as status:
        found = compare_configurations(url, settings, tried, as_of or today(), on_phase=status.update)
    parts = list(_parts(found))
    if output is not None:
        emails = CHANGED_EMAILS.empty() if found.comparison is None else found.comparison.difference.emails
        written = write_changed_emails(output, emails)
        parts.append(unbroken(f"Emails that differ, written to {csv}: {written:,}"))
    return Answer(_as_object(found), parts)


def _configuration_to_try(other: Path, organization: Organization | None) -> SchedulerConfig:
    """Read the other configuration as it would count for the organisation.

    The organisation's overrides count for both: those of the other directory if it says what they are, as
    it does when it is to take the place of the present one.
    """
    if organization is None:
        return load_config(other)
    if (other / ORGANIZATIONS_FILE).is_file():
        organization = load_organizations(other).get(organization.name, organization)
    return organization_config(other, organization)


def _as_object(found: WhatIf) -> dict[str, Any]:
    comparison = found.comparison
    if comparison is None:
        return {"as_of": found.as_of.isoformat(), "changes": [], "plan": None}
    difference = comparison.difference
    return {
        "as_of": found.as_of.isoformat(),
        "changes": [change_object(each) for each in found.changes],
        "plan": {
            **effect_object(difference),
            "most_different_days": days_object(difference.most_different_days(_MOST_DIFFERENT)),
            "by_day": days_object(difference.volume),
            "before": asdict(comparison.before),
            "after": asdict(comparison.after),
            "violations_after": 0,
        },
    }


def _parts(found: WhatIf) -> Iterator[RenderableType]:
    comparison = found.comparison
    if comparison is None:
        yield f"{_NOTHING}: the two configurations say the same."
        return
    yield changes_table(found.changes, _NAMES)
    difference = comparison.difference
    yield effect_tables(difference, found.as_of)
    if not len(difference.emails):
        yield f"{_NOTHING} in the plan of this day."
    elif len(difference.volume):
        yield ""
        yield days_table("The days that differ most", difference.most_different_days(_MOST_DIFFERENT))
        yield ""
        first = to_day(found.as_of)
        yield days_table(f"The next {_NEXT_DAYS} days", difference.days_from(first, _NEXT_DAYS))
    yield ""
    yield line("The plan with the other configuration keeps all rules: it was proved.", style="green")
    for name, side in zip(_NAMES, (comparison.before, comparison.after), strict=True):
        lost = "" if side.warnings else ", and every email finds a place"
        yield f"{name}: a day takes {side.daily_cap:,} emails{lost}."
        yield warning_list(side.warnings)
