"""``email-scheduler shadow``: our plan beside that of the older program, before ours counts."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.text import Text

from email_scheduler.cli.campaign_output import plain_table
from email_scheduler.cli.shared import (
    AnyDatabase,
    AsJson,
    Config,
    OrganizationName,
    database_and_config,
    err,
    out,
    parse_date,
    print_json,
)
from email_scheduler.clock import today
from email_scheduler.operations.cutover.comparison import OUTCOMES
from email_scheduler.operations.cutover.shadow import Shadow, shadow_run
from email_scheduler.operations.private_output import private_output

_SHOWN_REASONS: Final = 25
_WIDEST: Final = 200


def shadow(
    beside: Annotated[
        str,
        typer.Option("--beside", metavar="PLAN", help="The older program's plan: a database, or a CSV file."),
    ],
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_of: Annotated[
        date | None,
        typer.Option("--as-of", metavar="DATE", parser=parse_date, help="The date to plan for, YYYY-MM-DD."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the emails that differ to a CSV file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Plan, publish nothing, and show what the older program has planned otherwise, by type and reason."""
    url, settings = database_and_config(database, organization, config)
    with err.status("") as status:
        found = shadow_run(url, settings, as_of or today(), beside, on_phase=status.update)
    written = None if csv is None else _write(found, csv)
    if as_json:
        print_json(_as_object(found))
        return
    title = f"Plan for {found.as_of:%A, %Y-%m-%d}, beside {found.beside}"
    out.print(Text(title, style="bold"), "", sep="\n", soft_wrap=True)
    tables = _tables(found)
    # a number that is cut off would be another one, so that lines may be longer than they should be
    needed = Measurement.get(out, out.options.update(width=_WIDEST), tables).maximum
    Console(highlight=False, width=max(out.width, needed)).print(tables)
    if written is not None:
        out.print(f"Emails that differ, written to {csv}: {written:,}", markup=False, soft_wrap=True)


def _write(found: Shadow, path: Path) -> int:
    with private_output(path) as file:
        return found.write_differences(file)


def _as_object(found: Shadow) -> dict[str, Any]:
    return {
        "as_of": found.as_of.isoformat(),
        "beside": found.beside,
        "by_type": found.by_type(),
        "by_reason": found.by_reason(),
    }


def _tables(found: Shadow) -> RenderableType:
    by_type, by_reason = found.by_type(), found.by_reason()
    types = plain_table(
        "Emails by type",
        "email type",
        *(each.replace("skipped_", "skip\n").replace("_", "\n") for each in OUTCOMES),
    )
    for email_type, counts in by_type.items():
        types.add_row(Text(email_type), *(f"{counts[each]:,}" for each in OUTCOMES))
    types.add_section()
    types.add_row("all", *(f"{sum(row[each] for row in by_type.values()):,}" for each in OUTCOMES))
    reasons = plain_table("Why they differ", "outcome", "reason", "email type", "emails")
    for column in reasons.columns[:3]:
        column.justify = "left"
    for row in by_reason[:_SHOWN_REASONS]:
        names = (Text(_words(row["outcome"])), Text(row["reason"]), Text(row["email_type"]))
        reasons.add_row(*names, f"{row['rows']:,}")
    if len(by_reason) > _SHOWN_REASONS:
        rest = sum(row["rows"] for row in by_reason[_SHOWN_REASONS:])
        reasons.add_row(f"{len(by_reason) - _SHOWN_REASONS} others", "", "", f"{rest:,}")
    why = reasons if by_reason else Text("The plans do not differ.")
    return Group(types, "", why)


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")
