"""Reading what an older program has planned, from a database that nobody has brought up to date."""

from typing import Final

import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import DatabaseError
from email_scheduler.planning.frames import ID, NUMBER, TEXT, Frame
from email_scheduler.storage.arrow import read_frame
from email_scheduler.storage.engine import connect
from email_scheduler.storage.faults import database_errors, retrying
from email_scheduler.storage.tables import PLANNER_ROW_SQL
from email_scheduler.storage.urls import display_url

# event_year, event_month, event_day: NO_NUMBER where the table holds none.
OLDER_PLAN_TABLE: Final = Frame(
    "older plan as it is stored",
    {
        "contact_id": ID,
        "email_type": TEXT,
        "scheduled_send_date": TEXT,
        "status": TEXT,
        "skip_reason": TEXT,
        "event_year": NUMBER,
        "event_month": NUMBER,
        "event_day": NUMBER,
    },
)
_REQUIRED: Final = {"contact_id", "email_type", "scheduled_send_date", "status"}


def read_older_plan(url: str, config: SchedulerConfig) -> pd.DataFrame:
    """Return ``OLDER_PLAN_TABLE``: the rows with the statuses pre-scheduled and skipped, of all types.

    The database stays as it is. While it is locked this is tried again (``processing.max_retry_attempts``).

    Raises:
        DatabaseError: The database cannot be read, or has no such table.
    """

    def read() -> pd.DataFrame:
        with connect(url, config, read_only=True) as connection:
            present = {name.lower() for name in connection.column_names("email_schedules")}
            if missing := sorted(_REQUIRED - present):
                raise DatabaseError(
                    f"database {display_url(url)}: there is no table email_schedules with the columns"
                    f" {', '.join(missing)}; accepted is a database of the older program"
                )
            absent = {name: "NULL" for name in OLDER_PLAN_TABLE.columns if name not in present}
            source = f"email_schedules WHERE {PLANNER_ROW_SQL}"
            return read_frame(connection, OLDER_PLAN_TABLE, source, sql=absent)

    with database_errors(url):
        return retrying(config)(read)
