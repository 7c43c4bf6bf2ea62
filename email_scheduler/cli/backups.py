"""``email-scheduler backup``: making, listing, checking and restoring backups."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group

from email_scheduler.cli.campaign_output import plain_table
from email_scheduler.cli.shared import (
    AnyDatabase,
    AsJson,
    By,
    Config,
    OrganizationName,
    database_and_config,
    out,
    print_json,
)
from email_scheduler.clock import TIME_ZONE
from email_scheduler.operations.campaigns.session import current_user
from email_scheduler.storage.backups import (
    Backup,
    backup_directory,
    create_backup,
    find_backup,
    finished_backups,
    verify_backup,
)
from email_scheduler.storage.replace_file import ReplacedFile
from email_scheduler.storage.replace_file import replace_file as put_in_place
from email_scheduler.storage.restore import Restored, restore_backup
from email_scheduler.storage.schema import require_current_schema

backup = typer.Typer(help="Make, list, check and restore backups.", no_args_is_help=True)


def _scope(text: str) -> str:
    if text not in {"planner_tables", "database"}:
        raise typer.BadParameter(f"{text!r}; accepted is planner_tables or database")
    return text


Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="As list shows it, latest, or the path of the file.", show_default=False
    ),
]


@backup.command()
def create(
    scope: Annotated[
        str | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            parser=_scope,
            help="planner_tables or database. [default: audit.backup_scope]",
        ),
    ] = None,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a backup now, and check it."""
    url, settings = database_and_config(database, organization, config)
    require_current_schema(url, settings)
    made = create_backup(url, settings, scope=scope)
    directory = backup_directory(url, settings)
    if as_json:
        print_json(_object(directory, made))
    else:
        rows = made.rows["email_schedules"]
        out.print(
            f"Backup {made.name}: {rows:,} rows of email_schedules, {_size(made.bytes)}, checked.",
            made.file(directory),
            sep="\n",
            soft_wrap=True,
        )


@backup.command("list")
def list_(
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the backups of a database, the latest first."""
    url, settings = database_and_config(database, organization, config)
    directory = backup_directory(url, settings)
    found = finished_backups(directory)
    if as_json:
        print_json({"directory": str(directory), "backups": [_object(directory, each) for each in found]})
        return
    table = plain_table("", "name", "made, US Central", "for", "scope", "emails", "size", "file")
    for each in found:
        made = each.moment.astimezone(TIME_ZONE).strftime("%a %Y-%m-%d %H:%M")
        emails = f"{each.rows['email_schedules']:,}"
        table.add_row(
            each.name, made, each.made_for, each.scope, emails, _size(each.bytes), _state(directory, each)
        )
    out.print(Group(f"Backups in {directory}:", table) if found else f"No backups in {directory}.")


@backup.command()
def verify(
    name: Name,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Check a backup: its checksum, that it can be read, and how many rows it holds."""
    url, settings = database_and_config(database, organization, config)
    directory, found = find_backup(url, settings, name)
    verify_backup(directory, found)
    if as_json:
        print_json({**_object(directory, found), "is_sound": True})
    else:
        out.print(f"Backup {found.name} is sound: {found.file(directory)}", soft_wrap=True)


@backup.command()
def restore(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    replace_file: Annotated[
        bool,
        typer.Option("--replace-file", help="Put it in the place of a SQLite file that cannot be read."),
    ] = False,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Bring the planner's rows back to a backup; what was sent since stays sent."""
    url, settings = database_and_config(database, organization, config)
    directory, found = find_backup(url, settings, name)
    made = found.moment.astimezone(TIME_ZONE).strftime("%A, %Y-%m-%d, %H:%M")
    if not yes and not typer.confirm(
        f"Restore the backup of {made} ({found.rows['email_schedules']:,} rows of email_schedules)?", err=True
    ):
        raise typer.Abort
    who = by or current_user()
    if replace_file:
        replaced = put_in_place(url, settings, directory, found, restored_by=who)
        if as_json:
            print_json(asdict(replaced))
        else:
            _show_replaced(replaced)
        return
    result = restore_backup(url, settings, directory, found, restored_by=who)
    if as_json:
        print_json(asdict(result))
    else:
        _show(result)


def _show_replaced(result: ReplacedFile) -> None:
    out.print(f"Backup {result.name} is the database now. The file before: {result.kept or 'there was none'}")
    if result.carried_over is None:
        out.print(
            f"Nobody knows what was sent since: {result.unresolved:,} rows that were due are processing now."
            " Ask the provider about each (docs/sending.md, After a crash)."
        )
    else:
        out.print(f"{result.carried_over:,} rows of the sending system were carried over.")
    if result.lost:
        out.print(f"Rows since the backup could not be read: {', '.join(result.lost)}.")
    out.print("The organisation is held: plan again, then email-scheduler release.")


def _show(result: Restored) -> None:
    out.print(f"Backup {result.name} is restored: {result.planned:,} planned rows.")
    out.print(f"{result.returned:,} came back, {result.left:,} left for the archive.")
    out.print(f"{result.answered:,} did not come back: the sending system has taken them since.")
    if result.recovered:
        out.print(f"{result.recovered:,} rows of the sending system had been lost, and came back.")
    out.print(f"What was there before is in backup {result.kept}.")
    held = "The organisation is held" if result.is_held else "The organisation was held already, and still is"
    out.print(f"{held}: plan again, then email-scheduler release.")


def _object(directory: Path, found: Backup) -> dict[str, Any]:
    return {**asdict(found), "file": str(found.file(directory)), "state": _state(directory, found)}


def _state(directory: Path, found: Backup) -> str:
    """Return what can be seen at once of a backup's file."""
    file = found.file(directory)
    if not file.exists():
        return "missing"
    return "there" if file.stat().st_size == found.bytes else "damaged"


def _size(count: int) -> str:
    return f"{count / 1_000_000:,.1f} MB"
