"""What publishing a plan notes of contacts: keys of addresses, and that what was edited is planned anew.

The view ``due_emails`` compares addresses by their keys (section 1 of the planning rules), and leaves out
contacts that were edited since the plan (section 16).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from email_scheduler.database.connections import POSTGRESQL, Connection, read_frame
from email_scheduler.database.records import last_published, read_runs
from email_scheduler.planning import (
    CAMPAIGN_CHANGES,
    CONTACT_ADDRESS_KEYS,
    CONTACT_CHANGES,
    CONTACTS_TABLE,
    address_keys,
    contact_address_keys,
)

# Runs some work in a transaction of its own.
Transact = Callable[[Callable[[], None]], None]
_STAGED: Final = "planner_contact_notes"
_ROWS_AT_A_TIME: Final = 50_000
_LARGEST_MARK: Final = (1 << 53) - 1


@dataclass(frozen=True)
class SeenChanges:
    """The changes that a plan takes into account, as they were when its inputs were read.

    Attributes:
        campaigns: ``CAMPAIGN_CHANGES``.
        contacts: ``CONTACT_CHANGES``: the contacts that were edited since the plan before.
        checkpoint_id: The last plan that had been published; None: that is not known.
    """

    campaigns: pd.DataFrame
    contacts: pd.DataFrame
    checkpoint_id: int | None

    @classmethod
    def none(cls) -> "SeenChanges":
        """Return no changes."""
        return cls(CAMPAIGN_CHANGES.empty(), CONTACT_CHANGES.empty(), None)


def read_contact_changes(connection: Connection) -> pd.DataFrame:
    """Read ``CONTACT_CHANGES``, at the moment at which ``connection`` reads everything."""
    return read_frame(connection, CONTACT_CHANGES, "contact_changes")


def last_checkpoint_id(connection: Connection) -> int:
    """Return the id of the record of the last published plan; 0 if there is none."""
    last = last_published(read_runs(connection))
    return 0 if last is None else last.number


def note_contacts(connection: Connection, contacts: str) -> None:
    """Note contacts as triggers note edited ones: nothing of theirs is due until they are planned anew.

    Args:
        connection: In a transaction.
        contacts: A query of their ids, each once.
    """
    # another one than any that a plan has read
    mark = 1 + secrets.randbelow(_LARGEST_MARK)
    connection.execute(f"DELETE FROM contact_changes WHERE contact_id IN ({contacts})")  # noqa: S608
    connection.execute(
        "INSERT INTO contact_changes (contact_id, change_mark)"  # noqa: S608
        f" SELECT noted.*, CAST(? AS BIGINT) FROM ({contacts}) AS noted",
        (mark,),
    )


def note_contacts_of_another_plan(
    connection: Connection, contacts: pd.DataFrame, checkpoint_id: int, transact: Transact
) -> None:
    """Note the contacts that are not as a plan has them, if another plan was published since it was begun.

    The other plan has deleted the notes of what it knew, and this one takes its place.

    Args:
        connection: Not in a transaction.
        contacts: ``CONTACTS_TABLE`` that the plan was made from.
        checkpoint_id: The last plan that had been published when they were read.
        transact: Runs each batch.
    """
    if last_checkpoint_id(connection) == checkpoint_id:
        connection.end_reading()
        return
    now = read_frame(connection, CONTACTS_TABLE, "contacts", distinct=("email",))
    connection.end_reading()
    columns = ["id", *(name for name in CONTACTS_TABLE.columns if name not in {"id", "phone_number"})]
    both = _as_texts(contacts[columns]).merge(
        _as_texts(now[columns]), on=columns, how="outer", indicator=True
    )
    differing = np.unique(both.loc[both["_merge"] != "both", "id"])

    def note(ids: npt.NDArray[np.int64]) -> None:
        connection.stage(_STAGED, pa.table({"contact_id": pa.array(ids)}), "contact_changes")
        note_contacts(connection, f"SELECT contact_id FROM {_STAGED}")  # noqa: S608

    for start in range(0, len(differing), _ROWS_AT_A_TIME):
        transact(partial(note, differing[start : start + _ROWS_AT_A_TIME]))


def _as_texts(contacts: pd.DataFrame) -> pd.DataFrame:
    return contacts.astype({name: "str" for name in contacts.columns if name != "id"})


def delete_contact_changes(connection: Connection, seen: pd.DataFrame, transact: Transact) -> None:
    """Delete the notes of changes that a plan has taken into account; a later change stays noted.

    Args:
        connection: Not in a transaction.
        seen: ``CONTACT_CHANGES`` as they were when the inputs of the plan were read.
        transact: Runs each batch.
    """
    # on PostgreSQL a note that somebody is about to write anew is left to him
    lock = " FOR UPDATE OF note SKIP LOCKED" if connection.dialect.name == POSTGRESQL else ""

    def delete(part: pd.DataFrame) -> None:
        connection.stage(_STAGED, pa.Table.from_pandas(part, preserve_index=False), "contact_changes")
        connection.execute(
            "DELETE FROM contact_changes WHERE contact_id IN (SELECT note.contact_id"  # noqa: S608
            f" FROM {_STAGED} AS seen JOIN contact_changes AS note ON note.contact_id = seen.contact_id"
            f" AND coalesce(note.change_mark, 0) = seen.change_mark{lock})"
        )

    for start in range(0, len(seen), _ROWS_AT_A_TIME):
        transact(partial(delete, seen.iloc[start : start + _ROWS_AT_A_TIME]))


def note_address_keys(connection: Connection, contacts: pd.DataFrame, transact: Transact) -> None:
    """Make ``contact_address_keys`` hold the keys that SQL cannot compute, and fill in those of suppressions.

    Args:
        connection: Not in a transaction.
        contacts: ``CONTACTS_TABLE`` of the whole organisation.
        transact: Runs each batch.
    """
    wanted = contact_address_keys(contacts)
    texts = ("email", "address_key")
    there = read_frame(connection, CONTACT_ADDRESS_KEYS, "contact_address_keys", distinct=texts)
    connection.end_reading()
    both = there.merge(wanted, on=list(CONTACT_ADDRESS_KEYS.columns), how="outer", indicator=True)
    gone = both[both["_merge"] == "left_only"]
    missing = both[both["_merge"] == "right_only"][list(CONTACT_ADDRESS_KEYS.columns)]
    affected = np.unique(np.concatenate([gone["contact_id"], missing["contact_id"]]))

    def replace(ids: npt.NDArray[np.int64]) -> None:
        rows = missing[missing["contact_id"].isin(ids)]
        connection.stage(_STAGED, pa.table({"contact_id": pa.array(ids)}), "contact_address_keys")
        connection.execute(
            f"DELETE FROM contact_address_keys WHERE contact_id IN (SELECT contact_id FROM {_STAGED})"  # noqa: S608
        )
        connection.append("contact_address_keys", pa.Table.from_pandas(rows, preserve_index=False))

    for start in range(0, len(affected), _ROWS_AT_A_TIME):
        transact(partial(replace, affected[start : start + _ROWS_AT_A_TIME]))
    note_suppressed_keys(connection, transact)


def note_suppressed_keys(connection: Connection, transact: Transact) -> None:
    """Fill in the keys of suppressed addresses that the database cannot compute by itself."""
    rows = connection.execute("SELECT address FROM suppressed_addresses WHERE address_key IS NULL")
    connection.end_reading()
    addresses = [str(address) for (address,) in rows if address is not None]

    def note(part: list[str]) -> None:
        texts = pa.array(part, pa.large_string())
        keys = pa.table({"address": texts, "address_key": address_keys(texts)})
        connection.stage(_STAGED, keys, "suppressed_addresses")
        connection.execute(
            f"UPDATE suppressed_addresses SET address_key = noted.address_key FROM {_STAGED} AS noted"  # noqa: S608
            " WHERE suppressed_addresses.address = noted.address AND suppressed_addresses.address_key IS NULL"
        )

    for start in range(0, len(addresses), _ROWS_AT_A_TIME):
        transact(partial(note, addresses[start : start + _ROWS_AT_A_TIME]))
