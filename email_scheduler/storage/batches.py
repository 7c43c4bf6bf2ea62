"""Writing the difference between the planned rows there and a plan, some contacts in each transaction."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from email_scheduler.storage.compare import PlanDifference
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.encoding import ScheduleEncoder
from email_scheduler.storage.tables import PLANNER_ROW_SQL, email_schedules

Ids = npt.NDArray[np.int64]
Positions = npt.NDArray[np.intp]

_COLUMNS: Final = ", ".join(column.name for column in email_schedules.columns)
_REMOVED: Final = "planner_removed_rows"
_CHANGED: Final = "planner_changed_rows"
_IS_REMOVED: Final = f"id IN (SELECT id FROM {_REMOVED}) AND {PLANNER_ROW_SQL}"  # noqa: S608
_ARCHIVE_SQL: Final = (
    f"INSERT INTO email_schedules_archive ({_COLUMNS}, archived_at, as_of_date) "  # noqa: S608
    f"SELECT {_COLUMNS}, ?, ? FROM email_schedules WHERE {_IS_REMOVED}"
)
_DELETE_SQL: Final = f"DELETE FROM email_schedules WHERE {_IS_REMOVED}"  # noqa: S608


@dataclass(frozen=True)
class Batch:
    """What changes for some contacts; positions are ascending.

    Attributes:
        contact_ids: The contacts, ascending.
        added: Positions in the plan of rows to append.
        changed: Positions in the plan of rows whose match gets their content.
        removed: Positions in the table of rows that leave.
        dropped: Positions in the plan of rows that are not wanted any more.
    """

    contact_ids: Ids
    added: Positions
    changed: Positions
    removed: Positions
    dropped: Positions


def split(
    difference: PlanDifference,
    planned_contacts: Ids,
    existing_contacts: Ids,
    more_contacts: Ids,
    batch_size: int,
) -> list[Batch]:
    """Split a difference into batches of contacts, by ascending contact id.

    Args:
        difference: What to write.
        planned_contacts: The contact of each row of the plan, ascending.
        existing_contacts: The contact of each row there, in any order.
        more_contacts: Contacts that are to be looked at although nothing changes for them.
        batch_size: Contacts in a batch.
    """
    added, changed = difference.added, difference.changed
    removed = difference.removed[np.argsort(existing_contacts[difference.removed], kind="stable")]
    columns = (planned_contacts[added], planned_contacts[changed], existing_contacts[removed])
    contacts = np.unique(np.concatenate((*columns, more_contacts)))
    batches = []
    for start in range(0, len(contacts), batch_size):
        ids = contacts[start : start + batch_size]
        parts = [
            rows[np.searchsorted(column, ids[0]) : np.searchsorted(column, ids[-1], side="right")]
            for rows, column in zip((added, changed, removed), columns, strict=True)
        ]
        batches.append(Batch(ids, parts[0], parts[1], np.sort(parts[2]), np.empty(0, np.intp)))
    return batches


@dataclass(frozen=True)
class EncodedBatch:
    """A batch as the tables that the driver takes."""

    removed: pa.Table
    changed: pa.Table
    added: pa.Table


class BatchWriter:
    """Writes batches of one plan.

    Args:
        encoder: Of the plan.
        matches: As in ``PlanDifference``.
        row_ids: The id of each row there.
        as_of: The date of the plan, ISO 8601.
        now: The time that rows leave at.
    """

    def __init__(
        self, encoder: ScheduleEncoder, matches: Positions, row_ids: Ids, *, as_of: str, now: str
    ) -> None:
        self._encoder = encoder
        self._matches = matches
        self._row_ids = row_ids
        self._as_of = as_of
        self._now = now

    def encode(self, batch: Batch) -> EncodedBatch:
        """Return a batch ready for writing, so that the transaction itself is short."""
        return EncodedBatch(
            removed=pa.table({"id": pa.array(self._row_ids[batch.removed])}),
            changed=self._encoder.changes(batch.changed, self._row_ids[self._matches[batch.changed]]),
            added=self._encoder.new_rows(batch.added),
        )

    def write(self, connection: Connection, batch: EncodedBatch) -> None:
        """Write a batch within a transaction that holds the write lock.

        Rows leave before others change, and those change before new ones come: no two rows are ever there
        for one occurrence. A row that is not the planner's by now is left alone.
        """
        if batch.removed.num_rows:
            connection.stage(_REMOVED, batch.removed, email_schedules.name)
            connection.execute(_ARCHIVE_SQL, (self._now, self._as_of))
            connection.execute(_DELETE_SQL)
        if batch.changed.num_rows:
            connection.stage(_CHANGED, batch.changed, email_schedules.name)
            names = [name for name in batch.changed.column_names if name != "id"]
            assignments = ", ".join(f"{name} = new.{name}" for name in names)
            connection.execute(
                f"UPDATE email_schedules SET {assignments} FROM {_CHANGED} AS new "  # noqa: S608
                f"WHERE email_schedules.id = new.id AND email_schedules.{PLANNER_ROW_SQL}"
            )
        connection.append(email_schedules.name, batch.added)
