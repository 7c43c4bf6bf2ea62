"""``email-scheduler campaigns``: types, instances, targets, results, changes."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from email_scheduler.campaigns import (
    AllContacts,
    ById,
    FromCsv,
    NewInstance,
    Selection,
    TargetResult,
    Where,
    selection_source,
)
from email_scheduler.cli import campaign_output as show_as
from email_scheduler.cli.app import command_group
from email_scheduler.cli.campaign_setting_commands import Instance, campaigns_at, hold_at, instances, types
from email_scheduler.cli.shared import (
    Answer,
    AsOf,
    At,
    AtBy,
    DryRun,
    Force,
    SkipBad,
    command,
    csv_output_option,
    date_option,
    tell_bad_lines,
)
from email_scheduler.clock import today
from email_scheduler.errors import UsageError

campaigns = command_group()
campaigns.add_typer(types, name="types")
campaigns.add_typer(instances, name="instances")

Ids = Annotated[
    str | None, typer.Option("--ids", metavar="ID,ID...", help="Contacts by id, commas between them.")
]
Csv = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", help="A CSV file with contact_id or email, trigger_date, ..."),
]
Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Contacts by columns, such as state=CA,TX or effective_month=11; state is that of the ZIP. Given"
        " more than once, all must hold.",
    ),
]
All = Annotated[bool, typer.Option("--all", help="Every contact.")]
TriggerDate = Annotated[
    date | None,
    date_option(
        "--trigger-date",
        says="The trigger date of contacts without one of their own, or for which the file names none."
        " Without it: that of the instance.",
    ),
]


@campaigns.command()
@command
def target(
    instance: Instance,
    at: AtBy,
    ids: Ids = None,
    csv: Csv = None,
    where: Conditions = None,
    everybody: All = False,
    trigger_date: TriggerDate = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Also contacts to whom the instance has written (on another trigger date), and those that"
            " were withdrawn.",
        ),
    ] = False,
    skip_bad: SkipBad = False,
) -> Answer:
    """Make contacts targets of a campaign instance."""
    selection = _selection(ids, csv, where, everybody=everybody)
    return _told(
        campaigns_at(at).target(
            instance, selection, trigger_date=trigger_date, again=again, skip_bad=skip_bad
        ),
        selection,
    )


@campaigns.command()
@command
def withdraw(
    instance: Instance,
    at: AtBy,
    ids: Ids = None,
    csv: Csv = None,
    where: Conditions = None,
    everybody: All = False,
    skip_bad: SkipBad = False,
) -> Answer:
    """Keep contacts out of a campaign instance, also of one for everybody."""
    selection = _selection(ids, csv, where, everybody=everybody)
    return _told(campaigns_at(at).withdraw(instance, selection, skip_bad=skip_bad), selection)


@campaigns.command()
@command
def show(
    instance: Instance,
    at: At,
    csv: Annotated[
        Path | None,
        csv_output_option("Write its listed contacts to a CSV file, too."),
    ] = None,
    force: Force = False,
) -> Answer:
    """Show what a campaign instance has in store, and what it has achieved."""
    output = at.output(csv, force=force)
    service = campaigns_at(at)
    report, hold = service.show(instance), hold_at(at)
    if output is not None:
        service.write_targets(instance, output)
    return Answer(
        {"hold": show_as.hold_object(hold), **show_as.report_object(report)},
        show_as.report_tables(report, hold),
    )


@campaigns.command()
@command
def preview(
    at: At,
    instance: Annotated[
        str | None, typer.Argument(metavar="[INSTANCE]", help="TYPE/NAME, or the id.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="One instance, written as in campaigns.yaml."),
    ] = None,
    ids: Ids = None,
    csv: Csv = None,
    where: Conditions = None,
    everybody: All = False,
    trigger_date: TriggerDate = None,
    as_of: AsOf = None,
) -> Answer:
    """Show what a campaign instance will do, and to which other emails; change nothing."""
    has_selection = ids is not None or csv is not None or where or everybody
    service = campaigns_at(at)
    found = service.preview(
        _saved_or_new(instance, file),
        as_of or today(),
        selection=_selection(ids, csv, where, everybody=everybody) if has_selection else None,
        trigger_date=trigger_date,
    )
    hold = hold_at(at)
    return Answer(show_as.preview_object(found, hold), show_as.preview_tables(found, hold))


@campaigns.command()
@command
def sync(at: AtBy, dry_run: DryRun = False) -> Answer:
    """Bring types and instances to what the configuration says; nothing is removed."""
    result = campaigns_at(at).sync(dry_run=dry_run)
    return Answer(
        show_as.sync_object(result, is_dry_run=dry_run), show_as.sync_tables(result, is_dry_run=dry_run)
    )


@campaigns.command()
@command
def changes(
    at: At,
    instance: Annotated[
        str | None, typer.Option("--instance", metavar="INSTANCE", help="Of one instance only.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1_000_000, help="How many.")] = 50,
) -> Answer:
    """List the latest changes of campaigns, the latest first."""
    found = campaigns_at(at).changes(limit=limit, instance=instance)
    return Answer({"changes": [show_as.log_object(each) for each in found]}, [show_as.changes_table(found)])


def _told(result: TargetResult, selection: Selection) -> Answer:
    source = selection_source(selection)
    bad = tell_bad_lines(result.bad_lines, source.name, source.unit)
    return Answer(show_as.target_object(result, bad), show_as.target_tables(result, source.unit))


def _saved_or_new(instance: str | None, file: Path | None) -> str | NewInstance:
    if instance is not None and file is None:
        return instance
    if instance is None and file is not None:
        return NewInstance.read(file)
    raise UsageError("accepted is either INSTANCE or --file FILE, one of the two")


def _selection(ids: str | None, csv: Path | None, where: list[str] | None, *, everybody: bool) -> Selection:
    given = [ids is not None, csv is not None, bool(where), everybody]
    if sum(given) != 1:
        raise UsageError("accepted is one of --ids, --csv, --where and --all")
    if ids is not None:
        return ById(_numbers(ids))
    if csv is not None:
        return FromCsv(csv)
    return Where(where) if where else AllContacts()


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdigit() and len(part) <= 18):
            raise UsageError(f"--ids: {part!r}; accepted are whole numbers with commas between them")
    return [int(part) for part in parts]
