"""Suppressed addresses; contacts that were edited since the plan; a view that errs towards not sending."""

import pyarrow as pa
from alembic import op
from sqlalchemy.engine import Connection

from email_scheduler.database.migrations import triggers_0004_postgresql, triggers_0004_sqlite
from email_scheduler.database.migrations.schema_0004 import (
    backfill_sql,
    due_emails_sql,
    is_plain_sql,
    metadata,
)
from email_scheduler.planning import address_keys

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    connection = op.get_bind()
    dialect = connection.dialect.name
    for table in metadata.sorted_tables:
        table.create(connection)
    connection.exec_driver_sql(backfill_sql(dialect))
    _note_address_keys(connection)
    if dialect == "postgresql":
        schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
        triggers = [statement.format(schema=schema) for statement in triggers_0004_postgresql.TRIGGERS]
    else:
        # PostgreSQL makes the view anew in its place, with the rights that others have
        connection.exec_driver_sql("DROP VIEW due_emails")
        triggers = list(triggers_0004_sqlite.TRIGGERS)
    connection.exec_driver_sql(due_emails_sql(dialect))
    for statement in triggers:
        connection.exec_driver_sql(statement)


def _note_address_keys(connection: Connection) -> None:
    """Note the keys of addresses that SQL cannot tell, so that what is planned already stays due."""
    dialect = connection.dialect.name
    odd = connection.exec_driver_sql(
        f"SELECT id, email FROM contacts WHERE id IS NOT NULL AND NOT {is_plain_sql('email', dialect)}"  # noqa: S608
    ).all()
    if not odd:
        return
    keys = address_keys(pa.array([str(row.email) for row in odd], pa.large_string())).to_pylist()
    noted = [
        {"contact_id": row.id, "email": row.email, "address_key": key}
        for row, key in zip(odd, keys, strict=True)
    ]
    connection.execute(metadata.tables["contact_address_keys"].insert(), noted)
    table = metadata.tables["suppressed_addresses"]
    key_of = dict(zip((row.email for row in odd), keys, strict=True))
    unknown = connection.execute(table.select().where(table.c.address_key.is_(None))).all()
    for row in unknown:
        statement = table.update().where(table.c.address == row.address)
        connection.execute(statement.values(address_key=key_of[row.address]))
