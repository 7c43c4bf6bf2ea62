"""The lineage graph: which functions make which assets, and where the data comes from."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import dagster as dg

from email_scheduler.clock import TIME_ZONE_NAME
from email_scheduler.config import SchedulerConfig
from email_scheduler.orchestration import asset_frames, assets
from email_scheduler.orchestration.checks import check_specs
from email_scheduler.orchestration.metadata import schemas
from email_scheduler.planning import frames

DATABASE_GROUP: Final = "organization_database"
_INPUTS, _PLANNING, _PUBLICATION = "inputs", "planning", "publication"
_OWNERS: Final = ["team:operations"]
_FRAMES: Final = dg.PythonObjectDagsterType(dict, name="Frames")

# The organisation's tables that a plan is made from, and what each holds.
_TABLES: Final = {
    "contacts": "The people. The agency's own systems write it.",
    "contact_suppressions": "Who has unsubscribed, bounced or asked not to be contacted.",
    "campaign_types": "The kinds of campaigns and what counts for all of a kind.",
    "campaign_instances": "The campaigns, each with its dates, templates and exceptions.",
    "contact_campaigns": "Who is to get which campaign, and when.",
    "email_schedules": "The rows that the sending system has taken, sent or failed to send, and the plan.",
    "tracking_clicks": "Who clicked what.",
    "contact_events": "What contacts did, such as answering the health questions.",
    "email_tracking": "An older form of clicks and answers.",
}
# Input asset to the tables it is read from, and what it is.
_SOURCES: Final = {
    asset_frames.CONTACTS: (
        ("contacts", "contact_suppressions"),
        "The contacts as they were read that day, which of them are valid, and what is wrong with the rest.",
    ),
    asset_frames.CAMPAIGNS: (
        ("campaign_types", "campaign_instances", "contact_campaigns"),
        "The campaigns and their targets as they were read that day.",
    ),
    asset_frames.EMAIL_HISTORY: (
        ("email_schedules",),
        "What the sending system had taken when the day's plan was made: nothing of it is planned again.",
    ),
    asset_frames.ENGAGEMENT: (
        ("tracking_clicks", "contact_events", "email_tracking"),
        "Clicks and answers that follow-ups depend on, as they were read that day.",
    ),
}


_OF_EVERY_STAGE: Final = (asset_frames.CONTACTS, asset_frames.CAMPAIGNS, asset_frames.EMAIL_HISTORY)
# Asset to those whose frames it reads. They are no inputs of Dagster's: each of those is two events of a run.
_DEPENDS_ON: Final[Mapping[str, tuple[str, ...]]] = {
    asset_frames.EXCLUSION_WINDOWS: _OF_EVERY_STAGE,
    asset_frames.ANNIVERSARY_SCHEDULES: _OF_EVERY_STAGE,
    asset_frames.CAMPAIGN_SCHEDULES: _OF_EVERY_STAGE,
    asset_frames.FOLLOW_UPS: (*_OF_EVERY_STAGE, asset_frames.ENGAGEMENT),
    asset_frames.BALANCED_SCHEDULES: (
        *_OF_EVERY_STAGE,
        asset_frames.ENGAGEMENT,
        asset_frames.EXCLUSION_WINDOWS,
        asset_frames.ANNIVERSARY_SCHEDULES,
        asset_frames.CAMPAIGN_SCHEDULES,
        asset_frames.FOLLOW_UPS,
    ),
    asset_frames.EMAIL_SCHEDULES: (
        *_OF_EVERY_STAGE,
        asset_frames.ENGAGEMENT,
        asset_frames.BALANCED_SCHEDULES,
    ),
}


def table_key(table: str) -> dg.AssetKey:
    """Return the key of a table of the organisation's database."""
    return dg.AssetKey(["organization_database", table])


def build_assets(
    partitions: dg.PartitionsDefinition[str], config: SchedulerConfig
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Return the whole graph.

    Args:
        partitions: Date and organisation.
        config: How often and when a step is tried again (``orchestration``).
    """
    shared: dict[str, Any] = {
        "partitions_def": partitions,
        "retry_policy": dg.RetryPolicy(
            max_retries=config.orchestration.max_retry_attempts,
            delay=config.orchestration.retry_delay,
            backoff=dg.Backoff.EXPONENTIAL,
            jitter=dg.Jitter.PLUS_MINUS,
        ),
    }
    planning = (
        assets.exclusion_windows,
        assets.anniversary_schedules,
        assets.campaign_schedules,
        assets.follow_ups,
        assets.balanced_schedules,
    )
    return [
        *_tables(),
        _inputs(partitions, shared),
        *(_planning_asset(function, partitions, shared) for function in planning),
        dg.asset(
            name=asset_frames.EMAIL_SCHEDULES,
            deps=_DEPENDS_ON[asset_frames.EMAIL_SCHEDULES],
            group_name=_PUBLICATION,
            kinds={"sql", "table"},
            owners=_OWNERS,
            metadata=schemas({"email_schedules": frames.EMAIL_SCHEDULES}),
            freshness_policy=_by_the_deadline(config),
            check_specs=check_specs(asset_frames.EMAIL_SCHEDULES, partitions),
            **shared,
        )(assets.email_schedules),
    ]


def _by_the_deadline(config: SchedulerConfig) -> dg.FreshnessPolicy:
    """Return the policy that there is a plan of each day by ``alerts.plan_deadline``."""
    hour, minute = map(int, config.alerts.plan_deadline.split(":"))
    since_midnight = timedelta(hours=hour, minutes=minute)
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"{minute} {hour} * * *",
        lower_bound_delta=max(since_midnight, timedelta(minutes=1)),
        timezone=TIME_ZONE_NAME,
    )


def _tables() -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            table_key(table), group_name=DATABASE_GROUP, description=description, kinds={"sql", "table"}
        )
        for table, description in _TABLES.items()
    ]


def _inputs(partitions: dg.PartitionsDefinition[str], shared: dict[str, Any]) -> dg.AssetsDefinition:
    return dg.multi_asset(
        name="organization_tables",
        outs={
            asset: dg.AssetOut(
                group_name=_INPUTS,
                description=description,
                kinds={"parquet"},
                owners=_OWNERS,
                dagster_type=_FRAMES,
                metadata=schemas(asset_frames.ASSET_FRAMES[asset]),
            )
            for asset, (_, description) in _SOURCES.items()
        },
        deps=[table_key(table) for tables, _ in _SOURCES.values() for table in tables],
        internal_asset_deps={
            asset: {table_key(table) for table in tables} for asset, (tables, _) in _SOURCES.items()
        },
        can_subset=False,
        check_specs=check_specs(asset_frames.CONTACTS, partitions),
        **shared,
    )(assets.organization_tables)


def _planning_asset(
    function: Callable[..., Any], partitions: dg.PartitionsDefinition[str], shared: dict[str, Any]
) -> dg.AssetsDefinition:
    name = function.__name__
    asset: dg.AssetsDefinition = dg.asset(
        name=name,
        deps=_DEPENDS_ON[name],
        group_name=_PLANNING,
        kinds={"python", "parquet"},
        owners=_OWNERS,
        dagster_type=_FRAMES,
        metadata=schemas(asset_frames.ASSET_FRAMES[name]),
        check_specs=check_specs(name, partitions),
        **shared,
    )(function)
    return asset
