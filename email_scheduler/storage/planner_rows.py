"""Reading the planned rows that are there already, beside other work."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.dates import event_days
from email_scheduler.planning.frames import DATE, FLAG, HASH, ID, LABEL, NUMBER, Frame
from email_scheduler.storage.arrow import append_rows, from_arrow, read_frames
from email_scheduler.storage.compare import EXISTING_ROWS, PLANNER_ROWS, existing_rows
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.engine import connect
from email_scheduler.storage.faults import database_errors, retrying
from email_scheduler.storage.tables import PLANNER_ROW_SQL, PLANNER_TYPE_SQL

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
