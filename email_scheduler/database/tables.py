"""The organisation's database: every table, key and index (section 2 of the planning rules).

Hardly a column is mandatory, since rows come from the older program and from other systems too. On SQLite
dates, times, timestamps and JSON are text; PostgreSQL has its own types for them (``types``), apart from the
times of day and the dates of other systems, which the planning rules judge as they are written. The view
``due_emails`` is written in the migrations, as SQL.

No table has a foreign key to ``contacts`` or to ``email_schedules``:

- contacts belong to another system, which may delete them and load them anew; what was sent to them, what
  they answered, and above all that they must not be contacted has to outlive that;
- a planned row may leave ``email_schedules`` for ``email_schedules_archive`` although something names it.
  Its id stays unambiguous, since ids are never used twice (``AUTOINCREMENT``). That also keeps a sender
  who claims a row by its id from claiming another contact's row.
"""

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateIndex

from email_scheduler.database.connections import DATE, ID, JSON, MOMENT, Address, LastDate
from email_scheduler.registry import BUILT_IN_TYPES, CAMPAIGN_PREFIX, PRE_SCHEDULED, SKIPPED

# Conditions on email_schedules. They are spelled like the conditions of the partial indexes below: SQLite
# uses a partial index only where a query repeats its condition, with literals.
PRE_SCHEDULED_SQL = f"status = '{PRE_SCHEDULED}'"
PLANNER_ROW_SQL = f"status IN ('{PRE_SCHEDULED}', '{SKIPPED}')"
SENDER_ROW_SQL = f"status NOT IN ('{PRE_SCHEDULED}', '{SKIPPED}')"
# email_type is one of the planner's; null where email_type is null. Not LIKE: that ignores case. Not IN: for
# more than two values SQLite looks each row up in a table, which takes twenty times as long.
PLANNER_TYPE_SQL = "({} OR {})".format(
    f"substr(email_type, 1, {len(CAMPAIGN_PREFIX)}) = '{CAMPAIGN_PREFIX}'",
    " OR ".join(f"email_type = '{name}'" for name in BUILT_IN_TYPES),
)
FOREIGN_ROW_SQL = f"{PRE_SCHEDULED_SQL} AND NOT coalesce({PLANNER_TYPE_SQL}, FALSE)"

# The name of the index of addresses, which queries name.
ADDRESS_INDEX = "ix_contacts_address"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_NOW = text("CURRENT_TIMESTAMP")
_TRUE = text("TRUE")
_FALSE = text("FALSE")


def _id() -> Column[int]:
    return Column("id", ID, primary_key=True, autoincrement=True)


def _moment_of_writing(name: str) -> Column[str]:
    return Column(name, MOMENT, server_default=_NOW)


def _created_and_updated() -> tuple[Column[str], Column[str]]:
    return _moment_of_writing("created_at"), Column("updated_at", MOMENT, server_default=_NOW)


contacts = Table(
    "contacts",
    metadata,
    _id(),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("email", Text),
    Column("zip_code", Text),
    Column("state", Text),
    Column("birth_date", Text),
    Column("effective_date", Text),
    Column("phone_number", Text),
    Index(ADDRESS_INDEX, Address()),
)

contact_suppressions = Table(
    "contact_suppressions",
    metadata,
    Column("contact_id", ID, primary_key=True, autoincrement=False),
    Column("reason", Text),
    Column("suppressed_at", Text, server_default=_NOW),
)

# Addresses that must not be written to, whoever has them (sections 2 and 4). Triggers on contact_suppressions
# write the address that a contact has when it is suppressed, with its id.
suppressed_addresses = Table(
    "suppressed_addresses",
    metadata,
    Column("address", Text, primary_key=True),
    Column("reason", Text),
    Column("suppressed_at", Text, server_default=_NOW),
    # The last day on which it counts; null: for good.
    Column("suppressed_until", Text),
    Column("contact_id", ID),
    # Null until a plan or a command has computed it: the database does so for plain addresses only.
    Column("address_key", Text),
    Index(None, "contact_id"),
    Index(None, "address_key"),
)

# The keys of addresses that SQL cannot compute: not of ASCII characters only, or with a label xn--.
contact_address_keys = Table(
    "contact_address_keys",
    metadata,
    Column("contact_id", ID, primary_key=True, autoincrement=False),
    Column("email", Text),
    Column("address_key", Text),
    Index(None, "address_key"),
)

# Contacts that were edited since the plan (section 16), noted by triggers on contacts.
contact_changes = Table(
    "contact_changes",
    metadata,
    Column("contact_id", ID, primary_key=True, autoincrement=False),
    Column("changed_at", MOMENT, server_default=_NOW),
    # Another number with each change: the plan deletes the notes that it has read, and no later ones.
    Column("change_mark", ID),
)

# Contacts that got another id (section 2): what was carried over, by whom, why.
contact_rekeys = Table(
    "contact_rekeys",
    metadata,
    _id(),
    Column("old_contact_id", ID),
    Column("new_contact_id", ID),
    _moment_of_writing("rekeyed_at"),
    Column("rekeyed_by", Text),
    Column("reason", Text),
)

campaign_types = Table(
    "campaign_types",
    metadata,
    Column("name", Text, primary_key=True),
    Column("respect_exclusion_windows", Boolean, server_default=_TRUE),
    Column("enable_followups", Boolean, server_default=_TRUE),
    Column("days_before_event", Integer, server_default=text("0")),
    Column("target_all_contacts", Boolean, server_default=_FALSE),
    Column("priority", Integer, server_default=text("5")),
    Column("active", Boolean, server_default=_TRUE),
    *_created_and_updated(),
)

campaign_instances = Table(
    "campaign_instances",
    metadata,
    _id(),
    Column("campaign_type", Text, ForeignKey("campaign_types.name")),
    Column("instance_name", Text),
    Column("email_template", Text),
    Column("sms_template", Text),
    Column("active_start_date", Text),
    Column("active_end_date", Text),
    Column("metadata", JSON),
    *_created_and_updated(),
    Column("active", Boolean, server_default=_TRUE),
    UniqueConstraint("campaign_type", "instance_name"),
)

contact_campaigns = Table(
    "contact_campaigns",
    metadata,
    _id(),
    Column("contact_id", ID),
    Column("campaign_instance_id", ID, ForeignKey("campaign_instances.id")),
    Column("trigger_date", Text),
    Column("status", Text, server_default="pending"),
    Column("metadata", JSON),
    *_created_and_updated(),
    UniqueConstraint("contact_id", "campaign_instance_id", "trigger_date"),
)

campaign_change_log = Table(
    "campaign_change_log",
    metadata,
    _id(),
    Column("campaign_instance_id", ID),
    Column("campaign_type", Text),
    Column("field_changed", Text),
    Column("old_value", Text),
    Column("new_value", Text),
    _moment_of_writing("changed_at"),
    Column("changed_by", Text),
    Column("requires_rescheduling", Boolean, server_default=_FALSE),
    Column("processed_run_id", Text),
)

# Whoever changes campaigns and sees to the change log by himself puts a row here at the beginning of his
# transaction and takes it away at the end: the triggers that log the changes of others are silent meanwhile.
change_context = Table("change_context", metadata, _id(), Column("changed_by", Text))

# While there is a row without released_at, nothing of the organisation is due.
organization_holds = Table(
    "organization_holds",
    metadata,
    _id(),
    Column("reason", Text, nullable=False),
    Column("held_by", Text),
    Column("held_at", MOMENT, server_default=_NOW),
    Column("release_reason", Text),
    Column("released_by", Text),
    Column("released_at", MOMENT),
)


def _schedule_columns() -> list[Column[int] | Column[str]]:
    return [
        Column("contact_id", ID),
        Column("email_type", Text),
        Column("scheduled_send_date", DATE),
        Column("scheduled_send_time", Text),
        # Mandatory, so that every row is either the planner's or the sender's.
        Column("status", Text, nullable=False),
        Column("skip_reason", Text),
        Column("priority", Integer),
        Column("campaign_instance_id", ID),
        Column("email_template", Text),
        Column("sms_template", Text),
        Column("scheduler_run_id", Text),
        Column("event_year", Integer),
        Column("event_month", Integer),
        Column("event_day", Integer),
        Column("ideal_send_date", DATE),
        Column("adjustment", Text),
        Column("initial_email_id", ID),
        Column("metadata", JSON),
        *_created_and_updated(),
        Column("actual_send_datetime", MOMENT),
    ]


email_schedules = Table(
    "email_schedules",
    metadata,
    _id(),
    *_schedule_columns(),
    sqlite_autoincrement=True,
)


def _index_some(name: str, condition: str, *expressions: ColumnElement[Any]) -> None:
    """Index the rows of ``email_schedules`` that meet a condition."""
    Index(
        name,
        *expressions,
        _table=email_schedules,
        sqlite_where=text(condition),
        postgresql_where=text(condition),
    )


_IS_ANNIVERSARY_OR_CAMPAIGN = text("ideal_send_date IS NOT NULL AND initial_email_id IS NULL")
_IS_FOLLOW_UP = text("ideal_send_date IS NOT NULL AND initial_email_id IS NOT NULL")
Index(
    "uq_email_schedules_occurrence",
    email_schedules.c.contact_id,
    email_schedules.c.email_type,
    email_schedules.c.event_year,
    email_schedules.c.event_month,
    email_schedules.c.event_day,
    func.coalesce(email_schedules.c.campaign_instance_id, literal_column("0")),
    unique=True,
    sqlite_where=_IS_ANNIVERSARY_OR_CAMPAIGN,
    postgresql_where=_IS_ANNIVERSARY_OR_CAMPAIGN,
)
Index(
    "uq_email_schedules_initial_email_id",
    email_schedules.c.initial_email_id,
    unique=True,
    sqlite_where=_IS_FOLLOW_UP,
    postgresql_where=_IS_FOLLOW_UP,
)
# All rows of some contacts. The occurrence index cannot find them: follow-ups and older rows are not in it.
CONTACT_INDEX = "ix_email_schedules_contact_id"
Index(CONTACT_INDEX, email_schedules.c.contact_id)
# The sender's rows by their last date: those that can matter to a plan are the latest ones. The type is there
# so that the table need not be looked at.
SENDER_ROWS_INDEX = "ix_email_schedules_sender_last_date"
_index_some(SENDER_ROWS_INDEX, SENDER_ROW_SQL, LastDate(), email_schedules.c.email_type)
# Of campaigns, those of some instances, whatever their dates.
_IS_CAMPAIGN_ROW_SQL = f"{SENDER_ROW_SQL} AND campaign_instance_id IS NOT NULL"
SENDER_CAMPAIGN_ROWS_INDEX = "ix_email_schedules_sender_campaign_instance_id"
_index_some(SENDER_CAMPAIGN_ROWS_INDEX, _IS_CAMPAIGN_ROW_SQL, email_schedules.c.campaign_instance_id)
# Of follow-ups, those of some initial emails.
_IS_FOLLOW_UP_ROW_SQL = f"{SENDER_ROW_SQL} AND initial_email_id IS NOT NULL"
SENDER_FOLLOW_UPS_INDEX = "ix_email_schedules_sender_initial_email_id"
_index_some(SENDER_FOLLOW_UPS_INDEX, _IS_FOLLOW_UP_ROW_SQL, email_schedules.c.initial_email_id)
# Rows that other programs are about to send; as a rule there are none.
FOREIGN_ROWS_INDEX = "ix_email_schedules_foreign"
_index_some(FOREIGN_ROWS_INDEX, FOREIGN_ROW_SQL, email_schedules.c.id)
# What is due on a day.
_index_some("ix_email_schedules_due_date", PRE_SCHEDULED_SQL, email_schedules.c.scheduled_send_date)

email_schedules_archive = Table(
    "email_schedules_archive",
    metadata,
    # The id that the row had in email_schedules. Not a key: the archive takes what comes.
    Column("id", ID),
    *_schedule_columns(),
    _moment_of_writing("archived_at"),
    Column("as_of_date", DATE),
    Index("ix_email_schedules_archive_contact_id", "contact_id"),
)

tracking_clicks = Table(
    "tracking_clicks",
    metadata,
    _id(),
    Column("contact_id", ID),
    Column("email_schedule_id", ID),
    _moment_of_writing("clicked_at"),
    Column("url", Text),
    Column("ip_address", Text),
    Column("user_agent", Text),
)

contact_events = Table(
    "contact_events",
    metadata,
    _id(),
    Column("contact_id", ID),
    Column("event_type", Text),
    Column("event_data", JSON),
    _moment_of_writing("created_at"),
)

email_tracking = Table(
    "email_tracking",
    metadata,
    _id(),
    # An id of email_schedules, or of a row that has left it for the archive.
    Column("email_id", ID),
    Column("event_type", Text),
    Column("event_data", JSON),
    _moment_of_writing("created_at"),
)

config_versions = Table(
    "config_versions",
    metadata,
    _id(),
    Column("config_type", Text),
    Column("config_data", JSON),
    Column("valid_from", MOMENT),
    Column("valid_to", MOMENT),
    _moment_of_writing("created_at"),
    Column("created_by", Text),
)

# The last published plan is the row with the status completed and the greatest as_of_date.
scheduler_checkpoints = Table(
    "scheduler_checkpoints",
    metadata,
    _id(),
    Column("run_timestamp", MOMENT),
    Column("scheduler_run_id", Text),
    Column("as_of_date", DATE),
    Column("config_version_id", ID, ForeignKey("config_versions.id")),
    Column("contacts_checksum", Text),
    Column("schedules_before_checksum", Text),
    Column("schedules_after_checksum", Text),
    Column("contacts_processed", Integer),
    Column("invalid_contacts", Integer),
    Column("emails_scheduled", Integer),
    Column("emails_skipped", Integer),
    Column("summary", JSON),
    Column("status", Text),
    Column("error_message", Text),
    Column("completed_at", MOMENT),
    UniqueConstraint("scheduler_run_id"),
)

contact_issues = Table(
    "contact_issues",
    metadata,
    Column("contact_id", ID),
    Column("field", Text),
    Column("issue", Text),
    Column("scheduler_run_id", Text),
)

followup_processing_log = Table(
    "followup_processing_log",
    metadata,
    _id(),
    Column("scheduler_run_id", Text),
    Column("initial_email_id", ID),
    Column("contact_id", ID),
    Column("followup_type", Text),
    Column("behavior_analysis", JSON),
    _moment_of_writing("processed_at"),
)

# At most one row: the planner that holds the database. Whoever takes the lock over raises the token, and
# every transaction of a planner checks that the token is still its own.
planner_lock = Table(
    "planner_lock",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("owner", Text),
    Column("run_id", Text),
    Column("token", Integer, nullable=False, server_default=text("0")),
    Column("acquired_at", MOMENT),
    Column("heartbeat_at", MOMENT),
)


def create_index_sql(index: Index, url: str) -> str:
    """Return the statement that creates an index in the database of this URL."""
    dialect = make_url(url).get_dialect()()
    return str(CreateIndex(index).compile(dialect=dialect))
