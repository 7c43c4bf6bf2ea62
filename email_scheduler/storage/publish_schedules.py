"""Making the planned rows of ``email_schedules`` those of a plan, batch by batch."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.campaign_instances import yearly_instances
from email_scheduler.planning.handled import is_answered
from email_scheduler.planning.registry.email_types import PRE_SCHEDULED, SKIPPED
from email_scheduler.storage.batches import Batch, BatchWriter, EncodedBatch, split
from email_scheduler.storage.changes import Changes
from email_scheduler.storage.checkpoints import begin_writing, record_progress
from email_scheduler.storage.checksums import row_hashes, to_hex, total
from email_scheduler.storage.compare import (
    Hashes,
    PlanDifference,
    compare,
    without_senders_rows,
)
from email_scheduler.storage.encoding import ScheduleEncoder
from email_scheduler.storage.first_plan import build_missing_indexes, load_first_plan
from email_scheduler.storage.publish_run import PublishRun
from email_scheduler.storage.taken import TakenRows, positions_of

Positions = npt.NDArray[np.intp]


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

    changes: Changes
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
    taken = TakenRows.read(run.connection, run.inputs)
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
        self.changes = Changes.none(comparison.difference.unchanged_count)
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

    def _write(self, batch: Batch, encoded: EncodedBatch) -> tuple[Batch, Changes]:
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

    def _changes_with(self, batch: Batch) -> Changes:
        difference = self._comparison.difference
        was_unchanged = (difference.matches[batch.dropped] >= 0) & ~difference.is_changed[batch.dropped]
        changes = Changes.of(
            self._run.plan.schedules,
            self._comparison.existing,
            difference,
            written=np.concatenate([batch.added, batch.changed]),
            removed=batch.removed,
        )
        stay = -int(np.count_nonzero(was_unchanged))
        return self.changes + changes + Changes.none(stay, len(batch.dropped))
