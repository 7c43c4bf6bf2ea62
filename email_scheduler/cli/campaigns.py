"""``email-scheduler campaigns``: types, instances, targets, results, changes."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from email_scheduler.cli import campaign_output as show_as
from email_scheduler.cli.campaign_preview import preview_object, preview_tables
from email_scheduler.cli.campaign_settings import Instance, instances, opened, types
from email_scheduler.cli.campaign_variants import variants_table
from email_scheduler.cli.shared import (
    AnyDatabase,
    AsJson,
    AsOf,
    By,
    Config,
    OrganizationName,
    out,
    parse_date,
    print_json,
)
from email_scheduler.clock import today
from email_scheduler.errors import UsageError
from email_scheduler.operations.campaigns import AllContacts, ById, FromCsv, Selection, Where
from email_scheduler.operations.campaigns.preview import NewInstance
from email_scheduler.storage.holds import current_hold

campaigns = typer.Typer(help="Manage campaigns: types, instances, targets.", no_args_is_help=True)
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
        "--where", metavar="CONDITION", help="Contacts with state=CA,TX; given twice, both must hold."
    ),
]
All = Annotated[bool, typer.Option("--all", help="Every contact.")]
TriggerDate = Annotated[
    date | None,
    typer.Option(
        "--trigger-date", metavar="DATE", parser=parse_date, help="Of contacts without one of their own."
    ),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Take the other lines if some cannot be taken.")]


@campaigns.command()
def target(
    instance: Instance,
    ids: Ids = None,
    csv: Csv = None,
    where: Conditions = None,
    everybody: All = False,
    trigger_date: TriggerDate = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also contacts who had its email, or were withdrawn.")
    ] = False,
    skip_bad: SkipBad = False,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make contacts targets of a campaign instance."""
    selection = _selection(ids, csv, where, everybody=everybody)
    service = opened(database, organization, config, by)
    result = service.target(instance, selection, trigger_date=trigger_date, again=again, skip_bad=skip_bad)
    show_as.print_target_result(result, selection, as_json=as_json)


@campaigns.command()
def withdraw(
    instance: Instance,
    ids: Ids = None,
    csv: Csv = None,
    where: Conditions = None,
    everybody: All = False,
    skip_bad: SkipBad = False,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Keep contacts out of a campaign instance, also of one for everybody."""
    selection = _selection(ids, csv, where, everybody=everybody)
    result = opened(database, organization, config, by).withdraw(instance, selection, skip_bad=skip_bad)
    show_as.print_target_result(result, selection, as_json=as_json)


@campaigns.command()
def show(
    instance: Instance,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write its listed contacts to a CSV file, too."),
    ] = None,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what a campaign instance has in store, and what it has achieved."""
    service = opened(database, organization, config)
    report, hold = service.show(instance), current_hold(service.url, service.config)
    if csv is not None:
        service.write_targets(instance, csv)
    if as_json:
        print_json({"hold": show_as.hold_object(hold), **show_as.report_object(report)})
    else:
        out.print(show_as.report_tables(report, hold))
        if report.variants:
            out.print(variants_table(report.variants))


@campaigns.command()
def preview(
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
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what a campaign instance will do, and to which other emails; change nothing."""
    has_selection = ids is not None or csv is not None or where or everybody
    service = opened(database, organization, config)
    found = service.preview(
        _saved_or_new(instance, file),
        as_of or today(),
        selection=_selection(ids, csv, where, everybody=everybody) if has_selection else None,
        trigger_date=trigger_date,
    )
    hold = current_hold(service.url, service.config)
    if as_json:
        print_json(preview_object(found, hold))
    else:
        out.print(preview_tables(found, hold))


@campaigns.command()
def sync(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Bring types and instances to what the configuration says; nothing is removed."""
    result = opened(database, organization, config, by).sync(dry_run=dry_run)
    if as_json:
        print_json(show_as.sync_object(result, is_dry_run=dry_run))
    else:
        out.print(show_as.sync_tables(result, is_dry_run=dry_run))


@campaigns.command()
def changes(
    instance: Annotated[
        str | None, typer.Option("--instance", metavar="INSTANCE", help="Of one instance only.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 50,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the latest changes of campaigns, the latest first."""
    found = opened(database, organization, config).changes(limit=limit, instance=instance)
    if as_json:
        print_json({"changes": [show_as.log_object(each) for each in found]})
    else:
        out.print(show_as.changes_table(found))


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
