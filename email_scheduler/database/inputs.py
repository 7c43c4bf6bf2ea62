"""Reading what a plan is made from, with the columns of ``contacts`` that an agency has added."""

from collections.abc import Collection, Mapping
from dataclasses import replace

# ruff: noqa: S608 - put together from names, conditions and dates of this package
from datetime import date, timedelta
from typing import Any

import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.campaign_changes import read_campaign_changes
from email_scheduler.database.connections import (
    Connection,
    among,
    append_rows,
    connect,
    database_errors,
    read_frame,
    retrying,
)
from email_scheduler.database.contact_notes import SeenChanges, last_checkpoint_id, read_contact_changes
from email_scheduler.database.tables import (
    FOREIGN_ROW_SQL,
    FOREIGN_ROWS_INDEX,
    SENDER_ROW_SQL,
    SENDER_ROWS_INDEX,
)
from email_scheduler.planning import (
    ANSWERS_TABLE,
    CAMPAIGN_INSTANCES_TABLE,
    CAMPAIGN_TYPES_TABLE,
    CLICKS_TABLE,
    CONTACT_ATTRIBUTES,
    CONTACT_CAMPAIGNS_TABLE,
    CONTACTS_TABLE,
    HISTORY_TABLE,
    ID,
    SUPPRESSED_ADDRESSES_TABLE,
    SUPPRESSIONS_TABLE,
    TEXT,
    PlanInputs,
    address_key,
    named_values,
    refuse_beyond_calendar,
    source_of,
)
from email_scheduler.registry import PRE_SCHEDULED, SKIPPED

# What an older campaign type leaves open; the defaults of the columns.
_CAMPAIGN_TYPE_DEFAULTS = {
    "respect_exclusion_windows": "TRUE",
    "enable_followups": "TRUE",
    "days_before_event": 0,
    "target_all_contacts": "FALSE",
    "priority": 5,
    "active": "TRUE",
}
# Of a moment only the day counts (section 1), and days repeat, which makes them fast to read.
# A Z behind the day says that the time is in UTC; PostgreSQL tells every time in US Central time.
# The metadata of other emails than those of campaigns says nothing that a plan looks at, and is long.
_SENT_AT = "CAST(actual_send_datetime AS TEXT)"
HISTORY_SQL = {
    "actual_send_datetime": f"substr({_SENT_AT}, 1, 10) || CASE WHEN substr({_SENT_AT}, -1) IN ('Z', 'z')"
    f" OR substr({_SENT_AT}, -3) IN ('UTC', 'GMT', '+00') OR substr({_SENT_AT}, -6) = '+00:00'"
    " THEN 'Z' ELSE '' END",
    "metadata": "CASE WHEN substr(email_type, 1, 9) = 'campaign_' THEN CAST(metadata AS TEXT) END",
}
# A status that only looks like one of the planner's, since SQLite holds it as bytes, is the sender's.
_SENDERS_STATUS = (
    f"CASE WHEN CAST(status AS TEXT) IN ('{PRE_SCHEDULED}', '{SKIPPED}') THEN NULL ELSE status END"
)


def contact_columns(connection: Connection) -> dict[str, str]:
    """Return the columns of ``contacts``: their names in small letters, and as the database has them."""
    # a name in small letters goes before the same one in capital letters
    return {name.lower(): name for name in sorted(connection.column_names("contacts"))}


def read_attributes(
    connection: Connection, names: Collection[str], contacts: Collection[int] | None = None
) -> pd.DataFrame:
    """Read the columns of the contacts that these values are taken from, but for those that are known here.

    Args:
        connection: Where to read.
        names: The values.
        contacts: Those whose values are read; None: all.

    Returns:
        ``CONTACT_ATTRIBUTES``; without rows if all that is wanted is among the columns that are known.
    """
    columns = contact_columns(connection)
    wanted = _sources(names, columns) - set(CONTACTS_TABLE.columns)
    return _read(connection, wanted, columns, contacts) if wanted else CONTACT_ATTRIBUTES.empty()


def read_columns(connection: Connection, names: Collection[str]) -> pd.DataFrame:
    """Read all columns of the contacts that these values are taken from, and the ids in any case.

    Returns:
        ``CONTACT_ATTRIBUTES``.
    """
    columns = contact_columns(connection)
    return _read(connection, _sources(names, columns) - {"id"}, columns, None)


def _sources(names: Collection[str], columns: Collection[str]) -> set[str]:
    return {source[0] for name in names if (source := source_of(name, columns)) is not None}


def _read(
    connection: Connection,
    wanted: Collection[str],
    columns: Mapping[str, str],
    contacts: Collection[int] | None,
) -> pd.DataFrame:
    """Read columns; nothing but a name that the database has given becomes SQL."""
    names = sorted(wanted)
    frame = replace(CONTACT_ATTRIBUTES, columns={"id": ID, **dict.fromkeys(names, TEXT)})
    quoted = {name: '"' + columns[name].replace('"', '""') + '"' for name in names}
    rows = f"contacts WHERE id IS NOT NULL AND {among('id', contacts)}"
    return read_frame(connection, frame, rows, sql=quoted)


def read_inputs(url: str, as_of: date, config: SchedulerConfig, values: Collection[str] = ()) -> PlanInputs:
    """Read all that a plan for ``as_of`` is made from, as it is at one moment.

    While the database is locked this is tried again (``processing.max_retry_attempts``).

    Args:
        url: The organisation's database.
        as_of: The date that the plan is made for.
        config: The organisation's configuration.
        values: Names of values of contacts that are read besides those of planned instances.

    Raises:
        DatabaseError: The database cannot be read.
    """
    return read_inputs_and_changes(url, as_of, config, values)[0]


def read_inputs_and_changes(
    url: str, as_of: date, config: SchedulerConfig, values: Collection[str] = ()
) -> tuple[PlanInputs, SeenChanges]:
    """Read the same, and at the same moment the changes that the plan takes into account.

    Raises:
        DatabaseError: The database cannot be read.
    """

    def read() -> tuple[PlanInputs, SeenChanges]:
        with connect(url, config) as connection:
            inputs = read_plan_inputs(connection, as_of, config, values)
            campaigns, contacts = read_campaign_changes(connection), read_contact_changes(connection)
            return inputs, SeenChanges(campaigns, contacts, last_checkpoint_id(connection))

    with database_errors(url):
        return retrying(config)(read)


def read_plan_inputs(
    connection: Connection,
    as_of: date,
    config: SchedulerConfig,
    values: Collection[str] = (),
    contacts: Collection[int] | None = None,
    addressees: Collection[int] = (),
) -> PlanInputs:
    """Read all that a plan for ``as_of`` is made from, within the transaction of ``connection``.

    Clicks and answers that no follow-up of that day can depend on are left out (section 10 of the planning
    rules): those dated after ``as_of``, and those before the first day that is looked back to, unless they
    name their email. Of further columns of the contacts, those that audiences of planned instances name.

    Args:
        connection: Where to read.
        as_of: The date that the plan is made for.
        config: The organisation's configuration.
        values: Names of values of contacts that are read besides those of planned instances.
        contacts: Some contacts: only their rows are read; None: everybody's.
        addressees: Further contacts of which only those columns and suppressions are read.

    Raises:
        UsageError: The date is too near to an end of the calendar.
    """
    refuse_beyond_calendar(as_of, config)
    earliest = as_of - timedelta(days=config.timing_constants.followup_lookback_days)
    everybody = None if contacts is None else {*contacts, *addressees}
    table = read_frame(
        connection,
        CONTACTS_TABLE,
        f"contacts WHERE {among('id', everybody)}",
        distinct=("email", "phone_number"),
    )
    types, instances = _read_campaign_types(connection), _read_campaign_instances(connection)
    names = named_values(types, instances, as_of, config).union(values)
    history = read_history_table(connection, contacts)
    # nobody has anything to follow up without an email: the tables of behaviour have no index by contact
    acting = contacts if contacts is None or len(history) else ()
    return PlanInputs(
        as_of=as_of,
        contacts=table,
        suppressions=read_frame(
            connection,
            SUPPRESSIONS_TABLE,
            f"contact_suppressions WHERE contact_id IS NOT NULL AND {among('contact_id', everybody)}",
        ),
        campaign_types=types,
        campaign_instances=instances,
        contact_campaigns=read_frame(
            connection, CONTACT_CAMPAIGNS_TABLE, f"contact_campaigns WHERE {among('contact_id', contacts)}"
        ),
        history=history,
        clicks=_read_clicks(connection, earliest, as_of, acting),
        answers=_read_answers(connection, earliest, as_of, acting),
        contact_attributes=read_attributes(connection, names, contacts),
        suppressed_addresses=_read_suppressed_addresses(connection, table, everybody is not None),
    )


def _read_suppressed_addresses(connection: Connection, contacts: pd.DataFrame, are_few: bool) -> pd.DataFrame:
    """Read all suppressed addresses, or those that some contacts may have."""
    if not are_few:
        return read_frame(
            connection, SUPPRESSED_ADDRESSES_TABLE, "suppressed_addresses WHERE address IS NOT NULL"
        )
    found = suppressions_of_addresses(connection, contacts["email"].dropna().astype("str"))
    columns: dict[str, object] = {
        name: pd.Series([row[name] for row in found], dtype="str")
        for name in SUPPRESSED_ADDRESSES_TABLE.columns
    }
    return SUPPRESSED_ADDRESSES_TABLE.build(columns)


def suppressions_of_addresses(connection: Connection, addresses: Collection[str]) -> list[dict[str, Any]]:
    """Return the rows of ``suppressed_addresses`` that are about one of these addresses, in any spelling."""
    found = []
    for key in sorted({address_key(address) for address in addresses}):
        rows = connection.rows(
            "SELECT address, reason, suppressed_at, suppressed_until, contact_id FROM suppressed_addresses"
            " WHERE address_key = ? OR address_key IS NULL ORDER BY address",
            (key,),
        )
        found += [row for row in rows if address_key(str(row["address"])) == key]
    return found


def read_history_table(connection: Connection, contacts: Collection[int] | None = None) -> pd.DataFrame:
    """Read the sender's rows, and the pre-scheduled rows of types that are not the planner's.

    Args:
        connection: Where to read.
        contacts: Those whose rows are read; None: all.
    """
    index = connection.indexed_by(SENDER_ROWS_INDEX)
    senders = read_frame(
        connection,
        HISTORY_TABLE,
        f"email_schedules{index} WHERE {SENDER_ROW_SQL} AND {among('contact_id', contacts)}",
        sql=HISTORY_SQL | {"status": _SENDERS_STATUS},
    )
    index = connection.indexed_by(FOREIGN_ROWS_INDEX) if contacts is None else ""
    foreign = read_frame(
        connection,
        HISTORY_TABLE,
        f"email_schedules{index} WHERE {FOREIGN_ROW_SQL} AND {among('contact_id', contacts)}",
        sql=HISTORY_SQL,
    )
    return append_rows([senders, foreign]) if len(foreign) else senders


def _read_campaign_types(connection: Connection) -> pd.DataFrame:
    sql = {name: f"coalesce({name}, {default})" for name, default in _CAMPAIGN_TYPE_DEFAULTS.items()}
    return read_frame(connection, CAMPAIGN_TYPES_TABLE, "campaign_types WHERE name IS NOT NULL", sql=sql)


def _read_campaign_instances(connection: Connection) -> pd.DataFrame:
    return read_frame(
        connection, CAMPAIGN_INSTANCES_TABLE, "campaign_instances", sql={"active": "coalesce(active, TRUE)"}
    )


def _read_clicks(
    connection: Connection, earliest: date, as_of: date, contacts: Collection[int] | None
) -> pd.DataFrame:
    day = "substr(clicked_at, 1, 10)"
    return read_frame(
        connection,
        CLICKS_TABLE,
        "(SELECT contact_id, email_schedule_id, CAST(clicked_at AS TEXT) AS clicked_at FROM tracking_clicks"
        " UNION ALL SELECT email.contact_id, email.id, CAST(event.created_at AS TEXT)"
        " FROM email_tracking AS event JOIN email_schedules AS email ON email.id = event.email_id"
        " WHERE event.event_type = 'click') AS clicks"
        f" WHERE {day} <= '{as_of}' AND (coalesce(email_schedule_id, 0) <> 0 OR {day} >= '{earliest}')"
        f" AND {among('contact_id', contacts)}",
    )


def _read_answers(
    connection: Connection, earliest: date, as_of: date, contacts: Collection[int] | None
) -> pd.DataFrame:
    return read_frame(
        connection,
        ANSWERS_TABLE,
        "(SELECT id, contact_id, CAST(created_at AS TEXT) AS created_at, event_data FROM contact_events"
        " WHERE event_type = 'eligibility_answered'"
        " UNION ALL SELECT event.id, email.contact_id, CAST(event.created_at AS TEXT), event.event_data"
        " FROM email_tracking AS event JOIN email_schedules AS email ON email.id = event.email_id"
        " WHERE event.event_type = 'health_question_response') AS answers"
        f" WHERE substr(created_at, 1, 10) BETWEEN '{earliest}' AND '{as_of}'"
        f" AND {among('contact_id', contacts)}",
        distinct=("event_data",),
    )
