"""``email-scheduler campaigns types`` and ``campaigns instances``: lists and settings."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from email_scheduler.cli import campaign_output as show_as
from email_scheduler.cli.settings import parse_settings
from email_scheduler.cli.shared import (
    AnyDatabase,
    AsJson,
    By,
    Config,
    OrganizationName,
    database_and_config,
    out,
    parse_date,
    print_json,
)
from email_scheduler.errors import UsageError
from email_scheduler.operations.campaigns import Campaigns
from email_scheduler.storage.campaign_log import LoggedChange
from email_scheduler.storage.holds import current_hold

types = typer.Typer(help="List campaign types; create and change them.", invoke_without_command=True)
instances = typer.Typer(help="List campaign instances; create and change them.", invoke_without_command=True)

Instance = Annotated[str, typer.Argument(metavar="INSTANCE", help="TYPE/NAME, or the id.")]
TypeName = Annotated[str, typer.Argument(metavar="NAME", help="The name of the type.")]
Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE...", help="Settings, as in campaigns.yaml.", show_default=False),
]


def opened(
    database: str | None, organization: str | None, config: Path | None, by: str | None = None
) -> Campaigns:
    """Return the campaigns of the organisation that is meant."""
    url, settings = database_and_config(database, organization, config)
    return Campaigns(url, settings, changed_by=by)


@types.callback()
def list_types(
    context: typer.Context,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List campaign types; with a command: create and change them."""
    if context.invoked_subcommand is None:
        found = opened(database, organization, config).types()
        if as_json:
            print_json({"types": [show_as.type_object(each) for each in found]})
        else:
            out.print(show_as.types_table(found))


@types.command("create")
def create_type(
    name: TypeName,
    settings: Settings = None,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Create a campaign type."""
    made = opened(database, organization, config, by).create_type(name, **parse_settings(settings or ()))
    if as_json:
        print_json(show_as.type_object(made))
    else:
        out.print(f"Campaign type {made.name} is there.")


@types.command("change")
def change_type(
    name: TypeName,
    settings: Settings = None,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Change settings of a campaign type."""
    service = opened(database, organization, config, by)
    _print_changes(service.change_type(name, **_some(settings)), as_json=as_json)


@types.command("activate")
def activate_type(
    name: TypeName,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Switch a campaign type on."""
    service = opened(database, organization, config, by)
    _print_changes(service.change_type(name, active=True), as_json=as_json)


@types.command("deactivate")
def deactivate_type(
    name: TypeName,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Switch a campaign type off at once, with all of its instances."""
    service = opened(database, organization, config, by)
    _print_changes(service.change_type(name, active=False), as_json=as_json)


@instances.callback()
def list_instances(
    context: typer.Context,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List campaign instances; with a command: create and change them."""
    if context.invoked_subcommand is not None:
        return
    service = opened(database, organization, config)
    found, hold = service.instances(), current_hold(service.url, service.config)
    if as_json:
        listed = [show_as.instance_object(each) for each in found]
        print_json({"hold": show_as.hold_object(hold), "instances": listed})
    else:
        out.print(show_as.instances_table(found, hold))


@instances.command("create")
def create_instance(
    name: Annotated[str, typer.Argument(metavar="TYPE/NAME", help="The type, and a name for the instance.")],
    settings: Settings = None,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Create a campaign instance."""
    campaign_type, slash, instance_name = name.partition("/")
    if not slash:
        raise UsageError(f"campaign instance {name!r}; accepted is TYPE/NAME")
    made = opened(database, organization, config, by).create_instance(
        campaign_type, instance_name, **parse_settings(settings or ())
    )
    if as_json:
        print_json({"id": made.id, "instance": made.reference})
    else:
        out.print(f"Campaign instance {made.reference} is there, with the id {made.id}.")


@instances.command("change")
def change_instance(
    instance: Instance,
    settings: Settings = None,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Change settings of a campaign instance."""
    service = opened(database, organization, config, by)
    _print_changes(service.change_instance(instance, **_some(settings)), as_json=as_json)


@instances.command("end")
def end_instance(
    instance: Instance,
    on: Annotated[date, typer.Argument(metavar="DATE", parser=parse_date, help="Its last day.")],
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let a campaign instance end on a date."""
    service = opened(database, organization, config, by)
    _print_changes(service.end_instance(instance, on), as_json=as_json)


@instances.command("stop")
def stop_instance(
    instance: Instance,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Stop a campaign instance at once: none of its emails is due any more."""
    _print_changes(opened(database, organization, config, by).stop_instance(instance), as_json=as_json)


@instances.command("start")
def start_instance(
    instance: Instance,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let a campaign instance that was stopped go on."""
    _print_changes(opened(database, organization, config, by).start_instance(instance), as_json=as_json)


def _some(settings: list[str] | None) -> dict[str, object]:
    if not settings:
        raise UsageError("no setting is given; accepted is KEY=VALUE, such as priority=3")
    return parse_settings(settings)


def _print_changes(found: list[LoggedChange], *, as_json: bool) -> None:
    if as_json:
        print_json({"changes": [{"field": c.field, "old": c.old, "new": c.new} for c in found]})
    elif not found:
        out.print("Nothing changed.")
    else:
        for change in found:
            out.print(f"{change.field}: {change.old} -> {change.new}", markup=False)
