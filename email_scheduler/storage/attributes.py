"""Columns of ``contacts``, known here or added by an agency, as audiences and conditions name them."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import pandas as pd

from email_scheduler.planning.contact_values import source_of
from email_scheduler.planning.frames import CONTACT_ATTRIBUTES, CONTACTS_TABLE, ID, TEXT
from email_scheduler.storage.arrow import read_frame
from email_scheduler.storage.connection import Connection, among


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
