"""``email-scheduler config``: the versions of the configuration, their differences, and the way back."""

from typing import Annotated, Any

import typer
import yaml

from email_scheduler.cli.campaign_output import plain_table
from email_scheduler.cli.plan_difference import change_object, changes_table, effect_object, effect_tables
from email_scheduler.cli.shared import (
    AnyDatabase,
    AsJson,
    AsOf,
    By,
    Config,
    OrganizationName,
    config_path,
    database_and_config,
    find_organization,
    out,
    print_json,
)
from email_scheduler.clock import TIME_ZONE, today
from email_scheduler.config.documents import differences
from email_scheduler.config.problems import shown
from email_scheduler.operations.campaigns.session import current_user
from email_scheduler.operations.config_versions import (
    config_of_version,
    find_version,
    prepare_rollback,
    roll_back,
)
from email_scheduler.operations.plan_difference import difference_of_configurations, readable_for_all
from email_scheduler.storage.config_versions import ConfigVersion, read_config_versions
from email_scheduler.storage.moments import read_moment
from email_scheduler.storage.read import read_inputs
from email_scheduler.storage.schema import require_current_schema

config_commands = typer.Typer(
    help="List versions of the configuration, compare them, bring one back.", no_args_is_help=True
)

Number = Annotated[int, typer.Argument(metavar="N", help="As history shows it.", show_default=False)]


@config_commands.command()
def history(
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the versions, the latest first."""
    url, settings = database_and_config(database, organization, config)
    require_current_schema(url, settings)
    versions = read_config_versions(url, settings)
    before = [*versions[1:], None][: len(versions)]
    changed = [
        None if older is None else [each.path for each in differences(older.document, version.document)]
        for version, older in zip(versions, before, strict=True)
    ]
    if as_json:
        rows = [_object(version, keys) for version, keys in zip(versions, changed, strict=True)]
        print_json({"versions": rows})
        return
    table = plain_table("", "version", "from", "to", "who", "keys", "what changed")
    for column in table.columns[1:]:
        column.justify = "left"
    for version, keys in zip(versions, changed, strict=True):
        count = "" if keys is None else str(len(keys))
        what = "the first one" if keys is None else ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
        begin, end = _moment(version.valid_from), _moment(version.valid_to) or "now"
        table.add_row(str(version.id), begin, end, version.created_by or "unknown", count, what)
    out.print(table if versions else "No versions: a plan records the first one.")


@config_commands.command()
def show(
    number: Number,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the whole configuration of a version."""
    url, settings = database_and_config(database, organization, config)
    require_current_schema(url, settings)
    version = find_version(url, settings, number)
    if as_json:
        print_json({**_object(version, None), "configuration": version.document})
    else:
        begin, end = _moment(version.valid_from), _moment(version.valid_to) or "now"
        out.print(
            f"# version {version.id}, {begin} to {end}, {version.created_by or 'unknown'}", markup=False
        )
        out.print(yaml.safe_dump(version.document, sort_keys=False).rstrip(), markup=False, soft_wrap=True)


@config_commands.command()
def diff(
    number: Number,
    other: Annotated[
        int | None,
        typer.Argument(metavar="[M]", help="Another version. [default: the files as they are now]"),
    ] = None,
    no_plan: Annotated[bool, typer.Option("--no-plan", help="Do not compare the plans.")] = False,
    as_of: AsOf = None,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what changes from version N to M, and what that does to the plan; change nothing."""
    url, settings = database_and_config(database, organization, config)
    require_current_schema(url, settings)
    before = config_of_version(find_version(url, settings, number))
    after = settings if other is None else config_of_version(find_version(url, settings, other))
    names = (f"version {number}", "the files now" if other is None else f"version {other}")
    changes = list(differences(before.document(), after.document()))
    day = as_of or today()
    effect = None
    if changes and not no_plan:
        effect = difference_of_configurations(
            read_inputs(url, day, readable_for_all(settings, before, after)), before, after
        )
    if as_json:
        print_json(
            {
                "before": names[0],
                "after": names[1],
                "changes": [change_object(each) for each in changes],
                "as_of": day.isoformat(),
                "plan": None if effect is None else effect_object(effect),
            }
        )
        return
    out.print(changes_table(changes, names))
    if effect is not None:
        out.print(effect_tables(effect, day))


@config_commands.command()
def rollback(
    number: Number,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Write a version back into the files of the configuration, and keep what they held."""
    url, settings = database_and_config(database, organization, config)
    require_current_schema(url, settings)
    version = find_version(url, settings, number)
    found = None if organization is None else find_organization(organization, config)
    prepared = prepare_rollback(version, config_path(config), found)
    if not as_json:
        out.print(changes_table(prepared.changes, ("the files now", f"version {number}")))
        for each in prepared.left_alone:
            out.print(f"{each.path} counts for all organisations and stays {shown(each.before)}.")
    files = [str(file) for file in prepared.texts]
    if prepared.texts and not yes and not typer.confirm(f"Write {', '.join(files)}?", err=True):
        raise typer.Abort
    copies: list[str] = []
    if prepared.texts:
        who = by or current_user()
        copies = [str(copy) for copy in roll_back(url, settings, prepared, rolled_back_by=who)]
    if as_json:
        changes = [change_object(each) for each in prepared.changes]
        print_json({"version": number, "changes": changes, "files": files, "copies": copies})
    elif copies:
        out.print(f"Written: {', '.join(files)}", f"Kept: {', '.join(copies)}", sep="\n", soft_wrap=True)
        out.print("The next plan is made with it.")


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
