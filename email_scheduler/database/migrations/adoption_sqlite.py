"""Taking over tables of SQLite: what has to change in more than columns is rebuilt, row by row."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import MetaData, Table, UniqueConstraint
from sqlalchemy.schema import CreateTable

from email_scheduler.database.migrations.adoption import Adoption, has_current_time, quote
from email_scheduler.errors import DatabaseError


@dataclass(frozen=True)
class _ExistingColumn:
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


class SqliteAdoption(Adoption):
    """The tables of one SQLite database. The pragma ``foreign_keys`` has to be off."""

    def table_names(self) -> set[str]:
        """Return the names of the tables, in lower case."""
        rows = self.run("SELECT lower(name) FROM sqlite_master WHERE type = 'table'")
        return set(rows.scalars())

    def relation_names(self) -> set[str]:
        """Return the names of the tables and views, in lower case."""
        rows = self.run("SELECT lower(name) FROM sqlite_master WHERE type IN ('table', 'view')")
        return set(rows.scalars())

    def column_names(self, table_name: str) -> set[str]:
        """Return the names of the columns of a table, in lower case."""
        return set(self._columns(table_name))

    def index_names(self) -> set[str]:
        """Return the names of all indexes."""
        return set(self.run("SELECT name FROM sqlite_master WHERE type = 'index'").scalars())

    def unique_sets(self, table_name: str) -> list[set[str]]:
        """Return the sets of columns whose values no two rows of a table share."""
        rows = self.run(f"PRAGMA index_list({quote(table_name)})").mappings().all()
        full = [row["name"] for row in rows if row["unique"] and not row["partial"]]
        return [self._key_columns(table_name), *(self._indexed_columns(name) for name in full)]

    def reshape(self, table: Table, values: Mapping[str, str]) -> None:
        """Rebuild ``email_schedules``, and what lacks its primary key or refers to it.

        With a foreign key, each row that leaves the plan would be looked for there, and could not leave.
        """
        key = set(table.primary_key.columns.keys())
        if table.name == "email_schedules" or (key and self._key_columns(table.name) != key):
            self._rebuild(table, values)
        elif self._refers_to(table.name, "email_schedules"):
            self._rebuild(table, {})

    def _columns(self, table_name: str) -> dict[str, _ExistingColumn]:
        rows = self.run(f"PRAGMA table_xinfo({quote(table_name)})").mappings()
        return {
            row["name"].lower(): _ExistingColumn(row["name"], row["type"], row["dflt_value"], row["pk"])
            for row in rows
        }

    def _refers_to(self, table_name: str, target: str) -> bool:
        rows = self.run(f"PRAGMA foreign_key_list({quote(table_name)})").mappings()
        return any(row["table"].lower() == target for row in rows)

    def _rebuild(self, table: Table, values: Mapping[str, str]) -> None:
        """Replace an existing table by one with the keys and columns that it should have, and all its rows.

        Columns that ``table`` does not know stay, without constraints. So do triggers and indexes, apart from
        unique ones over known columns: they forbid what is allowed now. Foreign keys of other tables go on to
        refer to the table by its name.

        Args:
            table: What the table is to be; its own indexes are not created here.
            values: SQL for columns whose values are not copied as they are.

        Raises:
            DatabaseError: The rows do not fit the table.
        """
        present = self._columns(table.name)
        key = table.primary_key.columns.keys()
        if present.keys() >= set(key):
            self.refuse_shared_values(table.name, key)
        kept_sql = self._triggers_and_indexes(table)
        last_id = self._last_id(table.name)
        row_count = self._count(table.name)

        replacement = self._create_replacement(table)
        for name, column in present.items():
            if name not in table.columns:
                default = f" DEFAULT ({column.default})" if column.default is not None else ""
                self.run(f"ALTER TABLE {replacement} ADD COLUMN {quote(column.name)} {column.type}{default}")
        unknown_times = {
            c.name: "NULL" for c in table.columns if has_current_time(c) and c.name not in present
        }
        copied = {name: quote(column.name) for name, column in present.items()}
        sources = copied | unknown_times | dict(values)
        self.run(
            f"INSERT INTO {replacement} ({', '.join(map(quote, sources))})"  # noqa: S608 - names, quoted
            f" SELECT {', '.join(sources.values())} FROM {quote(table.name)}"
        )
        if self._count(replacement) != row_count:
            raise DatabaseError(f"table {table.name}: not all of its {row_count} rows could be copied")

        # otherwise renaming looks at every view, and fails at those of the table that is missing just then
        self.run("PRAGMA legacy_alter_table = ON")
        self.run(f"DROP TABLE {quote(table.name)}")
        self.run(f"ALTER TABLE {replacement} RENAME TO {quote(table.name)}")
        self.run("PRAGMA legacy_alter_table = OFF")
        if last_id and table.dialect_options["sqlite"]["autoincrement"]:
            self._keep_last_id(table.name, last_id)
        for sql in kept_sql:
            self.run(sql)

    def _create_replacement(self, table: Table) -> str:
        copies = MetaData()
        for other in table.metadata.tables.values():
            other.to_metadata(copies)  # foreign keys are only rendered next to what they refer to
        replacement = table.to_metadata(copies, name=f"{table.name}_rebuilt")
        # the rows may break them; add_missing_indexes sees to what can be unique
        replacement.constraints -= {c for c in replacement.constraints if isinstance(c, UniqueConstraint)}
        self.connection.execute(CreateTable(replacement))
        return replacement.name

    def _triggers_and_indexes(self, table: Table) -> list[str]:
        rows = self.run(
            "SELECT type, name, sql FROM sqlite_master"
            " WHERE lower(tbl_name) = ? AND type IN ('trigger', 'index') AND sql IS NOT NULL"
            " ORDER BY type, name",
            (table.name,),
        ).all()
        uniques = {
            row["name"]
            for row in self.run(f"PRAGMA index_list({quote(table.name)})").mappings()
            if row["unique"]
        }
        own = {index.name for index in table.indexes}
        return [
            sql
            for kind, name, sql in rows
            if name not in own
            and not (name in uniques and self._indexed_columns(name) <= set(table.columns.keys()))
        ]

    def _indexed_columns(self, index: str) -> set[str]:
        # an expression has no name
        rows = self.run(f"PRAGMA index_info({quote(index)})").mappings()
        return {row["name"].lower() for row in rows if row["name"] is not None}

    def _key_columns(self, table: str) -> set[str]:
        return {name for name, column in self._columns(table).items() if column.is_key}

    def _count(self, table: str) -> int:
        return int(self.run(f"SELECT count(*) FROM {quote(table)}").scalar_one())  # noqa: S608

    def _last_id(self, table: str) -> int:
        """Return the greatest id that the table ever gave away, as far as SQLite has kept it."""
        if "sqlite_sequence" not in self.table_names():
            return 0
        row = self.run("SELECT seq FROM sqlite_sequence WHERE lower(name) = ?", (table,)).first()
        return int(row[0]) if row else 0

    def _keep_last_id(self, table: str, last_id: int) -> None:
        # an empty table has no entry yet, and the table of entries knows no conflicts
        self.run("DELETE FROM sqlite_sequence WHERE name = ? AND seq < ?", (table, last_id))
        self.run(
            "INSERT INTO sqlite_sequence (name, seq) SELECT ?, ?"
            " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?)",
            (table, last_id, table),
        )
