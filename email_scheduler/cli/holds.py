"""``email-scheduler hold`` and ``release``: nothing of an organisation is due while it is held."""

from dataclasses import asdict
from typing import Annotated

import typer

from email_scheduler.cli.options import AtBy, command
from email_scheduler.cli.show import Answer
from email_scheduler.operations.holds import hold_organization, release_organization

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for everybody to read.")]


@command
def hold(reason: Reason, at: AtBy) -> Answer:
    """Hold an organisation at once: nothing is due until it is released. Planning goes on."""
    made = hold_organization(at.url, reason, held_by=at.by, config=at.settings)
    line = f"Held by {made.held_by}: nothing is due until email-scheduler release."
    return Answer({"hold": asdict(made)}, [line])


@command
def release(reason: Reason, at: AtBy) -> Answer:
    """Release an organisation that is held."""
    ended = release_organization(at.url, reason, released_by=at.by, config=at.settings)
    since = f"It was held by {ended.held_by} since {ended.held_at[:19]} ({ended.reason})."
    return Answer({"hold": None, "ended": asdict(ended)}, [f"Released. {since}"])
