"""The triggers of schema version 0004 in PostgreSQL.

They run with the rights of whoever has made them: who may write to ``contacts`` or ``contact_suppressions``
need not know of the tables that they write to. ``{schema}`` is where the tables are, quoted.
"""

# ruff: noqa: S608 - put together from names and expressions of this package

from collections.abc import Mapping
from typing import Final

from email_scheduler.database.connections import address_sql, trimmed_sql
from email_scheduler.database.migrations.schema_0004 import (
    PLANNED,
    STILL_IN_FORCE,
    WATCHED_COLUMNS,
    is_plain_sql,
    plain_key_sql,
)

_DIALECT: Final = "postgresql"
# The name of the column of a conflict is one of the table, not of what the function returns.
_FUNCTION: Final = """CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = {{schema}}, pg_temp AS $$
BEGIN
  {body}
  RETURN {result};
END $$"""
# what is between braces in an expression is no place to fill in
_IS_STILL_IN_FORCE: Final = STILL_IN_FORCE[_DIALECT].replace("{", "{{").replace("}", "}}")
_IS_LATER: Final = (
    "known.suppressed_at ~ '^[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])'"
    ' AND substr(known.suppressed_at, 1, 10) COLLATE "C"'
    " > coalesce(substr(excluded.suppressed_at, 1, 10), '')"
)
# A suppression that counts earlier, or is of the same contact, takes the place of another one of its address.
# It has no last day, nor has its address from then on, which is the contact's if that day is over.
_SUPPRESS: Final = f"""UPDATE suppressed_addresses AS suppression
    SET suppressed_until = NULL,
      contact_id = CASE WHEN {_IS_STILL_IN_FORCE} THEN suppression.contact_id ELSE NEW.contact_id END
    FROM contacts AS contact
    WHERE contact.id = NEW.contact_id AND suppression.address = contact.email
      AND suppression.suppressed_until IS NOT NULL;
    INSERT INTO suppressed_addresses AS known (address, reason, suppressed_at, contact_id)
    SELECT email, NEW.reason, NEW.suppressed_at, NEW.contact_id FROM contacts
    WHERE id = NEW.contact_id AND {trimmed_sql("email", _DIALECT)} <> ''
    ON CONFLICT (address) DO UPDATE SET reason = excluded.reason, suppressed_at = excluded.suppressed_at
    WHERE known.contact_id = excluded.contact_id OR ({_IS_LATER});"""
_HEIR: Final = f"""(SELECT min(other.id) FROM contacts AS other
      JOIN contact_suppressions AS suppression ON suppression.contact_id = other.id
      WHERE {address_sql("other.email", _DIALECT)} = {address_sql("known.address", _DIALECT)}
        AND other.id <> OLD.contact_id)"""
_RELEASE: Final = f"""UPDATE suppressed_addresses AS known SET contact_id = {_HEIR}
    WHERE known.contact_id = OLD.contact_id AND {_HEIR} IS NOT NULL;
    DELETE FROM suppressed_addresses WHERE contact_id = OLD.contact_id;"""
_SUPPRESSION: Final = f"""IF TG_OP = 'TRUNCATE' THEN
    DELETE FROM suppressed_addresses WHERE contact_id IS NOT NULL;
  ELSIF TG_OP = 'DELETE' THEN
    {_RELEASE}
  ELSIF TG_OP = 'INSERT' THEN
    {_SUPPRESS}
  ELSIF OLD.contact_id IS DISTINCT FROM NEW.contact_id THEN
    {_RELEASE}
    {_SUPPRESS}
  ELSE
    UPDATE suppressed_addresses SET reason = NEW.reason, suppressed_at = NEW.suppressed_at
    WHERE contact_id = NEW.contact_id;
  END IF;"""
_KEY: Final = f"NEW.address_key := {plain_key_sql('NEW.address', _DIALECT)};"


def _function(name: str, body: str, result: str = "NULL") -> str:
    return _FUNCTION.format(name=name, body=body, result=result)


TRIGGERS: Final = (
    _function("suppress_address", _SUPPRESSION),
    (
        "CREATE TRIGGER suppress_address AFTER INSERT OR UPDATE OR DELETE ON contact_suppressions"
        " FOR EACH ROW EXECUTE FUNCTION suppress_address()"
    ),
    (
        "CREATE TRIGGER suppress_address_truncate AFTER TRUNCATE ON contact_suppressions"
        " FOR EACH STATEMENT EXECUTE FUNCTION suppress_address()"
    ),
    _function("note_address_key", _KEY, "NEW"),
    (
        "CREATE TRIGGER note_address_key_insert BEFORE INSERT ON suppressed_addresses"
        " FOR EACH ROW WHEN (NEW.address_key IS NULL) EXECUTE FUNCTION note_address_key()"
    ),
    (
        "CREATE TRIGGER note_address_key_update BEFORE UPDATE OF address ON suppressed_addresses"
        " FOR EACH ROW WHEN (OLD.address IS DISTINCT FROM NEW.address) EXECUTE FUNCTION note_address_key()"
    ),
)


def _note(contacts: str) -> str:
    """Return the statement that notes contacts, a query of their ids."""
    return f"""INSERT INTO contact_changes (contact_id, changed_at, change_mark)
    SELECT id, clock_timestamp(), CAST(random() * 9007199254740991 AS bigint)
    FROM ({contacts}) AS changed (id)
    WHERE id IS NOT NULL
    ON CONFLICT (contact_id) DO UPDATE
    SET changed_at = excluded.changed_at, change_mark = excluded.change_mark;"""


# The columns are named by texts: those of somebody else's table may change their types, or go.
_HAS_CHANGED: Final = " OR ".join(
    f"before ->> '{name}' IS DISTINCT FROM after ->> '{name}'" for name in ("id", *WATCHED_COLUMNS)
)
_NOTE_UPDATE: Final = f"""DECLARE before jsonb := to_jsonb(OLD); after jsonb := to_jsonb(NEW);
  BEGIN
    IF {_HAS_CHANGED} THEN
      {_note("SELECT OLD.id UNION SELECT NEW.id")}
    END IF;
  END;"""
_IS_PLANNED: Final = f"EXISTS (SELECT 1 FROM email_schedules WHERE contact_id = new_rows.id AND {PLANNED})"
# Who is suppressed already may share an address in a spelling whose key is not known.
_EMAIL: Final = "(to_jsonb(new_rows) ->> 'email')"
_MAY_BE_ODD: Final = (
    f"NOT {is_plain_sql(_EMAIL, _DIALECT)}"
    " AND EXISTS (SELECT 1 FROM contact_suppressions WHERE contact_id = new_rows.id)"
)
_INSERTED: Final = f"SELECT DISTINCT id FROM new_rows WHERE {_IS_PLANNED} OR {_MAY_BE_ODD}"
_FUNCTIONS: Final = {
    "update": _NOTE_UPDATE,
    "delete": _note("SELECT DISTINCT id FROM old_rows"),
    "insert": _note(_INSERTED),
    "truncate": _note("SELECT DISTINCT id FROM contacts"),
}
_EVENTS: Final = {
    # compared byte by byte: a column may have a type that knows no equality
    "update": "AFTER UPDATE ON contacts FOR EACH ROW WHEN (OLD *<> NEW)",
    "delete": "AFTER DELETE ON contacts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT",
    "insert": "AFTER INSERT ON contacts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT",
    "truncate": "BEFORE TRUNCATE ON contacts FOR EACH STATEMENT",
}
# Of a partitioned table: an update that moves a row to another partition is for rows a deletion and an
# insertion, and for the statement neither; nor does a statement about a partition fire triggers of the table.
_FUNCTIONS_BY_ROW: Final = {
    "delete": _note("SELECT OLD.id"),
    "insert": _note(f"WITH new_rows AS (SELECT NEW.*) {_INSERTED}"),
}
_EVENTS_BY_ROW: Final = {
    "delete": "AFTER DELETE ON contacts FOR EACH ROW",
    "insert": "AFTER INSERT ON contacts FOR EACH ROW",
}


def _watching(functions: Mapping[str, str], events: Mapping[str, str]) -> dict[str, str]:
    return {
        f"watch_contacts_{event}": (
            f"{_function(f'note_contact_{event}', functions[event])};\n"
            f"CREATE TRIGGER watch_contacts_{event} {when} EXECUTE FUNCTION note_contact_{event}()"
        )
        for event, when in events.items()
    }


WATCH: Final = _watching(_FUNCTIONS, _EVENTS)
WATCH_PARTITIONED: Final = WATCH | _watching(_FUNCTIONS_BY_ROW, _EVENTS_BY_ROW)
