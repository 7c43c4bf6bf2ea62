"""Creating an organisation's database, bringing an older one up to date (section 2 of the planning rules)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import alembic.command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection as EngineConnection
from sqlalchemy.exc import OperationalError, ProgrammingError

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.connections import (
    POSTGRESQL,
    database_errors,
    describe,
    display_url,
    open_engine,
)
from email_scheduler.database.migrations import (
    schema_0003,
    schema_0004,
    triggers_0004_postgresql,
    triggers_0004_sqlite,
)
from email_scheduler.database.migrations.adoption import quote
from email_scheduler.database.relations import (
    DUE_EMAILS,
    PARTITIONED,
    TABLE,
    VERSION_TABLE,
    VIEW,
    Relations,
    is_table,
    references_to_a_view,
    shared_ids,
    unsuitable_partitions,
)
from email_scheduler.database.schema_snapshot import SchemaSnapshot, TableChange
from email_scheduler.database.schema_version import VERSIONS, refuse, refuse_newer
from email_scheduler.database.tables import contacts
from email_scheduler.errors import DatabaseError

# The advisory lock of PostgreSQL under which a schema is changed; nobody else takes this number.
_SCHEMA_LOCK: Final = 0x656D6C7363686D61
# The view of what is due, if it reads what is called contacts now.
_READS_CONTACTS: Final = """
SELECT pg_get_viewdef(due.oid) FROM pg_rewrite AS rule
JOIN pg_class AS due ON due.oid = rule.ev_class AND due.relname = 'due_emails'
JOIN pg_namespace AS schema ON schema.oid = due.relnamespace AND schema.nspname = current_schema()
JOIN pg_depend AS dependency
  ON dependency.classid = CAST('pg_rewrite' AS regclass) AND dependency.objid = rule.oid
JOIN pg_class AS source ON dependency.refclassid = CAST('pg_class' AS regclass)
  AND source.oid = dependency.refobjid AND source.relnamespace = schema.oid AND source.relname = 'contacts'
"""
# Name, table and SQL of the triggers; those of partitions belong to one of their table.
_TRIGGERS_SQL: Final = {
    "sqlite": "SELECT name, lower(tbl_name), sql FROM sqlite_master WHERE type = 'trigger'",
    POSTGRESQL: "SELECT tgname, relname, pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger"
    " JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_namespace AS schema"
    " ON schema.oid = relnamespace AND schema.nspname = current_schema() WHERE tgparentid = 0",
}
# The tables that a migration makes, and takes over from nobody.
_MADE_BY: Final = {"0003": schema_0003.metadata, "0004": schema_0004.metadata}


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
        contacts: What ``contacts`` is: a table, or what is read in the place of one.
    """

    before: str | None
    after: str
    new_tables: tuple[str, ...] = ()
    changes: tuple[TableChange, ...] = ()
    ignored_columns: tuple[str, ...] = ()
    contacts: str = TABLE

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
            database has a newer schema, its rows do not fit, or something else than a table is in the place
            of one.
    """
    # foreign keys cannot be switched within the transaction, and a table cannot be rebuilt with them
    engine = open_engine(url, (config or SchedulerConfig()).database, create=True, foreign_keys=False)
    with database_errors(url), engine.connect() as connection:
        connection.execution_options(sqlite_begin="IMMEDIATE")
        with connection.begin():
            _let_nobody_else_in(connection, url)
            relations = Relations.of(partial(_run, connection), connection.dialect.name)
            refuse(url, relations.not_accepted)
            before = _migrated_to(connection)
            refuse_newer(url, before)
            refuse(url, _in_the_way(connection, relations, before))
            broken_before = _broken_references(connection)
            there = SchemaSnapshot.of(connection)
            alembic.command.upgrade(_alembic_config(connection), "head")
            _read_contacts_again(connection, url, relations.contacts)
            _watch_contacts(
                connection, relations.contacts, (config or SchedulerConfig()).features.watch_contacts
            )
            if new := _broken_references(connection) - broken_before:
                tables = ", ".join(sorted({table for table, *_ in new}))
                raise DatabaseError(
                    f"database {display_url(url)}: rows of {tables} would lose what they refer to"
                )
            is_now = SchemaSnapshot.of(connection)
            return SchemaChange(
                before,
                VERSIONS[-1],
                tuple(sorted(is_now.tables - there.tables - {VERSION_TABLE})) if there.tables else (),
                tuple(there.changes_to(is_now)),
                tuple(sorted(relations.columns.keys() - set(contacts.columns.keys()))),
                relations.contacts,
            )


def _run(connection: EngineConnection, statement: str) -> Iterable[Sequence[Any]]:
    """Run a statement as it is: a percent sign is one."""
    return connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _in_the_way(connection: EngineConnection, relations: Relations, before: str | None) -> Iterator[str]:
    """Yield what keeps the tables from being made or taken over, a sentence each."""
    run = partial(_run, connection)
    for revision, metadata in _MADE_BY.items():
        if before is None or before < revision:
            for name in sorted(metadata.tables.keys() & relations.kinds.keys()):
                yield f"{name} is there, and belongs to another program; accepted is a database without it"
    if before is None and connection.dialect.name == POSTGRESQL:
        yield from unsuitable_partitions(run)
    if relations.contacts == VIEW and connection.dialect.name != POSTGRESQL:
        yield from references_to_a_view(run)
    if relations.contacts != TABLE and (count := shared_ids(run)):
        yield (
            f"contacts is a {relations.contacts} in which {count:,} ids are those of more than one row;"
            " accepted is each id once"
        )


def _read_contacts_again(connection: EngineConnection, url: str, kind: str) -> None:
    """Make anew what reads ``contacts`` where it still reads what had that name before, or another kind.

    Whoever renames the table and puts a view in its place leaves the view ``due_emails`` with the table, and
    on SQLite triggers, too.
    """
    has_key = kind == TABLE
    view = schema_0004.due_emails_sql(connection.dialect.name, has_key)
    if connection.dialect.name == POSTGRESQL:
        present = connection.exec_driver_sql(_READS_CONTACTS).scalar()
        if present is None or (schema_0004.SAME_ID in present) == has_key:
            try:
                with connection.begin_nested():
                    _run(connection, view)
            except ProgrammingError as error:
                raise DatabaseError(
                    f"database {display_url(url)}: {DUE_EMAILS} reads another table than contacts, and cannot"
                    f" be made anew in its place ({describe(error)}); drop it, run init-db again, and grant"
                    " its rights again"
                ) from error
        return
    wanted = {DUE_EMAILS: view} | {each.split()[2]: each for each in triggers_0004_sqlite.TRIGGERS}
    rows = _run(connection, "SELECT name, type, sql FROM sqlite_master WHERE type IN ('trigger', 'view')")
    there = {name: (what, sql) for name, what, sql in rows}
    for name, statement in wanted.items():
        what, sql = there.get(name, ("", ""))
        if " ".join(sql.split()) != " ".join(statement.split()):
            if what:
                _run(connection, f"DROP {what} {name}")
            _run(connection, statement)


def _watch_contacts(connection: EngineConnection, kind: str, is_wanted: bool) -> None:
    """Make the triggers on ``contacts`` that note edited contacts, or take them away (section 16)."""
    dialect = connection.dialect.name
    every = triggers_0004_postgresql.WATCH if dialect == POSTGRESQL else triggers_0004_sqlite.WATCH
    wanted = triggers_0004_postgresql.WATCH_PARTITIONED if kind == PARTITIONED else every
    if not (is_wanted and is_table(kind)):
        wanted = {}
    present = set()
    for name, table, sql in _run(connection, _TRIGGERS_SQL[dialect]):
        # with its table, a trigger may have gone elsewhere
        is_right = table == contacts.name and name in wanted and _is_by_row(sql) == _is_by_row(wanted[name])
        if name in every and is_right:
            present.add(name)
        elif name in every:
            place = f" ON {quote(table)}" if dialect == POSTGRESQL else ""
            _run(connection, f"DROP TRIGGER {name}{place}")
            if not wanted:
                # what nobody notes any more is not left out any more either
                _run(connection, "DELETE FROM contact_changes")
    missing = [statement for name, statement in wanted.items() if name not in present]
    if dialect == POSTGRESQL:
        schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
        missing = [statement.format(schema=schema) for statement in missing]
    for statement in missing:
        connection.exec_driver_sql(statement)


def _is_by_row(trigger: str) -> bool:
    return "FOR EACH ROW" in trigger


def _alembic_config(connection: EngineConnection) -> Config:
    attributes: dict[str, Any] = {"connection": connection, "version_table": VERSION_TABLE}
    config = Config(attributes=attributes)
    config.set_main_option("script_location", "email_scheduler.database:migrations")
    config.set_main_option("path_separator", "os")
    return config


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


def _broken_references(connection: EngineConnection) -> set[tuple[str, int | None, str, int]]:
    """Return the rows whose foreign keys lead nowhere; none where the database sees to it or cannot tell."""
    if connection.dialect.name == POSTGRESQL:
        return set()
    try:
        rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    except OperationalError:
        return set()
    return {(row[0], row[1], row[2], row[3]) for row in rows}
