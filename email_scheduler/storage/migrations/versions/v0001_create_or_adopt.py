"""Create the tables, or take over those that the older program has left."""

from alembic import op
from sqlalchemy import Table
from sqlalchemy.engine import Connection

from email_scheduler.errors import DatabaseError
from email_scheduler.storage.migrations import adoption
from email_scheduler.storage.migrations.schema_0001 import DUE_EMAILS, metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    existing = adoption.existing_tables(connection)
    connection.exec_driver_sql("DROP VIEW IF EXISTS due_emails")
    for table in metadata.sorted_tables:
        if table.name in existing:
            _adopt(connection, table)
        else:
            table.create(connection)
    connection.exec_driver_sql(DUE_EMAILS)


def _adopt(connection: Connection, table: Table) -> None:
    if table.name == "contacts":
        # somebody else's table, in which only the id is indispensable
        if "id" not in adoption.existing_columns(connection, "contacts"):
            raise DatabaseError("table contacts has no column id")
    elif table.name == "email_schedules":
        _rebuild_email_schedules(connection, table)
    elif not adoption.has_key(connection, table) or adoption.refers_to(
        connection, table.name, "email_schedules"
    ):
        # with a foreign key, each row that leaves the plan would be looked for there, and could not leave
        adoption.rebuild(connection, table)
    adoption.add_missing_columns(connection, table)
    adoption.add_missing_indexes(connection, table)


def _rebuild_email_schedules(connection: Connection, table: Table) -> None:
    """Rid the table of UNIQUE(contact_id, email_type, scheduled_send_date): plans may hold such rows."""
    has_status = "status" in adoption.existing_columns(connection, "email_schedules")
    # a row without a status is the sender's (section 1), and now says so
    status = "coalesce(status, 'unknown')" if has_status else "'unknown'"
    adoption.rebuild(connection, table, {"status": status})
