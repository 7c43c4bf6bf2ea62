"""A sample organisation in a database: what ``email-scheduler generate`` and ``demo`` make.

Nobody in it exists. The same number of contacts, seed, as-of date and configuration give the same rows.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from email_scheduler.config import SchedulerConfig
from email_scheduler.database import (
    CONTACT_INDEX,
    SQLITE,
    backend_of,
    connect,
    contacts_kind,
    create_index_sql,
    database_errors,
    database_path,
    display_url,
    is_table,
    metadata,
    without_logging,
)
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.errors import DatabaseError, UsageError
from email_scheduler.planning import (
    CONTACTS_TABLE,
    SUPPRESSIONS_TABLE,
    PlanInputs,
    refuse_beyond_calendar,
    validate_contacts,
)
from email_scheduler.sample.sample_contacts import make_contacts
from email_scheduler.sample.sample_history import (
    Instance,
    make_history,
    make_instances,
    make_targets,
    past_campaign_emails,
)
from email_scheduler.sample.sample_tables import (
    answers_table,
    campaign_tables,
    clicks_table,
    emails_table,
    targets_table,
)

# Contacts that are made at a time: what they take in memory stays small however many there are.
_CHUNK: Final = 250_000
_Tables = dict[str, pa.Table]
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
    """Fill a new or empty database with a sample organisation: all of its rows in one transaction.

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
        UsageError: ``contacts``, ``seed`` or ``as_of`` is out of range.
        DatabaseError: The database cannot be opened, or holds contacts, emails or campaigns; it is left as
            it was.
    """
    if contacts < 1:
        raise UsageError(f"contacts: {contacts}; accepted is a whole number, 1 or more")
    if seed < 0:
        raise UsageError(f"seed: {seed}; accepted is a whole number, 0 or more")
    refuse_beyond_calendar(as_of, config)
    _refuse_if_used(url, config)
    initialise_database(url, config)
    organisation = _Organisation(config, as_of, make_instances(config, as_of))
    # the triggers on contacts look for planned rows by contact
    indexes = [
        index for table in metadata.sorted_tables for index in table.indexes if index.name != CONTACT_INDEX
    ]
    with database_errors(url), connect(url, config) as connection:
        rows: Counter[str] = Counter()
        with connection.transaction(), without_logging(connection, "generate"):
            # cheaper to build at the end than to keep while many rows come in
            for index in indexes:
                connection.drop_index(str(index.name))
            for tables in _made_ahead(organisation.parts(contacts, seed)):
                for name, table in tables.items():
                    connection.append(name, table)
                    rows[name] += table.num_rows
                if "contacts" in tables:
                    on_progress(rows["contacts"])
        for index in indexes:
            connection.create_index(create_index_sql(index, url))
        connection.tidy()
    return dict(rows)


def _refuse_if_used(url: str, config: SchedulerConfig) -> None:
    if backend_of(url) == SQLITE and not database_path(url).exists():
        return
    with database_errors(url), connect(url, config) as connection:
        if not is_table(kind := contacts_kind(connection)):
            shown = display_url(url)
            raise DatabaseError(f"database {shown}: contacts is a {kind}; accepted is an empty database")
        for table in _TABLES_THAT_MUST_BE_EMPTY:
            if not connection.column_names(table):
                continue
            ((count,),) = connection.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
            if count:
                shown = display_url(url)
                raise DatabaseError(
                    f"database {shown}: {table} holds {count:,} rows; accepted is an empty database"
                )


def _made_ahead(parts: Iterator[_Tables]) -> Iterator[_Tables]:
    """Return the parts, each of which is made while the one before is loaded."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = thread.submit(next, parts, None)
            yield part


@dataclass(frozen=True)
class _Organisation:
    """What all contacts of the sample have in common."""

    config: SchedulerConfig
    as_of: date
    instances: tuple[Instance, ...]

    def parts(self, contacts: int, seed: int) -> Iterator[_Tables]:
        """Return the campaigns, then the contacts, some at a time, with all that is known of them."""
        yield campaign_tables(self.config, self.instances, self.as_of)
        rows: Counter[str] = Counter()
        for number, first in enumerate(range(0, contacts, _CHUNK)):
            count = min(_CHUNK, contacts - first)
            part = self._part(first + 1, count, rows, np.random.default_rng([seed, number]))
            rows.update({name: table.num_rows for name, table in part.items()})
            yield part

    def _part(self, first_id: int, count: int, rows: Counter[str], rng: np.random.Generator) -> _Tables:
        """Make up some contacts; ``rows`` tells how many rows of each table there are before them."""
        people, suppressions = make_contacts(first_id, count, self.as_of, rng)
        targets = make_targets(people["id"].to_numpy(), self.instances, self.as_of, rng)
        inputs = PlanInputs.of_contacts(
            self.as_of,
            _frame(people, list(CONTACTS_TABLE.columns)),
            _frame(suppressions, list(SUPPRESSIONS_TABLE.columns)),
        )
        valid, _ = validate_contacts(inputs, self.config)
        history = make_history(
            valid,
            past_campaign_emails(targets, valid["contact_id"].to_numpy(), self.instances, self.config),
            self.config,
            self.as_of,
            first_email_id=rows["email_schedules"] + 1,
            rng=rng,
        )
        listed = targets_table(targets, history.emails, rows["contact_campaigns"] + 1, self.as_of)
        return {
            "contacts": people,
            "contact_suppressions": suppressions,
            "contact_campaigns": listed,
            "email_schedules": emails_table(history.emails, self.instances, self.config, rng),
            "tracking_clicks": clicks_table(history, rows["tracking_clicks"] + 1, rng),
            "contact_events": answers_table(history, rows["contact_events"] + 1, rng),
        }


def _frame(table: pa.Table, columns: list[str]) -> pd.DataFrame:
    types = {name: "int64" if pa.types.is_integer(table[name].type) else "str" for name in columns}
    return pd.DataFrame({name: table[name].to_pandas() for name in columns}).astype(types)
