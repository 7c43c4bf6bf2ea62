"""What the database alone takes: reading what a plan is made from, writing what a plan is, building indexes.

Used by ``plan_at_scale.py``: ``database_floor.py URL SCRATCH_FILE`` prints a JSON object. The rows go through
the fastest way that the database has, ADBC for SQLite and COPY for PostgreSQL, and nothing is done with them.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections.arrow import id_ranges
from email_scheduler.database.connections.connection import Cell, Connection
from email_scheduler.database.connections.faults import SQLITE, backend_of
from email_scheduler.database.connections.opening import connect, connect_side_by_side
from email_scheduler.database.publishing.planned_rows import STORED_PLANNER_ROWS
from email_scheduler.database.tables import (
    PLANNER_ROW_SQL,
    SENDER_ROW_SQL,
    create_index_sql,
    email_schedules,
)
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.planning.frames import CONTACTS_TABLE, HISTORY_TABLE

CONFIG = SchedulerConfig()


def main() -> None:
    url, scratch = sys.argv[1:]
    seconds = {}
    with connect_side_by_side(url, CONFIG, lambda _: True) as connections:
        begin = time.perf_counter()
        _read(connections, CONTACTS_TABLE.columns, "contacts", "TRUE")
        _read(connections, HISTORY_TABLE.columns, "email_schedules", SENDER_ROW_SQL)
        seconds["read inputs"] = time.perf_counter() - begin
        begin = time.perf_counter()
        _read(connections, STORED_PLANNER_ROWS.columns, "email_schedules", PLANNER_ROW_SQL)
        seconds["read planned rows"] = time.perf_counter() - begin
    with connect(url, CONFIG) as connection:
        names = [column.name for column in email_schedules.columns if column.name != "id"]
        cells = {name: Cell(name, "text") for name in names}
        rows = list(connection.read(cells, f"email_schedules WHERE {PLANNER_ROW_SQL}"))
    target = url
    if backend_of(url) == SQLITE:
        target = f"sqlite:///{scratch}"
        initialise_database(target)
    with connect(target, CONFIG) as connection:
        _write(connection, target, rows, seconds)
    print(json.dumps({"seconds": seconds}))


def _read(
    connections: Sequence[Connection], columns: Mapping[str, str], table_name: str, condition: str
) -> None:
    """Read a range of ids over each of the connections, at the same time."""
    cells = {name: Cell(name, kind) for name, kind in columns.items()}

    def read_range(connection: Connection, ids: str) -> None:
        for _ in connection.read(cells, f"{table_name} WHERE {condition} AND {ids}"):
            pass

    with ThreadPoolExecutor(len(connections)) as threads:
        list(threads.map(read_range, connections, id_ranges(connections[0], table_name, len(connections))))


def _write(connection: Connection, url: str, rows: list[pa.RecordBatch], seconds: dict[str, float]) -> None:
    with connection.transaction():
        if backend_of(url) != SQLITE:
            connection.execute("TRUNCATE email_schedules")
        for index in email_schedules.indexes:
            connection.drop_index(str(index.name))
    begin = time.perf_counter()
    for batch in rows:
        with connection.transaction():
            connection.append(email_schedules.name, pa.Table.from_batches([batch]))
    seconds["write rows"] = time.perf_counter() - begin
    begin = time.perf_counter()
    for index in email_schedules.indexes:
        connection.create_index(create_index_sql(index, url))
    seconds["build indexes"] = time.perf_counter() - begin


if __name__ == "__main__":
    main()
