"""Making the planned rows of ``email_schedules`` those of a plan, batch by batch.

The first plan of an organisation is many rows at once, with the indexes afterwards.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from email_scheduler.database.connections import Connection, Encoded, ScheduleEncoder, prefetched, retrying
from email_scheduler.database.publishing.plan_changes import PlanChanges
from email_scheduler.database.publishing.planned_rows import TakenRows, positions_of
from email_scheduler.database.publishing.published_plan import PublishRun
from email_scheduler.database.records import begin_writing, record_progress
from email_scheduler.database.tables import (
    FOREIGN_ROWS_INDEX,
    PLANNER_ROW_SQL,
    SENDER_CAMPAIGN_ROWS_INDEX,
    SENDER_FOLLOW_UPS_INDEX,
    SENDER_ROWS_INDEX,
    create_index_sql,
    email_schedules,
)
from email_scheduler.planning import (
    Hashes,
    PlanDifference,
    compare,
    is_answered,
    row_hashes,
    to_hex,
    total,
    without_senders_rows,
    yearly_instances,
)
from email_scheduler.registry import PRE_SCHEDULED, SKIPPED

_WITHOUT_PLANNED_ROWS: Final = {
    SENDER_ROWS_INDEX,
    SENDER_CAMPAIGN_ROWS_INDEX,
    SENDER_FOLLOW_UPS_INDEX,
    FOREIGN_ROWS_INDEX,
}
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


def load_first_plan(
    run: PublishRun,
    existing: pd.DataFrame,
    difference: PlanDifference,
    on_progress: Callable[[int, int], None],
) -> PlanChanges:
    """Append all rows of a plan to a table that holds no planned rows yet, in the order of the contacts.

    ``processing.batch_size`` contacts get their plan in one transaction. A run that ends in between leaves
    indexes missing; the next one builds them.

    Args:
        run: The plan that is published.
        existing: ``EXISTING_ROWS``: none.
        difference: What has to be written: all rows.
        on_progress: Told how many of the contacts are written, and how many there are.

    Returns:
        What was added.
    """
    run.transact(partial(_drop_indexes, run))
    schedules = run.plan.schedules
    encoder = ScheduleEncoder(schedules, run.run_id, run.now)
    # where each contact begins, and where the last one ends
    contact_ids = schedules["contact_id"].to_numpy()
    is_first = np.ones(len(contact_ids), np.bool_)
    is_first[1:] = contact_ids[1:] != contact_ids[:-1]
    starts = np.append(np.flatnonzero(is_first), len(contact_ids))
    contact_count = len(starts) - 1
    batch_size = run.config.processing.batch_size
    no_positions = np.empty(0, np.intp)

    def batches() -> Iterator[tuple[int, Encoded, PlanChanges]]:
        for first in range(0, contact_count, batch_size):
            last = min(first + batch_size, contact_count)
            positions = np.arange(starts[first], starts[last])
            added = PlanChanges.of(schedules, existing, difference, written=positions, removed=no_positions)
            yield last, run.connection.encode(encoder.new_rows(positions)), added

    changes = PlanChanges.none()
    on_progress(0, contact_count)
    for last, rows, added in prefetched(batches()):
        changes += added
        run.transact(partial(_append, run, rows, changes), takes_turns=False)
        on_progress(last, contact_count)
    build_missing_indexes(run)
    return changes


def build_missing_indexes(run: PublishRun) -> None:
    """Build the indexes of ``email_schedules`` that are not there: a run was stopped in the middle."""
    present = run.connection.index_names()
    run.connection.end_reading()
    for index in email_schedules.indexes:
        if index.name not in present:
            run.transact(lambda: None)
            statement = create_index_sql(index, run.lock.url)
            retrying(run.config)(run.connection.create_index, statement)


def _drop_indexes(run: PublishRun) -> None:
    for index in email_schedules.indexes:
        if index.name not in _WITHOUT_PLANNED_ROWS:
            run.connection.drop_index(str(index.name))


def _append(run: PublishRun, rows: Encoded, changes: PlanChanges) -> None:
    run.connection.append_encoded(email_schedules.name, rows)
    record_progress(run.connection, run.run_id, changes)


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


@dataclass(frozen=True)
class PublishedSchedules:
    """What became of the planned rows.

    Attributes:
        changes: What became of rows and of their emails.
        dropped: Positions in the plan of the dropped rows.
        scheduled: Rows of the plan that are to go out, less the dropped ones.
        skipped: Rows of the plan that are not, less the dropped ones.
        before_checksum: Of the planned rows that were there, whatever their order, ids and times.
        after_checksum: The same of the plan, less the dropped rows.
    """

    changes: PlanChanges
    dropped: Positions
    scheduled: int
    skipped: int
    before_checksum: str
    after_checksum: str


@dataclass(frozen=True)
class Comparison:
    """A plan beside what is there.

    Attributes:
        difference: What has to be written.
        existing: ``EXISTING_ROWS``: the planned rows there.
        taken: What the sending system took while the plan was made.
        hashes: Of the rows of the plan.
    """

    difference: PlanDifference
    existing: pd.DataFrame
    taken: TakenRows
    hashes: Hashes

    @property
    def before_checksum(self) -> str:
        """The checksum of the rows there."""
        return to_hex(total(self.existing["content_hash"].to_numpy()))


def compare_with_database(run: PublishRun, existing: pd.DataFrame) -> Comparison:
    """Compare the plan with the planned rows there (``EXISTING_ROWS``); nothing is written.

    The rows may have been read a while ago. What the sending system took since then is read now, and
    looked for again with each batch.
    """
    taken = TakenRows.read(run.connection, run.inputs, run.config)
    run.connection.end_reading()
    existing = without_senders_rows(existing, run.inputs.history)
    hashes = row_hashes(run.plan.schedules)
    return Comparison(compare(run.plan.schedules, existing, hashes), existing, taken, hashes)


def publish_schedules(
    run: PublishRun, comparison: Comparison, on_progress: Callable[[int, int], None]
) -> PublishedSchedules:
    """Write the difference.

    Where planned rows are there already, ``processing.batch_size`` contacts in each transaction, so that
    nobody waits for long. A first plan takes the table for itself: nobody has anything to send until then.

    Args:
        run: The plan that is published.
        comparison: What ``compare_with_database`` has found.
        on_progress: Told how many of the contacts that something changes for are written, and how many
            there are.

    Raises:
        PlannerLockedError: Another planner has taken the lock over; the batches before stay written.
    """
    run.transact(lambda: begin_writing(run.connection, run.run_id, comparison.before_checksum))
    if len(comparison.existing) == 0 and len(comparison.taken.rows) == 0:
        changes = load_first_plan(run, comparison.existing, comparison.difference, on_progress)
        dropped = np.empty(0, np.intp)
    else:
        build_missing_indexes(run)
        writer = _write_batches(run, comparison, on_progress)
        changes, dropped = writer.changes, np.concatenate([np.empty(0, np.intp), *writer.dropped])
    by_status = run.plan.counts.rows.counts_by("status")
    is_scheduled = (run.plan.schedules["status"].iloc[dropped] == PRE_SCHEDULED).to_numpy()
    dropped_ones = int(np.count_nonzero(is_scheduled))
    return PublishedSchedules(
        changes=changes,
        dropped=dropped,
        scheduled=by_status.get(PRE_SCHEDULED, 0) - dropped_ones,
        skipped=by_status.get(SKIPPED, 0) - (len(dropped) - dropped_ones),
        before_checksum=comparison.before_checksum,
        after_checksum=to_hex(total(comparison.hashes) - total(comparison.hashes[dropped])),
    )


def _write_batches(
    run: PublishRun, comparison: Comparison, on_progress: Callable[[int, int], None]
) -> "_Writer":
    batches = split(
        comparison.difference,
        run.plan.schedules["contact_id"].to_numpy(),
        comparison.existing["contact_id"].to_numpy(),
        comparison.taken.rows["contact_id"].to_numpy(),
        run.config.processing.batch_size,
    )
    writer = _Writer(run, comparison)
    total_contacts = sum(len(batch.contact_ids) for batch in batches)
    done = 0
    on_progress(done, total_contacts)
    for batch in batches:
        writer.write(batch)
        done += len(batch.contact_ids)
        on_progress(done, total_contacts)
    return writer


class _Writer:
    """Writes batches and remembers what they came to.

    Attributes:
        changes: What the batches written so far have changed.
        dropped: Positions in the plan of the rows that they dropped.
    """

    def __init__(self, run: PublishRun, comparison: Comparison) -> None:
        self.changes = PlanChanges.none(comparison.difference.unchanged_count)
        self.dropped: list[Positions] = []
        self._run = run
        self._comparison = comparison
        self._row_ids = comparison.existing["id"].to_numpy()
        self._contact_ids = run.plan.schedules["contact_id"].to_numpy()
        self._batches = BatchWriter(
            ScheduleEncoder(run.plan.schedules, run.run_id, run.now),
            comparison.difference.matches,
            self._row_ids,
            as_of=run.plan.as_of.isoformat(),
            now=run.now,
        )

    def write(self, batch: Batch) -> None:
        """Write a batch in one transaction, less what the sending system has taken by then."""
        encoded = self._batches.encode(batch)
        written, self.changes = self._run.transact(lambda: self._write(batch, encoded))
        self.dropped.append(written.dropped)

    def _write(self, batch: Batch, encoded: EncodedBatch) -> tuple[Batch, PlanChanges]:
        connection = self._run.connection
        taken = self._comparison.taken.of_contacts(connection, batch.contact_ids)
        if len(taken):
            batch = self._without_taken(batch, taken)
            encoded = self._batches.encode(batch)
        self._batches.write(connection, encoded)
        changes = self._changes_with(batch)
        record_progress(connection, self._run.run_id, changes)
        return batch, changes

    def _without_taken(self, batch: Batch, taken: pd.DataFrame) -> Batch:
        candidates = positions_of(self._contact_ids, np.unique(taken["contact_id"]))
        schedules = self._run.plan.schedules.iloc[candidates]
        inputs = self._run.inputs
        is_needless = is_answered(
            schedules, taken, inputs.contact_campaigns, yearly_instances(inputs), self._run.config
        )
        answered = candidates[is_needless]
        stand_ins = self._comparison.difference.matches[answered]
        leaving = np.union1d(batch.removed, stand_ins[stand_ins >= 0])
        return replace(
            batch,
            added=np.setdiff1d(batch.added, answered, assume_unique=True),
            changed=np.setdiff1d(batch.changed, answered, assume_unique=True),
            removed=leaving[~np.isin(self._row_ids[leaving], taken["id"])],
            dropped=answered,
        )

    def _changes_with(self, batch: Batch) -> PlanChanges:
        difference = self._comparison.difference
        was_unchanged = (difference.matches[batch.dropped] >= 0) & ~difference.is_changed[batch.dropped]
        changes = PlanChanges.of(
            self._run.plan.schedules,
            self._comparison.existing,
            difference,
            written=np.concatenate([batch.added, batch.changed]),
            removed=batch.removed,
        )
        stay = -int(np.count_nonzero(was_unchanged))
        return self.changes + changes + PlanChanges.none(stay, len(batch.dropped))
