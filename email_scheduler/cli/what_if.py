"""``email-scheduler what-if``: what another configuration would do to the plan, before it counts."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType
from rich.text import Text

from email_scheduler.cli.options import AsOf, At, DatabaseName, OrganizationName, command
from email_scheduler.cli.plan_difference import (
    change_object,
    changes_table,
    days_object,
    days_table,
    effect_object,
    effect_tables,
)
from email_scheduler.cli.show import Answer, err, unbroken
from email_scheduler.clock import today
from email_scheduler.config.loader import (
    ORGANIZATIONS_FILE,
    load_config,
    load_organizations,
    organization_config,
)
from email_scheduler.config.organizations import Organization
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.operations.plan_difference import CHANGED_EMAILS
from email_scheduler.operations.summary import warning_list
from email_scheduler.operations.what_if import WhatIf, write_changed_emails
from email_scheduler.operations.what_if import what_if as compare_configurations
from email_scheduler.planning.dates import to_day

_NAMES: Final = ("in force", "what if")
_MOST_DIFFERENT: Final = 10
_NEXT_DAYS: Final = 30
_NOTHING: Final = "Nothing would change"


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
    database: DatabaseName = None,
    organization: OrganizationName = None,
) -> Answer:
    """Show what another configuration would do to the plan; publish nothing."""
    at = At(database, organization, present)
    url, settings = at.url, at.settings
    tried = _configuration_to_try(other, at.entry)
    with err.status("") as status:
        found = compare_configurations(url, settings, tried, as_of or today(), on_phase=status.update)
    parts = list(_parts(found))
    if csv is not None:
        emails = CHANGED_EMAILS.empty() if found.comparison is None else found.comparison.difference.emails
        written = write_changed_emails(csv, emails)
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
    yield Text("The plan with the other configuration keeps all rules: it was proved.", style="green")
    for name, side in zip(_NAMES, (comparison.before, comparison.after), strict=True):
        lost = "" if side.warnings else ", and every email finds a place"
        yield f"{name}: a day takes {side.daily_cap:,} emails{lost}."
        yield warning_list(side.warnings)
