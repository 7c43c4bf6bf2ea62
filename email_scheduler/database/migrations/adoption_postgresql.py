"""Taking over tables of PostgreSQL: what differs is altered in place."""

# ruff: noqa: S608 - put together from quoted names and types

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Column, DefaultClause, Table
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import DataError

from email_scheduler.database.migrations.adoption import Adoption, has_current_time, quote
from email_scheduler.database.migrations.views_postgresql import views_of
from email_scheduler.errors import DatabaseError

# Rows of these come and go, whoever refers to them.
_TRANSIENT: Final = ("contacts", "email_schedules")
_INTEGERS: Final = ("smallint", "integer", "bigint")
# What is in the column besides nulls has to look like this; then the server reads it.
_SHAPES: Final = {"date": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?$"}
_SHAPES["timestamp with time zone"] = _SHAPES["date"]
_NAMES: Final = {"date": "date", "timestamp with time zone": "timestamp", "json": "JSON"}
_READS: Final = """
CREATE FUNCTION pg_temp.email_scheduler_reads(value text, wanted text) RETURNS boolean AS $$
BEGIN
    EXECUTE format('SELECT CAST(%L AS %s)', value, wanted);
    RETURN TRUE;
EXCEPTION WHEN data_exception THEN
    RETURN FALSE;
END
$$ LANGUAGE plpgsql
"""


class PostgresqlAdoption(Adoption):
    """The tables of one PostgreSQL database, in the schema that is the current one."""

    def table_names(self) -> set[str]:
        """Return the names of the tables."""
        return set(self._inspector().get_table_names())

    def relation_names(self) -> set[str]:
        """Return the names of the tables and views, foreign and materialized ones too."""
        rows = self.run(
            "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE nspname = current_schema() AND relkind IN ('r', 'p', 'v', 'm', 'f')"
        )
        return set(rows.scalars())

    def column_names(self, table_name: str) -> set[str]:
        """Return the names of the columns of a table."""
        return set(self._types(table_name))

    def index_names(self) -> set[str]:
        """Return the names of all indexes."""
        rows = self.run("SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()")
        return set(rows.scalars())

    def unique_sets(self, table_name: str) -> list[set[str]]:
        """Return the sets of columns whose values no two rows of a table share."""
        return [self._key_columns(table_name), *self._unique_indexes(table_name, is_partial=False).values()]

    def can_be_unique(self, table_name: str, names: list[str]) -> bool:
        """Tell whether a key of these columns holds those by which the table is partitioned, if it is."""
        rows = self.run(
            "SELECT attname FROM pg_partitioned_table"
            " CROSS JOIN unnest(CAST(partattrs AS int2[])) AS key (number)"
            " LEFT JOIN pg_attribute ON attrelid = partrelid AND attnum = key.number AND attnum > 0"
            " WHERE partrelid = CAST(%s AS regclass)",
            (quote(table_name),),
        )
        return set(rows.scalars()) <= set(names)

    def add_missing_columns(self, table: Table) -> None:
        """Add the columns that the existing table lacks; times that nobody wrote down stay unknown."""
        present = self.column_names(table.name)
        super().add_missing_columns(table)
        self._alter(
            table.name,
            [
                f"ALTER {quote(column.name)} SET DEFAULT CURRENT_TIMESTAMP"
                for column in table.columns
                if has_current_time(column) and column.name not in present
            ],
        )

    def add_missing_indexes(self, table: Table) -> None:
        """Add indexes, and let the server look at what they hold: plans of queries depend on it."""
        super().add_missing_indexes(table)
        self.run(f"ANALYZE {quote(table.name)}")

    def reshape(self, table: Table, values: Mapping[str, str]) -> None:
        """Alter an existing table to the keys and types that it should have (see the base class).

        Texts become dates, timestamps or JSON if all of them can be read.
        """
        is_schedules = table.name == "email_schedules"
        self._drop_constraints(table, all_but_keys=is_schedules)
        if is_schedules:
            for name, columns in self._unique_indexes(table.name, is_partial=True).items():
                if columns <= set(table.columns.keys()):
                    self.run(f"DROP INDEX {quote(name)}")
            self._loosen(table)
        self._convert(table, values)
        for name in values.keys() - self.column_names(table.name):
            self._add_filled_column(table.columns[name], values[name])
        self._see_to_the_key(table)

    def _inspector(self) -> Inspector:
        # it remembers what it has seen, so that each question needs a new one
        return sqlalchemy.inspect(self.connection)

    def _types(self, table_name: str) -> dict[str, str]:
        rows = self.run(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = CAST(%s AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (quote(table_name),),
        )
        return {str(name): str(type_name) for name, type_name in rows}

    def _key_columns(self, table_name: str) -> set[str]:
        return set(self._inspector().get_pk_constraint(table_name)["constrained_columns"])

    def _unique_indexes(self, table_name: str, *, is_partial: bool) -> dict[str, set[str]]:
        """Return the unique indexes apart from the primary key, by name."""
        rows = self.run(
            "SELECT relation.relname, ARRAY(SELECT attname FROM pg_attribute"
            " WHERE attrelid = indrelid AND attnum = ANY(CAST(indkey AS int2[])))"
            " FROM pg_index JOIN pg_class AS relation ON relation.oid = indexrelid"
            " WHERE indrelid = CAST(%s AS regclass) AND indisunique AND NOT indisprimary"
            " AND (indexprs IS NULL AND indpred IS NULL OR %s)",
            (quote(table_name), is_partial),
        )
        return {str(name): set(columns) for name, columns in rows}

    def _alter(self, table_name: str, actions: list[str]) -> None:
        if actions:
            self.run(f"ALTER TABLE {quote(table_name)} {', '.join(actions)}")

    def _drop_constraints(self, table: Table, *, all_but_keys: bool) -> None:
        """Drop foreign keys to rows that come and go, or all constraints apart from the primary key."""
        names = self.run(
            "SELECT conname FROM pg_constraint LEFT JOIN pg_class AS target ON target.oid = confrelid"
            " WHERE conrelid = CAST(%s AS regclass)"
            " AND (contype = 'f' AND target.relname = ANY(%s) OR contype IN ('c', 'f', 'u', 'x') AND %s)",
            (quote(table.name), list(_TRANSIENT), all_but_keys),
        ).scalars()
        self._alter(table.name, [f"DROP CONSTRAINT {quote(name)}" for name in names])

    def _loosen(self, table: Table) -> None:
        """Let columns be null, and rid those of the table of their defaults."""
        key, present = self._key_columns(table.name), self.column_names(table.name)
        self._alter(
            table.name,
            [f"ALTER {quote(name)} DROP NOT NULL" for name in present - key]
            + [
                f"ALTER {quote(column.name)} DROP DEFAULT"
                for column in table.columns
                if column.name in present and column.server_default is None and column.name != "id"
            ],
        )

    def _convert(self, table: Table, values: Mapping[str, str]) -> None:
        """Give columns the types that they should have, all in one pass over the rows."""
        types = self._types(table.name)
        changed = {
            column.name: self._wanted_type(column)
            for column in table.columns
            if column.name in types
            and (column.name in values or not _is_as_good(types[column.name], self._wanted_type(column)))
        }
        if not changed:
            return
        for name, wanted in changed.items():
            if wanted in _SHAPES and not types[name].startswith(("date", "timestamp")):
                self._refuse_rows(table, name, wanted, f"{_text(quote(name))} !~ '{_SHAPES[wanted]}'")
        actions = []
        for name, wanted in changed.items():
            expression = values.get(name) or _conversion(quote(name), types[name], wanted)
            actions += _change_of_type(table.columns[name], wanted, expression)
        views = views_of(self.connection, quote(table.name))
        for view in reversed(views):
            self.run(f"DROP VIEW {view.name}")
        try:
            with self.connection.begin_nested():
                self._alter(table.name, actions)
        except DataError:
            self._name_the_culprit(table, changed)
            raise
        for statement in (statement for view in views for statement in view.statements):
            self.run(statement)

    def _wanted_type(self, column: Column[Any]) -> str:
        return str(column.type.compile(self.connection.dialect)).lower()

    def _name_the_culprit(self, table: Table, changed: Mapping[str, str]) -> None:
        """Raise a ``DatabaseError`` that names a row whose text the server does not read, if there is one."""
        self.run(_READS)
        for column in [name for name, wanted in changed.items() if wanted in _NAMES]:
            wanted = changed[column]
            is_unreadable = f"NOT pg_temp.email_scheduler_reads({_text(quote(column))}, '{wanted}')"
            self._refuse_rows(table, column, wanted, is_unreadable)

    def _refuse_rows(self, table: Table, column: str, wanted: str, condition: str) -> None:
        """Raise a ``DatabaseError`` that names a row, but not what it holds: it may be about a person."""
        key = next(name for name in ("id", *table.columns.keys()) if name in self.column_names(table.name))
        row = self.run(
            f"SELECT {quote(key)}, count(*) OVER () FROM {quote(table.name)}"
            f" WHERE {_text(quote(column))} IS NOT NULL AND {condition} ORDER BY 1 LIMIT 1"
        ).first()
        if row is not None:
            raise DatabaseError(
                f"table {table.name}: {column} holds no {_NAMES[wanted]} in {row[1]} rows,"
                f" such as that with the {key} {row[0]}; correct them or set them to null"
            )

    def _add_filled_column(self, column: Column[Any], value: str) -> None:
        table, name = column.table.name, quote(column.name)
        rule = "" if column.nullable else " NOT NULL"
        self._alter(table, [f"ADD COLUMN {name} {self._wanted_type(column)}{rule} DEFAULT {value}"])
        self._alter(table, [f"ALTER {name} DROP DEFAULT"])

    def _see_to_the_key(self, table: Table) -> None:
        """Make the primary key what it should be, and number new rows beyond all that there are."""
        key = table.primary_key.columns.keys()
        present = self.column_names(table.name)
        if not key or not set(key) <= present:
            return
        if self._key_columns(table.name) != set(key):
            self.refuse_shared_values(table.name, key)
            # another key may be there
            old = self._inspector().get_pk_constraint(table.name)["name"]
            columns = ", ".join(map(quote, key))
            self._alter(
                table.name,
                [*([f"DROP CONSTRAINT {quote(old)}"] if old else []), f"ADD PRIMARY KEY ({columns})"],
            )
        if table.primary_key.columns[key[0]].autoincrement is True:
            self._number(table.name, key[0])

    def _number(self, table_name: str, column: str) -> None:
        own = "SELECT pg_get_serial_sequence(%s, %s)"
        sequence = self.run(own, (quote(table_name), column)).scalar()
        if sequence is None:
            sequence = quote(f"{table_name}_{column}_new_seq")
            name = quote(column)
            self.run(f"CREATE SEQUENCE {sequence} OWNED BY {quote(table_name)}.{name}")
            self._alter(table_name, [f"ALTER {name} SET DEFAULT nextval('{sequence}')"])
        self.run(f"ALTER SEQUENCE {sequence} AS bigint")
        self.run(
            f"SELECT setval('{sequence}', max({quote(column)})) FROM {quote(table_name)}"
            f" HAVING max({quote(column)}) > (SELECT last_value FROM {sequence})"
        )


def _is_as_good(actual: str, wanted: str) -> bool:
    """Tell whether a type can stay: it is the wanted one, or a wider integer."""
    if actual in _INTEGERS and wanted in _INTEGERS:
        return _INTEGERS.index(actual) >= _INTEGERS.index(wanted)
    return actual == wanted


def _change_of_type(column: Column[Any], wanted: str, expression: str) -> list[str]:
    """Return what ``ALTER TABLE`` does to convert a column; its default has the old type."""
    name, default = quote(column.name), column.server_default
    actions = [f"ALTER {name} TYPE {wanted} USING {expression}"]
    if column.autoincrement is not True:
        actions.append(f"ALTER {name} DROP DEFAULT")
    if isinstance(default, DefaultClause):
        actions.append(f"ALTER {name} SET DEFAULT {default.arg}")
    if not column.nullable and not column.primary_key:
        actions.append(f"ALTER {name} SET NOT NULL")
    return actions


def _text(name: str) -> str:
    """Return SQL of what stands in a column, null where it is blank."""
    return f"nullif(btrim(CAST({name} AS TEXT)), '')"


def _conversion(name: str, actual: str, wanted: str) -> str:
    if wanted == "text":
        return f"CAST({name} AS TEXT)"
    if wanted == "boolean":
        return f"lower({_text(name)}) IN ('1', '1.0', 'true', 't', 'yes', 'y', 'on')"
    if wanted == "date":
        # the first ten characters are the day, in US Central time
        return f"CAST(left({_text(name)}, 10) AS DATE)"
    if wanted == "timestamp with time zone" and actual.startswith(("date", "timestamp")):
        return f"CAST({name} AS {wanted})"
    return f"CAST({_text(name)} AS {wanted})"
