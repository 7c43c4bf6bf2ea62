"""Taking over tables that exist already: adding what they lack, losing nothing that they hold."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, DefaultClause, MetaData, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from email_scheduler.errors import DatabaseError

_logger = logging.getLogger(__name__)
_NOW = "CURRENT_TIMESTAMP"


@dataclass(frozen=True)
class ExistingColumn:
    """A column as SQLite describes it.

    Attributes:
        name: As the table spells it.
        type: As it was declared; may be empty.
        default: SQL, None if there is none.
        is_key: Whether it belongs to the primary key.
    """

    name: str
    type: str
    default: str | None
    is_key: bool


def quote(name: str) -> str:
    """Return a name as it stands in SQL."""
    return '"' + name.replace('"', '""') + '"'


def existing_tables(connection: Connection) -> set[str]:
    """Return the names of the tables, in lower case."""
    rows = connection.exec_driver_sql("SELECT lower(name) FROM sqlite_master WHERE type = 'table'")
    return set(rows.scalars())


def existing_columns(connection: Connection, table: str) -> dict[str, ExistingColumn]:
    """Return the columns of a table by their names in lower case, in order."""
    rows = connection.exec_driver_sql(f"PRAGMA table_xinfo({quote(table)})").mappings()
    return {
        row["name"].lower(): ExistingColumn(row["name"], row["type"], row["dflt_value"], row["pk"])
        for row in rows
    }


def refers_to(connection: Connection, table: str, target: str) -> bool:
    """Tell whether a table has a foreign key to another one."""
    rows = connection.exec_driver_sql(f"PRAGMA foreign_key_list({quote(table)})").mappings()
    return any(row["table"].lower() == target for row in rows)


def has_key(connection: Connection, table: Table) -> bool:
    """Tell whether the existing table has the primary key that it should have, if it should have one."""
    key = set(table.primary_key.columns.keys())
    return not key or _key_columns(connection, table.name) == key


def add_missing_columns(connection: Connection, table: Table) -> None:
    """Add the columns that the existing table lacks; times that nobody wrote down stay unknown."""
    present = existing_columns(connection, table.name)
    for column in table.columns:
        if column.name in present:
            continue
        definition = str(CreateColumn(column).compile(dialect=connection.dialect))
        if _has_current_time(column):
            definition = definition.replace(f" DEFAULT {_NOW}", "")
        connection.exec_driver_sql(f"ALTER TABLE {quote(table.name)} ADD COLUMN {definition}")


def add_missing_indexes(connection: Connection, table: Table) -> None:
    """Add indexes, and what must be unique; where rows share what should be, a warning is all.

    Raises:
        DatabaseError: Rows share a primary key.
    """
    present = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index'").scalars())
    for index in table.indexes:
        if index.name not in present:
            connection.execute(CreateIndex(index))
    unique_sets = _unique_sets(connection, table.name)
    for constraint in table.constraints:
        if not isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint):
            continue
        names = [column.name for column in constraint.columns]
        if not names or set(names) in unique_sets:
            continue
        if isinstance(constraint, PrimaryKeyConstraint):
            _refuse_shared_values(connection, table.name, names)
        elif shared := _shared_values(connection, table.name, names):
            _logger.warning(
                "table %s: %d values of %s are shared by rows", table.name, shared, ", ".join(names)
            )
            continue
        columns = ", ".join(quote(name) for name in names)
        name = f"uq_{table.name}_{'_'.join(names)}"
        connection.exec_driver_sql(f"CREATE UNIQUE INDEX {name} ON {quote(table.name)} ({columns})")


def rebuild(connection: Connection, table: Table, values: Mapping[str, str] | None = None) -> None:
    """Replace an existing table by one with the keys and columns that it should have, and all of its rows.

    Columns that ``table`` does not know stay, without constraints. So do triggers and indexes, apart from
    unique ones over known columns: they forbid what is allowed now. Foreign keys of other tables go on to
    refer to the table by its name. The pragma ``foreign_keys`` has to be off.

    Args:
        connection: In a transaction.
        table: What the table is to be; its own indexes are not created here.
        values: SQL for columns whose values are not copied as they are.

    Raises:
        DatabaseError: The rows do not fit the table.
    """
    present = existing_columns(connection, table.name)
    key = table.primary_key.columns.keys()
    if present.keys() >= set(key):
        _refuse_shared_values(connection, table.name, key)
    kept_sql = _triggers_and_indexes(connection, table)
    last_id = _last_id(connection, table.name)
    row_count = _count(connection, table.name)

    replacement = _create_replacement(connection, table)
    for name, column in present.items():
        if name not in table.columns:
            default = f" DEFAULT ({column.default})" if column.default is not None else ""
            connection.exec_driver_sql(
                f"ALTER TABLE {replacement} ADD COLUMN {quote(column.name)} {column.type}{default}"
            )
    unknown_times = {c.name: "NULL" for c in table.columns if _has_current_time(c) and c.name not in present}
    copied = {name: quote(column.name) for name, column in present.items()}
    sources = copied | unknown_times | dict(values or {})
    connection.exec_driver_sql(
        f"INSERT INTO {replacement} ({', '.join(map(quote, sources))})"  # noqa: S608 - names, quoted
        f" SELECT {', '.join(sources.values())} FROM {quote(table.name)}"
    )
    if _count(connection, replacement) != row_count:
        raise DatabaseError(f"table {table.name}: not all of its {row_count} rows could be copied")

    # otherwise renaming looks at every view, and fails at those of the table that is missing just then
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    connection.exec_driver_sql(f"DROP TABLE {quote(table.name)}")
    connection.exec_driver_sql(f"ALTER TABLE {replacement} RENAME TO {quote(table.name)}")
    connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")
    if last_id and table.dialect_options["sqlite"]["autoincrement"]:
        _keep_last_id(connection, table.name, last_id)
    for sql in kept_sql:
        connection.exec_driver_sql(sql)


def _has_current_time(column: Column[Any]) -> bool:
    default = column.server_default
    return isinstance(default, DefaultClause) and str(default.arg) == _NOW


def _create_replacement(connection: Connection, table: Table) -> str:
    copies = MetaData()
    for other in table.metadata.tables.values():
        other.to_metadata(copies)  # foreign keys are only rendered next to what they refer to
    replacement = table.to_metadata(copies, name=f"{table.name}_rebuilt")
    # the rows may break them; add_missing_indexes sees to what can be unique
    replacement.constraints -= {c for c in replacement.constraints if isinstance(c, UniqueConstraint)}
    connection.execute(CreateTable(replacement))
    return replacement.name


def _triggers_and_indexes(connection: Connection, table: Table) -> list[str]:
    rows = connection.exec_driver_sql(
        "SELECT type, name, sql FROM sqlite_master"
        " WHERE lower(tbl_name) = ? AND type IN ('trigger', 'index') AND sql IS NOT NULL ORDER BY type, name",
        (table.name,),
    ).all()
    uniques = {
        row["name"]
        for row in connection.exec_driver_sql(f"PRAGMA index_list({quote(table.name)})").mappings()
        if row["unique"]
    }
    own = {index.name for index in table.indexes}
    return [
        sql
        for kind, name, sql in rows
        if name not in own
        and not (name in uniques and _indexed_columns(connection, name) <= set(table.columns.keys()))
    ]


def _indexed_columns(connection: Connection, index: str) -> set[str]:
    # an expression has no name
    rows = connection.exec_driver_sql(f"PRAGMA index_info({quote(index)})").mappings()
    return {row["name"].lower() for row in rows if row["name"] is not None}


def _key_columns(connection: Connection, table: str) -> set[str]:
    return {name for name, column in existing_columns(connection, table).items() if column.is_key}


def _unique_sets(connection: Connection, table: str) -> list[set[str]]:
    rows = connection.exec_driver_sql(f"PRAGMA index_list({quote(table)})").mappings().all()
    full = [row["name"] for row in rows if row["unique"] and not row["partial"]]
    return [_key_columns(connection, table), *(_indexed_columns(connection, name) for name in full)]


def _refuse_shared_values(connection: Connection, table: str, names: list[str]) -> None:
    if shared := _shared_values(connection, table, names):
        raise DatabaseError(
            f"table {table}: {shared} values of {', '.join(names)} are held by more than one row each;"
            " every row needs its own"
        )


def _shared_values(connection: Connection, table: str, names: list[str]) -> int:
    columns = ", ".join(quote(name) for name in names)
    is_complete = " AND ".join(f"{quote(name)} IS NOT NULL" for name in names)
    return int(
        connection.exec_driver_sql(
            f"SELECT count(*) FROM (SELECT 1 FROM {quote(table)} WHERE {is_complete}"  # noqa: S608 - quoted names
            f" GROUP BY {columns} HAVING count(*) > 1)"
        ).scalar_one()
    )


def _count(connection: Connection, table: str) -> int:
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {quote(table)}").scalar_one())  # noqa: S608


def _last_id(connection: Connection, table: str) -> int:
    """Return the greatest id that the table ever gave away, as far as SQLite has kept it."""
    if "sqlite_sequence" not in existing_tables(connection):
        return 0
    row = connection.exec_driver_sql(
        "SELECT seq FROM sqlite_sequence WHERE lower(name) = ?", (table,)
    ).first()
    return int(row[0]) if row else 0


def _keep_last_id(connection: Connection, table: str, last_id: int) -> None:
    # an empty table has no entry yet, and the table of entries knows no conflicts
    connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ? AND seq < ?", (table, last_id))
    connection.exec_driver_sql(
        "INSERT INTO sqlite_sequence (name, seq) SELECT ?, ?"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?)",
        (table, last_id, table),
    )
