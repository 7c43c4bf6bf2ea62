"""The sections of the configuration that say what is sent and how the program runs, not when."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from email_scheduler.config.values import (
    Count,
    DaysEitherWay,
    DayTime,
    DirectoryPath,
    FilePath,
    Flag,
    IsoDate,
    LogFormat,
    LogLevel,
    PositiveCount,
    PositiveDays,
    Priority,
    Section,
    Share,
    Text,
    WithoutEffect,
    name_like,
    one_of,
    one_of_numbers,
    one_of_words,
    whole_number,
    with_fields,
)
from email_scheduler.planning.registry.email_types import (
    ANNIVERSARY_EMAILS,
    ANNIVERSARY_TYPES,
    CAMPAIGN_PREFIX,
    FOLLOW_UP_EMAILS,
    FOLLOW_UP_PREFIX,
)

FIRST_PARTITION_DATE = date(2025, 1, 1)
_SMS_KEYS = (
    *ANNIVERSARY_TYPES,
    f"{CAMPAIGN_PREFIX}<type>",
    *(FOLLOW_UP_PREFIX + each.kind for each in FOLLOW_UP_EMAILS.values()),
)
_SMS_KEY = re.compile("|".join(_SMS_KEYS).replace("<type>", "[a-z0-9][a-z0-9_]{0,62}"))
SmsKey = Annotated[str, name_like(_SMS_KEY, f"{', '.join(_SMS_KEYS[:-1])} or {_SMS_KEYS[-1]}")]


class Processing(Section):
    """How a run works.

    Attributes:
        batch_size: Contacts in one transaction of publishing.
        max_retry_attempts: How often a step is tried again after a passing failure of the database.
        retry_delay: Seconds before the first of them.
        lock_timeout_seconds: How long a planner waits for another one of the same database.
        lock_stale_after_seconds: A lock whose heartbeat is older is taken over.
    """

    batch_size: PositiveCount = 10_000
    enable_streaming: Annotated[Flag, WithoutEffect()] = True
    max_retry_attempts: Annotated[int, whole_number(0, 100)] = 3
    retry_delay: Annotated[int, whole_number(0, 3600)] = 5
    lock_timeout_seconds: Annotated[int, whole_number(0, 86_400)] = 60
    lock_stale_after_seconds: Annotated[int, whole_number(1, 86_400)] = 900


class Orchestration(Section):
    """How Dagster plans every day. It counts for all organisations alike, so that none can override it.

    Attributes:
        daily_plan_time: When the daily plan is made, US Central, HH:MM.
        partitions_start_date: The first date that there is a partition for; None: ``go_live_date``, or
            ``FIRST_PARTITION_DATE`` if there is none.
        storage_url: The directory, or any URL that fsspec knows, that keeps the frames of each partition.
        max_run_seconds: A run that takes longer is ended.
        max_retry_attempts: How often a step is tried again after a passing failure; 0: never.
        retry_delay: Seconds before the first of them; each further one waits twice as long.
        minimum_valid_contact_share: Below this share of valid contacts a check warns.
        health_check_minutes: Minutes between two looks at the health of the organisations.
        maintenance_time: When maintenance deletes what is older than it has to be kept, US Central, HH:MM.
        parquet_retention_days: Days that the frames of a partition are kept.
        run_retention_days: Days that Dagster's records of a run are kept.
    """

    daily_plan_time: DayTime = "05:00"
    partitions_start_date: IsoDate | None = None
    storage_url: Text = "data/frames"
    max_run_seconds: Annotated[int, whole_number(60, 86_400)] = 3600
    max_retry_attempts: Annotated[int, whole_number(0, 100)] = 3
    retry_delay: Annotated[int, whole_number(0, 3600)] = 30
    minimum_valid_contact_share: Share = Decimal("0.80")
    health_check_minutes: Annotated[int, one_of_numbers(5, 10, 15, 20, 30, 60)] = 60
    maintenance_time: DayTime = "01:00"
    parquet_retention_days: PositiveDays = 30
    run_retention_days: PositiveDays = 90


@with_fields(Text, {each.name: (each.template, f"the {each.text}") for each in ANNIVERSARY_EMAILS.values()})
class AnniversaryTemplates(Section):
    """The email template of each email type that no campaign sets."""


@with_fields(Text, {each.kind: (each.template, f"the {each.text}") for each in FOLLOW_UP_EMAILS.values()})
class FollowupTemplates(Section):
    """The email template of each kind of follow-up."""


def _default_sms_templates() -> dict[str, str]:
    anniversaries = {name: each.sms_template for name, each in ANNIVERSARY_EMAILS.items()}
    follow_ups = {FOLLOW_UP_PREFIX + each.kind: each.sms_template for each in FOLLOW_UP_EMAILS.values()}
    return {key: text for key, text in (anniversaries | follow_ups).items() if text is not None}


class EmailTemplates(Section):
    """The templates of emails and text messages.

    Attributes:
        sms: Email type, or ``followup_`` and the kind of follow-up, to template; a list that is given is
            taken as written.
    """

    anniversary: AnniversaryTemplates = AnniversaryTemplates()
    followups: FollowupTemplates = FollowupTemplates()
    sms: dict[SmsKey, Text] = Field(default_factory=_default_sms_templates)


class CampaignType(Section):
    """A campaign type; see ``campaign_types`` of the planning rules, section 2.

    Attributes:
        days_before_event: Days from the email to its trigger; negative: the email goes out after it.
        priority: Lower numbers win.
    """

    respect_exclusion_windows: Flag = True
    enable_followups: Flag = True
    days_before_event: DaysEitherWay = 0
    target_all_contacts: Flag = False
    priority: Priority = 5
    active: Flag = True


def default_campaign_types() -> dict[str, CampaignType]:
    """Return the campaign types of a configuration that has no section ``campaign_types``."""
    return {
        "rate_increase": CampaignType(days_before_event=14, priority=1),
        "seasonal_promo": CampaignType(days_before_event=7, priority=5),
        "initial_blast": CampaignType(
            respect_exclusion_windows=False, enable_followups=False, target_all_contacts=True, priority=10
        ),
        "regulatory_notice": CampaignType(
            respect_exclusion_windows=False, enable_followups=False, priority=1
        ),
        "policy_update": CampaignType(days_before_event=5, target_all_contacts=True, priority=3),
    }


class Logging(Section):
    """What is logged, and where.

    Attributes:
        format: A %-style format of Python's logging.
        file: The file that gets the log; None: standard error.
        enable_timing_logs: Log how long each phase took.
        enable_db_logs: Log what the database is asked.
    """

    level: LogLevel = "INFO"
    format: LogFormat = "%(asctime)s - %(levelname)s - %(message)s"
    file: FilePath | None = None
    enable_timing_logs: Flag = True
    enable_db_logs: Flag = True


_UNSAFE_JOURNAL = "a crash in the middle of a write would damage the database"


class SqliteOptimizations(Section):
    """SQLite's pragmas of the same names.

    Attributes:
        cache_size: Pages; a negative number is KiB.
    """

    journal_mode: Annotated[
        str,
        one_of(
            "WAL",
            "DELETE",
            "TRUNCATE",
            "PERSIST",
            why_not={"MEMORY": _UNSAFE_JOURNAL, "OFF": _UNSAFE_JOURNAL},
        ),
    ] = "WAL"
    synchronous: Annotated[str, one_of("OFF", "NORMAL", "FULL", "EXTRA")] = "NORMAL"
    cache_size: Annotated[int, whole_number(-100_000_000, 100_000_000)] = 10_000
    temp_store: Annotated[str, one_of("DEFAULT", "FILE", "MEMORY")] = "MEMORY"


class ConnectionPool(Section):
    """How the database is connected to.

    Attributes:
        connection_timeout: Seconds to wait for a database that is busy.
    """

    max_connections: Annotated[PositiveCount, WithoutEffect()] = 5
    connection_timeout: Annotated[int, whole_number(0, 3600)] = 30


class Database(Section):
    """How the database is used."""

    foreign_keys: Flag = True
    sqlite_optimizations: SqliteOptimizations = SqliteOptimizations()
    connection_pool: ConnectionPool = ConnectionPool()


class Audit(Section):
    """The record of what was planned, which is always kept, and backups.

    Attributes:
        audit_retention_days: Days that records of runs, campaign changes and configurations are kept.
        archive_retention_days: Days that rows are kept that left the plan; None: for ever.
        enable_pit_backups: A backup is made before the first plan of each day is published.
        backup_retention_days: Older backups are removed; the latest one stays.
        backup_directory: The directory above those of the databases; None: ``data/backups``.
        backup_scope: What a backup holds: ``planner_tables``, or the whole ``database``.
    """

    enable_audit_logs: Annotated[Flag, WithoutEffect("the audit is always kept")] = True
    audit_retention_days: Count = 90
    archive_retention_days: Count | None = None
    enable_pit_backups: Flag = True
    backup_retention_days: Count = 7
    backup_directory: DirectoryPath | None = None
    backup_scope: Annotated[str, one_of_words("planner_tables", "database")] = "planner_tables"


class Performance(Section):
    """Accepted from users' files, without effect."""

    enable_parallel_processing: Flag = False
    worker_processes: PositiveCount = 2
    enable_connection_pooling: Flag = True
    enable_caching: Flag = True
    cache_ttl: Count = 300


class Features(Section):
    """What is switched on.

    Attributes:
        enable_campaigns: False: no campaign email is planned.
        enable_followups: False: no follow-up is planned.
        enable_load_balancing: False: no smoothing, and every open day takes all.
        enable_sms: Text messages accompany emails to contacts with a phone number.
        enable_ab_testing: The contacts of a campaign instance are split among its variants.
    """

    enable_campaigns: Flag = True
    enable_followups: Flag = True
    enable_load_balancing: Flag = True
    enable_sms: Flag = False
    enable_ab_testing: Flag = False
