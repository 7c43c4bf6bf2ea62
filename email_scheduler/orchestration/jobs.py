"""The job that plans one partition, and the schedule that starts it every day for each organisation."""

from typing import Final

import dagster as dg
from dagster._core.definitions.partitions.partitioned_schedule import (
    UnresolvedPartitionedAssetScheduleDefinition,
)

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.orchestration import values
from email_scheduler.orchestration.partitions import ORGANIZATION, Partition

Schedule = dg.ScheduleDefinition | UnresolvedPartitionedAssetScheduleDefinition

JOB_NAME: Final = "plan_emails"
SCHEDULE_NAME: Final = "daily_plan"
_ASSETS: Final = (*values.ASSET_FRAMES, values.EMAIL_SCHEDULES)


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


def build_schedule(job: "dg.UnresolvedAssetJobDefinition", config: SchedulerConfig) -> Schedule:
    """Return the schedule: every day at ``orchestration.daily_plan_time``, one run for each organisation."""
    hour, minute = map(int, config.orchestration.daily_plan_time.split(":"))
    return dg.build_schedule_from_partitioned_job(
        job,
        name=SCHEDULE_NAME,
        description="Plans the day for each organisation, one run each.",
        hour_of_day=hour,
        minute_of_hour=minute,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
