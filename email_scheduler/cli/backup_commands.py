"""``email-scheduler backup``: making, listing, checking and restoring backups."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from email_scheduler.cli.app import command_group
from email_scheduler.cli.shared import (
    Answer,
    At,
    AtBy,
    AtChanged,
    Yes,
    command,
    confirmed,
    megabytes,
)
from email_scheduler.clock import TIME_ZONE
from email_scheduler.database import (
    Backup,
    ReplacedFile,
    Restored,
    all_backups,
    backup_directory,
    create_backup,
    find_backup,
    require_current_schema,
    restore_backup,
    verify_backup,
)
from email_scheduler.database import replace_file as put_in_place
from email_scheduler.reports.terminal import table, unbroken

backup = command_group()


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
@command
def create(
    at: AtChanged,
    scope: Annotated[
        str | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            parser=_scope,
            help="planner_tables or database. [default: audit.backup_scope]",
        ),
    ] = None,
) -> Answer:
    """Make a backup now, and check it."""
    require_current_schema(at.url, at.settings)
    made = create_backup(at.url, at.settings, scope=scope)
    directory = backup_directory(at.url, at.settings)
    rows = made.rows["email_schedules"]
    line = f"Backup {made.name}: {rows:,} rows of email_schedules, {megabytes(made.bytes)}, checked."
    return Answer(_object(directory, made), [unbroken(line), unbroken(made.file(directory))])


@backup.command("list")
@command
def list_(at: At) -> Answer:
    """List the backups of a database, the latest first."""
    directory = backup_directory(at.url, at.settings)
    found, damaged = all_backups(directory)
    headings = ("name", "made, US Central", "for", "scope", "emails", "size", "file")
    rows: list[tuple[object, ...]] = [
        (
            each.name,
            each.moment.astimezone(TIME_ZONE).strftime("%a %Y-%m-%d %H:%M"),
            each.made_for,
            each.scope,
            each.rows["email_schedules"],
            megabytes(each.bytes),
            _state(directory, each),
        )
        for each in found
    ]
    rows += [(each.name, *[None] * 5, "damaged") for each in damaged]
    rows.sort(key=lambda row: str(row[0]), reverse=True)
    return Answer(
        {
            "directory": str(directory),
            "backups": [_object(directory, each) for each in found],
            "damaged": [asdict(each) for each in damaged],
        },
        [
            f"Backups in {directory}:",
            table("", *headings, rows=rows),
            *(each.reason for each in damaged),
        ]
        if rows
        else [f"No backups in {directory}."],
    )


@backup.command()
@command
def verify(name: Name, at: At) -> Answer:
    """Check a backup: its checksum, that it can be read, and how many rows it holds."""
    directory, found = find_backup(at.url, at.settings, name)
    verify_backup(directory, found)
    return Answer(
        {**_object(directory, found), "is_sound": True},
        [unbroken(f"Backup {found.name} is sound: {found.file(directory)}")],
    )


@backup.command()
@command
def restore(
    name: Name,
    at: AtBy,
    yes: Yes = False,
    replace_file: Annotated[
        bool,
        typer.Option(
            "--replace-file",
            help="Put a backup of the whole database in the place of a SQLite file that cannot be read.",
        ),
    ] = False,
) -> Answer:
    """Bring the planner's rows back to a backup; what was sent since stays sent."""
    directory, found = find_backup(at.url, at.settings, name)
    made = found.moment.astimezone(TIME_ZONE).strftime("%A, %Y-%m-%d, %H:%M")
    if not yes and not confirmed(
        f"Restore the backup of {made} ({found.rows['email_schedules']:,} rows of email_schedules)?"
    ):
        raise typer.Abort
    if replace_file:
        replaced = put_in_place(at.url, at.settings, directory, found, restored_by=at.who)
        return Answer(asdict(replaced), _replaced_lines(replaced))
    restored = restore_backup(at.url, at.settings, directory, found, restored_by=at.who)
    return Answer(asdict(restored), _restored_lines(restored))


def _replaced_lines(result: ReplacedFile) -> Iterator[RenderableType]:
    yield f"Backup {result.name} is the database now. The file before: {result.kept or 'there was none'}"
    if result.carried_over is None:
        yield (
            f"Nobody knows what was sent since: {result.unresolved:,} rows that were due are processing now."
            " Ask the provider about each (docs/sending.md, After a crash)."
        )
    else:
        yield f"{result.carried_over:,} rows of the sending system were carried over."
    if result.lost:
        yield f"Rows since the backup could not be read: {', '.join(result.lost)}."
    yield "The organisation is held: plan again, then email-scheduler release."


def _restored_lines(result: Restored) -> Iterator[RenderableType]:
    yield f"Backup {result.name} is restored: {result.planned:,} planned rows."
    yield f"{result.returned:,} came back, {result.left:,} left for the archive."
    yield f"{result.answered:,} did not come back: the sending system has taken them since."
    if result.recovered:
        yield f"{result.recovered:,} rows of the sending system had been lost, and came back."
    yield f"What was there before is in backup {result.kept}."
    held = "The organisation is held" if result.is_held else "The organisation was held already, and still is"
    yield f"{held}: plan again, then email-scheduler release."


def _object(directory: Path, found: Backup) -> dict[str, Any]:
    return {**asdict(found), "file": str(found.file(directory)), "state": _state(directory, found)}


def _state(directory: Path, found: Backup) -> str:
    """Return what can be seen at once of a backup's file."""
    file = found.file(directory)
    if not file.exists():
        return "missing"
    return "there" if file.stat().st_size == found.bytes else "damaged"
