"""What schema version 0003 adds: holds of an organisation, and triggers that record changes of campaigns.

A trigger writes to ``campaign_change_log`` what another program changes in campaigns. It writes nothing while
its own transaction has a row in ``change_context``: whoever puts one there writes the log by itself, or has
nothing to log. No transaction ever sees such a row of another one, since it is gone before it commits. The
triggers are in ``triggers_0003_sqlite`` and ``triggers_0003_postgresql``; both log the same.
"""

from typing import Final

from sqlalchemy import Column, MetaData, Table, Text, text

from email_scheduler.database.connections import ID, MOMENT

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})


def _key() -> Column[int]:
    return Column("id", ID, primary_key=True, autoincrement=True)


Table(
    "organization_holds",
    metadata,
    _key(),
    Column("reason", Text, nullable=False),
    Column("held_by", Text),
    Column("held_at", MOMENT, server_default=text("CURRENT_TIMESTAMP")),
    Column("release_reason", Text),
    Column("released_by", Text),
    Column("released_at", MOMENT),
)
Table("change_context", metadata, _key(), Column("changed_by", Text))

# What due_emails leaves out besides what it did before: everything while the organisation is held, and
# campaign emails of contacts that were withdrawn.
DUE_EMAILS_CONDITION: Final = """
  AND NOT EXISTS (SELECT 1 FROM organization_holds AS hold WHERE hold.released_at IS NULL)
  AND (schedule.campaign_instance_id IS NULL OR schedule.initial_email_id IS NOT NULL OR NOT EXISTS (
    SELECT 1 FROM contact_campaigns AS withdrawn
    WHERE withdrawn.contact_id = schedule.contact_id
      AND withdrawn.campaign_instance_id = schedule.campaign_instance_id AND withdrawn.status = 'skipped')
    OR EXISTS (
    SELECT 1 FROM contact_campaigns AS target
    WHERE target.contact_id = schedule.contact_id
      AND target.campaign_instance_id = schedule.campaign_instance_id
      AND target.status IN ('pending', 'scheduled')))
"""

# The columns whose changes are recorded.
TYPE_COLUMNS: Final = ("name", "days_before_event", "priority")
TYPE_FLAGS: Final = ("respect_exclusion_windows", "enable_followups", "target_all_contacts", "active")
INSTANCE_COLUMNS: Final = (
    "campaign_type",
    "instance_name",
    "email_template",
    "sms_template",
    "active_start_date",
    "active_end_date",
    "metadata",
)
INSTANCE_FLAGS: Final = ("active",)

LOG_COLUMNS: Final = (
    "campaign_instance_id, campaign_type, field_changed, old_value, new_value, changed_at, changed_by,"
    " requires_rescheduling"
)
DIRECT: Final = "direct SQL"
UNLESS_TOLD: Final = "NOT EXISTS (SELECT 1 FROM change_context)"
