"""``email-scheduler campaigns types`` and ``campaigns instances``: lists and settings."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from email_scheduler.campaigns import Campaigns
from email_scheduler.cli import campaign_output as show_as
from email_scheduler.cli.app import command_group
from email_scheduler.cli.shared import (
    Answer,
    At,
    AtBy,
    command,
    parse_date,
)
from email_scheduler.database import Hold, LoggedChange, current_hold
from email_scheduler.errors import UsageError

_SETTING: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)=(.*)", re.DOTALL)
_WHOLE_NUMBER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
types = command_group(lists_by_itself=True)
instances = command_group(lists_by_itself=True)
Instance = Annotated[str, typer.Argument(metavar="INSTANCE", help="TYPE/NAME, or the id.")]
TypeName = Annotated[str, typer.Argument(metavar="NAME", help="The name of the type.")]
Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE...", help="Settings, as in campaigns.yaml.", show_default=False),
]


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Return settings as a mapping; a dot in a key leads into an inner one.

    Values are read as in the configuration: ``true``, ``false``, ``null``, whole numbers, else a text. In
    double quotes everything is a text. In square brackets stand several, with commas between them; brackets
    of either kind may also hold JSON.

    Raises:
        UsageError: One has no ``=``, a key stands twice, or brackets cannot be read.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        match = _SETTING.fullmatch(text)
        if match is None:
            raise UsageError(f"setting {text!r}; accepted is KEY=VALUE, such as priority=3")
        *path, last = match[1].split(".")
        inner = settings
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise UsageError(f"setting {text!r}: {part} stands further up with a value of its own")
        if last in inner:
            raise UsageError(f"setting {text!r}: {match[1]} stands twice; accepted is once")
        inner[last] = _value(match[2].strip())
    return settings


def _value(text: str) -> object:
    if text[:1] + text[-1:] not in {"[]", "{}"}:
        return _single(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.startswith("[") and not set(text[1:-1]) & set("[]{}"):
            return [_single(each.strip()) for each in text[1:-1].split(",")]
        raise UsageError(
            f"setting {text!r}; accepted in brackets is JSON, with all names and texts in double quotes"
        ) from error


def _single(text: str) -> object:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


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
    for change in found:
        old, new = ("(none)" if each is None else each for each in (change.old, change.new))
        yield f"{change.field}: {old} -> {new}"
    if not found:
        yield "Nothing changed."
