"""The triggers of schema version 0003 in SQLite, which knows only triggers of single rows."""

# ruff: noqa: S608 - put together from names and expressions of this package

from typing import Final

from email_scheduler.database.migrations.schema_0003 import (
    DIRECT,
    INSTANCE_COLUMNS,
    INSTANCE_FLAGS,
    LOG_COLUMNS,
    TYPE_COLUMNS,
    TYPE_FLAGS,
    UNLESS_TOLD,
)

_NOW: Final = "strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'"


def _flag(value: str) -> str:
    return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE {value} END"


def _changes(instance: str, campaign_type: str, requires: str, columns: dict[str, bool]) -> str:
    """Return statements that record each column that has changed; the value tells whether it is a flag."""
    statements = []
    for name, is_flag in columns.items():
        old, new = (_flag(f"{row}.{name}") if is_flag else f"{row}.{name}" for row in ("old", "new"))
        statements.append(
            f"INSERT INTO campaign_change_log ({LOG_COLUMNS}) SELECT {instance}, {campaign_type}, '{name}',"
            f" {old}, {new}, {_NOW}, '{DIRECT}', {requires} WHERE old.{name} IS NOT new.{name};"
        )
    return "\n  ".join(statements)


def _whole_row(instance: str, campaign_type: str, field: str, requires: str, name: str) -> str:
    old, new = ("NULL", name) if field == "created" else (name, "NULL")
    return (
        f"INSERT INTO campaign_change_log ({LOG_COLUMNS})"
        f" VALUES ({instance}, {campaign_type}, '{field}', {old}, {new}, {_NOW}, '{DIRECT}', {requires});"
    )


def _targets(instance: str, kind: str, requires: str = "1") -> str:
    """Return statements that count one target more; all of a statement are counted in one entry.

    That works because all of a statement have the same time, to the millisecond.
    """
    opening = f"'{{\"' || {kind} || '\": '"
    campaign_type = f"(SELECT campaign_type FROM campaign_instances WHERE id = {instance})"
    return f"""UPDATE campaign_change_log
    SET new_value = {opening} || (CAST(substr(new_value, length({opening}) + 1) AS INTEGER) + 1) || '}}'
    WHERE id = (SELECT max(id) FROM campaign_change_log) AND field_changed = 'targets'
      AND campaign_instance_id IS {instance} AND changed_by = '{DIRECT}' AND changed_at = {_NOW}
      AND substr(new_value, 1, length({opening})) = {opening} AND processed_run_id IS NULL;
  INSERT INTO campaign_change_log ({LOG_COLUMNS})
    SELECT {instance}, {campaign_type}, 'targets', NULL, {opening} || '1}}', {_NOW}, '{DIRECT}', {requires}
    WHERE changes() = 0;"""


def _trigger(name: str, when: str, body: str, condition: str = "") -> str:
    table, _, event = name.rpartition(" ")
    return (
        f"CREATE TRIGGER log_{table}_{event} AFTER {when} ON {table}\n"
        f"WHEN {UNLESS_TOLD}{condition}\nBEGIN\n  {body}\nEND"
    )


_HAS_INSTANCES: Final = "EXISTS (SELECT 1 FROM campaign_instances WHERE campaign_type = {}.name)"
_OPEN: Final = "coalesce({}.status, '') IN ('pending', 'scheduled')"
# What the planner notes: to the plan, both are the same.
_IS_BOOKKEEPING: Final = (
    "old.contact_id IS new.contact_id AND old.trigger_date IS new.trigger_date"
    " AND old.metadata IS new.metadata"
    f" AND {_OPEN.format('old')} AND {_OPEN.format('new')}"
)
_KIND_OF_UPDATE: Final = (
    "CASE WHEN old.contact_id IS NOT new.contact_id THEN 'changed'"
    " WHEN old.status IS NOT new.status AND new.status = 'skipped' THEN 'withdrawn'"
    " WHEN old.trigger_date IS NOT new.trigger_date THEN 'moved'"
    f" WHEN old.status IS NOT new.status AND NOT ({_OPEN.format('old')} AND {_OPEN.format('new')})"
    " THEN 'changed' ELSE 'annotated' END"
)
_TARGET_COLUMNS: Final = "contact_id, campaign_instance_id, trigger_date, status, metadata"
_ANY_TARGET_COLUMN: Final = " OR ".join(
    f"old.{name} IS NOT new.{name}" for name in ("contact_id", "trigger_date", "status", "metadata")
)

TRIGGERS: Final = (
    _trigger(
        "campaign_types insert",
        "INSERT",
        _whole_row("NULL", "new.name", "created", _HAS_INSTANCES.format("new"), "new.name"),
    ),
    _trigger(
        "campaign_types delete",
        "DELETE",
        _whole_row("NULL", "old.name", "deleted", _HAS_INSTANCES.format("old"), "old.name"),
    ),
    _trigger(
        "campaign_types update",
        "UPDATE",
        _changes(
            "NULL",
            "new.name",
            f"{_HAS_INSTANCES.format('new')} OR {_HAS_INSTANCES.format('old')}",
            dict.fromkeys(TYPE_COLUMNS, False) | dict.fromkeys(TYPE_FLAGS, True),
        ),
    ),
    _trigger(
        "campaign_instances insert",
        "INSERT",
        _whole_row("new.id", "new.campaign_type", "created", "1", "new.instance_name"),
    ),
    _trigger(
        "campaign_instances delete",
        "DELETE",
        _whole_row("old.id", "old.campaign_type", "deleted", "1", "old.instance_name"),
    ),
    _trigger(
        "campaign_instances update",
        "UPDATE",
        _changes(
            "new.id",
            "new.campaign_type",
            "1",
            dict.fromkeys(INSTANCE_COLUMNS, False) | dict.fromkeys(INSTANCE_FLAGS, True),
        ),
    ),
    _trigger("contact_campaigns insert", "INSERT", _targets("new.campaign_instance_id", "'added'")),
    _trigger("contact_campaigns delete", "DELETE", _targets("old.campaign_instance_id", "'removed'")),
    _trigger(
        "contact_campaigns update",
        f"UPDATE OF {_TARGET_COLUMNS}",
        _targets("new.campaign_instance_id", f"({_KIND_OF_UPDATE})", f"({_KIND_OF_UPDATE}) <> 'annotated'"),
        " AND old.campaign_instance_id IS new.campaign_instance_id"
        f" AND NOT ({_IS_BOOKKEEPING}) AND ({_ANY_TARGET_COLUMN})",
    ),
    _trigger(
        "contact_campaigns handover",
        "UPDATE OF campaign_instance_id",
        _targets("old.campaign_instance_id", "'removed'")
        + "\n  "
        + _targets("new.campaign_instance_id", "'added'"),
        " AND old.campaign_instance_id IS NOT new.campaign_instance_id",
    ),
)
