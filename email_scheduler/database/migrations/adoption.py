"""Taking over tables that exist already: adding what they lack, losing nothing that they hold."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Column, DefaultClause, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn, CreateIndex

from email_scheduler.errors import DatabaseError

NOW: Final = "CURRENT_TIMESTAMP"
_logger = logging.getLogger(__name__)


class Adoption(ABC):
    """The tables of one database, and what is to become of them.

    Args:
        connection: In a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @abstractmethod
    def table_names(self) -> set[str]:
        """Return the names of the tables, in lower case."""

    @abstractmethod
    def relation_names(self) -> set[str]:
        """Return the names of the tables, and of what is read like a table, in lower case."""

    @abstractmethod
    def column_names(self, table_name: str) -> set[str]:
        """Return the names of the columns of a table, in lower case."""

    @abstractmethod
    def index_names(self) -> set[str]:
        """Return the names of all indexes."""

    @abstractmethod
    def unique_sets(self, table_name: str) -> list[set[str]]:
        """Return the sets of columns whose values no two rows of a table share; the primary key is one."""

    def can_be_unique(self, table_name: str, names: list[str]) -> bool:  # noqa: ARG002 - it depends on the server
        """Tell whether a table can have a key of these columns."""
        return True

    @abstractmethod
    def reshape(self, table: Table, values: Mapping[str, str]) -> None:
        """Give an existing table the keys and types that it should have, and rid it of what plans break.

        Foreign keys to tables whose rows come and go are such things; of ``email_schedules`` all that makes
        its columns mandatory, unique or checked. Columns that ``table`` does not know stay.

        Args:
            table: What the table is to be.
            values: SQL for columns of ``email_schedules`` whose values do not stay as they are.

        Raises:
            DatabaseError: The rows do not fit the table.
        """

    def add_missing_columns(self, table: Table) -> None:
        """Add the columns that the existing table lacks; times that nobody wrote down stay unknown."""
        present = self.column_names(table.name)
        for column in table.columns:
            if column.name not in present:
                definition = str(CreateColumn(column).compile(dialect=self.connection.dialect))
                if has_current_time(column):
                    definition = definition.replace(f" DEFAULT {NOW}", "")
                self.run(f"ALTER TABLE {quote(table.name)} ADD COLUMN {definition}")

    def add_missing_indexes(self, table: Table) -> None:
        """Add indexes, and what must be unique; where rows share what should be, a warning is all.

        Raises:
            DatabaseError: Rows share a primary key.
        """
        present = self.index_names()
        for index in table.indexes:
            if index.name not in present:
                self.connection.execute(CreateIndex(index))
        unique_sets = self.unique_sets(table.name)
        for constraint in table.constraints:
            if not isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint):
                continue
            names = [column.name for column in constraint.columns]
            if not names or set(names) in unique_sets:
                continue
            if not self.can_be_unique(table.name, names):
                continue
            if isinstance(constraint, PrimaryKeyConstraint):
                self.refuse_shared_values(table.name, names)
            elif shared := self._shared_values(table.name, names):
                _logger.warning(
                    "table %s: %d values of %s are shared by rows", table.name, shared, ", ".join(names)
                )
                continue
            columns = ", ".join(quote(name) for name in names)
            name = f"uq_{table.name}_{'_'.join(names)}"
            self.run(f"CREATE UNIQUE INDEX {name} ON {quote(table.name)} ({columns})")

    def refuse_shared_values(self, table_name: str, names: list[str]) -> None:
        """Raise a ``DatabaseError`` if rows share the values of these columns."""
        if shared := self._shared_values(table_name, names):
            raise DatabaseError(
                f"table {table_name}: {shared} values of {', '.join(names)} are held by more than one row"
                " each; every row needs its own"
            )

    def run(self, statement: str, parameters: tuple[object, ...] = ()) -> Any:
        """Run a statement as it is; return its result."""
        if parameters:
            return self.connection.exec_driver_sql(statement, parameters)
        # so that a percent sign is one
        return self.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    def _shared_values(self, table_name: str, names: list[str]) -> int:
        columns = ", ".join(quote(name) for name in names)
        is_complete = " AND ".join(f"{quote(name)} IS NOT NULL" for name in names)
        return int(
            self.run(
                f"SELECT count(*) FROM (SELECT 1 FROM {quote(table_name)} WHERE {is_complete}"  # noqa: S608
                f" GROUP BY {columns} HAVING count(*) > 1) AS shared"
            ).scalar_one()
        )


def quote(name: str) -> str:
    """Return a name as it stands in SQL."""
    return '"' + name.replace('"', '""') + '"'


def has_current_time(column: Column[Any]) -> bool:
    """Tell whether the database fills a column with the time of writing."""
    default = column.server_default
    return isinstance(default, DefaultClause) and str(default.arg) == NOW
