"""The tables, indexes and the view of schema version 0001, as they were then.

``email_scheduler.database.tables`` holds what they have become since, and says why they are as they are.
"""

from sqlalchemy import (
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

from email_scheduler.database.connections import DATE, ID, JSON, MOMENT, Address, address_sql, trimmed_sql

metadata = MetaData(
    naming_convention={
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_NOW = text("CURRENT_TIMESTAMP")


def _key() -> Column[int]:
    return Column("id", ID, primary_key=True, autoincrement=True)


def _ids(*names: str) -> list[Column[int]]:
    return [Column(name, ID) for name in names]


def _integers(*names: str) -> list[Column[int]]:
    return [Column(name, Integer) for name in names]


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text) for name in names]


def _dates(*names: str) -> list[Column[str]]:
    return [Column(name, DATE) for name in names]


def _moments(*names: str) -> list[Column[str]]:
    return [Column(name, MOMENT) for name in names]


def _moments_of_writing(*names: str) -> list[Column[str]]:
    return [Column(name, MOMENT, server_default=_NOW) for name in names]


def _json(name: str) -> Column[str]:
    return Column(name, JSON)


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
    Index("ix_contacts_address", Address()),
)
Table(
    "contact_suppressions",
    metadata,
    Column("contact_id", ID, primary_key=True, autoincrement=False),
    *_texts("reason"),
    Column("suppressed_at", Text, server_default=_NOW),
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
    *_moments_of_writing("created_at", "updated_at"),
)
Table(
    "campaign_instances",
    metadata,
    _key(),
    Column("campaign_type", Text, ForeignKey("campaign_types.name")),
    *_texts("instance_name", "email_template", "sms_template", "active_start_date", "active_end_date"),
    _json("metadata"),
    *_moments_of_writing("created_at", "updated_at"),
    _flag("active", "TRUE"),
    UniqueConstraint("campaign_type", "instance_name"),
)
Table(
    "contact_campaigns",
    metadata,
    _key(),
    *_ids("contact_id"),
    Column("campaign_instance_id", ID, ForeignKey("campaign_instances.id")),
    *_texts("trigger_date"),
    Column("status", Text, server_default="pending"),
    _json("metadata"),
    *_moments_of_writing("created_at", "updated_at"),
    UniqueConstraint("contact_id", "campaign_instance_id", "trigger_date"),
)
Table(
    "campaign_change_log",
    metadata,
    _key(),
    *_ids("campaign_instance_id"),
    *_texts("campaign_type", "field_changed", "old_value", "new_value"),
    *_moments_of_writing("changed_at"),
    *_texts("changed_by"),
    _flag("requires_rescheduling", "FALSE"),
    *_texts("processed_run_id"),
)


def _schedule_columns() -> list[Column[int] | Column[str]]:
    return [
        *_ids("contact_id"),
        *_texts("email_type"),
        *_dates("scheduled_send_date"),
        *_texts("scheduled_send_time"),
        Column("status", Text, nullable=False),
        *_texts("skip_reason"),
        *_integers("priority"),
        *_ids("campaign_instance_id"),
        *_texts("email_template", "sms_template", "scheduler_run_id"),
        *_integers("event_year", "event_month", "event_day"),
        *_dates("ideal_send_date"),
        *_texts("adjustment"),
        *_ids("initial_email_id"),
        _json("metadata"),
        *_moments_of_writing("created_at", "updated_at"),
        *_moments("actual_send_datetime"),
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
    *_moments_of_writing("archived_at"),
    *_dates("as_of_date"),
    Index("ix_email_schedules_archive_contact_id", "contact_id"),
)
Table(
    "tracking_clicks",
    metadata,
    _key(),
    *_ids("contact_id", "email_schedule_id"),
    *_moments_of_writing("clicked_at"),
    *_texts("url", "ip_address", "user_agent"),
)
Table(
    "contact_events",
    metadata,
    _key(),
    *_ids("contact_id"),
    *_texts("event_type"),
    _json("event_data"),
    *_moments_of_writing("created_at"),
)
Table(
    "email_tracking",
    metadata,
    _key(),
    *_ids("email_id"),
    *_texts("event_type"),
    _json("event_data"),
    *_moments_of_writing("created_at"),
)
Table(
    "config_versions",
    metadata,
    _key(),
    *_texts("config_type"),
    _json("config_data"),
    *_moments("valid_from", "valid_to"),
    *_moments_of_writing("created_at"),
    *_texts("created_by"),
)
Table(
    "scheduler_checkpoints",
    metadata,
    _key(),
    *_moments("run_timestamp"),
    *_texts("scheduler_run_id"),
    *_dates("as_of_date"),
    Column("config_version_id", ID, ForeignKey("config_versions.id")),
    *_texts("contacts_checksum", "schedules_before_checksum", "schedules_after_checksum"),
    *_integers("contacts_processed", "invalid_contacts", "emails_scheduled", "emails_skipped"),
    _json("summary"),
    *_texts("status", "error_message"),
    *_moments("completed_at"),
    UniqueConstraint("scheduler_run_id"),
)
Table("contact_issues", metadata, *_ids("contact_id"), *_texts("field", "issue", "scheduler_run_id"))
Table(
    "followup_processing_log",
    metadata,
    _key(),
    *_texts("scheduler_run_id"),
    *_ids("initial_email_id", "contact_id"),
    *_texts("followup_type"),
    _json("behavior_analysis"),
    *_moments_of_writing("processed_at"),
)
Table(
    "planner_lock",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    *_texts("owner", "run_id"),
    Column("token", Integer, nullable=False, server_default=text("0")),
    *_moments("acquired_at", "heartbeat_at"),
)

# A suppression counts unless it has a readable date that is still to come. A day that does not exist is
# another one once it is reckoned with: 30 February becomes a day of March.
_DAY = "substr(suppression.suppressed_at, 1, 10)"
_IN_FORCE = {
    "sqlite": f"""coalesce(
        date({_DAY}, '+0 days') = {_DAY}
        AND {_DAY} > date('now'), 0) = 0""",
    "postgresql": f"""coalesce(
        CASE WHEN {_DAY} ~ '^[0-9]{{4}}-(0[1-9]|1[0-2])-[0-9]{{2}}$' AND {_DAY} !~ '^0000' THEN
            to_char(
                CAST(substr({_DAY}, 1, 8) || '01' AS DATE) + CAST(substr({_DAY}, 9) AS INTEGER) - 1,
                'YYYY-MM-DD'
            ) = {_DAY}
            AND {_DAY} COLLATE "C" > to_char(now() AT TIME ZONE 'America/Chicago', 'YYYY-MM-DD')
        END, FALSE) = FALSE""",
}
IS_ACTIVE = {
    "sqlite": "lower(trim(CAST(coalesce({}, 1) AS TEXT))) IN ('1', '1.0', 'true', 't', 'yes', 'y', 'on')",
    "postgresql": "coalesce({}, TRUE)",
}


# ruff: noqa: S608 - put together from names and expressions of this module
def due_emails_sql(dialect_name: str) -> str:
    """Return the statement that creates the view ``due_emails``."""
    in_force, is_active = _IN_FORCE[dialect_name], IS_ACTIVE[dialect_name]
    columns = ", ".join(f"schedule.{column.name}" for column in metadata.tables["email_schedules"].columns)
    return f"""
CREATE VIEW due_emails AS
SELECT
    {columns},
    {trimmed_sql("contact.email", dialect_name)} AS email,
    contact.phone_number
FROM email_schedules AS schedule
JOIN contacts AS contact ON contact.id = schedule.contact_id
WHERE schedule.status = 'pre-scheduled'
  AND NOT EXISTS (
    SELECT 1 FROM contact_suppressions AS suppression
    WHERE suppression.contact_id = schedule.contact_id AND {in_force})
  AND NOT EXISTS (
    SELECT 1 FROM contacts AS namesake
    JOIN contact_suppressions AS suppression ON suppression.contact_id = namesake.id
    WHERE {address_sql("namesake.email", dialect_name)} = {address_sql("contact.email", dialect_name)}
      AND {in_force})
  AND (coalesce(schedule.campaign_instance_id, 0) = 0 OR EXISTS (
    SELECT 1 FROM campaign_instances AS instance
    JOIN campaign_types AS type ON type.name = instance.campaign_type
    WHERE instance.id = schedule.campaign_instance_id
      AND {is_active.format("instance.active")}
      AND {is_active.format("type.active")}))
"""
