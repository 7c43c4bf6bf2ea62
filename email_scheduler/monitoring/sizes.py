"""How much room the installation takes: the frames of the partitions, and what Dagster remembers."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from upath import UPath

# Where the instance is kept unless the variable names another place; the Makefile names the same.
DAGSTER_HOME: Final = Path("data/dagster_home")
HOME_VARIABLE: Final = "DAGSTER_HOME"
_LOCAL_PROTOCOLS: Final = {"", "file", "local"}


@dataclass(frozen=True)
class Installation:
    """What all organisations share.

    Attributes:
        parquet_bytes: Size of all frames; None: it cannot be known.
        parquet_bytes_by_organization: Of each organisation that has some.
        dagster_bytes: Size of Dagster's own directory; None: there is none.
        disk_bytes: Size of the disk of the frames, or else of Dagster's directory; None: they are elsewhere.
        disk_free_bytes: What is free of it.
    """

    parquet_bytes: int | None
    parquet_bytes_by_organization: Mapping[str, int] = field(default_factory=dict)
    dagster_bytes: int | None = None
    disk_bytes: int | None = None
    disk_free_bytes: int | None = None


def dagster_home() -> Path:
    """Return the directory of the Dagster instance, whether or not it exists."""
    return Path(os.environ.get(HOME_VARIABLE) or DAGSTER_HOME)


def directory_bytes(directory: Path) -> int | None:
    """Return the size of all files of a directory; None if there is none."""
    if not directory.is_dir():
        return None
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except FileNotFoundError:
                # a run may delete it just now
                continue
    return total


def parquet_sizes(storage_url: str) -> dict[str, int] | None:
    """Return the size of the frames of each organisation; None if the place cannot be looked at."""
    try:
        root = UPath(storage_url)
        local = _local(root)
        # a local path is found as an absolute one, whatever it was
        top = root.path.rstrip("/") if local is None else str(local.resolve())
        found = root.fs.find(top, detail=True)
    except (OSError, ImportError, ValueError):
        return None
    sizes: dict[str, int] = {}
    depth = len(top.split("/"))
    for path, details in found.items():
        # <asset>/<date>/<organization>/<frame>.parquet
        parts = path.split("/")[depth:]
        if len(parts) == 4:
            sizes[parts[2]] = sizes.get(parts[2], 0) + int(details.get("size") or 0)
    return sizes


def _local(place: UPath) -> Path | None:
    return Path(place.path) if place.protocol in _LOCAL_PROTOCOLS else None


def look_at_installation(storage_url: str) -> Installation:
    """Return how much room the installation takes."""
    home = dagster_home()
    sizes = parquet_sizes(storage_url)
    local = None if sizes is None else _local(UPath(storage_url))
    place = next((each for each in (local, home) if each is not None and each.is_dir()), None)
    disk = None if place is None else shutil.disk_usage(place)
    return Installation(
        parquet_bytes=None if sizes is None else sum(sizes.values()),
        parquet_bytes_by_organization=sizes or {},
        dagster_bytes=directory_bytes(home),
        disk_bytes=None if disk is None else disk.total,
        disk_free_bytes=None if disk is None else disk.free,
    )
