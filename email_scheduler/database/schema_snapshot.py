"""What a database is made of, and what became of the tables that were there before (``init-db``)."""

# ruff: noqa: S608 - put together from names of this module

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import Connection as EngineConnection

from email_scheduler.database.connections import POSTGRESQL

COLUMNS: Final = "columns"
INDEXES: Final = "indexes"
TRIGGERS: Final = "triggers"
_KINDS: Final = (COLUMNS, INDEXES, TRIGGERS)
# Kind, table and name; a table without anything has its name only. What the database names by itself is no
# part of it: on SQLite the indexes of keys, on PostgreSQL the triggers of foreign keys.
_PARTS_SQL: Final = {
    "sqlite": f"""
SELECT '{COLUMNS}', lower(tables.name), lower(columns.name)
FROM sqlite_master AS tables JOIN pragma_table_xinfo(tables.name) AS columns
WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite~_%' ESCAPE '~'
UNION ALL SELECT CASE type WHEN 'index' THEN '{INDEXES}' ELSE '{TRIGGERS}' END, lower(tbl_name), name
FROM sqlite_master WHERE type IN ('index', 'trigger') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'""",
    POSTGRESQL: f"""
SELECT '{COLUMNS}', tables.relname, attname
FROM pg_attribute JOIN pg_class AS tables ON tables.oid = attrelid
WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'p') AND attnum > 0
  AND NOT attisdropped
UNION ALL SELECT '{INDEXES}', tables.relname, indexes.relname
FROM pg_index JOIN pg_class AS tables ON tables.oid = indrelid
JOIN pg_class AS indexes ON indexes.oid = indexrelid
WHERE tables.relnamespace = to_regnamespace(quote_ident(current_schema())) AND tables.relkind IN ('r', 'p')
UNION ALL SELECT '{TRIGGERS}', tables.relname, tgname
FROM pg_trigger JOIN pg_class AS tables ON tables.oid = tgrelid
WHERE tables.relnamespace = to_regnamespace(quote_ident(current_schema())) AND NOT tgisinternal
  AND tgparentid = 0""",
}


@dataclass(frozen=True)
class TableChange:
    """What became of a table that was there before.

    Attributes:
        table: Its name.
        kind: ``COLUMNS``, ``INDEXES`` or ``TRIGGERS``.
        added: Those that it has got, by name.
        removed: Those that were taken away.
    """

    table: str
    kind: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class SchemaSnapshot:
    """The tables of a database with their columns, indexes and triggers; of views, nothing.

    Attributes:
        parts: By kind and table, the names; a table always has ``COLUMNS``.
    """

    parts: dict[tuple[str, str], set[str]]

    @classmethod
    def of(cls, connection: EngineConnection) -> "SchemaSnapshot":
        """Look at a database, within the transaction of ``connection``."""
        parts: dict[tuple[str, str], set[str]] = {}
        # as it is: a percent sign is one
        statement = _PARTS_SQL[connection.dialect.name]
        rows = connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        for kind, table, name in rows:
            parts.setdefault((kind, table), set()).add(name)
        return cls(parts)

    @property
    def tables(self) -> set[str]:
        """The names of the tables."""
        return {table for kind, table in self.parts if kind == COLUMNS}

    def changes_to(self, after: "SchemaSnapshot") -> Iterator[TableChange]:
        """Yield what has changed until ``after`` in the tables that were there."""
        for table in sorted(self.tables & after.tables):
            for kind in _KINDS:
                was, is_now = (each.parts.get((kind, table), set()) for each in (self, after))
                if was != is_now:
                    yield TableChange(table, kind, tuple(sorted(is_now - was)), tuple(sorted(was - is_now)))
