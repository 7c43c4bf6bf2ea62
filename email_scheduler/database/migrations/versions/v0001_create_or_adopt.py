"""Create the tables, or take over those that the older program has left."""

from alembic import op
from sqlalchemy import Table
from sqlalchemy.engine import Connection

from email_scheduler.database.migrations.adoption import Adoption
from email_scheduler.database.migrations.adoption_postgresql import PostgresqlAdoption
from email_scheduler.database.migrations.adoption_sqlite import SqliteAdoption
from email_scheduler.database.migrations.schema_0001 import due_emails_sql, metadata
from email_scheduler.errors import DatabaseError

revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    adoption = _adoption(connection)
    existing, there = adoption.table_names(), adoption.relation_names()
    connection.exec_driver_sql("DROP VIEW IF EXISTS due_emails")
    for table in metadata.sorted_tables:
        if table.name in existing:
            _adopt(adoption, table)
        elif table.name not in there:
            # a view of contacts stays as it is
            table.create(connection)
    connection.exec_driver_sql(due_emails_sql(connection.dialect.name))


def _adoption(connection: Connection) -> Adoption:
    is_postgresql = connection.dialect.name == "postgresql"
    return PostgresqlAdoption(connection) if is_postgresql else SqliteAdoption(connection)


def _adopt(adoption: Adoption, table: Table) -> None:
    columns = adoption.column_names(table.name)
    if table.name == "contacts":
        # somebody else's table, in which only the id is indispensable
        if "id" not in columns:
            raise DatabaseError("table contacts has no column id")
    elif table.name == "email_schedules":
        # a row without a status is the sender's (section 1), and now says so
        status = "coalesce(status, 'unknown')" if "status" in columns else "'unknown'"
        adoption.reshape(table, {"status": status})
    else:
        adoption.reshape(table, {})
    adoption.add_missing_columns(table)
    adoption.add_missing_indexes(table)
