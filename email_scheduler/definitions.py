"""What Dagster loads: the assets, checks, job, schedule and sensors of the organisations in ``config/``."""

from pathlib import Path
from typing import Any

import dagster as dg

from email_scheduler.config import load_config, load_organizations
from email_scheduler.orchestration.alerts import build_alerts_sensor
from email_scheduler.orchestration.graph import build_assets
from email_scheduler.orchestration.io_managers import frames_io_manager
from email_scheduler.orchestration.maintenance import build_maintenance
from email_scheduler.orchestration.partitions import (
    SchedulerResource,
    build_job,
    build_partitions,
    build_schedule,
)
from email_scheduler.orchestration.sensors import build_sensors


def build_definitions(config_directory: Path = Path("config"), **overrides: Any) -> dg.Definitions:
    """Return the project's definitions.

    Args:
        config_directory: Holds the configuration and ``organizations.yaml``, as ``config/`` does.
        overrides: Resources to use instead of the usual ones: ``scheduler``, ``io_manager``.

    Raises:
        ConfigurationError: The configuration is not accepted.
    """
    config = load_config(config_directory)
    organizations = list(load_organizations(config_directory))
    partitions = build_partitions(organizations, config)
    job = build_job(partitions, config)
    upkeep_assets, upkeep_jobs, upkeep_schedules = build_maintenance(organizations, config)
    return dg.Definitions(
        assets=[*build_assets(partitions, config), *upkeep_assets],
        jobs=[job, *upkeep_jobs],
        schedules=[build_schedule(job, organizations, config), *upkeep_schedules],
        sensors=[*build_sensors(job, organizations, config), build_alerts_sensor(organizations, config)],
        # also for what is materialised from the graph: the steps of a partition depend on each other anyway
        executor=dg.in_process_executor,
        resources={
            "scheduler": SchedulerResource(config_directory=str(config_directory)),
            "io_manager": frames_io_manager(config.orchestration.storage_url),
            **overrides,
        },
    )


defs = build_definitions()
