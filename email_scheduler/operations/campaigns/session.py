"""One transaction that changes campaigns: who changes them, when, and on which connection."""

import getpass
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.storage.campaign_log import LoggedChange, record_changes, without_logging
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.engine import connect
from email_scheduler.storage.faults import database_errors
from email_scheduler.storage.moments import timestamp, utc_now


def current_user() -> str:
    """Return the operating system's user, who is on record where nobody else is named."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        # a container's process may run under a number that has no name
        return "unknown"


@dataclass(frozen=True)
class Session:
    """A transaction that changes campaigns and records what it changes.

    Attributes:
        connection: In the transaction.
        changed_by: Who changes.
        now: When, as it is stored.
    """

    connection: Connection
    changed_by: str
    now: str

    def record(self, changes: Iterable[LoggedChange]) -> None:
        """Write changes to ``campaign_change_log``."""
        record_changes(self.connection, changes, self.changed_by, self.now)


@contextmanager
def connected(url: str, config: SchedulerConfig, *, is_bulky: bool = False) -> Iterator[Connection]:
    """Open a connection for the block.

    Args:
        url: The organisation's database.
        config: Its configuration.
        is_bulky: Temporary tables may grow large: they go to the disk.

    Raises:
        DatabaseError: The database cannot be opened, read or written.
    """
    if is_bulky:
        pragmas = config.database.sqlite_optimizations.model_copy(update={"temp_store": "FILE"})
        database = config.database.model_copy(update={"sqlite_optimizations": pragmas})
        config = config.model_copy(update={"database": database})
    with database_errors(url), connect(url, config) as connection:
        yield connection


@contextmanager
def transaction(connection: Connection, changed_by: str, *, is_dry_run: bool = False) -> Iterator[Session]:
    """Change campaigns in one transaction: all of the block and its record, or nothing.

    Args:
        connection: Not in a transaction.
        changed_by: Who changes.
        is_dry_run: Take everything back at the end.
    """
    with connection.transaction(is_dry_run=is_dry_run), without_logging(connection, changed_by):
        yield Session(connection, changed_by, timestamp(utc_now()))


@contextmanager
def changing(
    url: str, config: SchedulerConfig, changed_by: str, *, is_dry_run: bool = False
) -> Iterator[Session]:
    """Open a connection and change campaigns in one transaction; see ``transaction``.

    Raises:
        DatabaseError: The database cannot be opened, read or written; nothing was changed.
    """
    with (
        connected(url, config) as connection,
        transaction(connection, changed_by, is_dry_run=is_dry_run) as session,
    ):
        yield session
