"""The sections of the configuration that say what is sent and how the program runs, not when."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from email_scheduler.config.setting_types import (
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
from email_scheduler.registry import (
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
    """How a run works."""

    batch_size: PositiveCount = Field(
        default=10_000,
        description="contacts whose plans are written in one transaction. Larger is faster; smaller keeps"
        " other writers waiting for less time",
    )
    enable_streaming: Annotated[Flag, WithoutEffect()] = True
    max_retry_attempts: Annotated[int, whole_number(0, 100)] = Field(
        default=3,
        description="how often a step is tried again while the database is locked or cannot be reached",
    )
    retry_delay: Annotated[int, whole_number(0, 3600)] = Field(
        default=5,
        description="seconds before the first of these; each further one waits twice as long, up to a minute",
    )
    lock_timeout_seconds: Annotated[int, whole_number(0, 86_400)] = Field(
        default=60, description="seconds that a planner waits for another one that works on the same database"
    )
    lock_stale_after_seconds: Annotated[int, whole_number(1, 86_400)] = Field(
        default=900,
        description="a planner that has given no sign of life for this many seconds is taken for dead, and"
        " the next one takes over",
    )


class Orchestration(Section):
    """How Dagster plans every day. It counts for all organisations alike, so that none can override it."""

    daily_plan_time: DayTime = Field(
        default="05:00", description="when the plan of each organisation is made, US Central time"
    )
    partitions_start_date: IsoDate | None = Field(
        default=None,
        description="the first date that can be planned. `null`: `go_live_date`, or 2025-01-01 if there is"
        " none. Set it where the go-live date lies ahead and plans are wanted before",
    )
    storage_url: Text = Field(
        default="data/frames",
        description="where the frames of each partition are kept. They hold contacts' data: files and"
        " directories on a local disk are the owner's alone",
    )
    max_run_seconds: Annotated[int, whole_number(60, 86_400)] = Field(
        default=3600, description="a run that takes longer is ended"
    )
    max_retry_attempts: Annotated[int, whole_number(0, 100)] = Field(
        default=3,
        description="how often a step is tried again after a passing failure of the database; a plan that"
        " breaks a rule is never tried again",
    )
    retry_delay: Annotated[int, whole_number(0, 3600)] = Field(
        default=30,
        description="seconds before the first of these; each further one waits about twice as long",
    )
    minimum_valid_contact_share: Share = Field(
        default=Decimal("0.80"),
        description="a check warns where less than this share of the contacts is valid",
    )
    health_check_minutes: Annotated[int, one_of_numbers(5, 10, 15, 20, 30, 60)] = Field(
        default=60, description="minutes between two looks at the [health](#health) of the organisations"
    )
    maintenance_time: DayTime = Field(
        default="01:00",
        description="when [maintenance](operations.md#maintenance) deletes what is older than it has to be"
        " kept, US Central time",
    )
    parquet_retention_days: PositiveDays = Field(
        default=30,
        description="days that the frames of a partition are kept. A past day can be planned again as long as"
        " they are",
    )
    run_retention_days: PositiveDays = Field(
        default=90, description="days that Dagster's records of a run are kept"
    )


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
    """The templates of emails and text messages."""

    anniversary: AnniversaryTemplates = AnniversaryTemplates()
    followups: FollowupTemplates = FollowupTemplates()
    sms: dict[SmsKey, Text] = Field(
        default_factory=_default_sms_templates,
        description="text messages that accompany emails, with `features.enable_sms`. A type that is not"
        " named has none. Taken as written",
    )


class CampaignType(Section):
    """A campaign type; see ``campaign_types`` of the planning rules, section 2."""

    respect_exclusion_windows: Flag = Field(default=True, description="whether windows bind its emails")
    enable_followups: Flag = Field(default=True, description="whether its emails are followed up")
    days_before_event: DaysEitherWay = Field(
        default=0, description="days from the email to its trigger date; negative: after it"
    )
    target_all_contacts: Flag = Field(default=False, description="whether it is for every contact")
    priority: Priority = Field(default=5, description="lower numbers go first")
    active: Flag = Field(default=True, description="`false`: nothing of it is planned or due")


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
    """What is logged, and where."""

    level: LogLevel = Field(
        default="INFO", description="the least important messages that are shown. In capital or small letters"
    )
    format: LogFormat = Field(
        default="%(asctime)s - %(levelname)s - %(message)s", description="how a line looks"
    )
    file: FilePath | None = Field(
        default=None,
        description="a regular file that gets the messages; its directory is made. `null`: standard error",
    )
    enable_timing_logs: Flag = Field(
        default=True, description="whether it is logged how long each phase took"
    )
    enable_db_logs: Flag = Field(
        default=True, description="`false`: of what the storage code logs, only warnings and errors are shown"
    )


_UNSAFE_JOURNAL = "a crash in the middle of a write would damage the database"


class SqliteOptimizations(Section):
    """SQLite's pragmas of the same names."""

    journal_mode: Annotated[
        str,
        one_of(
            "WAL",
            "DELETE",
            "TRUNCATE",
            "PERSIST",
            why_not={"MEMORY": _UNSAFE_JOURNAL, "OFF": _UNSAFE_JOURNAL},
        ),
    ] = Field(
        default="WAL",
        description="with `WAL` others can read while a plan is written. `MEMORY` and `OFF` are refused: a"
        " crash in the middle of a write would damage the database",
    )
    synchronous: Annotated[str, one_of("OFF", "NORMAL", "FULL", "EXTRA")] = Field(
        default="NORMAL", description="how carefully SQLite waits for the disk"
    )
    cache_size: Annotated[int, whole_number(-100_000_000, 100_000_000)] = Field(
        default=10_000, description="SQLite's cache: pages; a negative number is KiB"
    )
    temp_store: Annotated[str, one_of("DEFAULT", "FILE", "MEMORY")] = Field(
        default="MEMORY", description="where SQLite keeps temporary data"
    )


class ConnectionPool(Section):
    """How the database is connected to."""

    max_connections: Annotated[PositiveCount, WithoutEffect()] = 5
    connection_timeout: Annotated[int, whole_number(0, 3600)] = Field(
        default=30,
        description="seconds to wait for a database that somebody else is writing to; on PostgreSQL also for"
        " the server to answer",
    )


class Database(Section):
    """How the database is used."""

    foreign_keys: Flag = Field(default=True, description="whether SQLite enforces foreign keys")
    sqlite_optimizations: SqliteOptimizations = SqliteOptimizations()
    connection_pool: ConnectionPool = ConnectionPool()


class Audit(Section):
    """The record of what was planned, which is always kept, and backups."""

    enable_audit_logs: Annotated[Flag, WithoutEffect("the audit is always kept")] = Field(
        default=True,
        description="the audit is always kept, in `scheduler_checkpoints`, `config_versions`,"
        " `contact_issues` and `email_schedules_archive`",
    )
    audit_retention_days: Count = Field(
        default=90,
        description="days that rows of `scheduler_checkpoints`, `config_versions`, `campaign_change_log` and"
        " `followup_processing_log` are kept, as far as nothing needs them",
    )
    archive_retention_days: Count | None = Field(
        default=None,
        description="days that rows of `email_schedules_archive` are kept. `null`: for ever. They answer why"
        " somebody did **not** get an email, which is asked a year later",
    )
    enable_pit_backups: Flag = Field(
        default=True,
        description="whether a backup is made before the first plan of each day is published. If it cannot be"
        " made, the plan is not published",
    )
    backup_retention_days: Count = Field(
        default=7,
        description="backups older than this many days are removed after each new one. The latest one stays,"
        " whatever its age",
    )
    backup_directory: DirectoryPath | None = Field(
        default=None,
        description="each database has a directory of its own below it. `null`: `data/backups`, seen from"
        " where the program is started",
    )
    backup_scope: Annotated[str, one_of_words("planner_tables", "database")] = Field(
        default="planner_tables", description="what a backup holds: what the planner writes, or everything"
    )


class Guard(Section):
    """How much a plan may lose against the last published one before it waits for a person.

    A share counts only where at least 20 contacts, or emails, are lost.
    """

    max_contact_loss_share: Share = Field(
        default=Decimal("0.10"),
        description="the share of the valid contacts of the last published plan that may be lost. `1`: any,"
        " as long as one is left",
    )
    max_email_loss_share: Share = Field(
        default=Decimal("0.25"),
        description="the share of the emails planned for later days that may leave the plan or become"
        " skipped. `1`: any",
    )


class Performance(Section):
    """Accepted from users' files, without effect."""

    enable_parallel_processing: Flag = False
    worker_processes: PositiveCount = 2
    enable_connection_pooling: Flag = True
    enable_caching: Flag = True
    cache_ttl: Count = 300


class Contacts(Section):
    """Which contacts are written to (section 4 of the planning rules)."""

    max_per_address: Annotated[int, whole_number(1, 1_000_000)] | None = Field(
        default=None,
        description="contacts that more than this many contacts of the table share their address with are not"
        " valid (`shared_address`); none: any number may share one",
    )


class Features(Section):
    """What is switched on."""

    enable_campaigns: Flag = Field(
        default=True,
        description="`false`: no campaign email is planned. Campaign emails that were sent are still followed"
        " up",
    )
    enable_followups: Flag = Field(
        default=True, description="`false`: no follow-up is planned, and no room is kept for any"
    )
    enable_load_balancing: Flag = Field(
        default=True,
        description="`false`: no daily cap and no smoothing; every open day takes all its emails",
    )
    enable_sms: Flag = Field(
        default=False,
        description="`true`: rows carry an `sms_template` where there is a template and a phone number",
    )
    enable_ab_testing: Flag = Field(
        default=False,
        description="`true`: the contacts of a campaign instance are split among the `variants` of its"
        " metadata ([campaigns.md](campaigns.md#variants))",
    )
    watch_contacts: Flag = Field(
        default=True,
        description="`false`: no triggers on the table `contacts`, where it belongs to a program that bears"
        " none. Contacts that are edited after the plan are then due as it was planned, until the next plan."
        " `email-scheduler init-db` takes the triggers away, or makes them"
        " ([database.md](database.md#edited-after-the-plan))",
    )
