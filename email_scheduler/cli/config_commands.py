"""``email-scheduler config``: the versions of the configuration, their differences, and the way back."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
import yaml
from rich.console import RenderableType

from email_scheduler.changes.config_versions import (
    config_of_version,
    find_version,
    prepare_rollback,
    roll_back,
)
from email_scheduler.cli.app import command_group
from email_scheduler.cli.shared import (
    Answer,
    AsJson,
    AsOf,
    At,
    AtBy,
    Yes,
    command,
    config_path,
    confirmed,
    out,
)
from email_scheduler.cli.what_if_command import change_object, changes_table, effect_object, effect_tables
from email_scheduler.clock import TIME_ZONE, today
from email_scheduler.config import differences, shown
from email_scheduler.database import (
    Besides,
    ConfigVersion,
    read_config_versions,
    read_inputs,
    read_moment,
    require_current_schema,
)
from email_scheduler.reports.plan_difference import difference_of_configurations
from email_scheduler.reports.terminal import line, table, unbroken

config_commands = command_group()

Number = Annotated[int, typer.Argument(metavar="N", help="As history shows it.", show_default=False)]


@config_commands.command()
@command
def history(at: At) -> Answer:
    """List the versions, the latest first."""
    require_current_schema(at.url, at.settings)
    versions = read_config_versions(at.url, at.settings)
    before = [*versions[1:], None][: len(versions)]
    changed = [
        None if older is None else [each.path for each in differences(older.document, version.document)]
        for version, older in zip(versions, before, strict=True)
    ]
    document = [_object(version, keys) for version, keys in zip(versions, changed, strict=True)]
    return Answer({"versions": document}, [_history_table(versions, changed)])


@config_commands.command()
@command
def show(number: Number, at: At) -> Answer:
    """Show the whole configuration of a version."""
    require_current_schema(at.url, at.settings)
    version = find_version(at.url, at.settings, number)
    begin, end = _moment(version.valid_from), _moment(version.valid_to) or "now"
    return Answer(
        {**_object(version, None), "configuration": version.document},
        [
            f"# version {version.id}, {begin} to {end}, {version.created_by or 'unknown'}",
            *map(unbroken, yaml.safe_dump(version.document, sort_keys=False).splitlines()),
        ],
    )


@config_commands.command()
@command
def diff(
    number: Number,
    at: At,
    other: Annotated[
        int | None,
        typer.Argument(metavar="[M]", help="Another version. [default: the files as they are now]"),
    ] = None,
    no_plan: Annotated[bool, typer.Option("--no-plan", help="Do not compare the plans.")] = False,
    as_of: AsOf = None,
) -> Answer:
    """Show what changes from version N to M, and what that does to the plan; change nothing."""
    url, settings = at.url, at.settings
    require_current_schema(url, settings)
    before = config_of_version(find_version(url, settings, number))
    after = settings if other is None else config_of_version(find_version(url, settings, other))
    names = (f"version {number}", "the files now" if other is None else f"version {other}")
    changes = list(differences(before.document(), after.document()))
    day = as_of or today()
    effect = None
    if changes and not no_plan:
        effect = difference_of_configurations(
            read_inputs(url, day, before, Besides(configs=(after,))), before, after
        )
    return Answer(
        {
            "before": names[0],
            "after": names[1],
            "changes": [change_object(each) for each in changes],
            "as_of": day.isoformat(),
            "plan": None if effect is None else effect_object(effect),
        },
        [changes_table(changes, names), *([] if effect is None else [effect_tables(effect, day)])],
    )


@config_commands.command()
@command
def rollback(number: Number, at: AtBy, yes: Yes = False, as_json: AsJson = False) -> Answer:
    """Write a version back into the files of the configuration, and keep what they held."""
    require_current_schema(at.url, at.settings)
    version = find_version(at.url, at.settings, number)
    prepared = prepare_rollback(version, config_path(at.config), at.entry)
    if not as_json:
        out.print(changes_table(prepared.changes, ("the files now", f"version {number}")))
        for each in prepared.left_alone:
            out.print(line(f"{each.path} counts for all organisations and stays {shown(each.before)}."))
    files = [str(file) for file in prepared.texts]
    if prepared.texts and not yes and not confirmed(f"Write {', '.join(files)}?"):
        raise typer.Abort
    copies: list[str] = []
    if prepared.texts:
        copies = [str(copy) for copy in roll_back(at.url, at.settings, prepared, rolled_back_by=at.who)]
    changes = [change_object(each) for each in prepared.changes]
    return Answer(
        {"version": number, "changes": changes, "files": files, "copies": copies},
        [
            unbroken(f"Written: {', '.join(files)}"),
            unbroken(f"Kept: {', '.join(copies)}"),
            "The next plan is made with it.",
        ]
        if copies
        else [],
    )


def _history_table(versions: Sequence[ConfigVersion], changed: Sequence[list[str] | None]) -> RenderableType:
    headings = ("version", "from", "to", "who", "keys", "what changed")
    rows = map(_history_cells, versions, changed)
    if not versions:
        return "No versions: a plan records the first one."
    return table("", *headings, rows=rows, left=headings)


def _history_cells(version: ConfigVersion, keys: list[str] | None) -> tuple[str, ...]:
    count = "" if keys is None else str(len(keys))
    what = "the first one" if keys is None else ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
    begin, end = _moment(version.valid_from), _moment(version.valid_to) or "now"
    return str(version.id), begin, end, version.created_by or "unknown", count, what


def _object(version: ConfigVersion, changed: list[str] | None) -> dict[str, Any]:
    return {
        "version": version.id,
        "valid_from": version.valid_from,
        "valid_to": version.valid_to,
        "created_by": version.created_by,
        "changed": changed,
    }


def _moment(text: str | None) -> str:
    moment = read_moment(text)
    return "" if moment is None else moment.astimezone(TIME_ZONE).strftime("%Y-%m-%d %H:%M")
