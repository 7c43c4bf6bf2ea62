"""``email-scheduler explain``: why a contact gets an email, or does not get it."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from email_scheduler.cli.explanation_text import explanation_text
from email_scheduler.cli.options import At, command, date_option
from email_scheduler.cli.show import Answer, write_private
from email_scheduler.clock import today
from email_scheduler.errors import UsageError
from email_scheduler.operations.explain import explain_address, explain_contact
from email_scheduler.reporting.explanation_json import answer_object


@command
def explain(
    at: At,
    contact: Annotated[int | None, typer.Option("--contact", metavar="ID", help="The contact's id.")] = None,
    email: Annotated[
        str | None,
        typer.Option(
            "--email",
            metavar="ADDRESS",
            help="Instead: all contacts with this address, upper and lower case put aside. Up to 10 are"
            " explained one after the other; of more, the first ids are named, for --contact.",
        ),
    ] = None,
    as_of: Annotated[
        date | None,
        date_option(
            "--as-of",
            says="The plan that was in force on this date: the last one that was made for it or an earlier"
            " date. [default: today in US Central time]",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write a page with a drawn timeline; it needs no other file, opens on a phone, and prints."
            " The file is its owner's alone.",
        ),
    ] = None,
) -> Answer:
    """Say why a contact gets an email, or does not get it, and when it may get it. Nothing is changed."""
    url, settings = at.url, at.settings
    day = as_of or today()
    if contact is not None and email is None:
        answer = explain_contact(url, settings, contact, day)
    elif email is not None and contact is None:
        answer = explain_address(url, settings, email, day)
    else:
        raise UsageError("accepted is either --contact ID or --email ADDRESS, one of the two")
    parts: list[RenderableType] = [explanation_text(answer)]
    if html is not None:
        # drawing a page takes a moment to load, which no other command needs
        from email_scheduler.reporting.explanation_page import explanation_page  # noqa: PLC0415

        write_private(html, explanation_page(answer, None if at.entry is None else at.entry.name))
        parts = [f"The page is in {html}. Whoever reads it learns about a person: keep it to yourself."]
    return Answer(answer_object(answer), parts)
