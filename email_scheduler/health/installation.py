"""How each organisation does, and the installation as a whole: also how much room it takes."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from upath import UPath

from email_scheduler.config import SchedulerConfig
from email_scheduler.database import error_text
from email_scheduler.health.figures import HealthFigures, read_health
from email_scheduler.health.judgement import UNHEALTHY, Reason, judge, judge_disk, judge_years, worst

HOME_VARIABLE: Final = "DAGSTER_HOME"
_LOCAL_PROTOCOLS: Final = {"", "file", "local"}


# Where the instance is kept unless the variable names another place; the Makefile names the same.
DAGSTER_HOME: Final = Path("data/dagster_home")


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


@dataclass(frozen=True)
class OrganizationHealth:
    """How one organisation does.

    Attributes:
        name: The organisation.
        reasons: Why it is not healthy, the worst first.
        figures: What was read; None: nothing could be.
    """

    name: str
    reasons: list[Reason]
    figures: HealthFigures | None

    @property
    def status(self) -> str:
        """Healthy, degraded or unhealthy."""
        return worst([reason.status for reason in self.reasons])

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return {
            "organization": self.name,
            "status": self.status,
            "reasons": [asdict(reason) for reason in self.reasons],
            "figures": None if self.figures is None else asdict(self.figures),
        }


@dataclass(frozen=True)
class Health:
    """How everything does.

    Attributes:
        organizations: Each one.
        installation: What they share.
        reasons: What is wrong with that.
    """

    organizations: list[OrganizationHealth]
    installation: Installation
    reasons: list[Reason] = field(default_factory=list)

    @property
    def status(self) -> str:
        """The worst status of all."""
        return worst([*(each.status for each in self.organizations), *(r.status for r in self.reasons)])

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return {
            "status": self.status,
            "organizations": [each.document() for each in self.organizations],
            "installation": {
                **asdict(self.installation),
                "reasons": [asdict(reason) for reason in self.reasons],
            },
        }


Settings = Callable[[], tuple[str, SchedulerConfig]]


def check_health(
    organizations: Iterable[tuple[str, Settings]],
    config: SchedulerConfig,
    now: datetime,
    *,
    is_thorough: bool = False,
) -> Health:
    """Look at organisations, one after the other; one that cannot be, for whatever reason, is unhealthy.

    Args:
        organizations: The name of each, and what returns its database and its configuration.
        config: What counts for all.
        now: The time of day, with its time zone.
        is_thorough: Check all of a SQLite file, which reads it as a whole.
    """
    reasons: list[Reason] = []
    try:
        installation = look_at_installation(config.orchestration.storage_url)
    except Exception as error:
        installation = Installation(None)
        text = f"the place of the frames or of Dagster cannot be looked at: {error_text(error)}"
        reasons.append(Reason(UNHEALTHY, f"{text} (orchestration.storage_url, {HOME_VARIABLE})"))
    if installation.disk_bytes is not None and installation.disk_free_bytes is not None:
        reasons += judge_disk(
            installation.disk_bytes, installation.disk_free_bytes, "orchestration.storage_url", config.health
        )
    looked_at = [_check(name, settings, now, is_thorough) for name, settings in organizations]
    return Health(looked_at, installation, reasons)


def _check(name: str, settings: Settings, now: datetime, is_thorough: bool) -> OrganizationHealth:
    try:
        url, config = settings()
        figures = read_health(url, config, now, is_thorough=is_thorough)
        reasons = [*judge(figures, config.health), *judge_years(config.aep_config, now.date())]
    except Exception as error:
        return OrganizationHealth(name, [Reason(UNHEALTHY, error_text(error))], None)
    return OrganizationHealth(name, reasons, figures)
