"""Deleting the frames of partitions of days that are long over."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from upath import UPath

from email_scheduler.orchestration.values import ASSET_FRAMES

_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def delete_old_partitions(storage_url: str, first_kept_date: date) -> int:
    """Delete the frames of all dates before one, and return how many days of assets that were.

    Nothing is touched but ``<asset>/<date>`` of assets that the project has.

    Args:
        storage_url: Where frames are kept (``orchestration.storage_url``).
        first_kept_date: The first date whose frames stay.
    """
    deleted = 0
    for directory in _dates(UPath(storage_url)):
        if directory.name < first_kept_date.isoformat():
            directory.fs.rm(directory.path, recursive=True)
            deleted += 1
    return deleted


def _dates(root: UPath) -> Iterator[UPath]:
    for asset in ASSET_FRAMES:
        place = root / asset
        if place.is_dir():
            yield from [each for each in place.iterdir() if _ISO_DATE.fullmatch(each.name) and each.is_dir()]
