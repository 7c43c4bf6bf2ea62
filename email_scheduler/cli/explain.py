"""``email-scheduler explain``: why a contact gets an email, or does not get it."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from email_scheduler.cli.explanation_text import explanation_text
from email_scheduler.cli.shared import (
    AnyDatabase,
    AsJson,
    Config,
    OrganizationName,
    database_and_config,
    out,
    parse_date,
    print_json,
)
from email_scheduler.clock import today
from email_scheduler.errors import UsageError
from email_scheduler.operations.explain import explain_address, explain_contact
from email_scheduler.operations.private_output import private_output
from email_scheduler.reporting.explanation_json import answer_object

Contact = Annotated[int | None, typer.Option("--contact", metavar="ID", help="The contact's id.")]
Email = Annotated[
    str | None,
    typer.Option("--email", metavar="ADDRESS", help="Instead: all contacts with this address."),
]
AsOf = Annotated[
    date | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        parser=parse_date,
        help="The plan that was in force on this date. [default: today in US Central time]",
    ),
]
Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page with a timeline into this file."),
]


def explain(
    contact: Contact = None,
    email: Email = None,
    as_of: AsOf = None,
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Say why a contact gets an email, or does not get it, and when it may get it. Nothing is changed."""
    url, settings = database_and_config(database, organization, config)
    day = as_of or today()
    if contact is not None and email is None:
        answer = explain_contact(url, settings, contact, day)
    elif email is not None and contact is None:
        answer = explain_address(url, settings, email, day)
    else:
        raise UsageError("accepted is either --contact ID or --email ADDRESS, one of the two")
    if html is not None:
        # drawing a page takes a moment to load, which no other command needs
        from email_scheduler.reporting.explanation_page import explanation_page  # noqa: PLC0415

        page = explanation_page(answer, organization)
        with private_output(html) as file:
            file.write(page)
    if as_json:
        print_json(answer_object(answer))
    elif html is None:
        out.print(explanation_text(answer))
    else:
        out.print(f"The page is in {html}. Whoever reads it learns about a person: keep it to yourself.")
