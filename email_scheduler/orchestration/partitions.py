"""The partitions of the graph, what assets need from outside, and the job that plans one partition.

There is a partition for each date, as US Central time counts it, and organisation; a schedule starts the job
every day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import dagster as dg

from email_scheduler.clock import TIME_ZONE, TIME_ZONE_NAME, today
from email_scheduler.config import (
    FIRST_PARTITION_DATE,
    SchedulerConfig,
    load_config,
    load_organizations,
    organization_config,
)
from email_scheduler.errors import ConfigurationError
from email_scheduler.orchestration import asset_frames

DATE: Final = "date"
ORGANIZATION: Final = "organization"
# The tags that every run of a partition has, whoever starts it.
ORGANIZATION_PARTITION_TAG: Final = f"dagster/partition/{ORGANIZATION}"
DATE_PARTITION_TAG: Final = f"dagster/partition/{DATE}"
JOB_NAME: Final = "plan_emails"
SCHEDULE_NAME: Final = "daily_plan"
_ASSETS: Final = (*asset_frames.ASSET_FRAMES, asset_frames.EMAIL_SCHEDULES)


@dataclass(frozen=True)
class Partition:
    """What one materialisation is about.

    Attributes:
        as_of: The date that the plan is made for.
        organization: The name of the organisation.
    """

    as_of: date
    organization: str

    @classmethod
    def of(cls, key: str) -> "Partition":
        """Return what a partition key such as ``2026-11-23|sample`` stands for."""
        # the dimensions stand in the order of their names
        day, _, organization = key.partition("|")
        return cls(date.fromisoformat(day), organization)

    @property
    def key(self) -> dg.MultiPartitionKey:
        """The partition key."""
        return dg.MultiPartitionKey({DATE: self.as_of.isoformat(), ORGANIZATION: self.organization})

    def __str__(self) -> str:
        return str(self.key)


def first_date(config: SchedulerConfig) -> date:
    """Return the first date that there is a partition of."""
    return config.orchestration.partitions_start_date or config.go_live_date or FIRST_PARTITION_DATE


def build_partitions(organizations: Iterable[str], config: SchedulerConfig) -> dg.MultiPartitionsDefinition:
    """Return the partitions of these organisations, from the configured start to today, inclusive."""
    start = first_date(config)
    return dg.MultiPartitionsDefinition(
        {
            # without the offset the last partition would be yesterday's
            DATE: dg.DailyPartitionsDefinition(start.isoformat(), timezone=TIME_ZONE_NAME, end_offset=1),
            ORGANIZATION: dg.StaticPartitionsDefinition(list(organizations)),
        }
    )


@dataclass(frozen=True)
class OrganizationSettings:
    """How one organisation is planned for.

    Attributes:
        name: The organisation.
        url: Its database.
        replica: The copy of it that plans are made from; None: there is none.
        config: Its configuration, with its own overrides.
    """

    name: str
    url: str
    replica: str | None
    config: SchedulerConfig


class SchedulerResource(dg.ConfigurableResource[None]):
    """Reads the configuration anew for each step, so that an edited file counts from the next run on."""

    config_directory: str

    def shared_config(self) -> SchedulerConfig:
        """Return the configuration that counts for all organisations.

        Raises:
            ConfigurationError: It is not accepted.
        """
        return load_config(Path(self.config_directory))

    def organization(self, name: str) -> OrganizationSettings:
        """Return the settings of an organisation.

        Raises:
            ConfigurationError: The configuration is not accepted, or there is no such organisation.
        """
        directory = Path(self.config_directory)
        organizations = load_organizations(directory)
        if name not in organizations:
            known = ", ".join(organizations)
            raise ConfigurationError(
                f"{directory}/organizations.yaml: no organisation {name}; there are {known}"
            )
        found = organizations[name]
        config = organization_config(directory, found)
        return OrganizationSettings(name, found.database_url(), found.replica_url(), config)


def build_job(
    partitions: dg.PartitionsDefinition[str], config: SchedulerConfig
) -> "dg.UnresolvedAssetJobDefinition":
    """Return the job: all assets of one partition, one after the other in one process."""
    return dg.define_asset_job(
        JOB_NAME,
        selection=dg.AssetSelection.assets(*_ASSETS),
        description="Reads an organisation's tables, plans every email, proves the plan and publishes it.",
        config=dg.PartitionedConfig(
            partitions_def=partitions,
            run_config_for_partition_key_fn=lambda _: {},
            tags_for_partition_key_fn=lambda key: {ORGANIZATION: Partition.of(key).organization},
        ),
        executor_def=dg.in_process_executor,
        run_tags={"dagster/max_runtime": str(config.orchestration.max_run_seconds)},
    )


def build_schedule(
    job: "dg.UnresolvedAssetJobDefinition", organizations: Sequence[str], config: SchedulerConfig
) -> dg.ScheduleDefinition:
    """Return the schedule: every day at ``orchestration.daily_plan_time``, one run for each organisation.

    A tick that comes too late, because the machine slept over it, plans its day only while that day lasts:
    what is read later is not what that day's plan was to be made from.
    """
    hour, minute = map(int, config.orchestration.daily_plan_time.split(":"))

    @dg.schedule(
        name=SCHEDULE_NAME,
        job=job,
        cron_schedule=f"{minute} {hour} * * *",
        execution_timezone=TIME_ZONE_NAME,
        description="Plans the day for each organisation, one run each.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def daily_plan(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        day = context.scheduled_execution_time.astimezone(TIME_ZONE).date()
        if day < today():
            return dg.SkipReason(f"{day} is over, and its plan was missed: there will be none for it")
        if day < first_date(config):
            return dg.SkipReason(f"the first plan is that of {first_date(config)}")
        keys = [Partition(day, name).key for name in organizations]
        return [dg.RunRequest(run_key=key, partition_key=key) for key in keys]

    return daily_plan
