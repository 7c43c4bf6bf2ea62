"""The figures of health in the text format of Prometheus: counts, sizes and ages, by organisation."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from email_scheduler.health.figures import DAYS_AHEAD
from email_scheduler.health.installation import Health, OrganizationHealth
from email_scheduler.health.judgement import STATUSES

_PREFIX: Final = "email_scheduler_"
_LABEL: Final = "organization"

# Name, group and field of each figure that is one number, and what it is.
_FIGURES: Final = (
    ("contacts", "plan", "contacts", "Contacts that the last plan has read."),
    ("invalid_contacts", "plan", "invalid_contacts", "Contacts of the last plan that are not valid."),
    ("emails_planned", "plan", "emails_planned", "Rows of the last plan that are to be sent."),
    ("emails_skipped", "plan", "emails_skipped", "Rows of the last plan that are skipped."),
    ("emails_stopped_by_windows", "plan", "stopped_by_windows", "Rows skipped for an exclusion window."),
    ("daily_cap", "plan", "daily_cap", "Emails that a day takes."),
    ("failed_plans", "plan", "failed_since", "Runs that failed since the last plan."),
    ("untaken_emails", "sender", "untaken", "Due emails that the sending system has not taken."),
    ("processing_emails", "sender", "processing", "Emails that the sending system has claimed."),
    ("stuck_emails", "sender", "stuck", "Emails that were claimed too long ago."),
    ("outcomes_24h", "sender", "outcomes_24h", "Emails sent, delivered or failed in the last 24 hours."),
    ("failed_24h", "sender", "failed_24h", "Emails that failed in the last 24 hours."),
    ("backlog_emails", "ahead", "backlog", "Late emails that are still planned."),
    ("volume_average", "ahead", "average", f"Emails a day in the {DAYS_AHEAD} days ahead."),
    ("volume_peak", "ahead", "peak", f"Emails of the fullest of the {DAYS_AHEAD} days ahead."),
    ("database_bytes", "database", "bytes", "Size of the database."),
    ("database_wal_bytes", "database", "wal_bytes", "Size of the write-ahead log."),
    ("database_disk_free_bytes", "database", "disk_free_bytes", "Free room on the disk of the database."),
)


def prometheus_text(health: Health) -> str:
    """Return the figures in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(health))
    text: bytes = generate_latest(registry)
    return text.decode()


class _Figures(Collector):
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield each metric with the values of all organisations."""
        looked_at = self._health.organizations
        yield _family(
            "health",
            "0 healthy, 1 degraded, 2 unhealthy.",
            ((each.name, STATUSES.index(each.status)) for each in looked_at),
        )
        for name, group, figure, description in _FIGURES:
            yield _family(name, description, ((each.name, _value(each, group, figure)) for each in looked_at))
        yield _family(
            "plan_age_seconds",
            "Seconds since the last plan was published.",
            ((each.name, _seconds(_value(each, "plan", "age_hours"))) for each in looked_at),
        )
        yield _family(
            "plan_waits",
            "1: a plan that loses too much waits for a person.",
            ((each.name, _is_waiting(each)) for each in looked_at),
        )
        yield _family("held", "1: nothing is due.", ((each.name, _is_held(each)) for each in looked_at))
        yield _family(
            "missing_indexes",
            "Expected indexes that are not there.",
            ((each.name, _missing(each)) for each in looked_at),
        )
        yield _by("follow_ups", "type", "Planned follow-ups.", ((e.name, _follow_ups(e)) for e in looked_at))
        yield _by("contact_issues", "issue", "Contacts by issue.", ((e.name, _issues(e)) for e in looked_at))
        yield from self._installation()

    def _installation(self) -> Iterator[GaugeMetricFamily]:
        installation = self._health.installation
        yield _family(
            "parquet_bytes", "Size of the frames.", installation.parquet_bytes_by_organization.items()
        )
        for name, value, description in (
            ("dagster_bytes", installation.dagster_bytes, "Size of Dagster's own directory."),
            ("disk_bytes", installation.disk_bytes, "Size of the disk of the frames."),
            ("disk_free_bytes", installation.disk_free_bytes, "What is free of it."),
        ):
            if value is not None:
                yield GaugeMetricFamily(_PREFIX + name, description, value=value)


def _family(name: str, description: str, values: Iterable[tuple[str, float | None]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(_PREFIX + name, description, labels=[_LABEL])
    for organization, value in values:
        if value is not None:
            family.add_metric([organization], value)
    return family


def _by(
    name: str, label: str, description: str, values: Iterable[tuple[str, Mapping[str, int]]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(_PREFIX + name, description, labels=[_LABEL, label])
    for organization, counts in values:
        for kind, count in counts.items():
            family.add_metric([organization, kind], count)
    return family


def _value(organization: OrganizationHealth, group: str, figure: str) -> float | None:
    found: float | None = getattr(getattr(organization.figures, group, None), figure, None)
    return found


def _seconds(hours: float | None) -> float | None:
    return None if hours is None else round(hours * 3600)


def _is_held(organization: OrganizationHealth) -> float | None:
    figures = organization.figures
    return None if figures is None else float(figures.held_since is not None)


def _is_waiting(organization: OrganizationHealth) -> float | None:
    plan = None if organization.figures is None else organization.figures.plan
    return None if plan is None else float(plan.waiting is not None)


def _missing(organization: OrganizationHealth) -> float | None:
    figures = organization.figures
    return None if figures is None else len(figures.database.missing_indexes)


def _follow_ups(organization: OrganizationHealth) -> Mapping[str, int]:
    plan = None if organization.figures is None else organization.figures.plan
    return {} if plan is None else plan.follow_ups


def _issues(organization: OrganizationHealth) -> Mapping[str, int]:
    return {} if organization.figures is None else organization.figures.contact_issues
