"""Creating an organisation's database, bringing an older one up to date (section 2 of the planning rules)."""

from dataclasses import dataclass
from typing import Any, Final

import alembic.command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection as EngineConnection
from sqlalchemy.exc import OperationalError

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.connections import (
    POSTGRESQL,
    Connection,
    connect,
    database_errors,
    display_url,
    open_engine,
)
from email_scheduler.database.migrations import triggers_0004_postgresql, triggers_0004_sqlite
from email_scheduler.database.schema_snapshot import SchemaSnapshot, TableChange
from email_scheduler.database.tables import contacts
from email_scheduler.errors import DatabaseError

# Not alembic_version: the database may belong to a program that has migrations of its own.
VERSION_TABLE: Final = "email_scheduler_version"
# The advisory lock of PostgreSQL under which a schema is changed; nobody else takes this number.
_SCHEMA_LOCK: Final = 0x656D6C7363686D61


@dataclass(frozen=True)
class SchemaChange:
    """What ``initialise_database`` did.

    Attributes:
        before: The schema version that the database had; None if it had none.
        after: The version that it has now.
        new_tables: The tables that were made beside others, by name; none where there were no others.
        changes: What became of the tables that were there before.
        ignored_columns: Columns of ``contacts`` that no plan reads, unless an audience of a campaign names
            them, by name.
    """

    before: str | None
    after: str
    new_tables: tuple[str, ...] = ()
    changes: tuple[TableChange, ...] = ()
    ignored_columns: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        """Whether anything was done."""
        return self.before != self.after or bool(self.changes)


def initialise_database(url: str, config: SchedulerConfig | None = None) -> SchemaChange:
    """Create the database, or bring it up to date; no row is lost, and a second time changes nothing.

    Everything happens in one transaction: after an error the database is as it was.

    Args:
        url: The database. A SQLite file and its directory are created if need be; a database on a
            PostgreSQL server has to exist.
        config: Where the settings of the connection come from; None: the defaults.

    Raises:
        DatabaseError: The URL is not accepted, the file is no database, the server cannot be reached, the
            database has a newer schema, or its rows do not fit.
    """
    # foreign keys cannot be switched within the transaction, and a table cannot be rebuilt with them
    engine = open_engine(url, (config or SchedulerConfig()).database, create=True, foreign_keys=False)
    with database_errors(url), engine.connect() as connection:
        connection.execution_options(sqlite_begin="IMMEDIATE")
        with connection.begin():
            _let_nobody_else_in(connection, url)
            before = _migrated_to(connection)
            _refuse_newer(url, before)
            broken_before = _broken_references(connection)
            there = SchemaSnapshot.of(connection)
            alembic.command.upgrade(_alembic_config(connection), "head")
            _watch_contacts(connection, (config or SchedulerConfig()).features.watch_contacts)
            if new := _broken_references(connection) - broken_before:
                tables = ", ".join(sorted({table for table, *_ in new}))
                raise DatabaseError(
                    f"database {display_url(url)}: rows of {tables} would lose what they refer to"
                )
            is_now = SchemaSnapshot.of(connection)
            return SchemaChange(
                before,
                _head(),
                tuple(sorted(is_now.tables - there.tables - {VERSION_TABLE})) if there.tables else (),
                tuple(there.changes_to(is_now)),
                tuple(sorted(is_now.columns(contacts.name) - set(contacts.columns.keys()))),
            )


def require_current_schema(url: str, config: SchedulerConfig | None = None) -> None:
    """Raise a ``DatabaseError`` unless the database exists and has the schema of this package."""
    with database_errors(url), connect(url, config or SchedulerConfig()) as connection:
        version = schema_version(connection)
    _refuse_newer(url, version)
    if version != _head():
        shown = display_url(url)
        state = "is not initialised" if version is None else f"has the older schema {version}"
        raise DatabaseError(f"database {shown} {state}: run email-scheduler init-db --database {shown}")


def missing_watch_triggers(connection: Connection, config: SchedulerConfig) -> list[str]:
    """Return the triggers on ``contacts`` that note edited contacts and are not there (section 16).

    Whoever drops the table and makes it anew drops them as well.
    """
    if not config.features.watch_contacts:
        return []
    is_postgresql = connection.dialect.name == POSTGRESQL
    triggers = triggers_0004_postgresql if is_postgresql else triggers_0004_sqlite
    return sorted(triggers.WATCH.keys() - connection.trigger_names())


def schema_version(connection: Connection) -> str | None:
    """Return the version of the schema that a database has; None if it was never initialised."""
    if not connection.column_names(VERSION_TABLE):
        return None
    rows = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608
    return str(rows[0][0]) if rows else None


def _watch_contacts(connection: EngineConnection, is_wanted: bool) -> None:
    """Make the triggers on ``contacts`` that note edited contacts, or take them away (section 16)."""
    is_postgresql = connection.dialect.name == POSTGRESQL
    triggers = triggers_0004_postgresql if is_postgresql else triggers_0004_sqlite
    present = SchemaSnapshot.of(connection).triggers(contacts.name)
    if not is_wanted:
        if present & triggers.WATCH.keys():
            for statement in triggers.UNWATCH:
                connection.exec_driver_sql(statement)
            # what nobody notes any more is not left out any more either
            connection.exec_driver_sql("DELETE FROM contact_changes")
        return
    missing = [statement for name, statement in triggers.WATCH.items() if name not in present]
    if is_postgresql:
        schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
        missing = [statement.format(schema=schema) for statement in missing]
    for statement in missing:
        connection.exec_driver_sql(statement)


def _alembic_config(connection: EngineConnection | None = None) -> Config:
    attributes: dict[str, Any] = {"connection": connection, "version_table": VERSION_TABLE}
    config = Config(attributes=attributes)
    config.set_main_option("script_location", "email_scheduler.database:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic_config())


def _head() -> str:
    head = _scripts().get_current_head()
    if head is None:
        raise RuntimeError("the package has no migrations")
    return head


def _migrated_to(connection: EngineConnection) -> str | None:
    options = {"version_table": VERSION_TABLE}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def _let_nobody_else_in(connection: EngineConnection, url: str) -> None:
    """Make others that initialise the same database wait; on SQLite the transaction holds the write lock."""
    if connection.dialect.name != POSTGRESQL:
        return
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise DatabaseError(f"database {display_url(url)}: its encoding is {encoding}; accepted is UTF8")


def _refuse_newer(url: str, version: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if version is not None and version not in known:
        raise DatabaseError(
            f"database {display_url(url)} has the schema {version}, which a newer email-scheduler has made;"
            f" this one knows schemas up to {_head()}"
        )


def _broken_references(connection: EngineConnection) -> set[tuple[str, int | None, str, int]]:
    """Return the rows whose foreign keys lead nowhere; none where the database sees to it or cannot tell."""
    if connection.dialect.name == POSTGRESQL:
        return set()
    try:
        rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    except OperationalError:
        return set()
    return {(row[0], row[1], row[2], row[3]) for row in rows}
