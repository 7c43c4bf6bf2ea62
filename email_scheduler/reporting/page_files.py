"""The pages of reports as files, the owner's alone: ``<directory>/<organisation>/<date>.html``."""

import os
import re
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final

from email_scheduler.files import make_private_directory, open_private

_PAGE: Final = re.compile(r"\d{4}-\d{2}-\d{2}\.html")


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
