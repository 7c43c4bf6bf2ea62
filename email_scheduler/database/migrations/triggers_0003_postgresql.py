"""The triggers of schema version 0003 in PostgreSQL; those of targets run once for each statement."""

# ruff: noqa: S608 - put together from names and expressions of this package

from typing import Final

from email_scheduler.database.migrations.schema_0003 import (
    DIRECT,
    INSTANCE_COLUMNS,
    INSTANCE_FLAGS,
    LOG_COLUMNS,
    TYPE_COLUMNS,
    TYPE_FLAGS,
)

_TOLD: Final = "EXISTS (SELECT 1 FROM change_context)"


def _rows(table: str, instance: str, campaign_type: str, name: str, requires: str) -> list[str]:
    """Return the function and the trigger that record whole rows and columns of a table."""
    names = {
        "campaign_types": TYPE_COLUMNS + TYPE_FLAGS,
        "campaign_instances": INSTANCE_COLUMNS + INSTANCE_FLAGS,
    }[table]
    columns = ", ".join(f"'{column}'" for column in names)

    def row(record: str, field: str, old: str, new: str) -> str:
        return (
            f"INSERT INTO campaign_change_log ({LOG_COLUMNS})"
            f" SELECT {instance.format(record)}, {campaign_type.format(record)}, {field}, {old}, {new},"
            f" clock_timestamp(), '{DIRECT} (' || session_user || ')', {requires.format(record)}"
        )

    created = row("NEW", "'created'", "NULL", f"NEW.{name}")
    deleted = row("OLD", "'deleted'", f"OLD.{name}", "NULL")
    changed = row("NEW", "field", "to_jsonb(OLD) ->> field", "to_jsonb(NEW) ->> field")
    return [
        f"""CREATE FUNCTION log_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF {_TOLD} THEN RETURN NULL; END IF;
  IF TG_OP = 'INSERT' THEN
    {created};
  ELSIF TG_OP = 'DELETE' THEN
    {deleted};
  ELSE
    {changed}
      FROM unnest(ARRAY[{columns}]) AS field
      WHERE to_jsonb(OLD) ->> field IS DISTINCT FROM to_jsonb(NEW) ->> field;
  END IF;
  RETURN NULL;
END $$""",
        f"""CREATE TRIGGER log_{table} AFTER INSERT OR UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION log_{table}()""",
    ]


def _counts(rows: str) -> str:
    """Return the statement that counts targets by instance and kind of change.

    Args:
        rows: A query with a row for each: ``instance_id``, ``kind``.
    """
    return f"""INSERT INTO campaign_change_log ({LOG_COLUMNS})
    SELECT counted.instance_id, instance.campaign_type, 'targets', NULL,
      '{{"' || counted.kind || '": ' || count(*) || '}}', clock_timestamp(),
      '{DIRECT} (' || session_user || ')', counted.kind <> 'annotated'
    FROM ({rows}) AS counted LEFT JOIN campaign_instances AS instance ON instance.id = counted.instance_id
    GROUP BY counted.instance_id, instance.campaign_type, counted.kind"""


_OPEN: Final = "coalesce({}.status, '') IN ('pending', 'scheduled')"
_UPDATED: Final = f"""
      SELECT old_row.campaign_instance_id AS instance_id, 'removed' AS kind
      FROM old_rows AS old_row JOIN new_rows AS new_row ON new_row.id = old_row.id
      WHERE old_row.campaign_instance_id IS DISTINCT FROM new_row.campaign_instance_id
      UNION ALL
      SELECT new_row.campaign_instance_id, CASE
          WHEN old_row.campaign_instance_id IS DISTINCT FROM new_row.campaign_instance_id THEN 'added'
          WHEN old_row.contact_id IS DISTINCT FROM new_row.contact_id THEN 'changed'
          WHEN old_row.status IS DISTINCT FROM new_row.status AND new_row.status = 'skipped' THEN 'withdrawn'
          WHEN old_row.trigger_date IS DISTINCT FROM new_row.trigger_date THEN 'moved'
          WHEN old_row.status IS DISTINCT FROM new_row.status AND NOT (
            {_OPEN.format("old_row")} AND {_OPEN.format("new_row")}) THEN 'changed'
          ELSE 'annotated' END
      FROM old_rows AS old_row JOIN new_rows AS new_row ON new_row.id = old_row.id
      WHERE old_row.campaign_instance_id IS DISTINCT FROM new_row.campaign_instance_id
        OR old_row.contact_id IS DISTINCT FROM new_row.contact_id
        OR old_row.trigger_date IS DISTINCT FROM new_row.trigger_date
        OR old_row.metadata::text IS DISTINCT FROM new_row.metadata::text
        OR (old_row.status IS DISTINCT FROM new_row.status AND NOT (
          {_OPEN.format("old_row")} AND {_OPEN.format("new_row")}))
      UNION ALL
      SELECT old_row.campaign_instance_id, 'removed'
      FROM old_rows AS old_row WHERE NOT EXISTS (SELECT 1 FROM new_rows WHERE new_rows.id = old_row.id)
      UNION ALL
      SELECT new_row.campaign_instance_id, 'added'
      FROM new_rows AS new_row WHERE NOT EXISTS (SELECT 1 FROM old_rows WHERE old_rows.id = new_row.id)"""

_ADDED: Final = "SELECT campaign_instance_id AS instance_id, 'added' AS kind FROM new_rows"
_REMOVED: Final = "SELECT campaign_instance_id AS instance_id, 'removed' AS kind FROM old_rows"
_TARGETS: Final = f"""
CREATE FUNCTION log_contact_campaigns() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF {_TOLD} THEN RETURN NULL; END IF;
  IF TG_OP = 'INSERT' THEN
    {_counts(_ADDED)};
  ELSIF TG_OP = 'DELETE' THEN
    {_counts(_REMOVED)};
  ELSE
    {_counts(_UPDATED)};
  END IF;
  RETURN NULL;
END $$"""

_HAS_INSTANCES: Final = (
    "EXISTS (SELECT 1 FROM campaign_instances AS instance WHERE instance.campaign_type = {}.name)"
)
TRIGGERS: Final = (
    *_rows("campaign_types", "NULL::bigint", "{}.name", "name", _HAS_INSTANCES),
    *_rows("campaign_instances", "{}.id", "{}.campaign_type", "instance_name", "TRUE"),
    _TARGETS,
    *(
        f"CREATE TRIGGER log_contact_campaigns_{event.lower()} AFTER {event} ON contact_campaigns"
        f" REFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION log_contact_campaigns()"
        for event, rows in (
            ("INSERT", "NEW TABLE AS new_rows"),
            ("UPDATE", "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
            ("DELETE", "OLD TABLE AS old_rows"),
        )
    ),
)
