"""Which contacts have an address: all whose address key is the same (section 1 of the planning rules).

The index of addresses holds them trimmed and in small letters, which is the key of an address in plain ASCII.
The others, those with other characters or with labels in punycode, are few: they are looked through.
"""

# ruff: noqa: S608 - put together from names and conditions of this package

from collections.abc import Collection, Iterator
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import (
    Column,
    ColumnElement,
    MetaData,
    Table,
    Text,
    and_,
    exists,
    func,
    or_,
    select,
    text,
    update,
)

from email_scheduler.database.connections import ID as STORED_ID
from email_scheduler.database.connections import POSTGRESQL, Connection, address_sql, read_frame
from email_scheduler.database.relations import contacts_kind, is_table
from email_scheduler.database.tables import ADDRESS_INDEX, contacts
from email_scheduler.planning import ID, TEXT, Frame, address_key, address_keys

_ADDRESSES: Final = Frame("addresses", {"id": ID, "email": TEXT})
# Contacts whose address is not plain ASCII, with its key.
_odd: Final = Table(
    "odd_addresses",
    MetaData(),
    Column("contact_id", STORED_ID),
    Column("address", Text),
    prefixes=["TEMPORARY"],
)


def contacts_of_addresses(
    connection: Connection, addresses: Collection[str], at_most: int
) -> dict[str, list[int]]:
    """Return the contacts that have each of a few addresses.

    Args:
        connection: Where to read.
        addresses: As they are written.
        at_most: How many contacts of one address in plain ASCII are looked for.

    Returns:
        Ids, ascending, by address key.
    """
    dialect = connection.dialect.name
    found = {address_key(address): set[int]() for address in addresses}
    query = (
        f"SELECT id FROM contacts WHERE {address_sql('email', dialect)} = {_key_sql('CAST(? AS TEXT)')}"
        f" AND NOT {_odd_sql(dialect)} AND id IS NOT NULL ORDER BY id LIMIT ?"
    )
    for key, ids in found.items():
        # a blank address is nobody's
        if key and key.isascii():
            ids.update(int(contact_id) for (contact_id,) in connection.execute(query, (key, at_most)))
    for contact_id, key in _odd_contacts(connection):
        if key in found:
            found[key].add(contact_id)
    return {key: sorted(ids) for key, ids in found.items()}


def look_up_addresses(connection: Connection, stage: Table) -> None:
    """Note for each line of a temporary table who has its address.

    Args:
        connection: Staging.
        stage: Has the columns ``address`` (keys), ``found_id`` (gets one contact that has it) and
            ``found_count`` (gets how many have it).
    """
    connection.create_temporary(_odd)
    odd = [{"contact_id": contact_id, "address": key} for contact_id, key in _odd_contacts(connection)]
    connection.append_rows(_odd, odd)
    connection.execute(f"CREATE INDEX ix_{_odd.name} ON {_odd.name} (address)")
    plain, others = _has_address(connection, stage), _odd.c.address == stage.c.address
    first = func.coalesce(
        select(func.min(contacts.c.id)).where(plain).scalar_subquery(),
        select(func.min(_odd.c.contact_id)).where(others).scalar_subquery(),
    )
    count = (
        select(func.count()).select_from(contacts).where(plain).scalar_subquery()
        + select(func.count()).select_from(_odd).where(others).scalar_subquery()
    )
    connection.execute(
        update(stage).where(stage.c.address.is_not(None)).values(found_id=first, found_count=count)
    )


def has_that_address(connection: Connection, stage: Table) -> ColumnElement[bool]:
    """Return the condition that the contact of a line has its address, once addresses were looked up."""
    return or_(
        exists().where(contacts.c.id == stage.c.contact_id, _has_address(connection, stage)),
        exists().where(_odd.c.contact_id == stage.c.contact_id, _odd.c.address == stage.c.address),
    )


def _has_address(connection: Connection, stage: Table) -> ColumnElement[Any]:
    """Return the condition that a contact whose address is in plain ASCII has that of a line."""
    dialect = connection.dialect.name
    # a contact's address is in an index as it is spelled there
    is_same = text(f"{address_sql('email', dialect)} = {_key_sql(f'{stage.name}.address')}")
    return and_(is_same, text(f"NOT {_odd_sql(dialect)}"))


def _key_sql(expression: str) -> str:
    """Return SQL of a key that is looked for in the index of addresses."""
    # of a text that is declared as one, SQLite would convert the addresses first, and pass the index by
    return f"lower({expression})"


def _odd_sql(dialect_name: str) -> str:
    """Return SQL of the condition that an address is not its own key in small letters."""
    address = address_sql("email", dialect_name)
    if dialect_name == POSTGRESQL:
        return f"(octet_length({address}) <> length({address}) OR strpos({address}, 'xn--') > 0)"
    size = f"length(CAST({address} AS BLOB))"
    return f"({size} <> length({address}) OR instr({address}, 'xn--') > 0)"


def _odd_contacts(connection: Connection) -> Iterator[tuple[int, str]]:
    """Yield the contacts whose address is not plain ASCII, and its key."""
    # the condition is read from the index alone; a view has none
    index = connection.indexed_by(ADDRESS_INDEX) if is_table(contacts_kind(connection)) else ""
    source = f"contacts{index} WHERE {_odd_sql(connection.dialect.name)}"
    found = read_frame(connection, _ADDRESSES, f"{source} AND id IS NOT NULL", distinct=("email",))
    keys = address_keys(pa.array(found["email"], pa.large_string(), from_pandas=True))
    return zip(found["id"].tolist(), keys.to_pylist(), strict=True)
