"""``email-scheduler campaigns types`` and ``campaigns instances``: lists and settings."""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from email_scheduler.cli import campaign_output as show_as
from email_scheduler.cli.app import command_group
from email_scheduler.cli.options import At, AtBy, command, parse_date
from email_scheduler.cli.settings import parse_settings
from email_scheduler.cli.show import Answer
from email_scheduler.errors import UsageError
from email_scheduler.operations.campaigns import Campaigns
from email_scheduler.storage.campaign_log import LoggedChange
from email_scheduler.storage.holds import Hold, current_hold

types = command_group(lists_by_itself=True)
instances = command_group(lists_by_itself=True)

Instance = Annotated[str, typer.Argument(metavar="INSTANCE", help="TYPE/NAME, or the id.")]
TypeName = Annotated[str, typer.Argument(metavar="NAME", help="The name of the type.")]
Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE...", help="Settings, as in campaigns.yaml.", show_default=False),
]


def campaigns_at(at: At) -> Campaigns:
    """Return the campaigns of the organisation that is meant."""
    return Campaigns(at.url, at.settings, changed_by=at.by if isinstance(at, AtBy) else None)


def hold_at(at: At) -> Hold | None:
    """Return why nothing of the organisation is due; None: it is not held."""
    return current_hold(at.url, at.settings)


@types.callback()
@command
def list_types(context: typer.Context, at: At) -> Answer | None:
    """List campaign types; with a command: create and change them."""
    if context.invoked_subcommand is not None:
        return None
    found = campaigns_at(at).types()
    return Answer({"types": [show_as.type_object(each) for each in found]}, [show_as.types_table(found)])


@types.command("create")
@command
def create_type(name: TypeName, at: AtBy, settings: Settings = None) -> Answer:
    """Create a campaign type."""
    made = campaigns_at(at).create_type(name, **parse_settings(settings or ()))
    return Answer(show_as.type_object(made), [f"Campaign type {made.name} is there."])


@types.command("change")
@command
def change_type(name: TypeName, at: AtBy, settings: Settings = None) -> Answer:
    """Change settings of a campaign type."""
    return _changed(campaigns_at(at).change_type(name, **_some(settings)))


@types.command("activate")
@command
def activate_type(name: TypeName, at: AtBy) -> Answer:
    """Switch a campaign type on."""
    return _changed(campaigns_at(at).change_type(name, active=True))


@types.command("deactivate")
@command
def deactivate_type(name: TypeName, at: AtBy) -> Answer:
    """Switch a campaign type off at once, with all of its instances."""
    return _changed(campaigns_at(at).change_type(name, active=False))


@instances.callback()
@command
def list_instances(context: typer.Context, at: At) -> Answer | None:
    """List campaign instances; with a command: create and change them."""
    if context.invoked_subcommand is not None:
        return None
    found, hold = campaigns_at(at).instances(), hold_at(at)
    listed = [show_as.instance_object(each) for each in found]
    return Answer(
        {"hold": show_as.hold_object(hold), "instances": listed}, show_as.instances_tables(found, hold)
    )


@instances.command("create")
@command
def create_instance(
    name: Annotated[str, typer.Argument(metavar="TYPE/NAME", help="The type, and a name for the instance.")],
    at: AtBy,
    settings: Settings = None,
) -> Answer:
    """Create a campaign instance."""
    campaign_type, slash, instance_name = name.partition("/")
    if not slash:
        raise UsageError(f"campaign instance {name!r}; accepted is TYPE/NAME")
    made = campaigns_at(at).create_instance(campaign_type, instance_name, **parse_settings(settings or ()))
    return Answer(
        {"id": made.id, "instance": made.reference},
        [f"Campaign instance {made.reference} is there, with the id {made.id}."],
    )


@instances.command("change")
@command
def change_instance(instance: Instance, at: AtBy, settings: Settings = None) -> Answer:
    """Change settings of a campaign instance."""
    return _changed(campaigns_at(at).change_instance(instance, **_some(settings)))


@instances.command("end")
@command
def end_instance(
    instance: Instance,
    on: Annotated[date, typer.Argument(metavar="DATE", parser=parse_date, help="Its last day.")],
    at: AtBy,
) -> Answer:
    """Let a campaign instance end on a date."""
    return _changed(campaigns_at(at).end_instance(instance, on))


@instances.command("stop")
@command
def stop_instance(instance: Instance, at: AtBy) -> Answer:
    """Stop a campaign instance at once: none of its emails is due any more."""
    return _changed(campaigns_at(at).stop_instance(instance))


@instances.command("start")
@command
def start_instance(instance: Instance, at: AtBy) -> Answer:
    """Let a campaign instance that was stopped go on."""
    return _changed(campaigns_at(at).start_instance(instance))


def _some(settings: list[str] | None) -> dict[str, Any]:
    if not settings:
        raise UsageError("no setting is given; accepted is KEY=VALUE, such as priority=3")
    return parse_settings(settings)


def _changed(found: list[LoggedChange]) -> Answer:
    return Answer(
        {"changes": [{"field": c.field, "old": c.old, "new": c.new} for c in found]}, _change_lines(found)
    )


def _change_lines(found: list[LoggedChange]) -> Iterator[RenderableType]:
    yield from (f"{change.field}: {change.old} -> {change.new}" for change in found)
    if not found:
        yield "Nothing changed."
