"""Columns of ``contacts`` that are not known here, such as an agency has added."""

from collections.abc import Collection
from dataclasses import replace

import pandas as pd

from email_scheduler.planning.contact_values import source_of
from email_scheduler.planning.frames import CONTACT_ATTRIBUTES, CONTACTS_TABLE, ID, TEXT
from email_scheduler.storage.arrow import read_frame
from email_scheduler.storage.connection import Connection, among


def read_attributes(
    connection: Connection, names: Collection[str], contacts: Collection[int] | None = None
) -> pd.DataFrame:
    """Read the columns of the contacts that these values are taken from, as far as there are any.

    Nothing but a name that the database has given becomes SQL.

    Args:
        connection: Where to read.
        names: The values.
        contacts: Those whose values are read; None: all.

    Returns:
        ``CONTACT_ATTRIBUTES``; without rows if all that is wanted is among the columns that are known.
    """
    # a name in small letters goes before the same one in capital letters
    columns = {name.lower(): name for name in sorted(connection.column_names("contacts"))}
    sources = {source[0] for name in names if (source := source_of(name, columns)) is not None}
    wanted = sorted(sources - set(CONTACTS_TABLE.columns))
    if not wanted:
        return CONTACT_ATTRIBUTES.empty()
    frame = replace(CONTACT_ATTRIBUTES, columns={"id": ID, **dict.fromkeys(wanted, TEXT)})
    quoted = {name: '"' + columns[name].replace('"', '""') + '"' for name in wanted}
    rows = f"contacts WHERE id IS NOT NULL AND {among('id', contacts)}"
    return read_frame(connection, frame, rows, sql=quoted)
