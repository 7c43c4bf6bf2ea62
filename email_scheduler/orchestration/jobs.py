"""The job that plans one partition, and the schedule that starts it every day for each organisation."""

from collections.abc import Sequence
from typing import Final

import dagster as dg

from email_scheduler.clock import TIME_ZONE, TIME_ZONE_NAME, today
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.orchestration import values
from email_scheduler.orchestration.partitions import ORGANIZATION, Partition, first_date

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
