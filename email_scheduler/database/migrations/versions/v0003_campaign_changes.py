"""Hold an organisation, and record what other programs change in its campaigns."""

from alembic import op
from sqlalchemy.engine import Connection

from email_scheduler.database.migrations import triggers_0003_postgresql, triggers_0003_sqlite
from email_scheduler.database.migrations.schema_0003 import DUE_EMAILS_CONDITION, metadata

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    connection = op.get_bind()
    for table in metadata.sorted_tables:
        table.create(connection)
    view = _view(connection)
    connection.exec_driver_sql("DROP VIEW due_emails")
    connection.exec_driver_sql(f"{view}\n{DUE_EMAILS_CONDITION}")
    triggers = triggers_0003_postgresql if _is_postgresql(connection) else triggers_0003_sqlite
    for statement in triggers.TRIGGERS:
        connection.exec_driver_sql(statement)


def _is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _view(connection: Connection) -> str:
    """Return the statement that has made due_emails; a condition may follow it."""
    if _is_postgresql(connection):
        query = connection.exec_driver_sql("SELECT pg_get_viewdef('due_emails'::regclass)").scalar_one()
        return f"CREATE VIEW due_emails AS {query.rstrip().rstrip(';')}"
    statement = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE type = 'view' AND lower(name) = 'due_emails'"
    ).scalar_one()
    return str(statement).rstrip().rstrip(";")
