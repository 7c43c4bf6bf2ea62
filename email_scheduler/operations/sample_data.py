"""A sample organisation in a database: what ``email-scheduler generate`` and ``demo`` make.

Nobody in it exists. The same number of contacts, seed, as-of date and configuration give the same rows.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import DatabaseError, UsageError
from email_scheduler.operations.sample_campaigns import (
    Instance,
    make_instances,
    make_targets,
    past_campaign_emails,
)
from email_scheduler.operations.sample_contacts import make_contacts
from email_scheduler.operations.sample_history import make_history
from email_scheduler.operations.sample_tables import (
    answers_table,
    campaign_tables,
    clicks_table,
    emails_table,
    targets_table,
)
from email_scheduler.planning.contacts import validate_contacts
from email_scheduler.planning.frames import CONTACTS_TABLE, SUPPRESSIONS_TABLE
from email_scheduler.storage.engine import (
    AdbcConnection,
    adbc_connection,
    database_errors,
    database_path,
    display_url,
    immediate_transaction,
    open_engine,
)
from email_scheduler.storage.schema import initialise_database
from email_scheduler.storage.sql import append, execute

# Contacts that are made at a time: what they take in memory stays small however many there are.
_CHUNK: Final = 250_000
_TABLES_THAT_MUST_BE_EMPTY: Final = ("contacts", "email_schedules", "campaign_types")


def generate_sample(
    url: str,
    contacts: int,
    seed: int,
    as_of: date,
    config: SchedulerConfig,
    *,
    on_progress: Callable[[int], None] = lambda _: None,
) -> dict[str, int]:
    """Fill a new or empty database with a sample organisation, in one transaction.

    Args:
        url: The database; it is created and brought up to date if need be.
        contacts: How many contacts there are to be, valid or not.
        seed: Another seed gives another organisation.
        as_of: The history ends the day before; what is ahead begins with this day.
        config: Gives the rules that the history has followed, and the campaign types.
        on_progress: Called with the number of contacts made so far.

    Returns:
        How many rows each table got.

    Raises:
        UsageError: ``contacts`` or ``seed`` is out of range.
        DatabaseError: The database cannot be opened, or holds contacts, emails or campaigns; it is left as
            it was.
    """
    if contacts < 1:
        raise UsageError(f"contacts: {contacts}; accepted is a whole number, 1 or more")
    if seed < 0:
        raise UsageError(f"seed: {seed}; accepted is a whole number, 0 or more")
    _refuse_if_used(url, config)
    initialise_database(url, config)
    organisation = _Organisation(config, as_of, make_instances(config, as_of))
    with (
        database_errors(url),
        adbc_connection(url, config) as connection,
        immediate_transaction(connection),
        _without_indexes(connection),
    ):
        loader = _Loader(connection)
        loader.load(campaign_tables(config, organisation.instances, as_of))
        for number, first in enumerate(range(0, contacts, _CHUNK)):
            count = min(_CHUNK, contacts - first)
            organisation.load(loader, first + 1, count, np.random.default_rng([seed, number]))
            on_progress(first + count)
    return dict(loader.rows)


def _refuse_if_used(url: str, config: SchedulerConfig) -> None:
    if not database_path(url).exists():
        return
    with database_errors(url), open_engine(url, config.database).connect() as connection:
        present = set(sqlalchemy.inspect(connection).get_table_names())
        for table in _TABLES_THAT_MUST_BE_EMPTY:
            if table in present:
                query = sqlalchemy.select(sqlalchemy.func.count()).select_from(sqlalchemy.table(table))
                if count := connection.execute(query).scalar_one():
                    shown = display_url(url)
                    raise DatabaseError(
                        f"database {shown}: {table} holds {count:,} rows; accepted is an empty database"
                    )


class _Loader:
    """Appends Arrow tables to the tables of a database, and counts the rows of each."""

    def __init__(self, connection: AdbcConnection) -> None:
        self._connection = connection
        self.rows: Counter[str] = Counter()

    def load(self, tables: dict[str, pa.Table]) -> None:
        """Append each table to the one of its name."""
        for name, table in tables.items():
            append(self._connection, name, table)
            self.rows[name] += table.num_rows


@contextmanager
def _without_indexes(connection: AdbcConnection) -> Iterator[None]:
    """Drop all indexes and build them again at the end: cheaper than keeping them while many rows come in."""
    indexes = execute(
        connection, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    )
    for name, _ in indexes:
        execute(connection, f'DROP INDEX "{name}"')
    yield
    for _, statement in indexes:
        execute(connection, statement)


@dataclass(frozen=True)
class _Organisation:
    """What all contacts of the sample have in common."""

    config: SchedulerConfig
    as_of: date
    instances: tuple[Instance, ...]

    def load(self, loader: _Loader, first_id: int, count: int, rng: np.random.Generator) -> None:
        """Make up some contacts and all that is known of them, and load it."""
        people, suppressions = make_contacts(first_id, count, self.as_of, rng)
        contact_ids = people["id"].to_numpy()
        targets = make_targets(contact_ids, self.instances, self.as_of, rng)
        valid, _ = validate_contacts(
            _frame(people, list(CONTACTS_TABLE.columns)),
            _frame(suppressions, list(SUPPRESSIONS_TABLE.columns)),
            self.as_of,
        )
        history = make_history(
            valid,
            past_campaign_emails(targets, valid["contact_id"].to_numpy(), self.instances, self.config),
            self.config,
            self.as_of,
            first_email_id=loader.rows["email_schedules"] + 1,
            rng=rng,
        )
        rows = loader.rows
        loader.load(
            {
                "contacts": people,
                "contact_suppressions": suppressions,
                "contact_campaigns": targets_table(
                    targets, history.emails, rows["contact_campaigns"] + 1, self.as_of
                ),
                "email_schedules": emails_table(history.emails, self.instances, self.config, rng),
                "tracking_clicks": clicks_table(history, rows["tracking_clicks"] + 1, rng),
                "contact_events": answers_table(history, rows["contact_events"] + 1, rng),
            }
        )


def _frame(table: pa.Table, columns: list[str]) -> pd.DataFrame:
    types = {name: "int64" if pa.types.is_integer(table[name].type) else "str" for name in columns}
    return pd.DataFrame({name: table[name].to_pandas() for name in columns}).astype(types)
