"""What the database alone takes: reading what a plan is made from, writing what a plan is, building indexes.

Used by ``plan_at_scale.py``: ``database_floor.py URL SCRATCH_FILE`` prints a JSON object. The rows go through
the fastest way that the database has, ADBC for SQLite and COPY for PostgreSQL, and nothing is done with them.
"""

import json
import sys
import time
from collections.abc import Mapping

import pyarrow as pa

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections.connection import Cell, Connection
from email_scheduler.database.connections.faults import SQLITE, backend_of
from email_scheduler.database.connections.opening import connect
from email_scheduler.database.publishing.planned_rows import STORED_PLANNER_ROWS
from email_scheduler.database.tables import (
    PLANNER_ROW_SQL,
    SENDER_ROW_SQL,
    SENDER_ROWS_INDEX,
    create_index_sql,
    email_schedules,
)
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.planning.frames import CONTACTS_TABLE, HISTORY_TABLE

CONFIG = SchedulerConfig()


def main() -> None:
    url, scratch = sys.argv[1:]
    seconds = {}
    with connect(url, CONFIG) as connection:
        begin = time.perf_counter()
        _read(connection, CONTACTS_TABLE.columns, "contacts")
        index = connection.indexed_by(SENDER_ROWS_INDEX)
        _read(connection, HISTORY_TABLE.columns, f"email_schedules{index} WHERE {SENDER_ROW_SQL}")
        seconds["read inputs"] = time.perf_counter() - begin
        begin = time.perf_counter()
        _read(connection, STORED_PLANNER_ROWS.columns, f"email_schedules WHERE {PLANNER_ROW_SQL}")
        seconds["read planned rows"] = time.perf_counter() - begin
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


def _read(connection: Connection, columns: Mapping[str, str], source: str) -> None:
    for _ in connection.read({name: Cell(name, kind) for name, kind in columns.items()}, source):
        pass


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
