"""``email-scheduler hold`` and ``release``: nothing of an organisation is due while it is held."""

from dataclasses import asdict
from typing import Annotated

import typer

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
from email_scheduler.operations.holds import hold_organization, release_organization

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for everybody to read.")]


def hold(
    reason: Reason,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Hold an organisation at once: nothing is due until it is released. Planning goes on."""
    url, settings = database_and_config(database, organization, config)
    made = hold_organization(url, reason, held_by=by, config=settings)
    if as_json:
        print_json({"hold": asdict(made)})
    else:
        out.print(f"Held by {made.held_by}: nothing is due until email-scheduler release.", markup=False)


def release(
    reason: Reason,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Release an organisation that is held."""
    url, settings = database_and_config(database, organization, config)
    ended = release_organization(url, reason, released_by=by, config=settings)
    if as_json:
        print_json({"hold": None, "ended": asdict(ended)})
    else:
        since = f"It was held by {ended.held_by} since {ended.held_at[:19]} ({ended.reason})."
        out.print(f"Released. {since}", markup=False)
