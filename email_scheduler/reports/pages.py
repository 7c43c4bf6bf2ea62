"""Self-contained HTML pages, and their files, which are the owner's alone.

They are made from the templates beside this module, with style and pictures inside, and lie at
``<directory>/<organisation>/<date>.html``.
"""

import os
import re
from contextlib import suppress
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from email_scheduler.files import make_private_directory, open_private
from email_scheduler.reports.chart_style import data_uri

_PACKAGE: Final = "email_scheduler.reports"
_PAGE: Final = re.compile(r"\d{4}-\d{2}-\d{2}\.html")


def render_page(template: str, **values: object) -> str:
    """Return a page.

    Args:
        template: Its file in ``templates/``, which extends ``base.html.j2``.
        values: What the template names; a name that is missing is an error. Everything is escaped.
    """
    return _environment().get_template(template).render(values)


def picture(png: bytes, text: str) -> Markup:
    """Return an image that holds the picture itself.

    Args:
        png: The picture.
        text: What it shows, for those who do not see it.
    """
    return Markup('<img src="{}" alt="{}">').format(data_uri(png), text)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": _count, "day": _day}
    return environment


def _count(number: float) -> str:
    """Return a number with separators: ``12,345``."""
    return f"{number:,}"


def _day(day: date) -> str:
    """Return a date with its weekday: ``Mon 2026-11-23``."""
    return f"{day:%a %Y-%m-%d}"


def page_path(directory: Path, organization: str, as_of: date) -> Path:
    """Return where the page of a plan lies."""
    return directory / organization / f"{as_of.isoformat()}.html"


def page_url(url: str, organization: str, as_of: date) -> str:
    """Return where a web server shows the page of a plan.

    Args:
        url: Where it shows the directory of the pages.
        organization: The organisation.
        as_of: The date of the plan.
    """
    return f"{url.rstrip('/')}/{organization}/{as_of.isoformat()}.html"


def write_page(path: Path, page: str) -> None:
    """Write a page; whoever reads it meanwhile gets the old one or the new one, whole.

    Raises:
        OSError: It cannot be written; the old one stays.
    """
    make_private_directory(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(draft, "w", encoding="utf-8", opener=open_private) as file:
            file.write(page)
        draft.replace(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def delete_old_pages(directory: Path, organization: str, first_kept_date: date) -> int:
    """Delete an organisation's pages of all dates before one, and return how many that were.

    Nothing is touched but ``<organisation>/<date>.html``.
    """
    place = directory / organization
    if not place.is_dir():
        return 0
    first_kept = f"{first_kept_date.isoformat()}.html"
    old = [each for each in place.iterdir() if _PAGE.fullmatch(each.name) and each.name < first_kept]
    for each in old:
        each.unlink(missing_ok=True)
    return len(old)
