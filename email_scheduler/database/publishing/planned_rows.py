"""The planned rows that are there already, and those that the sending system took meanwhile (section 13).

They are read beside other work, and again after publishing: whether the table is what the plan says.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.connections import (
    Connection,
    append_rows,
    connect,
    database_errors,
    from_arrow,
    read_frame,
    read_frames,
    retrying,
)
from email_scheduler.database.inputs import border_of_plan_and_proof, senders_ids_sql
from email_scheduler.database.publishing.plan_changes import PlanChanges
from email_scheduler.database.tables import (
    PLANNER_ROW_SQL,
    PLANNER_TYPE_SQL,
    SENDER_ROW_SQL,
)
from email_scheduler.planning import (
    DATE,
    EXISTING_ROWS,
    FLAG,
    HASH,
    HISTORY,
    HISTORY_TABLE,
    ID,
    LABEL,
    NUMBER,
    PLANNER_ROWS,
    Frame,
    HistoryBorder,
    Plan,
    PlanInputs,
    compare,
    event_days,
    existing_rows,
    has_type,
    is_among,
    is_answered,
    read_history,
    yearly_instances,
)
from email_scheduler.registry import FOLLOW_UP_PREFIX

_EVENT_PARTS = ("event_year", "event_month", "event_day")
STORED_PLANNER_ROWS = Frame(
    "planner rows as they are stored",
    {name: kind for name, kind in PLANNER_ROWS.columns.items() if name != "event_date"}
    | dict.fromkeys(_EVENT_PARTS, NUMBER),
)
_ROWS_WORTH_A_PROCESS = 1_000_000
_ARROW_TYPES = {
    ID: pa.int64(),
    DATE: pa.int32(),
    FLAG: pa.bool_(),
    HASH: pa.uint64(),
    LABEL: pa.dictionary(pa.int32(), pa.string()),
}
_EXISTING_ROWS_SCHEMA = pa.schema(
    [(name, _ARROW_TYPES[kind]) for name, kind in EXISTING_ROWS.columns.items()]
)
ReadPlannerRows = Callable[[], pd.DataFrame]
Ids = npt.NDArray[np.int64]
Positions = npt.NDArray[np.intp]
_IDS: Final = Frame("ids", {"id": ID})
# Ids in one statement, which SQLite limits to a million characters.
_IDS_AT_A_TIME: Final = 10_000


@contextmanager
def planner_rows_in_background(url: str, config: SchedulerConfig) -> Iterator[ReadPlannerRows]:
    """Read the planned rows of a database while the block does something else.

    Many rows are read by a process of their own, so that both processors are at work, and wait in a temporary
    file until they are asked for, so that planning has the memory for itself. To start a process takes a
    second, which is not worth it for few rows.

    Returns:
        A function that waits for the rows and returns ``EXISTING_ROWS``; to be called once.

    Raises:
        DatabaseError: The database cannot be read; from the function as well.
    """
    with database_errors(url):
        is_worth_a_process = retrying(config)(_greatest_row_id, url, config) > _ROWS_WORTH_A_PROCESS
    if not is_worth_a_process:
        with ThreadPoolExecutor(1, thread_name_prefix="planner-rows") as threads:
            yield threads.submit(read_planner_rows, url, config).result
        return
    with (
        TemporaryDirectory(prefix="email-scheduler-") as directory,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes,
    ):
        written = processes.submit(_save_planner_rows, url, config, directory)
        # the process ends, and gives its memory back, as soon as it has written them
        processes.shutdown(wait=False)

        def read_when_written() -> pd.DataFrame:
            written.result()
            # what planning has let go of makes room for them
            pa.system_memory_pool().release_unused()
            return EXISTING_ROWS.build(
                {name: _saved_column(directory, name) for name in EXISTING_ROWS.columns}
            )

        yield read_when_written


def read_planner_rows(url: str, config: SchedulerConfig) -> pd.DataFrame:
    """Read the planned rows that are there already: only as much of each as comparing them takes.

    While the database is locked this is tried again (``processing.max_retry_attempts``).

    Returns:
        ``EXISTING_ROWS``: the rows with the statuses pre-scheduled and skipped of the planner's types.

    Raises:
        DatabaseError: The database cannot be read.
    """

    def read() -> pd.DataFrame:
        with connect(url, config) as connection:
            return existing_planner_rows(connection)

    with database_errors(url):
        return retrying(config)(read)


def existing_planner_rows(connection: Connection) -> pd.DataFrame:
    """Do the same within the transaction of ``connection``."""
    return _joined(_planner_rows(connection))


def _save_planner_rows(url: str, config: SchedulerConfig, directory: str) -> None:
    """Write the planned rows into a file for each column, so that no two copies of all need be in memory."""

    def save() -> None:
        with connect(url, config) as connection, ExitStack() as stack:
            streams = {
                field.name: stack.enter_context(
                    pa.ipc.new_stream(_column_file(directory, field.name), pa.schema([field]))
                )
                for field in _EXISTING_ROWS_SCHEMA
            }
            for rows in _planner_rows(connection):
                batch = pa.RecordBatch.from_pandas(rows, _EXISTING_ROWS_SCHEMA, preserve_index=False)
                for name, stream in streams.items():
                    stream.write_batch(batch.select([name]))

    with database_errors(url):
        retrying(config)(save)


def _saved_column(directory: str, name: str) -> object:
    with pa.ipc.open_stream(_column_file(directory, name)) as stream:
        return from_arrow(stream.read_all().column(0), EXISTING_ROWS.columns[name])


def _column_file(directory: str, name: str) -> str:
    return f"{directory}/{name}.arrow"


def _planner_rows(connection: Connection) -> Iterator[pd.DataFrame]:
    source = f"email_schedules WHERE {PLANNER_ROW_SQL} AND {PLANNER_TYPE_SQL}"
    for rows in read_frames(connection, STORED_PLANNER_ROWS, source):
        yield existing_rows(with_event_date(rows))


def _joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    rows = list(parts)
    return EXISTING_ROWS.check(append_rows(rows)) if rows else EXISTING_ROWS.empty()


def _greatest_row_id(url: str, config: SchedulerConfig) -> int:
    with connect(url, config) as connection:
        ((greatest,),) = connection.execute("SELECT max(id) FROM email_schedules")
    return int(greatest or 0)


def with_event_date(rows: pd.DataFrame) -> pd.DataFrame:
    """Return ``PLANNER_ROWS`` of ``STORED_PLANNER_ROWS``, row for row."""
    event_date = event_days(*(rows[name].to_numpy() for name in _EVENT_PARTS))
    return PLANNER_ROWS.build({**{name: rows[name] for name in rows.columns}, "event_date": event_date})


@dataclass(frozen=True)
class TakenRows:
    """The sender's rows that the plan does not know of, as they were at one moment.

    Attributes:
        known_ids: The rows that the plan was made from, ascending.
        rows: ``HISTORY``: the sender's rows that are not among them.
        version: Changes when another connection writes to the database; None where that cannot be known.
        border: Which of the sender's rows the plan could know of. Of older ones, only follow-ups would say
            something about a row of the plan.
    """

    known_ids: Ids
    rows: pd.DataFrame
    version: int | None
    border: HistoryBorder

    @classmethod
    def read(cls, connection: Connection, inputs: PlanInputs, config: SchedulerConfig) -> "TakenRows":
        """Read them for all contacts, within the transaction of ``connection``."""
        known_ids = np.sort(inputs.history["id"].to_numpy())
        border = border_of_plan_and_proof(inputs, config)
        source = f"({senders_ids_sql(connection, border)}) AS senders_rows"
        ids = read_frame(connection, _IDS, source)["id"].to_numpy()
        new_ids = np.unique(ids[~is_among(ids, known_ids)])
        return cls(known_ids, _read_rows(connection, "id", new_ids), connection.version(), border)

    def of_contacts(self, connection: Connection, contact_ids: Ids) -> pd.DataFrame:
        """Return those of some contacts as they are now, within a transaction; until it ends none is added.

        Args:
            connection: The connection that ``read`` used: the version only counts for one connection.
            contact_ids: Ascending, each once.
        """
        connection.lock_contacts(contact_ids.tolist())
        if self.version is not None and connection.version() == self.version:
            return self.rows[is_among(self.rows["contact_id"].to_numpy(), contact_ids)]
        rows = _read_rows(connection, "contact_id", contact_ids)
        last_date = np.maximum(rows["event_date"].to_numpy(), rows["send_date"].to_numpy())
        is_old = has_type(rows, FOLLOW_UP_PREFIX).to_numpy() & (last_date < self.border.follow_ups)
        is_new = ~is_among(rows["id"].to_numpy(), self.known_ids)
        taken: pd.DataFrame = rows[is_new & ~is_old]
        return taken


def positions_of(sorted_ids: Ids, wanted_ids: Ids) -> Positions:
    """Return where ids stand in a column that is sorted by them and may repeat them, ascending.

    Args:
        sorted_ids: Ascending.
        wanted_ids: Ascending, each once.
    """
    starts = np.searchsorted(sorted_ids, wanted_ids, side="left")
    counts = np.searchsorted(sorted_ids, wanted_ids, side="right") - starts
    offsets = np.cumsum(counts) - counts
    positions: Positions = np.repeat(starts - offsets, counts) + np.arange(counts.sum())
    return positions


def _read_rows(connection: Connection, column: str, ids: Ids) -> pd.DataFrame:
    """Read the sender's rows whose ``column`` is one of ``ids``."""
    parts = []
    for start in range(0, len(ids), _IDS_AT_A_TIME):
        wanted = ", ".join(map(str, ids[start : start + _IDS_AT_A_TIME].tolist()))
        source = f"email_schedules WHERE {column} IN ({wanted}) AND {SENDER_ROW_SQL}"
        parts.append(read_history(read_frame(connection, HISTORY_TABLE, source)))
    return HISTORY.check(append_rows(parts)) if parts else HISTORY.empty()


def differences_from_plan(url: str, config: SchedulerConfig, plan: Plan, inputs: PlanInputs) -> PlanChanges:
    """Return what would have to be written so that the table became the plan; nothing if it is the plan.

    Rows of the plan that the sending system has taken since the inputs were read are ``dropped``: that they
    are missing among the planned rows is right.

    Raises:
        DatabaseError: The database cannot be read.
    """

    def read() -> PlanChanges:
        with connect(url, config) as connection:
            existing = existing_planner_rows(connection)
            taken = TakenRows.read(connection, inputs, config).rows
        difference = compare(plan.schedules, existing)
        is_dropped = is_answered(
            plan.schedules, taken, inputs.contact_campaigns, yearly_instances(inputs), config
        )
        missing, altered = (
            positions[~is_dropped[positions]] for positions in (difference.added, difference.changed)
        )
        changes = PlanChanges.of(
            plan.schedules,
            existing,
            difference,
            written=np.concatenate([missing, altered]),
            removed=difference.removed,
        )
        is_missing_rightly = int(np.count_nonzero(is_dropped[difference.added]))
        return changes + PlanChanges.none(difference.unchanged_count, is_missing_rightly)

    with database_errors(url):
        return retrying(config)(read)
