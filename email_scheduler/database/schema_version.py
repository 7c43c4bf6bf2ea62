"""Which schema a database has, and whether it is that of this package: without what migrates it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.connections import (
    POSTGRESQL,
    Connection,
    connect,
    database_errors,
    display_url,
)
from email_scheduler.database.migrations import triggers_0004_postgresql, triggers_0004_sqlite
from email_scheduler.database.relations import VERSION_TABLE, Relations, contacts_kind, is_table
from email_scheduler.database.tables import contacts
from email_scheduler.errors import DatabaseError

_MIGRATIONS: Final = Path(__file__).parent / "migrations" / "versions"
# In order; the file of a migration begins with v and the version that it leads to.
VERSIONS: Final = tuple(sorted(each.name[1:5] for each in _MIGRATIONS.glob("v????_*.py")))


def require_current_schema(
    url: str, config: SchedulerConfig | None = None, *, is_urgent: bool = False
) -> None:
    """Raise a ``DatabaseError`` unless the database exists and has the schema of this package.

    Args:
        url: The database.
        config: Where the settings of the connection come from; None: the defaults.
        is_urgent: Do not look whether ``contacts`` can be planned from: for what stops emails.
    """
    with database_errors(url), connect(url, config or SchedulerConfig()) as connection:
        version = schema_version(connection)
        relations = Relations.of(connection.execute, connection.dialect.name)
    refuse_newer(url, version)
    if version != VERSIONS[-1]:
        shown = display_url(url)
        state = "is not initialised" if version is None else f"has the older schema {version}"
        raise DatabaseError(f"database {shown} {state}: run email-scheduler init-db --database {shown}")
    if not is_urgent:
        refuse(url, relations.not_accepted)


def schema_version(connection: Connection) -> str | None:
    """Return the version of the schema that a database has; None if it was never initialised."""
    if not connection.column_names(VERSION_TABLE):
        return None
    rows = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608
    return str(rows[0][0]) if rows else None


def refuse_newer(url: str, version: str | None) -> None:
    """Raise a ``DatabaseError`` if a database has a schema that this package does not know."""
    if version is not None and version not in VERSIONS:
        raise DatabaseError(
            f"database {display_url(url)} has the schema {version}, which a newer email-scheduler has made;"
            f" this one knows schemas up to {VERSIONS[-1]}"
        )


def refuse(url: str, problems: Iterable[str]) -> None:
    """Raise a ``DatabaseError`` if something is in the place of a table that cannot take it."""
    if found := list(problems):
        raise DatabaseError(f"database {display_url(url)}: {'; '.join(found)}")


def missing_watch_triggers(connection: Connection, config: SchedulerConfig) -> list[str]:
    """Return the triggers on ``contacts`` that note edited contacts and are not there (section 16).

    Whoever drops the table and makes it anew drops them as well.
    """
    if unwatched_contacts(connection, config) is not None:
        return []
    is_postgresql = connection.dialect.name == POSTGRESQL
    triggers = triggers_0004_postgresql if is_postgresql else triggers_0004_sqlite
    return sorted(triggers.WATCH.keys() - connection.trigger_names(contacts.name))


def unwatched_contacts(connection: Connection, config: SchedulerConfig) -> str | None:
    """Return why nobody notes edited contacts (section 16); None where triggers are to do so."""
    if not config.features.watch_contacts:
        return "features.watch_contacts is false"
    kind = contacts_kind(connection)
    return None if is_table(kind) else f"contacts is a {kind}"
