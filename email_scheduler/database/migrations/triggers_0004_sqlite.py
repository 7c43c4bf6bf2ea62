"""The triggers of schema version 0004 in SQLite.

None of their statements depends on what becomes of a conflict: a statement that fires a trigger with
``OR REPLACE`` or ``OR IGNORE`` decides that for the trigger's statements too.
"""

# ruff: noqa: S608 - put together from names and expressions of this package

from typing import Final

from email_scheduler.database.connections import address_sql, trimmed_sql
from email_scheduler.database.migrations.schema_0004 import (
    PLANNED,
    STILL_IN_FORCE,
    WATCHED_COLUMNS,
    is_plain_sql,
    plain_key_sql,
)

_NOW: Final = "strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'"
# a trigger's UPDATE takes no other name for its table
_IS_STILL_IN_FORCE: Final = STILL_IN_FORCE["sqlite"].replace("suppression.", "suppressed_addresses.")
_EMAIL: Final = "(SELECT email FROM contacts WHERE id = new.contact_id)"
# A suppression that counts earlier, or is of the same contact, takes the place of another one of its address.
# It has no last day, nor has its address from then on, which is the contact's if that day is over.
_SUPPRESS: Final = f"""UPDATE suppressed_addresses
    SET suppressed_until = NULL,
      contact_id = CASE WHEN {_IS_STILL_IN_FORCE} THEN contact_id ELSE new.contact_id END
    WHERE address = {_EMAIL} AND suppressed_until IS NOT NULL;
  UPDATE suppressed_addresses
    SET reason = new.reason, suppressed_at = new.suppressed_at
    WHERE address = {_EMAIL} AND (contact_id IS new.contact_id
      OR (date(substr(suppressed_at, 1, 10), '+0 days') = substr(suppressed_at, 1, 10)
        AND substr(suppressed_at, 1, 10) > coalesce(substr(new.suppressed_at, 1, 10), '')));
  INSERT INTO suppressed_addresses (address, reason, suppressed_at, contact_id)
    SELECT email, new.reason, new.suppressed_at, new.contact_id FROM contacts
    WHERE id = new.contact_id AND {trimmed_sql("email", "sqlite")} <> ''
      AND NOT EXISTS (SELECT 1 FROM suppressed_addresses WHERE address = {_EMAIL});"""
_HEIR: Final = f"""(SELECT min(other.id) FROM contacts AS other
      JOIN contact_suppressions AS suppression ON suppression.contact_id = other.id
      WHERE {address_sql("other.email", "sqlite")} = {address_sql("suppressed_addresses.address", "sqlite")}
        AND other.id <> old.contact_id)"""
_RELEASE: Final = f"""UPDATE suppressed_addresses SET contact_id = {_HEIR}
    WHERE contact_id = old.contact_id AND {_HEIR} IS NOT NULL;
  DELETE FROM suppressed_addresses WHERE contact_id = old.contact_id;"""


def _trigger(name: str, when: str, body: str, condition: str = "") -> str:
    return f"CREATE TRIGGER {name} AFTER {when}\n{condition and f'WHEN {condition}'}\nBEGIN\n  {body}\nEND"


TRIGGERS: Final = (
    _trigger("suppress_address_insert", "INSERT ON contact_suppressions", _SUPPRESS),
    _trigger("suppress_address_delete", "DELETE ON contact_suppressions", _RELEASE),
    _trigger(
        "suppress_address_update",
        "UPDATE ON contact_suppressions",
        "UPDATE suppressed_addresses SET reason = new.reason, suppressed_at = new.suppressed_at"
        " WHERE contact_id = new.contact_id;",
        "old.contact_id IS new.contact_id",
    ),
    _trigger(
        "suppress_address_handover",
        "UPDATE OF contact_id ON contact_suppressions",
        f"{_RELEASE}\n  {_SUPPRESS}",
        "old.contact_id IS NOT new.contact_id",
    ),
    _trigger(
        "note_address_key_insert",
        "INSERT ON suppressed_addresses",
        f"UPDATE suppressed_addresses SET address_key = {plain_key_sql('address', 'sqlite')}"
        " WHERE address = new.address;",
        "new.address_key IS NULL",
    ),
    _trigger(
        "note_address_key_update",
        "UPDATE OF address ON suppressed_addresses",
        f"UPDATE suppressed_addresses SET address_key = {plain_key_sql('address', 'sqlite')}"
        " WHERE address = new.address;",
        "old.address IS NOT new.address",
    ),
)


def _note(contacts: str) -> str:
    """Return statements that note contacts, a query of their ids."""
    return (
        f"DELETE FROM contact_changes WHERE contact_id IN ({contacts});\n"
        "  INSERT INTO contact_changes (contact_id, changed_at, change_mark)"
        f" SELECT id, {_NOW}, random() FROM ({contacts}) WHERE id IS NOT NULL;"
    )


_HAS_CHANGED: Final = " OR ".join(f"old.{name} IS NOT new.{name}" for name in ("id", *WATCHED_COLUMNS))
WATCH: Final = {
    "watch_contacts_update": _trigger(
        "watch_contacts_update",
        "UPDATE ON contacts",
        _note("SELECT old.id AS id UNION SELECT new.id"),
        _HAS_CHANGED,
    ),
    "watch_contacts_delete": _trigger(
        "watch_contacts_delete", "DELETE ON contacts", _note("SELECT old.id AS id")
    ),
    # what INSERT OR REPLACE deletes fires no trigger; and who is suppressed already may share an address in
    # a spelling whose key is not known
    "watch_contacts_insert": _trigger(
        "watch_contacts_insert",
        "INSERT ON contacts",
        _note("SELECT new.id AS id"),
        f"EXISTS (SELECT 1 FROM email_schedules WHERE contact_id = new.id AND {PLANNED})"
        f" OR NOT {is_plain_sql('new.email', 'sqlite')}"
        " AND EXISTS (SELECT 1 FROM contact_suppressions WHERE contact_id = new.id)",
    ),
}
