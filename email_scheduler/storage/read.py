"""Reading what a plan is made from, and the planned rows that are there already."""

# ruff: noqa: S608 - put together from names, conditions and dates of this package

from datetime import date, timedelta

import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.dates import event_days
from email_scheduler.planning.frames import (
    ANSWERS_TABLE,
    CAMPAIGN_INSTANCES_TABLE,
    CAMPAIGN_TYPES_TABLE,
    CLICKS_TABLE,
    CONTACT_CAMPAIGNS_TABLE,
    CONTACTS_TABLE,
    HISTORY_TABLE,
    NUMBER,
    SUPPRESSIONS_TABLE,
    Frame,
    PlanInputs,
)
from email_scheduler.storage.arrow import read_frame
from email_scheduler.storage.compare import PLANNER_ROWS
from email_scheduler.storage.engine import AdbcConnection, adbc_connection, database_errors, retrying
from email_scheduler.storage.tables import (
    PLANNER_ROW_SQL,
    PLANNER_TYPE_SQL,
    PRE_SCHEDULED_SQL,
    SENDER_ROW_SQL,
)

_EVENT_PARTS = ("event_year", "event_month", "event_day")
_STORED_PLANNER_ROWS = Frame(
    "planner rows as they are stored",
    {name: kind for name, kind in PLANNER_ROWS.columns.items() if name != "event_date"}
    | dict.fromkeys(_EVENT_PARTS, NUMBER),
)

# What an older campaign type leaves open; the defaults of the columns.
_CAMPAIGN_TYPE_DEFAULTS = {
    "respect_exclusion_windows": 1,
    "enable_followups": 1,
    "days_before_event": 0,
    "target_all_contacts": 0,
    "priority": 5,
    "active": 1,
}


def read_inputs(url: str, as_of: date, config: SchedulerConfig) -> PlanInputs:
    """Read all that a plan for ``as_of`` is made from, as it is at one moment.

    While the database is locked this is tried again (``processing.max_retry_attempts``).

    Raises:
        DatabaseError: The database cannot be read.
    """

    def read() -> PlanInputs:
        with adbc_connection(url, config) as connection:
            return read_plan_inputs(connection, as_of, config)

    with database_errors(url):
        return retrying(config)(read)


def read_plan_inputs(connection: AdbcConnection, as_of: date, config: SchedulerConfig) -> PlanInputs:
    """Read all that a plan for ``as_of`` is made from, within the transaction of ``connection``.

    Clicks and answers that no follow-up of that day can depend on are left out (section 10 of the planning
    rules): those dated after ``as_of``, and those before the first day that is looked back to, unless they
    name their email.
    """
    earliest = as_of - timedelta(days=config.timing_constants.followup_lookback_days)
    return PlanInputs(
        as_of=as_of,
        contacts=read_frame(
            connection, CONTACTS_TABLE, "contacts WHERE id IS NOT NULL", distinct=("email", "phone_number")
        ),
        suppressions=read_frame(
            connection, SUPPRESSIONS_TABLE, "contact_suppressions WHERE contact_id IS NOT NULL"
        ),
        campaign_types=_read_campaign_types(connection),
        campaign_instances=_read_campaign_instances(connection),
        contact_campaigns=read_frame(connection, CONTACT_CAMPAIGNS_TABLE, "contact_campaigns"),
        history=read_history_table(connection),
        clicks=_read_clicks(connection, earliest, as_of),
        answers=_read_answers(connection, earliest, as_of),
    )


def read_history_table(connection: AdbcConnection) -> pd.DataFrame:
    """Read the sender's rows, and the pre-scheduled rows of types that are not the planner's."""
    return read_frame(
        connection,
        HISTORY_TABLE,
        f"email_schedules WHERE {SENDER_ROW_SQL}"
        f" OR ({PRE_SCHEDULED_SQL} AND NOT coalesce({PLANNER_TYPE_SQL}, FALSE))",
    )


def read_planner_rows(connection: AdbcConnection, condition: str = "TRUE") -> pd.DataFrame:
    """Read the planned rows that are there already.

    Args:
        connection: From ``adbc_connection``.
        condition: SQL that limits the rows, such as ``contact_id BETWEEN 1 AND 100``.

    Returns:
        ``PLANNER_ROWS``: the rows with the statuses pre-scheduled and skipped of the planner's types.
        Those of the older program have no ``ideal_send_date``.
    """
    rows = read_frame(
        connection,
        _STORED_PLANNER_ROWS,
        f"email_schedules WHERE ({condition}) AND {PLANNER_ROW_SQL} AND {PLANNER_TYPE_SQL}",
    )
    event_date = event_days(*(rows[name].to_numpy() for name in _EVENT_PARTS))
    return PLANNER_ROWS.build({**{name: rows[name] for name in rows.columns}, "event_date": event_date})


def _read_campaign_types(connection: AdbcConnection) -> pd.DataFrame:
    sql = {name: f"coalesce({name}, {default})" for name, default in _CAMPAIGN_TYPE_DEFAULTS.items()}
    return read_frame(connection, CAMPAIGN_TYPES_TABLE, "campaign_types WHERE name IS NOT NULL", sql=sql)


def _read_campaign_instances(connection: AdbcConnection) -> pd.DataFrame:
    return read_frame(
        connection, CAMPAIGN_INSTANCES_TABLE, "campaign_instances", sql={"active": "coalesce(active, 1)"}
    )


def _read_clicks(connection: AdbcConnection, earliest: date, as_of: date) -> pd.DataFrame:
    day = "substr(clicked_at, 1, 10)"
    return read_frame(
        connection,
        CLICKS_TABLE,
        "(SELECT contact_id, email_schedule_id, CAST(clicked_at AS TEXT) AS clicked_at FROM tracking_clicks"
        " UNION ALL SELECT email.contact_id, email.id, CAST(event.created_at AS TEXT)"
        " FROM email_tracking AS event JOIN email_schedules AS email ON email.id = event.email_id"
        " WHERE event.event_type = 'click')"
        f" WHERE {day} <= '{as_of}' AND (coalesce(email_schedule_id, 0) <> 0 OR {day} >= '{earliest}')",
    )


def _read_answers(connection: AdbcConnection, earliest: date, as_of: date) -> pd.DataFrame:
    return read_frame(
        connection,
        ANSWERS_TABLE,
        "(SELECT id, contact_id, CAST(created_at AS TEXT) AS created_at, event_data FROM contact_events"
        " WHERE event_type = 'eligibility_answered'"
        " UNION ALL SELECT event.id, email.contact_id, CAST(event.created_at AS TEXT), event.event_data"
        " FROM email_tracking AS event JOIN email_schedules AS email ON email.id = event.email_id"
        " WHERE event.event_type = 'health_question_response')"
        f" WHERE substr(created_at, 1, 10) BETWEEN '{earliest}' AND '{as_of}'",
        distinct=("event_data",),
    )
