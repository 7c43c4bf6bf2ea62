"""The tables, indexes and the view of schema version 0001, as they were then.

``email_scheduler.storage.tables`` holds what they have become since, and says why they are as they are.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = BigInteger().with_variant(Integer(), "sqlite")
_TRIMMED = (
    "trim({}, char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196, "
    "8197, 8198, 8199, 8200, 8201, 8202, 8232, 8233, 8239, 8287, 12288))"
)
_ADDRESS = f"lower({_TRIMMED})"


def _key() -> Column[int]:
    return Column("id", _ID, primary_key=True, autoincrement=True)


def _ids(*names: str) -> list[Column[int]]:
    return [Column(name, _ID) for name in names]


def _integers(*names: str) -> list[Column[int]]:
    return [Column(name, Integer) for name in names]


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text) for name in names]


def _moments(*names: str) -> list[Column[str]]:
    return [Column(name, Text, server_default=text("CURRENT_TIMESTAMP")) for name in names]


def _flag(name: str, default: str) -> Column[bool]:
    return Column(name, Boolean, server_default=text(default))


Table(
    "contacts",
    metadata,
    _key(),
    *_texts(
        "first_name",
        "last_name",
        "email",
        "zip_code",
        "state",
        "birth_date",
        "effective_date",
        "phone_number",
    ),
    Index("ix_contacts_address", text(_ADDRESS.format("email"))),
)
Table(
    "contact_suppressions",
    metadata,
    Column("contact_id", _ID, primary_key=True, autoincrement=False),
    *_texts("reason"),
    *_moments("suppressed_at"),
)
Table(
    "campaign_types",
    metadata,
    Column("name", Text, primary_key=True),
    _flag("respect_exclusion_windows", "TRUE"),
    _flag("enable_followups", "TRUE"),
    Column("days_before_event", Integer, server_default=text("0")),
    _flag("target_all_contacts", "FALSE"),
    Column("priority", Integer, server_default=text("5")),
    _flag("active", "TRUE"),
    *_moments("created_at", "updated_at"),
)
Table(
    "campaign_instances",
    metadata,
    _key(),
    Column("campaign_type", Text, ForeignKey("campaign_types.name")),
    *_texts(
        "instance_name", "email_template", "sms_template", "active_start_date", "active_end_date", "metadata"
    ),
    *_moments("created_at", "updated_at"),
    _flag("active", "TRUE"),
    UniqueConstraint("campaign_type", "instance_name"),
)
Table(
    "contact_campaigns",
    metadata,
    _key(),
    *_ids("contact_id"),
    Column("campaign_instance_id", _ID, ForeignKey("campaign_instances.id")),
    *_texts("trigger_date"),
    Column("status", Text, server_default="pending"),
    *_texts("metadata"),
    *_moments("created_at", "updated_at"),
    UniqueConstraint("contact_id", "campaign_instance_id", "trigger_date"),
)
Table(
    "campaign_change_log",
    metadata,
    _key(),
    *_ids("campaign_instance_id"),
    *_texts("campaign_type", "field_changed", "old_value", "new_value"),
    *_moments("changed_at"),
    *_texts("changed_by"),
    _flag("requires_rescheduling", "FALSE"),
    *_texts("processed_run_id"),
)


def _schedule_columns() -> list[Column[int] | Column[str]]:
    return [
        *_ids("contact_id"),
        *_texts("email_type", "scheduled_send_date", "scheduled_send_time"),
        Column("status", Text, nullable=False),
        *_texts("skip_reason"),
        *_integers("priority"),
        *_ids("campaign_instance_id"),
        *_texts("email_template", "sms_template", "scheduler_run_id"),
        *_integers("event_year", "event_month", "event_day"),
        *_texts("ideal_send_date", "adjustment"),
        *_ids("initial_email_id"),
        *_texts("metadata"),
        *_moments("created_at", "updated_at"),
        *_texts("actual_send_datetime"),
    ]


def _partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    condition = text(where)
    expressions = [text(column) for column in columns]
    return Index(name, *expressions, unique=unique, sqlite_where=condition, postgresql_where=condition)


Table(
    "email_schedules",
    metadata,
    _key(),
    *_schedule_columns(),
    _partial_index(
        "uq_email_schedules_occurrence",
        *(
            "contact_id",
            "email_type",
            "event_year",
            "event_month",
            "event_day",
            "coalesce(campaign_instance_id, 0)",
        ),
        where="ideal_send_date IS NOT NULL AND initial_email_id IS NULL",
        unique=True,
    ),
    _partial_index(
        "uq_email_schedules_initial_email_id",
        "initial_email_id",
        where="ideal_send_date IS NOT NULL AND initial_email_id IS NOT NULL",
        unique=True,
    ),
    Index("ix_email_schedules_contact_id", "contact_id"),
    _partial_index(
        "ix_email_schedules_sender_contact_id",
        "contact_id",
        where="status NOT IN ('pre-scheduled', 'skipped')",
    ),
    _partial_index("ix_email_schedules_due_date", "scheduled_send_date", where="status = 'pre-scheduled'"),
    sqlite_autoincrement=True,
)
Table(
    "email_schedules_archive",
    metadata,
    *_ids("id"),
    *_schedule_columns(),
    *_moments("archived_at"),
    *_texts("as_of_date"),
    Index("ix_email_schedules_archive_contact_id", "contact_id"),
)
Table(
    "tracking_clicks",
    metadata,
    _key(),
    *_ids("contact_id", "email_schedule_id"),
    *_moments("clicked_at"),
    *_texts("url", "ip_address", "user_agent"),
)
Table(
    "contact_events",
    metadata,
    _key(),
    *_ids("contact_id"),
    *_texts("event_type", "event_data"),
    *_moments("created_at"),
)
Table(
    "email_tracking",
    metadata,
    _key(),
    *_ids("email_id"),
    *_texts("event_type", "event_data"),
    *_moments("created_at"),
)
Table(
    "config_versions",
    metadata,
    _key(),
    *_texts("config_type", "config_data", "valid_from", "valid_to"),
    *_moments("created_at"),
    *_texts("created_by"),
)
Table(
    "scheduler_checkpoints",
    metadata,
    _key(),
    *_texts("run_timestamp", "scheduler_run_id", "as_of_date"),
    Column("config_version_id", _ID, ForeignKey("config_versions.id")),
    *_texts("contacts_checksum", "schedules_before_checksum", "schedules_after_checksum"),
    *_integers("contacts_processed", "invalid_contacts", "emails_scheduled", "emails_skipped"),
    *_texts("summary", "status", "error_message", "completed_at"),
    UniqueConstraint("scheduler_run_id"),
)
Table("contact_issues", metadata, *_ids("contact_id"), *_texts("field", "issue", "scheduler_run_id"))
Table(
    "followup_processing_log",
    metadata,
    _key(),
    *_texts("scheduler_run_id"),
    *_ids("initial_email_id", "contact_id"),
    *_texts("followup_type", "behavior_analysis"),
    *_moments("processed_at"),
)
Table(
    "planner_lock",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    *_texts("owner", "run_id"),
    Column("token", Integer, nullable=False, server_default=text("0")),
    *_texts("acquired_at", "heartbeat_at"),
)

# A suppression counts unless it has a readable date that is still to come. Adding no days makes SQLite see
# that there is no 30 February.
_IN_FORCE = """coalesce(
        date(substr(suppression.suppressed_at, 1, 10), '+0 days') = substr(suppression.suppressed_at, 1, 10)
        AND substr(suppression.suppressed_at, 1, 10) > date('now'), 0) = 0"""
_IS_ACTIVE = "lower(trim(CAST(coalesce({}, 1) AS TEXT))) IN ('1', '1.0', 'true', 't', 'yes', 'y', 'on')"

# ruff: noqa: S608 - put together from names and expressions of this module
DUE_EMAILS = f"""
CREATE VIEW due_emails AS
SELECT
    {", ".join(f"schedule.{column.name}" for column in metadata.tables["email_schedules"].columns)},
    {_TRIMMED.format("contact.email")} AS email,
    contact.phone_number
FROM email_schedules AS schedule
JOIN contacts AS contact ON contact.id = schedule.contact_id
WHERE schedule.status = 'pre-scheduled'
  AND NOT EXISTS (
    SELECT 1 FROM contact_suppressions AS suppression
    WHERE suppression.contact_id = schedule.contact_id AND {_IN_FORCE})
  AND NOT EXISTS (
    SELECT 1 FROM contacts AS namesake
    JOIN contact_suppressions AS suppression ON suppression.contact_id = namesake.id
    WHERE {_ADDRESS.format("namesake.email")} = {_ADDRESS.format("contact.email")} AND {_IN_FORCE})
  AND (coalesce(schedule.campaign_instance_id, 0) = 0 OR EXISTS (
    SELECT 1 FROM campaign_instances AS instance
    JOIN campaign_types AS type ON type.name = instance.campaign_type
    WHERE instance.id = schedule.campaign_instance_id
      AND {_IS_ACTIVE.format("instance.active")}
      AND {_IS_ACTIVE.format("type.active")}))
"""
