"""How each organisation does, and the installation as a whole."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import EmailSchedulerError
from email_scheduler.monitoring.judgement import UNHEALTHY, Reason, judge, judge_disk, worst
from email_scheduler.monitoring.sizes import Installation, look_at_installation
from email_scheduler.storage.faults import DRIVER_ERRORS, describe
from email_scheduler.storage.health import read_health
from email_scheduler.storage.health_figures import HealthFigures


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
    """Look at organisations, one after the other; one that cannot be looked at is unhealthy.

    Args:
        organizations: The name of each, and what returns its database and its configuration.
        config: What counts for all.
        now: The time of day, with its time zone.
        is_thorough: Check all of a SQLite file, which reads it as a whole.
    """
    installation = look_at_installation(config.orchestration.storage_url)
    reasons: list[Reason] = []
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
    except EmailSchedulerError as error:
        return OrganizationHealth(name, [Reason(UNHEALTHY, " ".join(str(error).split()))], None)
    except DRIVER_ERRORS as error:
        return OrganizationHealth(name, [Reason(UNHEALTHY, describe(error))], None)
    return OrganizationHealth(name, judge(figures, config.health), figures)
