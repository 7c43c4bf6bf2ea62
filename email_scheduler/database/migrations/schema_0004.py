"""What schema version 0004 adds: suppressed addresses, and what was edited since the plan.

The view ``due_emails`` compares addresses by their keys (section 1 of the planning rules). SQL knows the key
of a plain address by itself: one of ASCII characters, without a label ``xn--``. The keys of the others are
noted when a plan is published. While a key is not known, the view errs on the side of not sending: a contact
with such an address has nothing due, and a suppressed address of that kind counts for all addresses that
begin and end as its key must.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Column, Index, MetaData, Table, Text, text

from email_scheduler.database.connections import ID, MOMENT, address_sql, trimmed_sql
from email_scheduler.database.migrations.schema_0001 import IS_ACTIVE
from email_scheduler.database.migrations.schema_0001 import metadata as first_metadata
from email_scheduler.database.migrations.schema_0003 import DUE_EMAILS_CONDITION

metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s"}
)
_NOW = text("CURRENT_TIMESTAMP")

Table(
    "suppressed_addresses",
    metadata,
    Column("address", Text, primary_key=True),
    Column("reason", Text),
    Column("suppressed_at", Text, server_default=_NOW),
    Column("suppressed_until", Text),
    Column("contact_id", ID),
    Column("address_key", Text),
    Index(None, "contact_id"),
    Index(None, "address_key"),
)
Table(
    "contact_address_keys",
    metadata,
    Column("contact_id", ID, primary_key=True, autoincrement=False),
    Column("email", Text),
    Column("address_key", Text),
    Index(None, "address_key"),
)
Table(
    "contact_changes",
    metadata,
    Column("contact_id", ID, primary_key=True, autoincrement=False),
    Column("changed_at", MOMENT, server_default=_NOW),
    Column("change_mark", ID),
)
Table(
    "contact_rekeys",
    metadata,
    Column("id", ID, primary_key=True, autoincrement=True),
    Column("old_contact_id", ID),
    Column("new_contact_id", ID),
    Column("rekeyed_at", MOMENT, server_default=_NOW),
    Column("rekeyed_by", Text),
    Column("reason", Text),
)

# Whoever has more than one of these in contacts is noted when one of them changes.
WATCHED_COLUMNS: Final = ("email", "zip_code", "state", "birth_date", "effective_date")
PLANNED: Final = "status IN ('pre-scheduled', 'skipped')"
_TYPES: Final = (
    "birthday",
    "effective_date",
    "aep",
    "post_window",
    "followup_1_cold",
    "followup_2_clicked_no_hq",
    "followup_3_hq_no_yes",
    "followup_4_hq_with_yes",
)
_IS_PLANNERS: Final = "(substr(schedule.email_type, 1, 9) = 'campaign_' OR {})".format(
    " OR ".join(f"schedule.email_type = '{name}'" for name in _TYPES)
)


def _counts_unless(column: str, is_past_it: Mapping[str, str]) -> dict[str, str]:
    """Return SQL that a suppression counts: unless a column has a readable date that meets a condition.

    A day that does not exist is another one once it is reckoned with: 30 February becomes a day of March.

    Args:
        column: Of the suppression.
        is_past_it: The condition, of ``{day}``, by dialect.
    """
    day = f"substr(suppression.{column}, 1, 10)"
    sqlite, postgresql = (is_past_it[name].format(day=day) for name in ("sqlite", "postgresql"))
    return {
        "sqlite": f"coalesce(date({day}, '+0 days') = {day} AND {sqlite}, 0) = 0",
        "postgresql": f"""coalesce(
        CASE WHEN {day} ~ '^[0-9]{{4}}-(0[1-9]|1[0-2])-[0-9]{{2}}$' AND {day} !~ '^0000' THEN
            to_char(
                CAST(substr({day}, 1, 8) || '01' AS DATE) + CAST(substr({day}, 9) AS INTEGER) - 1,
                'YYYY-MM-DD'
            ) = {day}
            AND {postgresql}
        END, FALSE) = FALSE""",
    }


_UTC: Final = "now() AT TIME ZONE 'UTC'"
# It begins after tomorrow, UTC: that is never before the day after the plan's.
_IN_FORCE: Final = _counts_unless(
    "suppressed_at",
    {
        "sqlite": "{day} > date('now', '+1 day')",
        "postgresql": f"{{day}} COLLATE \"C\" > to_char(({_UTC}) + INTERVAL '1 day', 'YYYY-MM-DD')",
    },
)
# That of an address counts until its last day is over. Six hours behind UTC it is never later than in US
# Central time.
STILL_IN_FORCE: Final = _counts_unless(
    "suppressed_until",
    {
        "sqlite": "{day} < date('now', '-6 hours')",
        "postgresql": f"{{day}} COLLATE \"C\" < to_char(({_UTC}) - INTERVAL '6 hours', 'YYYY-MM-DD')",
    },
)
# the server's own words of the view have the alias, too
SAME_ID: Final = "same_id"
ONE_ROW_EACH: Final = f"""
  AND (SELECT count(*) FROM contacts AS {SAME_ID} WHERE {SAME_ID}.id = schedule.contact_id) = 1"""
_ASCII_SQLITE: Final = f"char({', '.join(map(str, range(1, 128)))})"


def is_plain_sql(expression: str, dialect_name: str) -> str:
    """Return SQL that tells whether an address, trimmed, is of ASCII characters, without a label ``xn--``."""
    expression = trimmed_sql(expression, dialect_name)
    if dialect_name == "postgresql":
        return (
            f"(octet_length({expression}) = char_length({expression})"
            f" AND position('xn--' IN lower({expression} COLLATE \"C\")) = 0)"
        )
    return (
        f"(length(CAST({expression} AS BLOB)) = length({expression})"
        f" AND instr(lower({expression}), 'xn--') = 0)"
    )


def plain_key_sql(expression: str, dialect_name: str) -> str:
    """Return SQL of the key of an address; null where SQL cannot tell."""
    key = address_sql(expression, dialect_name)
    return f"CASE WHEN {is_plain_sql(expression, dialect_name)} THEN {key} END"


# ruff: noqa: S608 - put together from names and expressions of this module
def due_emails_sql(dialect_name: str, has_key: bool = True) -> str:
    """Return the statement that makes the view ``due_emails``; on PostgreSQL its owner and rights stay.

    Args:
        dialect_name: The database.
        has_key: Whether a key keeps the ids of ``contacts`` apart; otherwise nothing is due of an id that
            more than one row has, since nobody knows whose it is.
    """
    is_postgresql = dialect_name == "postgresql"
    in_force, is_active = _IN_FORCE[dialect_name], IS_ACTIVE[dialect_name]
    names = [column.name for column in first_metadata.tables["email_schedules"].columns]
    email = trimmed_sql("contact.email", dialect_name)
    key = f"coalesce(known.address_key, {plain_key_sql('contact.email', dialect_name)})"
    create = "CREATE VIEW due_emails AS"
    if is_postgresql:
        create = "CREATE OR REPLACE VIEW due_emails WITH (security_barrier = true) AS"
    return f"""
{create}
WITH unknown AS MATERIALIZED (
  {_unknown_sql(dialect_name)})
SELECT
    {", ".join(f"schedule.{name}" for name in names)},
    {email} AS email,
    contact.phone_number
FROM email_schedules AS schedule
JOIN contacts AS contact ON contact.id = schedule.contact_id
LEFT JOIN contact_address_keys AS known ON known.contact_id = contact.id AND known.email = contact.email
WHERE schedule.status = 'pre-scheduled'
  AND {_IS_PLANNERS}
  AND {key} <> ''
  AND NOT EXISTS (SELECT 1 FROM contact_changes AS change WHERE change.contact_id = schedule.contact_id)
  AND NOT EXISTS (
    SELECT 1 FROM contact_suppressions AS suppression
    WHERE suppression.contact_id = schedule.contact_id AND {in_force})
  AND NOT EXISTS (
    SELECT 1 FROM contacts AS namesake
    JOIN contact_suppressions AS suppression ON suppression.contact_id = namesake.id
    WHERE {address_sql("namesake.email", dialect_name)} = {key} AND {in_force})
  AND NOT EXISTS (
    SELECT 1 FROM contact_address_keys AS namesake
    WHERE namesake.address_key = {key} AND (
      SELECT count(*) FROM contact_suppressions AS suppression
      WHERE suppression.contact_id = namesake.contact_id AND {in_force}) > 0)
  AND NOT EXISTS (
    SELECT 1 FROM suppressed_addresses AS suppression
    WHERE suppression.address_key = {key} AND {in_force} AND {STILL_IN_FORCE[dialect_name]})
  AND NOT EXISTS (SELECT 1 FROM unknown WHERE {_may_be_sql(key, dialect_name)})
  AND (coalesce(schedule.campaign_instance_id, 0) = 0 OR EXISTS (
    SELECT 1 FROM campaign_instances AS instance
    JOIN campaign_types AS type ON type.name = instance.campaign_type
    WHERE instance.id = schedule.campaign_instance_id
      AND {is_active.format("instance.active")}
      AND {is_active.format("type.active")})){DUE_EMAILS_CONDITION}{"" if has_key else ONE_ROW_EACH}"""


def _unknown_sql(dialect_name: str) -> str:
    """Return a query: how the keys of suppressed addresses begin and end whose keys are not known.

    What is before the first and behind the last character beyond ASCII stays as it is in small letters, but
    for the character that a following mark may change, and for labels of the domain that may be punycode.
    """
    in_force = _IN_FORCE[dialect_name]
    address = trimmed_sql("suppressed.address", dialect_name)
    if dialect_name == "postgresql":
        start = "substring(address COLLATE \"C\" FROM '^[\\u0001-\\u007f]*')"
        end = "substring(address COLLATE \"C\" FROM '[\\u0001-\\u007f]*$')"
        at, punycode, dot = "position('@' IN {})", "position('xn--' IN lower({}))", "position('.' IN {})"
        last_label = "substring({} FROM '[^.]*$')"
        less_one = "left({0}, greatest(length({0}) - 1, 0))"
    else:
        start = f"substr(address, 1, length(address) - length(ltrim(address, {_ASCII_SQLITE})))"
        end = f"substr(address, length(rtrim(address, {_ASCII_SQLITE})) + 1)"
        at, punycode, dot = "instr({}, '@')", "instr(lower({}), 'xn--')", "instr({}, '.')"
        last_label = "substr({0}, length(rtrim({0}, replace({0}, '.', ''))) + 1)"
        less_one = "substr({0}, 1, max(length({0}) - 1, 0))"
    lower = 'lower(({}) COLLATE "C")' if dialect_name == "postgresql" else "lower({})"
    at_start, at_end, xn_end = at.format("ascii_start"), at.format("ascii_end"), punycode.format("ascii_end")
    label = last_label.format("ascii_end")
    head = (
        f"CASE WHEN {at_start} > 0 THEN substr(ascii_start, 1, {at_start})"
        f" ELSE {less_one.format('ascii_start')} END"
    )
    tail = (
        f"CASE WHEN {at_end} > 0 AND {xn_end} = 0 THEN ascii_end"
        f" WHEN {dot.format('ascii_end')} = 0 OR {punycode.format(label)} > 0 THEN '' ELSE {label} END"
    )
    return f"""SELECT {lower.format(head)} AS head, {lower.format(tail)} AS tail
  FROM (
    SELECT {start} AS ascii_start, {end} AS ascii_end FROM (
      SELECT {address} AS address FROM (
        SELECT suppression.address FROM suppressed_addresses AS suppression
        WHERE suppression.address_key IS NULL AND {in_force} AND {STILL_IN_FORCE[dialect_name]}
        UNION ALL
        SELECT (SELECT contact.email FROM contacts AS contact
          WHERE contact.id = change.contact_id AND NOT {is_plain_sql("contact.email", dialect_name)})
        FROM contact_changes AS change
        WHERE (SELECT count(*) FROM contact_suppressions AS suppression
          WHERE suppression.contact_id = change.contact_id AND {in_force}) > 0
      ) AS suppressed
      WHERE suppressed.address IS NOT NULL
    ) AS trimmed
  ) AS parts"""


def _may_be_sql(key: str, dialect_name: str) -> str:
    if dialect_name == "postgresql":
        return f"left({key}, length(head)) = head AND right({key}, length(tail)) = tail"
    return f"substr({key}, 1, length(head)) = head AND (tail = '' OR substr({key}, -length(tail)) = tail)"


def backfill_sql(dialect_name: str) -> str:
    """Return the statement that notes the addresses of the contacts that are suppressed already."""
    return f"""
INSERT INTO suppressed_addresses (address, reason, suppressed_at, contact_id, address_key)
SELECT email, reason, suppressed_at, contact_id, {plain_key_sql("email", dialect_name)}
FROM (
  SELECT contact.email, suppression.reason, suppression.suppressed_at, suppression.contact_id,
    row_number() OVER (
      PARTITION BY contact.email ORDER BY coalesce(suppression.suppressed_at, ''), suppression.contact_id
    ) AS number
  FROM contact_suppressions AS suppression JOIN contacts AS contact ON contact.id = suppression.contact_id
  WHERE {trimmed_sql("contact.email", dialect_name)} <> ''
) AS suppressed
WHERE number = 1"""
