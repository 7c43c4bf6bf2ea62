"""Loading the first plan of an organisation: many rows at once, indexes afterwards."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from email_scheduler.storage.ahead import ahead
from email_scheduler.storage.changes import Changes
from email_scheduler.storage.checkpoints import record_progress
from email_scheduler.storage.compare import PlanDifference
from email_scheduler.storage.connection import Encoded
from email_scheduler.storage.encoding import ScheduleEncoder
from email_scheduler.storage.faults import retrying
from email_scheduler.storage.publish_run import PublishRun
from email_scheduler.storage.tables import (
    FOREIGN_ROWS_INDEX,
    SENDER_ROWS_INDEX,
    create_index_sql,
    email_schedules,
)

_WITHOUT_PLANNED_ROWS: Final = {SENDER_ROWS_INDEX, FOREIGN_ROWS_INDEX}


def load_first_plan(
    run: PublishRun,
    existing: pd.DataFrame,
    difference: PlanDifference,
    on_progress: Callable[[int, int], None],
) -> Changes:
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

    def batches() -> Iterator[tuple[int, Encoded, Changes]]:
        for first in range(0, contact_count, batch_size):
            last = min(first + batch_size, contact_count)
            positions = np.arange(starts[first], starts[last])
            added = Changes.of(schedules, existing, difference, written=positions, removed=no_positions)
            yield last, run.connection.encode(encoder.new_rows(positions)), added

    changes = Changes.none()
    on_progress(0, contact_count)
    for last, rows, added in ahead(batches()):
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


def _append(run: PublishRun, rows: Encoded, changes: Changes) -> None:
    run.connection.append_encoded(email_schedules.name, rows)
    record_progress(run.connection, run.run_id, changes)
