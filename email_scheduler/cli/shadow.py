"""``email-scheduler shadow``: our plan beside that of the older program, before ours counts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType

from email_scheduler.cli.options import AsOf, At, command
from email_scheduler.cli.show import Answer, err, table, unbroken, unsqueezed
from email_scheduler.clock import today
from email_scheduler.operations.cutover.comparison import OUTCOMES
from email_scheduler.operations.cutover.shadow import Shadow, shadow_run
from email_scheduler.operations.private_output import private_output

_SHOWN_REASONS: Final = 25


@command
def shadow(
    beside: Annotated[
        str,
        typer.Option(
            "--beside",
            metavar="PLAN",
            help="What the older program has planned: the URL of a database with its email_schedules, which"
            " is only read, or a CSV file.",
        ),
    ],
    at: At,
    as_of: AsOf = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Write the emails that differ to a CSV file: ids, types, dates, statuses and reasons, its"
            " owner's alone.",
        ),
    ] = None,
) -> Answer:
    """Plan, publish nothing, and show what the older program has planned otherwise, by type and reason."""
    url, settings = at.url, at.settings
    with err.status("") as status:
        found = shadow_run(url, settings, as_of or today(), beside, on_phase=status.update)
    title = f"Plan for {found.as_of:%A, %Y-%m-%d}, beside {found.beside}"
    # a number that is cut off would be another one, so that lines may be longer than they should be
    parts = [unbroken(title, style="bold"), "", unsqueezed(Group(*_tables(found)))]
    if csv is not None:
        with private_output(csv) as file:
            written = found.write_differences(file)
        parts.append(unbroken(f"Emails that differ, written to {csv}: {written:,}"))
    return Answer(_as_object(found), parts)


def _as_object(found: Shadow) -> dict[str, Any]:
    return {
        "as_of": found.as_of.isoformat(),
        "beside": found.beside,
        "by_type": found.by_type(),
        "by_reason": found.by_reason(),
    }


def _tables(found: Shadow) -> Iterator[RenderableType]:
    by_type, by_reason = found.by_type(), found.by_reason()
    headings = (each.replace("skipped_", "skip\n").replace("_", "\n") for each in OUTCOMES)
    rows = [(email_type, *(counts[each] for each in OUTCOMES)) for email_type, counts in by_type.items()]
    types = table("Emails by type", "email type", *headings, rows=rows)
    types.add_section()
    types.add_row("all", *(f"{sum(row[each] for row in by_type.values()):,}" for each in OUTCOMES))
    yield types
    yield ""
    yield _reasons_table(by_reason) if by_reason else "The plans do not differ."


def _reasons_table(by_reason: list[dict[str, Any]]) -> RenderableType:
    rows: list[tuple[object, ...]] = [
        (row["outcome"].replace("_", " "), row["reason"], row["email_type"], row["rows"])
        for row in by_reason[:_SHOWN_REASONS]
    ]
    if len(by_reason) > _SHOWN_REASONS:
        rest = sum(row["rows"] for row in by_reason[_SHOWN_REASONS:])
        rows.append((f"{len(by_reason) - _SHOWN_REASONS} others", "", "", rest))
    headings = ("outcome", "reason", "email type", "emails")
    return table("Why they differ", *headings, rows=rows, left=headings[:3])
