"""Index the sender's rows by their last date, and by campaign instance: old ones need not be read."""

from alembic import op
from sqlalchemy import TextClause, text

from email_scheduler.database.connections import last_date_sql

revision = "0005"
down_revision = "0004"

_IS_SENDERS = "status NOT IN ('pre-scheduled', 'skipped')"


def upgrade() -> None:
    op.drop_index("ix_email_schedules_sender_contact_id", "email_schedules", if_exists=True)
    last_date = text(f"({last_date_sql(op.get_bind().dialect.name)})")
    _create("ix_email_schedules_sender_last_date", [last_date, "email_type"], _IS_SENDERS)
    of_campaigns = f"{_IS_SENDERS} AND campaign_instance_id IS NOT NULL"
    _create("ix_email_schedules_sender_campaign_instance_id", ["campaign_instance_id"], of_campaigns)
    follow_ups = f"{_IS_SENDERS} AND initial_email_id IS NOT NULL"
    _create("ix_email_schedules_sender_initial_email_id", ["initial_email_id"], follow_ups)


def _create(name: str, columns: list[str | TextClause], condition: str) -> None:
    where = text(condition)
    op.create_index(name, "email_schedules", columns, sqlite_where=where, postgresql_where=where)
