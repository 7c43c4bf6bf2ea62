"""Looking after what runs: the assets ``organization_health`` and ``maintenance``, their jobs and schedules.

Neither is partitioned: one run looks at all organisations, and one that cannot be reached does not stop the
others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import dagster as dg

from email_scheduler.clock import TIME_ZONE, TIME_ZONE_NAME, today
from email_scheduler.config import SchedulerConfig
from email_scheduler.orchestration.asset_frames import delete_old_partitions
from email_scheduler.orchestration.checks import Check
from email_scheduler.orchestration.dagster_runs import delete_old_runs, location_of
from email_scheduler.orchestration.metadata import markdown_table
from email_scheduler.orchestration.partitions import SchedulerResource

# as in step.py
if TYPE_CHECKING:
    Result = dg.MaterializeResult[None]
else:
    Result = dg.MaterializeResult

HEALTH: Final = "organization_health"
MAINTENANCE: Final = "maintenance"
HEALTH_JOB: Final = "check_health"
MAINTENANCE_JOB: Final = "maintain"
HEALTH_SCHEDULE: Final = "regular_health_check"
MAINTENANCE_SCHEDULE: Final = "nightly_maintenance"
# Where the result of the check of health says who is unhealthy, and why.
UNHEALTHY: Final = "unhealthy"
# What the reasons that belong to no organisation stand under; no organisation can have such a name.
INSTALLATION: Final = "(installation)"
_GROUP: Final = "upkeep"
_OWNERS: Final = ["team:operations"]

ALL_HEALTHY: Final = Check(
    HEALTH,
    "no_organization_is_unhealthy",
    "No organisation, nor what they share, is unhealthy by the limits of the section health. If one is: each"
    " reason says what to look at; email-scheduler health --organization NAME shows all figures.",
)
ALL_MAINTAINED: Final = Check(
    MAINTENANCE,
    "everything_was_reached",
    "Maintenance reached the database of each organisation, the frames and Dagster's records. If not: see the"
    " reasons in this result; the next run makes up for it, so that one failure does no harm.",
)
UPKEEP_CHECKS: Final = (ALL_HEALTHY, ALL_MAINTAINED)


def build_maintenance(
    organizations: Sequence[str], config: SchedulerConfig
) -> tuple[list[dg.AssetsDefinition], list["dg.UnresolvedAssetJobDefinition"], list[dg.ScheduleDefinition]]:
    """Return the assets, their jobs and their schedules, which are on from the start.

    Args:
        organizations: The names of the organisations.
        config: When the schedules begin a run.
    """

    @dg.asset(
        name=HEALTH,
        group_name=_GROUP,
        kinds={"python"},
        owners=_OWNERS,
        check_specs=[_spec(ALL_HEALTHY)],
    )
    def organization_health(scheduler: SchedulerResource) -> Result:
        """How each organisation does, and the installation: what email-scheduler health says. Counts only."""
        return _look(organizations, scheduler)

    @dg.asset(
        name=MAINTENANCE,
        group_name=_GROUP,
        kinds={"python"},
        owners=_OWNERS,
        check_specs=[_spec(ALL_MAINTAINED)],
    )
    def maintenance(context: dg.AssetExecutionContext, scheduler: SchedulerResource) -> Result:
        """What is older than it has to be kept is deleted: frames, records of runs, audit rows.

        Never a row of the table email_schedules.
        """
        return _maintain(context, organizations, scheduler)

    health_job = _job(HEALTH_JOB, HEALTH, "Looks at how each organisation does.")
    maintenance_job = _job(MAINTENANCE_JOB, MAINTENANCE, "Deletes what is older than it has to be kept.")
    hour, minute = map(int, config.orchestration.maintenance_time.split(":"))
    every = config.orchestration.health_check_minutes
    return (
        [organization_health, maintenance],
        [health_job, maintenance_job],
        [
            _schedule(HEALTH_SCHEDULE, health_job, "0 * * * *" if every == 60 else f"*/{every} * * * *"),
            _schedule(MAINTENANCE_SCHEDULE, maintenance_job, f"{minute} {hour} * * *"),
        ],
    )


def _spec(check: Check) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(check.name, asset=check.asset, description=check.description)


def _job(name: str, asset: str, description: str) -> "dg.UnresolvedAssetJobDefinition":
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(asset),
        description=description,
        executor_def=dg.in_process_executor,
    )


def _schedule(name: str, job: "dg.UnresolvedAssetJobDefinition", cron: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=TIME_ZONE_NAME,
        description=job.description,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def _look(organizations: Sequence[str], scheduler: SchedulerResource) -> Result:
    from email_scheduler.health import judgement  # noqa: PLC0415
    from email_scheduler.health.installation import check_health  # noqa: PLC0415

    def settings_of(name: str) -> Callable[[], tuple[str, SchedulerConfig]]:
        def settings() -> tuple[str, SchedulerConfig]:
            found = scheduler.organization(name)
            return found.url, found.config

        return settings

    found = check_health(
        [(name, settings_of(name)) for name in organizations],
        scheduler.shared_config(),
        datetime.now(TIME_ZONE),
    )
    everything = {each.name: each.reasons for each in found.organizations} | {INSTALLATION: found.reasons}
    unhealthy = {
        name: [reason.text for reason in reasons if reason.status == judgement.UNHEALTHY]
        for name, reasons in everything.items()
    }
    rows = [(name, each.status, each.text) for name, reasons in everything.items() for each in reasons]
    return dg.MaterializeResult(
        metadata={
            "status": found.status,
            "organizations": len(organizations),
            "reasons": markdown_table(("organization", "status", "reason"), rows),
            "figures": dg.MetadataValue.json(found.document()),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=ALL_HEALTHY.name,
                passed=not any(unhealthy.values()),
                metadata={
                    UNHEALTHY: dg.MetadataValue.json(unhealthy),
                    "reasons": markdown_table(("organization", "status", "reason"), rows),
                },
            )
        ],
    )


@dataclass
class _Work:
    """What one run of maintenance did.

    Attributes:
        rows: Lines of the table: what, how much was deleted, bytes before and after.
        problems: Why something was not done, by what it is about.
        deleted_rows: Rows of databases that were deleted.
    """

    rows: list[tuple[str, str, int, str, str]] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    deleted_rows: int = 0

    def add(self, place: str, what: str, deleted: int, before: int | None, after: int | None) -> None:
        """Note what was done."""
        self.rows.append((place, what, deleted, _size(before), _size(after)))

    def do(self, place: str, work: Callable[[], None]) -> None:
        """Do some work; if it fails, the rest goes on."""
        from email_scheduler.database import error_text  # noqa: PLC0415

        try:
            work()
        except Exception as error:
            self.problems[place] = error_text(error)


def _maintain(
    context: dg.AssetExecutionContext, organizations: Sequence[str], scheduler: SchedulerResource
) -> Result:
    config, day, work = scheduler.shared_config(), today(), _Work()
    first_kept = day - timedelta(days=config.orchestration.parquet_retention_days)
    for name in organizations:
        work.do(name, partial(_maintain_organization, scheduler, name, day, work))
    work.do("frames", lambda: _maintain_frames(config, first_kept, work))
    work.do("Dagster", lambda: _maintain_runs(context, config, first_kept, work))
    headings = ("where", "what", "deleted", "size before", "size after")
    return dg.MaterializeResult(
        metadata={
            "deleted rows": work.deleted_rows,
            "deleted": markdown_table(headings, work.rows),
            "not done": markdown_table(("where", "why"), list(work.problems.items())),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=ALL_MAINTAINED.name,
                passed=not work.problems,
                metadata={"not done": markdown_table(("where", "why"), list(work.problems.items()))},
            )
        ],
    )


def _maintain_organization(scheduler: SchedulerResource, name: str, day: date, work: _Work) -> None:
    """Delete what an organisation need not keep; each kind has a line here."""
    from email_scheduler.database import (  # noqa: PLC0415
        backup_directory,
        prune,
    )
    from email_scheduler.health.installation import directory_bytes  # noqa: PLC0415
    from email_scheduler.health.retention import delete_expired  # noqa: PLC0415
    from email_scheduler.reports.pages import delete_old_pages  # noqa: PLC0415

    settings = scheduler.organization(name)
    directory = backup_directory(settings.url, settings.config)
    before = directory_bytes(directory)
    backups = prune(directory, settings.config.audit.backup_retention_days)
    work.add(name, "backups", len(backups), before, directory_bytes(directory))
    reporting = settings.config.reporting
    first_kept = day - timedelta(days=reporting.retention_days)
    pages = delete_old_pages(reporting.directory, name, first_kept)
    size = directory_bytes(reporting.directory / name)
    work.add(name, "report pages", pages, None, size)
    expired = delete_expired(settings.url, settings.config, day)
    for table, deleted in expired.rows.items():
        work.add(name, table, deleted, None, None)
        work.deleted_rows += deleted
    work.add(name, "database", sum(expired.rows.values()), expired.bytes_before, expired.bytes_after)


def _maintain_frames(config: SchedulerConfig, first_kept: date, work: _Work) -> None:
    from email_scheduler.health.installation import parquet_sizes  # noqa: PLC0415

    def size() -> int | None:
        sizes = parquet_sizes(config.orchestration.storage_url)
        return None if sizes is None else sum(sizes.values())

    before = size()
    deleted = delete_old_partitions(config.orchestration.storage_url, first_kept)
    work.add("frames", "days of assets", deleted, before, size())


def _maintain_runs(
    context: dg.AssetExecutionContext, config: SchedulerConfig, first_kept: date, work: _Work
) -> None:
    from email_scheduler.health.installation import (  # noqa: PLC0415
        dagster_home,
        directory_bytes,
    )

    before = directory_bytes(dagster_home())
    ended_before = datetime.now(UTC) - timedelta(days=config.orchestration.run_retention_days)
    deleted = delete_old_runs(context.instance, ended_before, first_kept, location_of(context.run))
    work.add("Dagster", "runs", deleted, before, directory_bytes(dagster_home()))


def _size(size: int | None) -> str:
    return "" if size is None else f"{size / 1_000_000:,.2f} MB"
