"""Self-contained HTML pages: made from the templates beside this module, with style and pictures inside."""

from datetime import date
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from email_scheduler.reporting.chart_style import data_uri

_PACKAGE: Final = "email_scheduler.reporting"


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
