"""Reading what a plan is made from, with the columns of ``contacts`` that an agency has added."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

# ruff: noqa: S608 - put together from names, conditions and dates of this package
from datetime import date, timedelta
from typing import Any, Final

import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.campaign_changes import read_campaign_changes
from email_scheduler.database.connections import (
    Connection,
    among,
    append_rows,
    connect_side_by_side,
    database_errors,
    last_date_sql,
    read_frame,
    read_frame_by_ranges,
    retrying,
)
from email_scheduler.database.contact_notes import SeenChanges, last_checkpoint_id, read_contact_changes
from email_scheduler.database.tables import (
    FOREIGN_ROW_SQL,
    FOREIGN_ROWS_INDEX,
    SENDER_CAMPAIGN_ROWS_INDEX,
    SENDER_FOLLOW_UPS_INDEX,
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
    HistoryBorder,
    PlanInputs,
    address_key,
    from_day,
    history_border,
    named_values,
    refuse_beyond_calendar,
    source_of,
)
from email_scheduler.proof import history_border as border_of_proof
from email_scheduler.registry import CAMPAIGN_PREFIX, FOLLOW_UP_PREFIX, PRE_SCHEDULED, SKIPPED

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
# Texts of contacts that hardly repeat.
_DISTINCT: Final = ("email", "phone_number")
_ROWS_WORTH_A_CONNECTION: Final = 250_000
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


@dataclass(frozen=True)
class Besides:
    """What is read besides what a plan with the configuration in force is made from.

    Attributes:
        configs: Configurations that plans are made with, too.
        instances: Campaign instances that are planned, too.
        value_names: Values of contacts.
    """

    configs: tuple[SchedulerConfig, ...] = ()
    instances: frozenset[int] = frozenset()
    value_names: frozenset[str] = frozenset()


_NOTHING_BESIDES: Final = Besides()


def read_inputs(
    url: str, as_of: date, config: SchedulerConfig, besides: Besides = _NOTHING_BESIDES
) -> PlanInputs:
    """Read all that a plan for ``as_of`` is made from, as it is at one moment.

    While the database is locked this is tried again (``processing.max_retry_attempts``).

    Args:
        url: The organisation's database.
        as_of: The date that the plan is made for.
        config: The organisation's configuration.
        besides: What is read besides.

    Raises:
        DatabaseError: The database cannot be read.
    """
    return read_inputs_and_changes(url, as_of, config, besides)[0]


def read_inputs_and_changes(
    url: str, as_of: date, config: SchedulerConfig, besides: Besides = _NOTHING_BESIDES
) -> tuple[PlanInputs, SeenChanges]:
    """Read the same, and at the same moment the changes that the plan takes into account.

    Raises:
        DatabaseError: The database cannot be read.
    """

    def read() -> tuple[PlanInputs, SeenChanges]:
        with connect_side_by_side(url, config, _is_much) as connections:
            inputs = _read_organisation(connections, as_of, config, besides)
            campaigns, contacts = read_campaign_changes(connections[0]), read_contact_changes(connections[0])
            return inputs, SeenChanges(campaigns, contacts, last_checkpoint_id(connections[0]))

    with database_errors(url):
        return retrying(config)(read)


def _is_much(connection: Connection) -> bool:
    """Tell whether there is so much to read that several connections are faster."""
    counts = [connection.execute(f"SELECT max(id) FROM {name}") for name in ("contacts", "email_schedules")]
    return any(isinstance(count, int) and count > _ROWS_WORTH_A_CONNECTION for ((count,),) in counts)


def _read_organisation(
    connections: Sequence[Connection], as_of: date, config: SchedulerConfig, besides: Besides
) -> PlanInputs:
    """Read all that plans for ``as_of`` are made from; of the sender's rows, those that can matter to one.

    Raises:
        UsageError: The date is too near to an end of the calendar.
    """
    connection, configs = connections[0], (config, *besides.configs)
    for each in configs:
        refuse_beyond_calendar(as_of, each)
    earliest = as_of - timedelta(max(each.timing_constants.followup_lookback_days for each in configs))
    types, instances = _read_campaign_types(connection), _read_campaign_instances(connection)
    names = besides.value_names.union(*(named_values(types, instances, as_of, each) for each in configs))
    inputs = PlanInputs(
        as_of=as_of,
        contacts=read_frame_by_ranges(
            connections, CONTACTS_TABLE, "contacts", "contacts WHERE {}".format, distinct=_DISTINCT
        ),
        suppressions=read_frame(
            connection, SUPPRESSIONS_TABLE, "contact_suppressions WHERE contact_id IS NOT NULL"
        ),
        campaign_types=types,
        campaign_instances=instances,
        contact_campaigns=read_frame(connection, CONTACT_CAMPAIGNS_TABLE, "contact_campaigns"),
        history=HISTORY_TABLE.empty(),
        clicks=_read_clicks(connection, earliest, as_of, None),
        answers=_read_answers(connection, earliest, as_of, None),
        contact_attributes=read_attributes(connection, names),
        suppressed_addresses=read_frame(
            connection, SUPPRESSED_ADDRESSES_TABLE, "suppressed_addresses WHERE address IS NOT NULL"
        ),
    )
    border = border_of_plan_and_proof(inputs, config)
    for each in besides.configs:
        border |= border_of_plan_and_proof(inputs, each)
    border = replace(border, instances=border.instances | besides.instances)
    return replace(inputs, history=_read_history(connections, border))


def border_of_plan_and_proof(inputs: PlanInputs, config: SchedulerConfig) -> HistoryBorder:
    """Return which of the sender's rows can matter to a plan, or to its proof by its own reckoning.

    Args:
        inputs: What the plan is made from; its history is not looked at.
        config: The organisation's configuration.
    """
    return history_border(inputs, config) | border_of_proof(inputs, config)


def read_inputs_of_contacts(
    connection: Connection,
    as_of: date,
    config: SchedulerConfig,
    contacts: Collection[int],
    addressees: Collection[int],
) -> PlanInputs:
    """Read what a plan for ``as_of`` has of some contacts, within the transaction of ``connection``.

    Clicks and answers that no follow-up of that day can depend on are left out (section 10 of the planning
    rules): those dated after ``as_of``, and those before the first day that is looked back to, unless they
    name their email. Of further columns of the contacts, those that audiences of planned instances name. Of
    the sender's rows, all.

    Args:
        connection: Where to read.
        as_of: The date that the plan is made for.
        config: The organisation's configuration.
        contacts: Whose rows are read.
        addressees: Further contacts of which only the columns and suppressions are read.

    Raises:
        UsageError: The date is too near to an end of the calendar.
    """
    refuse_beyond_calendar(as_of, config)
    earliest = as_of - timedelta(days=config.timing_constants.followup_lookback_days)
    everybody = {*contacts, *addressees}
    table = read_frame(
        connection, CONTACTS_TABLE, f"contacts WHERE {among('id', everybody)}", distinct=_DISTINCT
    )
    types, instances = _read_campaign_types(connection), _read_campaign_instances(connection)
    names = named_values(types, instances, as_of, config)
    history = _read_history_of_contacts(connection, contacts)
    # nobody has anything to follow up without an email: the tables of behaviour have no index by contact
    acting = contacts if len(history) else ()
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
        suppressed_addresses=_read_suppressed_addresses(connection, table),
    )


def _read_suppressed_addresses(connection: Connection, contacts: pd.DataFrame) -> pd.DataFrame:
    """Read the suppressed addresses that some contacts may have."""
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


def senders_ids_sql(connection: Connection, border: HistoryBorder, condition: str = "TRUE") -> str:
    """Return SQL of the ids of the sender's rows that can matter to a plan, some twice; from indexes alone.

    Args:
        connection: Where it is read.
        border: Which rows matter.
        condition: SQL of a further condition on ``id``.
    """
    by_date, by_instance, by_initial_email = (
        f"SELECT id FROM email_schedules{connection.indexed_by(index)} WHERE {SENDER_ROW_SQL} AND "
        for index in (SENDER_ROWS_INDEX, SENDER_CAMPAIGN_ROWS_INDEX, SENDER_FOLLOW_UPS_INDEX)
    )
    since = f"{by_date}{last_date_sql(connection.dialect.name)} >= "
    kind = "substr(coalesce(CAST(email_type AS TEXT), ''), 1, 9)"
    is_follow_up, is_campaign = f"{kind} = '{FOLLOW_UP_PREFIX}'", f"{kind} = '{CAMPAIGN_PREFIX}'"
    instances = among("campaign_instance_id", border.instances)
    initial_emails = f"{since}'{from_day(border.followed_up)}'"
    found = (
        f"{since}'{from_day(border.rows)}' AND NOT ({is_campaign} OR {is_follow_up})",
        f"{since}'{from_day(border.campaigns)}' AND {is_campaign}",
        f"{since}'{from_day(border.follow_ups)}' AND {is_follow_up}",
        f"{by_instance}campaign_instance_id IS NOT NULL AND {instances} AND NOT {is_follow_up}",
        f"{by_initial_email}initial_email_id IS NOT NULL AND initial_email_id IN ({initial_emails})",
    )
    return " UNION ALL ".join(f"{each} AND {condition}" for each in found)


def _read_history(connections: Sequence[Connection], border: HistoryBorder) -> pd.DataFrame:
    """Read the sender's rows that can matter, and pre-scheduled rows of types that are not the planner's."""
    sql = HISTORY_SQL | {"status": _SENDERS_STATUS}
    senders = read_frame_by_ranges(
        connections,
        HISTORY_TABLE,
        "email_schedules",
        # in the order of the table
        lambda part: f"email_schedules WHERE id IN ({senders_ids_sql(connections[0], border, part)})",
        sql=sql,
    )
    foreign = f"email_schedules{connections[0].indexed_by(FOREIGN_ROWS_INDEX)} WHERE {FOREIGN_ROW_SQL}"
    return _with_foreign(senders, read_frame(connections[0], HISTORY_TABLE, foreign, sql=HISTORY_SQL))


def _read_history_of_contacts(connection: Connection, contacts: Collection[int]) -> pd.DataFrame:
    """Read the same of some contacts, and all of the sender's rows."""
    own = f"email_schedules WHERE {among('contact_id', contacts)}"
    sql = HISTORY_SQL | {"status": _SENDERS_STATUS}
    senders = read_frame(connection, HISTORY_TABLE, f"{own} AND {SENDER_ROW_SQL}", sql=sql)
    foreign = read_frame(connection, HISTORY_TABLE, f"{own} AND {FOREIGN_ROW_SQL}", sql=HISTORY_SQL)
    return _with_foreign(senders, foreign)


def _with_foreign(senders: pd.DataFrame, foreign: pd.DataFrame) -> pd.DataFrame:
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
